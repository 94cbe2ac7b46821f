"""Functions that look at the database, the query or other functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import AqlWarning, Context
from harness.emulators.arangodb.aql.values import to_number, to_string, truth
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.version import VERSION


def document(ctx: Context, first: Any, second: Any = None) -> Any:
    """A document, or an array of those found, by id, or by collection and key."""
    wanted = first if second is None else second
    prefix = "" if second is None else f"{first}/"

    def find(ident: Any) -> Any:
        if not isinstance(ident, str):
            return None
        return ctx.lookup(ident if "/" in ident or not prefix else prefix + ident)

    if isinstance(wanted, list):
        return [doc for ident in wanted if (doc := find(ident)) is not None]
    return find(wanted)


def collections(ctx: Context) -> list[dict[str, str]]:
    """All collections of the database."""
    found = sorted(ctx.database.collections.values(), key=lambda item: item.name)
    return [{"_id": item.id, "name": item.name} for item in found]


def collection_count(ctx: Context, name: Any) -> int:
    """The number of documents."""
    return ctx.trx.count(ctx.collection(to_string(name)))


def sleep(ctx: Context, seconds: Any) -> None:
    """Wait so many seconds."""
    ctx.sleep(float(to_number(seconds)))


def assert_(_ctx: Context, condition: Any, message: Any) -> bool:
    """Raises ArangoError 1593 unless the condition is true."""
    if not truth(condition):
        raise ArangoError(1593, to_string(message))
    return True


def warn(ctx: Context, condition: Any, message: Any) -> bool:
    """Warns with 1594 unless the condition is true."""
    if not truth(condition):
        ctx.warn(1594, to_string(message))
        return False
    return True


def call(_ctx: Context, name: Any, *args: Any) -> Any:
    """Call a function by name. Raises ArangoError 1578 for DOCUMENT-like ones, AqlWarning 1540 for unknown ones."""
    from harness.emulators.arangodb.aql.functions import FUNCTIONS

    function = FUNCTIONS.get(to_string(name).upper())
    if function is None:
        raise AqlWarning(1540, f"usage of unknown function '{name}()'")
    if function.needs_context:
        raise ArangoError(1578, "disallowed dynamic call to function")
    return function.run(*args)


def apply(ctx: Context, name: Any, args: Any = None) -> Any:
    """Call a function by name with an array of arguments."""
    return call(ctx, name, *(args or []))


DATABASE: Mapping[str, Callable[..., Any]] = {
    "DOCUMENT": document,
    "COLLECTIONS": collections,
    "COLLECTION_COUNT": collection_count,
    "CURRENT_USER": lambda ctx: ctx.user,
    "CURRENT_DATABASE": lambda ctx: ctx.database.name,
    "VERSION": lambda _ctx: VERSION,
    "SLEEP": sleep,
    "ASSERT": assert_,
    "WARN": warn,
    "CALL": call,
    "APPLY": apply,
}
COLLECTION_FUNCTIONS = frozenset({"DOCUMENT", "COLLECTION_COUNT"})
