"""Kill pytest (or its whole process group) at random moments with SIGKILL and count what is left 5 s later.

    python benchmarks/kill9.py -n 50

Every run gets a state directory of its own. What counts as left: a process whose environment or command line names
that directory, whoever its parent is by then. Every third kill hits the keeper instead of pytest.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0
LATEST = 6.0
"""Seconds after which the latest kill falls: start-up, tests and close are all within."""
VICTIMS = ("pytest", "group", "keeper")


@dataclass(frozen=True)
class Shot:
    """One kill: who was hit, after how many seconds, what was left, and how long the rest took to go."""

    victim: str
    after: float
    left: tuple[str, ...]
    gone_after: float


def processes_of(state: Path) -> dict[int, str]:
    """Living processes that belong to a state directory, by pid."""
    found = {}
    needle = str(state).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if needle in command or needle in environment:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")[:100]
    return found


def start(state: Path, runtime: str) -> subprocess.Popen[bytes]:
    """`harness test` on the first layer, in a group of its own."""
    command = [
        sys.executable, "-m", "harness.cli.main", "test", "--layers", "services",
        "--state", str(state / "s"), "--reports", str(state / "r"), "--runtime", runtime,
    ]  # fmt: skip
    with (state / "output").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)


def keeper_of(state: Path) -> int:
    """The keeper's pid, zero when there is none yet."""
    return next((pid for pid, command in processes_of(state).items() if "harness.keeper.server" in command), 0)


def shoot(process: subprocess.Popen[bytes], victim: str, state: Path) -> None:
    """SIGKILL the victim. When the keeper is hit, the rest is told to go as by a closed terminal."""
    if victim == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "keeper" and (keeper := keeper_of(state)):
        os.kill(keeper, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def one(victim: str, after: float, runtime: str) -> Shot:
    """Start, wait, kill, look."""
    state = Path(tempfile.mkdtemp(prefix="k9-"))
    try:
        process = start(state, runtime)
        time.sleep(after)
        shoot(process, victim, state)
        shot = time.monotonic()
        while (left := processes_of(state)) and time.monotonic() - shot < GRACE:
            time.sleep(0.02)
        gone = time.monotonic() - shot
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return Shot(victim, after, tuple(left.values()), gone)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def main() -> int:
    """Run, print one line per kill and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=50, metavar="N", help="how many kills")
    parser.add_argument("--runtime", default="process")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(2**31)
    rng = random.Random(seed)
    shots = []
    for index in range(arguments.n):
        shot = one(VICTIMS[index % len(VICTIMS)], rng.uniform(0.05, LATEST), arguments.runtime)
        shots.append(shot)
        outcome = f"LEFT {shot.left}" if shot.left else f"gone after {shot.gone_after:.2f} s"
        print(f"{index + 1:3} {shot.victim:7} killed at {shot.after:5.2f} s  {outcome}", flush=True)
    left = sum(bool(shot.left) for shot in shots)
    worst = max(shot.gone_after for shot in shots)
    print(f"{dict(Counter(shot.victim for shot in shots))}, seed {seed}, slowest {worst:.2f} s: {left} left behind")
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
