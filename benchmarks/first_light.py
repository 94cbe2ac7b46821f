"""The figures of a first run: how long until help, until six services are ready, until the main job is done.

    python benchmarks/first_light.py
    python benchmarks/first_light.py --runtime docker --compose compose/stack.yml --compose compose/offline.yml

Cold: every round starts everything anew; the files are in the page cache, as on any second run of a day.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HARNESS = [sys.executable, "-m", "harness.cli.main"]


def timed(command: list[str]) -> float:
    """Seconds that a command takes. Ends this script when it fails."""
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"})
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - started


def show(name: str, seconds: list[float], target: str) -> None:
    """One line: median, spread, and what was aimed at."""
    spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
    print(
        f"{name:42} {statistics.median(seconds):7.2f} s  ({spread}, {len(seconds)} rounds; aimed at {target})",
        flush=True,
    )


def one_up(state: Path, where: list[str]) -> tuple[float, dict[str, float]]:
    """Seconds of `harness up` from the shell, and each service's seconds to ready as the keeper measured them."""
    common = ["--state", str(state / "s")]
    total = timed([*HARNESS, "up", "--reports", str(state / "r"), *common, *where])
    told = subprocess.run([*HARNESS, "status", "--json", *common], capture_output=True, text=True, check=True).stdout
    timed([*HARNESS, "down", *common])
    return total, {item["name"]: item["seconds_to_ready"] for item in json.loads(told)[0]["services"]}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="rounds")
    parser.add_argument("--runtime", default="process", choices=("process", "docker"))
    parser.add_argument("--compose", action="append", default=[], metavar="FILE")
    parser.add_argument("--workers", default="2", help="xdist workers of the main job")
    parser.add_argument("--main-job", action="store_true", help="the whole of `make infra-test` too")
    arguments = parser.parse_args()
    where = ["--runtime", arguments.runtime, "--pull", "never"]
    where += [word for file in arguments.compose for word in ("--compose", file)]
    state = Path(tempfile.mkdtemp(prefix="fl-"))
    try:
        show("harness --help", [timed([*HARNESS, "--help"]) for _ in range(arguments.n)], "0.4 s")
        ups = [one_up(state, where) for _ in range(arguments.n)]
        show(f"harness up, {len(ups[0][1])} services, {arguments.runtime}", [total for total, _ in ups], "4 s")
        for name in ups[0][1]:
            print(f"    {name:20} {statistics.median(each[name] for _, each in ups):6.2f} s to ready")
        if arguments.main_job:
            job = [
                *HARNESS,
                "test",
                "-n",
                arguments.workers,
                "--state",
                str(state / "s"),
                "--reports",
                str(state / "r"),
            ]
            show("the main job, after set-up", [timed([*job, *where])], "60 s for the fast lane")
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
