"""Operations made by hand."""

from __future__ import annotations

from typing import Any

from harness.experiments.history import Operation, Result


def at(kind: str, value: Any, started: float, ended: float, result: Result, client: str = "c") -> Operation:
    """An operation on key `k`."""
    return Operation(kind, client, "k", value, result, float(started), float(ended), float(started))


def ok(kind: str, value: Any, started: float, ended: float, client: str = "c") -> Operation:
    """An acknowledged one."""
    return at(kind, value, started, ended, Result.OK, client)
