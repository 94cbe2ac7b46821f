"""Findings and how they come to one verdict: the worst of them. Unknown never passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model import Verdict

_RANK = (Verdict.VALID, Verdict.UNKNOWN, Verdict.INVALID)


@dataclass(frozen=True)
class Finding:
    """What one judge says, in words for a person; `details` are plain values for the journal."""

    judge: str
    verdict: Verdict
    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)
    timed: bool = False
    """Whether an invalid one says no more than that something was late."""

    def __str__(self) -> str:
        return f"{self.judge}: {self.verdict}: {self.summary}"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Invalid before unknown before valid. No verdict at all is unknown: nothing was judged."""
    return max(verdicts, key=_RANK.index, default=Verdict.UNKNOWN)


def guarded(judge: str, call: Callable[[], Finding]) -> Finding:
    """What `call` finds; a judge that crashes has found nothing out, which is unknown."""
    try:
        return call()
    except Exception as error:  # whatever it is, it says nothing about the service
        return Finding(judge, Verdict.UNKNOWN, f"the checker crashed: {type(error).__name__}: {error}")
