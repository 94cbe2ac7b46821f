"""What goes over the keeper's socket: JSON lines. A request, any number of progress lines, one answer or one error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from harness.errors import HarnessError, error_named
from harness.model import ServiceStatus, StackPlan


@cache
def _plans() -> TypeAdapter[StackPlan]:
    return TypeAdapter(StackPlan)


@cache
def _statuses() -> TypeAdapter[ServiceStatus]:
    return TypeAdapter(ServiceStatus)


def plan_to_wire(plan: StackPlan) -> Any:
    """A plan as JSON values."""
    return _plans().dump_python(plan, mode="json")


def plan_from_wire(data: Any) -> StackPlan:
    """The reverse. Raises ValueError for what is no plan."""
    return _plans().validate_python(data)


def status_to_wire(status: ServiceStatus) -> Any:
    """A status as JSON values, credentials included: the socket is readable by this user only."""
    return _statuses().dump_python(status, mode="json")


def status_from_wire(data: Any) -> ServiceStatus:
    """The reverse. Raises ValueError for what is no status."""
    return _statuses().validate_python(data)


def error_to_wire(error: BaseException) -> dict[str, str]:
    """An exception, so that the client can raise the same class."""
    if isinstance(error, HarnessError):
        return {"type": type(error).__name__, "message": error.message, "next_step": error.next_step}
    return {"type": "HarnessError", "message": f"{type(error).__name__}: {error}", "next_step": ""}


def error_from_wire(data: Mapping[str, str]) -> HarnessError:
    """The reverse."""
    return error_named(data["type"])(data["message"], data["next_step"])


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message).encode() + b"\n"
