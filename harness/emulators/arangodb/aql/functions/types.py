"""Type checks, casts and choices (AQL manual: "Type check and cast functions")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.functions.dates import is_datestring
from harness.emulators.arangodb.aql.values import is_number, to_array, to_number, to_string, truth, type_name

TYPES: Mapping[str, Callable[..., Any]] = {
    "TO_BOOL": truth,
    "TO_NUMBER": to_number,
    "TO_STRING": to_string,
    "TO_ARRAY": to_array,
    "IS_NULL": lambda value: value is None,
    "IS_BOOL": lambda value: isinstance(value, bool),
    "IS_NUMBER": is_number,
    "IS_STRING": lambda value: isinstance(value, str),
    "IS_ARRAY": lambda value: isinstance(value, list),
    "IS_OBJECT": lambda value: isinstance(value, dict),
    "IS_DATESTRING": is_datestring,
    "TYPENAME": type_name,
    "NOT_NULL": lambda *values: next((value for value in values if value is not None), None),
}
