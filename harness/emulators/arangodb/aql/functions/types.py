"""Type checks, casts and choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.functions.dates import is_datestring
from harness.emulators.arangodb.aql.values import is_number, to_array, to_number, to_string, truth, type_name
from harness.emulators.arangodb.documents import key_of
from harness.emulators.arangodb.errors import ArangoError


def not_null(*values: Any) -> Any:
    """The first value that is not null."""
    return next((value for value in values if value is not None), None)


def first_list(*values: Any) -> Any:
    """The first array."""
    return next((value for value in values if isinstance(value, list)), None)


def first_document(*values: Any) -> Any:
    """The first object."""
    return next((value for value in values if isinstance(value, dict)), None)


def is_key(value: Any) -> bool:
    """Whether this could be a document's key."""
    try:
        return isinstance(value, str) and key_of(value) == value
    except ArangoError:
        return False


TYPES: Mapping[str, Callable[..., Any]] = {
    "TO_BOOL": truth,
    "TO_NUMBER": to_number,
    "TO_STRING": to_string,
    "TO_ARRAY": to_array,
    "TO_LIST": to_array,
    "IS_NULL": lambda value: value is None,
    "IS_BOOL": lambda value: isinstance(value, bool),
    "IS_NUMBER": is_number,
    "IS_STRING": lambda value: isinstance(value, str),
    "IS_ARRAY": lambda value: isinstance(value, list),
    "IS_LIST": lambda value: isinstance(value, list),
    "IS_OBJECT": lambda value: isinstance(value, dict),
    "IS_DOCUMENT": lambda value: isinstance(value, dict),
    "IS_DATESTRING": is_datestring,
    "IS_KEY": is_key,
    "TYPENAME": type_name,
    "NOT_NULL": not_null,
    "FIRST_LIST": first_list,
    "FIRST_DOCUMENT": first_document,
    "NOOPT": lambda value: value,
    "PASSTHRU": lambda value: value,
}
