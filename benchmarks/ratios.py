"""The performance gate: ratios measured in one run, each against a bound. No clock of any machine decides.

    python benchmarks/ratios.py [--only NAME,...]

Both sides of a ratio are measured in turns on the same machine, so that what else it does falls on both. A bound is
about twice of what was measured when it was set (docs/benchmarks.md); a ratio over its bound is measured once more,
and is red when it is over it again. Exit code 1 when one is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import link_cost
from harness import journal
from harness.config import compose
from harness.experiments.checkers.set_full import SetFull
from harness.experiments.history import Operation, Result
from harness.report.read import summarise

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
MORE = 10
"""How many times the larger of two inputs is the smaller one."""


@dataclass(frozen=True)
class Ratio:
    """One measure: what it compares, and the most that it may be."""

    name: str
    what: str
    most: float
    measure: Callable[[], float]


def in_turns(first: Callable[[], object], second: Callable[[], object]) -> float:
    """Median processor time of the second in terms of the first's, measured in turns; the first round warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for work, mine in zip((first, second), times, strict=True):
            began = time.process_time()
            work()
            if number:
                mine.append(time.process_time() - began)
    return statistics.median(times[1]) / statistics.median(times[0])


@contextmanager
def one_processor() -> Iterator[None]:
    """This process and those it starts, on a single processor."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def link_round_trip() -> float:
    """A GET through an idle link against a direct one.

    On one processor: waking a process on another one costs several times the GET itself, and whether the two on the
    direct way share one is the scheduler's whim (the ratio was 2 at one time and 9 at another on one machine).
    """
    with one_processor():
        direct, link = link_cost.run(4_000, 16 << 20)
    return statistics.median(link.gets) / statistics.median(direct.gets)


def link_transfer() -> float:
    """Time of 64 KiB values through an idle link against the direct way, on one processor too."""
    with one_processor():
        direct, link = link_cost.run(400, 128 << 20)
    return statistics.median(direct.values) / statistics.median(link.values)


def start_together() -> float:
    """Until all services are ready, against the sum of what each took: a stack starts in waves, not in a row."""
    with tempfile.TemporaryDirectory(prefix="ra-") as directory:
        state = ("--state", f"{directory}/s")
        _harness("up", "--runtime", "process", "--reports", f"{directory}/r", *state)
        try:
            events = list(journal.read(Path(directory, "r", "latest", journal.FILE_NAME)))
        finally:
            _harness("down", "--all", *state)
    ready = [event for event in events if event.type == journal.SERVICE_READY]
    began = next(event.at for event in events if event.type == journal.RUN_STARTED)
    return (max(event.at for event in ready) - began) / sum(float(event["seconds"]) for event in ready)


def _harness(*words: str) -> None:
    """The command line without settings of the environment: what a pipeline asks of its own stack, a fidelity
    or a runtime, is not asked of this one. Exits with its words when it fails."""
    command = [sys.executable, "-m", "harness.cli.main", *words]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"harness {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def reading_compose() -> float:
    """Reading a file of ten times as many services."""
    with tempfile.TemporaryDirectory(prefix="ra-") as directory:
        small, large = (_compose(Path(directory), number) for number in (10, 10 * MORE))
        return in_turns(lambda: compose.read([small], {}), lambda: compose.read([large], {}))


def _compose(directory: Path, services: int) -> Path:
    file = directory / f"{services}.yml"
    file.write_text("services:\n" + "".join(f"  s{n}:\n    image: redis:8\n" for n in range(services)))
    return file


def reading_journal() -> float:
    """Making a report of ten times as many tests."""
    with tempfile.TemporaryDirectory(prefix="ra-") as directory:
        small, large = (_journal(Path(directory), number) for number in (500, 500 * MORE))
        return in_turns(lambda: summarise(journal.read(small)), lambda: summarise(journal.read(large)))


def _journal(directory: Path, tests: int) -> Path:
    file = directory / f"{tests}.jsonl"
    about = {"layer": "services", "uses": [], "outcome": "passed", "seconds": 0.1, "reason": "", "detail": ""}
    lines = ({"type": "test_finished", "at": float(n), "test": f"t{n}", **about} for n in range(tests))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def checking_history() -> float:
    """Judging a history of ten times as many writes."""
    small, large = (_history(number) for number in (2_000, 2_000 * MORE))
    return in_turns(lambda: SetFull().check(small), lambda: SetFull().check(large))


def _history(adds: int) -> list[Operation]:
    made = [Operation("add", "c", "k", n, Result.OK, float(n), n + 0.5) for n in range(adds)]
    return [*made, Operation("read", "c", "k", list(range(adds)), Result.OK, adds + 1.0, adds + 2.0)]


RATIOS = (
    Ratio("link-round-trip", "GET through an idle link / direct", 6.0, link_round_trip),
    Ratio("link-transfer", "64 KiB values through an idle link / direct", 5.0, link_transfer),
    Ratio("start-together", "stack ready / sum of its services' own times", 0.9, start_together),
    Ratio("compose", f"reading {MORE} times the services", 2.0 * MORE, reading_compose),
    Ratio("journal", f"a report of {MORE} times the tests", 2.0 * MORE, reading_journal),
    Ratio("checker", f"judging {MORE} times the history", 2.0 * MORE, checking_history),
)


def main() -> int:
    """Measure, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME", help="only these, separated by commas")
    only, failed = {*filter(None, parser.parse_args().only.split(","))}, False
    for ratio in RATIOS:
        if only and ratio.name not in only:
            continue
        found = ratio.measure()
        if found > ratio.most:
            print(f"again    {ratio.name:16} {found:6.2f}, more than {ratio.most:.2f}", flush=True)
            found = min(found, ratio.measure())
        verdict = "FAILS" if found > ratio.most else "holds"
        failed |= found > ratio.most
        print(f"{verdict:8} {ratio.name:16} {found:6.2f} of {ratio.most:.2f}: {ratio.what}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
