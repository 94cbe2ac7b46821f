"""Controls: injections that lie, to show that an experiment notices.

One does not apply anything and must end `not witnessed`; one does not undo anything and must end `stack discarded`.
"""

from __future__ import annotations

from dataclasses import replace

from harness.faults.base import Injection


def _nothing() -> None:
    """What a broken tool does."""


def without_apply(injection: Injection) -> Injection:
    """Says that it applied the fault, and did not."""
    return replace(injection, text=f"{injection.text} (control: nothing applied)", apply=_nothing)


def without_undo(injection: Injection) -> Injection:
    """Says that it undid the fault, and did not. The caller keeps the real injection, and the stack goes."""
    return replace(injection, text=f"{injection.text} (control: nothing undone)", undo=_nothing)
