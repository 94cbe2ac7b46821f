"""A journal's events made by hand."""

from __future__ import annotations

from typing import Any

from harness import journal
from harness.journal import Event


def started(*services: str) -> Event:
    """The run's first event, with these services planned."""
    about = {
        "run": "r1",
        "seed": 7,
        "runtime": "process",
        "reason": "asked",
        "services": {name: {} for name in services},
    }
    return Event(journal.RUN_STARTED, 100.0, about)


def ended(
    name: str,
    outcome: str = "passed",
    layer: str = "services",
    reason: str = "",
    uses: Any = ("redis",),
    properties: Any = None,
) -> Event:
    """A test's end."""
    data = {"test": f"tests/{layer}/test_redis.py::{name}", "layer": layer, "uses": list(uses), "outcome": outcome,
            "seconds": 0.25, "reason": reason, "detail": reason and f"detail of {reason}"}  # fmt: skip
    return Event(journal.TEST_FINISHED, 102.0, {**data, **({"properties": properties} if properties else {})})


def experiment(name: str, test: str = "test_a", verdict: str = "valid", **more: Any) -> Event:
    """An experiment's end: a fault from 1 to 3.5 s, a failover seen by two observers."""

    def change(at: float, seen_by: str, before: str, after: str) -> dict[str, Any]:
        return {"at": at, "role": "primary", "seen_by": seen_by, "before": before, "after": after}

    data = {
        "name": name,
        "test": f"tests/failover/test_redis.py::{test}",
        "verdict": verdict,
        "ending": "completed",
        "cause": "",
        "witness": "5 operations failed",
        "findings": [{"judge": "set-full", "verdict": "valid", "summary": "0 of 9 lost", "details": {}}],
        "phases": [{"name": "steady", "began": 0.0, "ended": 0.5}, {"name": "fault", "began": 1.0, "ended": 1.1},
                   {"name": "undo", "began": 3.0, "ended": 3.5}, {"name": "recovery", "began": 3.5, "ended": 5.0}],
        "measured": {"rto_seconds": 2.25, "detection_seconds": 0.0, "failover_seconds": 2.0, "lost": 3},
        "points": [{"at": 0.5, "ok": 80.0, "errors": 0.0, "p95_ms": 2.0},
                   {"at": 1.0, "ok": 0.0, "errors": 40.0, "p95_ms": 0.0},
                   {"at": 3.25, "ok": 60.0, "errors": 4.0, "p95_ms": 9.0}],
        "changes": [change(0.5, "s1", "", "a"), change(0.5, "s2", "", "a"), change(2.0, "s1", "a", ""),
                    change(3.0, "s1", "", "b"), change(3.1, "s2", "a", "b")],
        "history": "histories/x-0.jsonl",
        "discarded": False,
    }  # fmt: skip
    return Event(journal.EXPERIMENT_FINISHED, 103.0, {**data, **more})
