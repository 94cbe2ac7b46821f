"""Runs the failover layer again and again on each runtime and says whether it proves what it should.

    python benchmarks/failover_proof.py [--repeats 10] [--whole] [--runtime process,docker] [--offline]

On each runtime the first pass is the whole layer, slow tests included; the others are the fast lane (`--whole`: all are
whole). Prints how many experiments there are, whether every control is as it must be, how much the known-truth
experiments lost, whether all repeats came to the same verdicts, what was not verified there, and what was left behind.
Exit code 0 when all of it is as wanted on every runtime.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiments.standstill import STILL
from harness.journal import EXPERIMENT_FINISHED, FILE_NAME, LEFT_BEHIND, RUN_STARTED, TEST_FINISHED, Event, read
from harness.report.read import BAD

ROOT = Path(__file__).parents[1]
WANTED = 25
HEALS_ITSELF = {"no-undo-restart"}
OFFLINE = ("--infra-compose", "compose/stack.yml", "--infra-compose", "compose/offline.yml", "--infra-pull", "never")
Experiment = Mapping[str, Any]


@dataclass(frozen=True)
class Pass:
    """One run over the layer: its experiments by name, why tests were skipped, which were red, what was left behind."""

    whole: bool
    exit: int
    experiments: Mapping[str, Experiment]
    skipped: Mapping[str, int]
    left: tuple[str, ...]
    red: tuple[str, ...] = ()

    @property
    def explained(self) -> dict[str, Experiment]:
        """Experiments of which nothing is known, because the machine stood still meanwhile."""
        return {name: one for name, one in self.experiments.items()
                if one["verdict"] == "unknown" and one["measured"].get("standstill_seconds", 0.0) >= STILL}  # fmt: skip

    @property
    def failed(self) -> bool:
        """Whether a test was red for another reason."""
        reasons = {one["test"] for one in self.explained.values()}
        return bool(self.exit) and not (self.exit == 1 and self.red and {*self.red} <= reasons)


def main() -> int:
    """Repeat, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="passes on each runtime (%(default)s)")
    parser.add_argument("--whole", action="store_true", help="every pass with slow tests, not only the first")
    parser.add_argument("--runtime", default="process,docker", help="where, separated by commas (%(default)s)")
    parser.add_argument("--offline", action="store_true", help="docker: the images that scripts/offline-engine built")
    parser.add_argument("--binaries", default="", help="as for harness test")
    parser.add_argument("--workers", type=int, default=2, help="xdist workers (%(default)s)")
    arguments = parser.parse_args()
    good, began = True, time.monotonic()
    for runtime in arguments.runtime.split(","):
        print(f"\nruntime {runtime}", flush=True)
        with tempfile.TemporaryDirectory(prefix="fp-") as scratch:
            passes = [one_pass(arguments, runtime, number, Path(scratch)) for number in range(arguments.repeats)]
        lines, as_wanted = judge(passes)
        print("\n".join(lines), flush=True)
        good = good and as_wanted
    print(f"\n{'proven' if good else 'NOT proven'}, in {time.monotonic() - began:.0f} s")
    return 0 if good else 1


# -- one pass -----------------------------------------------------------------------------------------------------


def one_pass(arguments: argparse.Namespace, runtime: str, number: int, scratch: Path) -> Pass:
    """Run the layer, and read its journals."""
    whole, reports, state = arguments.whole or number == 0, scratch / f"r{number}", scratch / "s"
    command = [sys.executable, "-m", "pytest", "tests/infrastructure/failover", "-q", "--infra-runtime", runtime,
               "--infra-reports", str(reports), "--infra-state", str(state)]  # fmt: skip
    # Of its own: pytest tidies up the common one, and fails where others left something that cannot be removed.
    command += ["--basetemp", str(scratch / "t")]
    command += ["-n", str(arguments.workers)] if arguments.workers else []
    command += ["--infra-binaries", arguments.binaries] if arguments.binaries else []
    command += OFFLINE if arguments.offline and runtime == "docker" else []
    command += ["--infra-slow"] if whole else []
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = (done.stdout.strip() or done.stderr.strip() or "nothing printed").splitlines()
    print(f"  {number + 1}: {told[-1]} ({time.monotonic() - began:.0f} s, exit {done.returncode})", flush=True)
    for line in told:
        if line.startswith(("FAILED", "ERROR")):
            print(f"     {line}", flush=True)
    journals = {file.resolve() for file in reports.glob(f"*/**/{FILE_NAME}")}  # private stacks keep their own
    events = [event for file in sorted(journals) for event in read(file)]
    left = [*left_of(events, runtime), *map(str, state.glob("*"))]
    return Pass(whole, done.returncode, experiments_of(events), skipped_of(events), tuple(left), red_of(events))


def experiments_of(events: Iterable[Event]) -> dict[str, Experiment]:
    """The experiments by name."""
    return {event["name"]: dict(event.data) for event in events if event.type == EXPERIMENT_FINISHED}


def red_of(events: Iterable[Event]) -> tuple[str, ...]:
    """The tests that were red."""
    return tuple(str(event["test"]) for event in events
                 if event.type == TEST_FINISHED and event["outcome"] in BAD)  # fmt: skip


def skipped_of(events: Iterable[Event]) -> Counter[str]:
    """How many tests were skipped for which reason."""
    finished = (event for event in events if event.type == TEST_FINISHED)
    return Counter(str(event["reason"]) for event in finished if event["outcome"] == "skipped")


def left_of(events: Sequence[Event], runtime: str) -> list[str]:
    """What the harness itself found left behind, and what the engine still has of these runs."""
    told = [what for event in events if event.type == LEFT_BEHIND for what in event["what"]]
    if runtime != "docker":
        return told
    from harness.runtimes.docker.engine import make_client
    from harness.runtimes.docker.sweep import listing

    client = make_client()
    try:
        runs = {event["run"] for event in events if event.type == RUN_STARTED}
        return told + [item.what for run in sorted(runs) for item in listing(client, run)]
    finally:
        client.close()


# -- all passes on one runtime ------------------------------------------------------------------------------------


def judge(passes: Sequence[Pass]) -> tuple[list[str], bool]:
    """What the passes prove, in lines, and whether it is as wanted."""
    by_name = {name: [one.experiments[name] for one in passes if name in one.experiments and name not in one.explained]
               for name in _names(passes)}  # fmt: skip
    wrong = {name: words for name, found in by_name.items() if (words := next(filter(None, map(_wrong, found)), ""))}
    wrong |= {name: "unknown in every pass" for name, found in by_name.items() if not found}
    controls = [name for name in by_name if name.startswith(("off-", "no-apply-", "no-undo-"))]
    truths = {name: found for name, found in by_name.items() if "known-truth" in name}
    differing, unknown = [*_differing(passes, by_name)], [*_unknown(by_name)]
    left = [what for one in passes for what in one.left]
    failed = [str(number + 1) for number, one in enumerate(passes) if one.failed]
    explained = [f"{name}: {told['cause']}" for one in passes for name, told in one.explained.items()]
    lines = [
        f"experiments: {len(by_name)} ({WANTED} wanted), of them {len(controls)} controls of faults",
        f"controls not as they must be: {_list(name for name in controls if name in wrong)}",
        *(f"known truth {name}: acknowledged writes lost: {_lost(found)}" for name, found in truths.items()),
        f"not as expected: {_list(f'{name}: {words}' for name, words in wrong.items())}",
        f"verdicts that differ between {len(passes)} repeats: {_list(differing)}; unknown: {_list(unknown)}",
        f"unknown for a reason outside, not counted: {_list(explained)}",
        f"not verified: {_list(_reasons(passes))}",
        f"left behind: {len(left)}{': ' + _list(left) if left else ''}",
        f"passes with red tests: {_list(failed)}",
        *_numbers(by_name),
    ]
    bad = (wrong, differing, left, failed)
    return lines, len(by_name) >= WANTED and bool(truths) and bool(controls) and not any(bad)


def _names(passes: Iterable[Pass]) -> list[str]:
    return sorted({name for one in passes for name in one.experiments})


def _wrong(experiment: Experiment) -> str:
    """Why one experiment did not end as its kind must; empty when it did."""
    name, ending, verdict = experiment["name"], experiment["ending"], experiment["verdict"]
    if name.startswith("no-apply-"):
        expected = ending == "the fault was not witnessed" and verdict == "invalid"
    elif name.startswith("no-undo-") and name not in HEALS_ITSELF:
        expected = bool(experiment["discarded"])
    elif "known-truth" in name:
        expected = verdict == "invalid" and experiment["measured"].get("lost", 0) > 0
    else:
        expected = verdict == "valid"
    return "" if expected else f"{verdict}, {ending}: {experiment['cause']}"


def _differing(passes: Sequence[Pass], by_name: Mapping[str, Sequence[Experiment]]) -> Iterator[str]:
    """Experiments with several verdicts, or absent from a pass that has them: those of the fast lane are in all."""
    fast = {name for one in passes if not one.whole for name in one.experiments}
    for name, found in by_name.items():
        expected = sum((one.whole or name in fast) and name not in one.explained for one in passes)
        if len({(one["verdict"], one["ending"]) for one in found}) > 1 or len(found) != expected:
            yield f"{name} ({len(found)} of {expected})"


def _unknown(by_name: Mapping[str, Sequence[Experiment]]) -> Iterator[str]:
    return (f"{name}: {one['cause']}" for name, all_ in by_name.items() for one in all_ if one["verdict"] == "unknown")


def _lost(found: Iterable[Experiment]) -> str:
    return "; ".join(f"{one['measured'].get('lost')} in {one['measured'].get('lost_seconds')} s" for one in found)


def _reasons(passes: Iterable[Pass]) -> list[str]:
    """Of the whole passes: a fast one leaves out the slow tests on purpose."""
    seen = {reason: count for one in passes if one.whole for reason, count in one.skipped.items()}
    return [f"{reason.removeprefix('not verified: ')} ({count} tests)" for reason, count in sorted(seen.items())]


def _numbers(by_name: Mapping[str, Sequence[Experiment]]) -> Iterator[str]:
    """Recovery and detection of the stories, in seconds."""
    for name, items in by_name.items():
        if name.startswith(("no-", "off-", "real-")):
            continue
        measured = [item["measured"] for item in items]
        shown = {key: sorted({one[f"{key}_seconds"] for one in measured if one.get(f"{key}_seconds") is not None})
                 for key in ("rto", "detection", "recovery")}  # fmt: skip
        text = ", ".join(f"{key} {values[0]:g}-{values[-1]:g} s" for key, values in shown.items() if values)
        yield f"  {name}: {text}"


def _list(items: Iterable[str]) -> str:
    return "; ".join(items) or "none"


if __name__ == "__main__":
    sys.exit(main())
