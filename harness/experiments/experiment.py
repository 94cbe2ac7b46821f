"""An experiment as data, validated whole before anything is touched; and what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.errors import UsageError
from harness.experiments.checkers.base import Checker
from harness.experiments.history import History, Operation
from harness.experiments.leads import Leads
from harness.experiments.verdicts import Finding, worst
from harness.experiments.witness import Witness
from harness.experiments.workload import Record, Workload
from harness.faults.base import Injection
from harness.model import Verdict
from harness.probes.poll import Deadline, NotYet, poll

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Ending(StrEnum):
    """How far an experiment came. All but `completed` are outcomes of their own, and none of them is a pass."""

    COMPLETED = "completed"
    NOT_STEADY = "not steady before the fault"
    FAULT_FAILED = "the fault could not be applied"
    NOT_WITNESSED = "the fault was not witnessed"
    UNDO_FAILED = "the undo failed: stack discarded"
    NOT_RECOVERED = "no steady state after the undo"


@dataclass(frozen=True)
class Budgets:
    """Seconds that each phase may take. `rto` (None: not judged) bounds the outage; `undo` bounds the call that undoes,
    `healed` the time until the fault is verified to be gone, `recovery` the time from then until steady again."""

    steady: float = 20.0
    witness: float = 10.0
    undo: float = 2.0
    healed: float = 10.0
    recovery: float = 20.0
    rto: float | None = None


@dataclass(frozen=True)
class Live:
    """What an observer of a running fault is handed. `fault_at` is the monotonic moment in which it began to be put on,
    `applied_at` that from which on it was; `witnessed` is what was seen."""

    history: History
    fault_at: float
    applied_at: float
    witnessed: str = ""

    def since(self) -> tuple[Operation, ...]:
        """What the workload did since the fault."""
        return self.history.since(self.fault_at)

    def served_again(self, within: float, kinds: tuple[str, ...] = (), consecutive: int = 20) -> None:
        """Wait until the last `consecutive` operations were all acknowledged. Raises NotReady."""

        def ask() -> None:
            last = [item for item in self.since() if not kinds or item.kind in kinds][-consecutive:]
            begun_after = all(item.started >= self.fault_at for item in last)
            if len(last) < consecutive or not begun_after or not all(item.ok for item in last):
                raise NotYet(last[-1].error or "not enough operations" if last else "no operation since the fault")

        poll(ask, Deadline.after(within), "served again", interval=0.01)

    def until(self, question: Callable[[], Any], within: float, what: str) -> Any:
        """Wait on a fact. Raises NotReady."""
        return poll(question, Deadline.after(within), what, interval=0.02)

    def for_seconds(self, seconds: float, question: Callable[[], None] = lambda: None) -> None:
        """Keep the fault on for so long, asking every 50 ms; a violated question raises AssertionError."""
        deadline = Deadline.after(seconds)

        def ask() -> None:
            question()
            if not deadline.over:
                raise NotYet("the time is not over")

        poll(ask, Deadline.after(seconds + 10), f"{seconds:g} s of observation")


def watch_nothing(live: Live) -> None:
    """For faults that are undone as soon as they were witnessed."""
    del live


def read_nothing(record: Record) -> None:
    """For workloads that need no last read."""
    del record


@dataclass(frozen=True)
class Experiment:
    """One hypothesis: under this workload and this fault, these checkers find nothing and the budgets hold.

    `steady` raises NotYet or OSError while the system is not in its steady state; it is asked before the fault and
    after the undo. `fault` and `witness` are None together, in a control without a fault. `observe` runs while the
    fault is on and raises AssertionError or NotReady when what it expects does not happen. `final` does the last reads
    through its own client, when all is calm. `warm_up` operations are acknowledged before the fault and, again, after.
    `least` is how many acknowledged operations of a kind make a verdict.
    """

    name: str
    steady: Callable[[], object]
    workload: Workload
    checkers: tuple[Checker, ...]
    fault: Injection | None = None
    witness: Witness | None = None
    observe: Callable[[Live], None] = watch_nothing
    final: Callable[[Record], None] = read_nothing
    budgets: Budgets = Budgets()
    warm_up: int = 20
    least: int = 1
    resumes: bool = True
    """Whether the workload must be acknowledged again after the undo. Not a client that stays with a demoted server."""
    served_by: tuple[str, ...] = ()
    """Kinds of operation whose return ends an outage; empty for any."""
    leads: Leads | None = None
    """Whose changes belong on the timeline: a primary, a leader."""

    def __post_init__(self) -> None:
        problems = [text for wrong, text in self._rules() if wrong]
        if problems:
            raise UsageError(f"experiment {self.name!r}: {'; '.join(problems)}", "see docs/failover.md")

    def _rules(self) -> list[tuple[bool, str]]:
        budgets = vars(self.budgets)
        bad = [name for name, value in budgets.items() if value is not None and value <= 0]
        return [
            (not _NAME.fullmatch(self.name), "expected a name of small letters, digits, `.`, `_` and `-`"),
            (not self.checkers, "expected at least one checker: without one nothing is judged"),
            ((self.fault is None) != (self.witness is None), "expected fault and witness together, or neither"),
            (bool(bad), f"expected budgets above zero: {', '.join(bad)}"),
            (self.budgets.undo > 2.0, "budget undo: expected at most 2 s; what takes longer belongs to healed"),
            (self.warm_up < 1, "warm_up: expected at least 1 operation"),
            (self.workload.clients < 1, "workload: expected at least 1 client"),
            (self.workload.interval < 0, "workload: expected an interval of 0 s or more"),
        ]


@dataclass(frozen=True)
class Phase:
    """When a phase began and ended, in monotonic seconds since the experiment began."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Outcome:
    """What came out. `cause` is the first thing to read; `measured` holds plain numbers in seconds and counts."""

    experiment: str
    ending: Ending
    findings: tuple[Finding, ...]
    phases: tuple[Phase, ...]
    witnessed: str
    cause: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[Mapping[str, Any]] = ()
    """Who led when, as each observer saw it; in seconds since the experiment began."""

    @property
    def verdict(self) -> Verdict:
        """Valid only when it was completed and every judge says so. Without a steady state nothing was learned."""
        if self.ending is Ending.COMPLETED:
            return worst(found.verdict for found in self.findings)
        return Verdict.UNKNOWN if self.ending is Ending.NOT_STEADY else Verdict.INVALID

    @property
    def led_by(self) -> tuple[str, ...]:
        """Everybody who was seen to lead, in order."""
        return tuple(dict.fromkeys(change["after"] for change in self.changes if change["after"]))

    @property
    def discarded(self) -> bool:
        """Whether the stack must be thrown away: something injected is still in it."""
        return self.ending is Ending.UNDO_FAILED

    def finding(self, judge: str) -> Finding:
        """One judge's finding. Raises UsageError when it was not asked."""
        for found in self.findings:
            if found.judge == judge:
                return found
        raise UsageError(f"no finding of {judge!r}: expected one of {', '.join(item.judge for item in self.findings)}")

    def __str__(self) -> str:
        lines = [f"{self.experiment}: {self.verdict} ({self.ending})"]
        lines += [f"  cause: {self.cause}"] if self.cause else []
        lines += [f"  witness: {self.witnessed}"] if self.witnessed else []
        lines += [f"  {found}" for found in self.findings]
        lines += [f"  {name}: {value}" for name, value in self.measured.items()]
        return "\n".join(lines)


def valid(outcome: Outcome) -> Outcome:
    """The outcome when its verdict is valid; raises AssertionError with everything known otherwise."""
    assert outcome.verdict is Verdict.VALID, str(outcome)  # noqa: S101  a test's own way to fail
    return outcome
