"""Reading one field of a JSON request body: absent or null means the default, a wrong type is a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.proxy.errors import bad_body

Body = Mapping[str, Any]


def as_object(body: Any) -> Body:
    """`body` if it is a JSON object. Raises ApiError (400)."""
    if not isinstance(body, Mapping):
        raise bad_body(f"expected an object, not {type(body).__name__}")
    return body


def text(body: Body, key: str, default: str) -> str:
    """A string. Raises ApiError (400)."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise bad_body(f"{key} must be a string, not {value!r}")
    return value


def name(body: Body, default: str = "") -> str:
    """The name of a proxy or toxic, `default` if absent or empty. Raises ApiError (400) for one no path can reach."""
    value = text(body, "name", "") or default
    if "/" in value:
        raise bad_body(f"name must not contain '/', or no request could reach it, not {value!r}")
    return value


def flag(body: Body, key: str, default: bool) -> bool:
    """A boolean. Raises ApiError (400)."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad_body(f"{key} must be true or false, not {value!r}")
    return value


def share(body: Body, key: str, default: float) -> float:
    """A number from 0 to 1. Raises ApiError (400)."""
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise bad_body(f"{key} must be a number from 0 to 1, not {value!r}")
    return float(value)
