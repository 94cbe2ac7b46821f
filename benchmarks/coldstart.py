"""Cold start by ratio, in one run: this harness, plain Testcontainers one by one, `docker compose up --wait`.

    python benchmarks/coldstart.py

Six containers whose delay is known (a stand-in that answers its health check only after so many seconds), tied by
`depends_on`. The critical path is the largest sum of delays along it: no start order can be faster. The last table is
the real stack's start, for which no critical path is known.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = "infra-harness/offline-python:bookworm"
"""Any image with Python; this one is built by scripts/offline-engine."""
SERVER = (
    "import http.server,sys,time;time.sleep(float(sys.argv[1]));"
    "http.server.HTTPServer(('0.0.0.0',8000),http.server.SimpleHTTPRequestHandler).serve_forever()"
)
CHECK = "import urllib.request as u;u.urlopen('http://127.0.0.1:8000/',timeout=1)"


@dataclass(frozen=True)
class StandIn:
    """A service that is ready after `delay` seconds and needs others first."""

    name: str
    delay: float
    needs: tuple[str, ...] = field(default=())


STACK = (
    StandIn("store", 6.0),
    StandIn("registry", 2.0),
    StandIn("cache", 3.0),
    StandIn("queue", 4.0, ("registry",)),
    StandIn("collector", 5.0, ("store",)),
    StandIn("viewer", 3.0, ("collector", "cache")),
)


def critical_path(stack: tuple[StandIn, ...]) -> float:
    """The largest sum of delays along `needs`, in seconds."""
    by_name = {item.name: item for item in stack}

    def until(name: str) -> float:
        return by_name[name].delay + max((until(other) for other in by_name[name].needs), default=0.0)

    return max(until(item.name) for item in stack)


def compose_file(stack: tuple[StandIn, ...], directory: Path) -> Path:
    """The stack as a compose file."""
    services = {
        item.name: {
            "image": IMAGE,
            "command": ["python3", "-u", "-c", SERVER, str(item.delay)],
            "stop_grace_period": "1s",
            "healthcheck": {
                "test": ["CMD", "python3", "-c", CHECK], "interval": "250ms", "timeout": "2s", "retries": 200,
            },
            "depends_on": {other: {"condition": "service_healthy"} for other in item.needs},
        }
        for item in stack
    }  # fmt: skip
    file = directory / "coldstart.yml"
    file.write_text(json.dumps({"name": "coldstart", "services": services}, indent=2))
    return file


def harness_up(file: Path, state: Path) -> float:
    """Seconds of `harness up` until every service is ready; includes the keeper's own start."""
    common = ["--state", str(state / "s")]
    up = [sys.executable, "-m", "harness.cli.main", "up", "--runtime", "docker", "--pull", "never"]
    seconds = timed([*up, "--compose", str(file), "--reports", str(state / "r"), *common])
    run_quietly([sys.executable, "-m", "harness.cli.main", "down", *common])
    return seconds


def compose_up(file: Path) -> float:
    """Seconds of `docker compose up --wait`."""
    seconds = timed(["docker", "compose", "-f", str(file), "up", "--wait", "--quiet-pull"])
    run_quietly(["docker", "compose", "-f", str(file), "down", "-v", "-t", "1"])
    return seconds


def plain_testcontainers(stack: tuple[StandIn, ...]) -> float:
    """Seconds of the usual loop: start one, wait until it answers, start the next."""
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer

    started, running = time.monotonic(), []
    for item in stack:
        container = DockerContainer(IMAGE).with_command(["python3", "-u", "-c", SERVER, str(item.delay)])
        running.append(container.start())
        while container.exec(["python3", "-c", CHECK]).exit_code:
            time.sleep(0.05)
    seconds = time.monotonic() - started
    for container in running:
        container.stop()
    return seconds


def timed(command: list[str]) -> float:
    """Seconds that a command takes. Raises CalledProcessError when it fails."""
    started = time.monotonic()
    run_quietly(command)
    return time.monotonic() - started


def run_quietly(command: list[str]) -> None:
    """Run, show the output only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, help="rounds; the median counts")
    arguments = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="cold-"))
    try:
        file = compose_file(STACK, state)
        contenders: dict[str, Callable[[], float]] = {
            "harness up": lambda: harness_up(file, state),
            "docker compose up --wait": lambda: compose_up(file),
            "testcontainers, one by one": lambda: plain_testcontainers(STACK),
        }
        best = critical_path(STACK)
        print(f"six stand-ins, critical path {best:.1f} s, {arguments.n} rounds, median")
        for name, measure in contenders.items():
            seconds = sorted(measure() for _ in range(arguments.n))[arguments.n // 2]
            print(f"  {name:28} {seconds:6.2f} s  {seconds / best:5.2f} x the critical path", flush=True)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
