"""Runs the failover layer again and again and says whether it proves what it should.

    python benchmarks/failover_proof.py [--repeats 10] [--fast] [--runtime process] [--binaries consul=PATH]

Prints how many experiments there are, whether every control is as it must be, how much the known-truth experiments
lost, whether all repeats came to the same verdicts, and what was left behind. Exit code 0 when all of it is as wanted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.journal import EXPERIMENT_FINISHED, FILE_NAME, LEFT_BEHIND, read

ROOT = Path(__file__).parents[1]
WANTED = 25
HEALS_ITSELF = {"no-undo-restart"}


def main() -> int:
    """Repeat, compare, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--fast", action="store_true", help="without the tests marked slow")
    parser.add_argument("--runtime", action="append", default=[], help="process, docker; again for both")
    parser.add_argument("--binaries", default="", help="as for harness test")
    parser.add_argument("--workers", type=int, default=2, help="xdist workers (%(default)s)")
    arguments = parser.parse_args()
    good = True
    for runtime in arguments.runtime or ["process"]:
        with tempfile.TemporaryDirectory(prefix="fp-") as scratch:
            runs = [one_run(arguments, runtime, Path(scratch)) for _ in range(arguments.repeats)]
        print(f"\nruntime {runtime}")
        good = tell(runs) and good
    return 0 if good else 1


def one_run(arguments: argparse.Namespace, runtime: str, scratch: Path) -> dict[str, Any]:
    """One pass over the failover layer: its experiments from the journal, and what was left behind."""
    reports = scratch / f"r{time.monotonic_ns()}"
    command = [sys.executable, "-m", "pytest", "tests/infrastructure/failover", "-q", "--infra-runtime", runtime,
               "--infra-reports", str(reports), "--infra-state", str(scratch / "s")]  # fmt: skip
    # Of its own: pytest tidies up the common one, and fails where others left something that cannot be removed.
    command += ["--basetemp", str(scratch / "t")]
    command += ["-n", str(arguments.workers)] if arguments.workers else []
    command += ["--infra-binaries", arguments.binaries] if arguments.binaries else []
    command += [] if arguments.fast else ["--infra-slow"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    events = list(read(reports / "latest" / FILE_NAME))
    left = [what for event in events if event.type == LEFT_BEHIND for what in event["what"]]
    found = {event["name"]: dict(event.data) for event in events if event.type == EXPERIMENT_FINISHED}
    print(f"{done.stdout.strip().splitlines()[-1]} ({time.monotonic() - began:.0f} s, exit {done.returncode})")
    return {
        "experiments": found,
        "left": left + [str(path) for path in (scratch / "s").glob("*")],
        "exit": done.returncode,
    }


def tell(runs: Sequence[Mapping[str, Any]]) -> bool:
    """The five lines of the proof. Returns whether each is as wanted."""
    names = sorted({name for run in runs for name in run["experiments"]})
    by_name: dict[str, list[Any]] = defaultdict(list)
    for run in runs:
        for name, experiment in run["experiments"].items():
            by_name[name].append(experiment)
    wrong = {name: next(filter(None, map(_wrong, by_name[name])), "") for name in names}
    wrong = {name: words for name, words in wrong.items() if words}
    controls = [name for name in names if name.startswith(("no-apply-", "no-undo-"))]
    differing = [name for name in names if len({(item["verdict"], item["ending"]) for item in by_name[name]}) > 1
                 or len(by_name[name]) != len(runs)]  # fmt: skip
    unknown = [f"{name}: {item['cause']}" for name in names for item in by_name[name] if item["verdict"] == "unknown"]
    left = [what for run in runs for what in run["left"]]
    print(f"experiments: {len(names)} ({WANTED} wanted)")
    print(f"controls: {len(controls)}, not as they must be: {_list(name for name in controls if name in wrong)}")
    for name in names:
        if "known-truth" in name:
            lost = [
                f"{item['measured'].get('lost')} in {item['measured'].get('lost_seconds')} s" for item in by_name[name]
            ]
            print(f"known truth {name}: acknowledged writes lost: {'; '.join(lost)}")
    print(f"not as expected: {_list(f'{name}: {words}' for name, words in wrong.items())}")
    print(f"verdicts that differ between {len(runs)} repeats: {_list(differing)}; unknown: {_list(unknown)}")
    print(f"left behind: {len(left)}")
    _numbers(by_name)
    exits = [run["exit"] for run in runs]
    return len(names) >= WANTED and not wrong and not differing and not left and not any(exits)


def _wrong(experiment: Mapping[str, Any]) -> str:
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


def _numbers(by_name: Mapping[str, list[Any]]) -> None:
    """Recovery and detection of the stories, in seconds."""
    for name, items in by_name.items():
        if name.startswith(("no-", "real-")):
            continue
        measured = [item["measured"] for item in items]
        shown = {key: sorted({one[f"{key}_seconds"] for one in measured if one.get(f"{key}_seconds") is not None})
                 for key in ("rto", "detection", "recovery")}  # fmt: skip
        text = ", ".join(f"{key} {values[0]:g}-{values[-1]:g} s" for key, values in shown.items() if values)
        print(f"  {name}: {text}")


def _list(items: Iterable[str]) -> str:
    return "; ".join(items) or "none"


if __name__ == "__main__":
    sys.exit(main())
