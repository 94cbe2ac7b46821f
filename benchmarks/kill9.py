"""Kill a run (its process, its group, or its keeper) at random moments with SIGKILL; count what is left 5 s later.

    python benchmarks/kill9.py -n 50
    python benchmarks/kill9.py -n 30 --runtime docker --compose compose/stack.yml --compose compose/offline.yml

Every run gets a directory of its own, for its state and for all temporary files, so for the stacks that its tests start
by the command line too. What counts as left: a process whose environment or command line names that directory, whoever
its parent is by then; and on docker a container, network or volume that carries a label of the harness, unless its
owner lives and belongs to another run of this machine. A container whose owner was killed itself goes at the start of
the next run: then it is that sweep which counts.
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
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0
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


@dataclass(frozen=True)
class Trial:
    """What every run of the series has in common."""

    runtime: str
    compose: tuple[str, ...]

    def start(self, state: Path) -> subprocess.Popen[bytes]:
        """`harness test` on the second layer, in a group of its own."""
        command = [
            sys.executable, "-m", "harness.cli.main", "test", "--layers", "integration", "--pull", "never",
            "--state", str(state / "s"), "--reports", str(state / "r"), "--runtime", self.runtime,
        ]  # fmt: skip
        for file in self.compose:
            command += ["--compose", file]
        with (state / "output").open("wb") as output:
            return subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "TMPDIR": str(state), "PYTEST_DEBUG_TEMPROOT": str(state)},
            )  # fmt: skip

    def left(self, state: Path) -> list[str]:
        """What is still there of a run."""
        ours = processes_of(state)
        return [*ours.values(), *(engine_listing(ours) if self.runtime == "docker" else ())]

    def whole(self) -> float:
        """Seconds that an undisturbed run takes: kills fall within."""
        state = Path(tempfile.mkdtemp(prefix="k9-"))
        try:
            started = time.monotonic()
            process = self.start(state)
            if process.wait():
                raise SystemExit(
                    f"the undisturbed run ended with {process.returncode}:\n{(state / 'output').read_text()}"
                )
            return time.monotonic() - started
        finally:
            shutil.rmtree(state, ignore_errors=True)


def engine_listing(ours: Container[int]) -> list[str]:
    """Everything on the engine that carries a label of the harness, and whose owner is dead or one of ours."""
    from harness.runtimes.docker.engine import make_client
    from harness.runtimes.docker.labels import read_owner
    from harness.runtimes.docker.sweep import listing

    def counts(labels: Mapping[str, str]) -> bool:
        owner = read_owner(labels)
        return owner is None or owner.identity.pid in ours or not owner.identity.alive

    client = make_client()
    try:
        return [item.what for item in listing(client) if counts(item.labels)]
    finally:
        client.close()


def next_run_sweeps() -> None:
    """What the next run on this engine does before anything else."""
    from harness.runtimes.docker.engine import make_client
    from harness.runtimes.docker.sweep import sweep

    client = make_client()
    try:
        sweep(client)
    finally:
        client.close()


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


def one(victim: str, after: float, trial: Trial) -> Shot:
    """Start, wait, kill, look."""
    state = Path(tempfile.mkdtemp(prefix="k9-"))
    try:
        process = trial.start(state)
        time.sleep(after)
        shoot(process, victim, state)
        shot = time.monotonic()
        while (left := trial.left(state)) and time.monotonic() - shot < GRACE:
            time.sleep(0.02)
            if trial.runtime == "docker":
                next_run_sweeps()
        gone = time.monotonic() - shot
        for pid in processes_of(state):
            os.kill(pid, signal.SIGKILL)
        return Shot(victim, after, tuple(left), gone)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def main() -> int:
    """Run, print one line per kill and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=50, metavar="N", help="how many kills")
    parser.add_argument("--runtime", default="process", choices=("process", "docker"))
    parser.add_argument("--compose", action="append", default=[], metavar="FILE")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--within", type=float, default=1e9, metavar="S", help="latest moment of a kill, in seconds")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(2**31)
    trial, rng = Trial(arguments.runtime, tuple(arguments.compose)), random.Random(seed)
    whole = trial.whole()
    latest = min(whole, arguments.within)
    print(f"an undisturbed run takes {whole:.1f} s; kills fall between 0.05 s and {latest:.1f} s", flush=True)
    shots = [report(one(VICTIMS[index % 3], rng.uniform(0.05, latest), trial), index) for index in range(arguments.n)]
    left = sum(bool(shot.left) for shot in shots)
    worst = max(shot.gone_after for shot in shots)
    print(f"{dict(Counter(shot.victim for shot in shots))}, seed {seed}, slowest {worst:.2f} s: {left} left behind")
    return 1 if left else 0


def report(shot: Shot, index: int) -> Shot:
    """Print one line."""
    outcome = f"LEFT {shot.left}" if shot.left else f"gone after {shot.gone_after:.2f} s"
    print(f"{index + 1:3} {shot.victim:7} killed at {shot.after:5.2f} s  {outcome}", flush=True)
    return shot


if __name__ == "__main__":
    raise SystemExit(main())
