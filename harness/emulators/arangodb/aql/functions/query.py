"""Functions that look at the query or its database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.emulators.arangodb.aql.context import Context
from harness.emulators.arangodb.aql.values import to_number, to_string
from harness.emulators.arangodb.errors import ArangoError


def _document(ctx: Context, first: Any, second: Any = None) -> Any:
    """A document, or an array of those found, by id, or by collection and key."""
    wanted = first if second is None else second
    prefix = "" if second is None else f"{first}/"

    def find(ident: Any) -> Any:
        return ctx.lookup(ident if not isinstance(ident, str) or "/" in ident else prefix + ident)

    if isinstance(wanted, list):
        return [doc for ident in wanted if (doc := find(ident)) is not None]
    return find(wanted)


def _fail(_ctx: Context, reason: Any = "") -> Any:
    raise ArangoError(1569, f"AQL: FAIL({to_string(reason)}) called (while executing)")


QUERY: Mapping[str, Callable[..., Any]] = {
    "DOCUMENT": _document,
    "COLLECTION_COUNT": lambda ctx, name: ctx.trx.count(ctx.collection(to_string(name))),
    "CURRENT_DATABASE": lambda ctx: ctx.database.name,
    "SLEEP": lambda ctx, seconds: ctx.sleep(float(to_number(seconds))),
    "FAIL": _fail,
}
COLLECTION_FUNCTIONS = frozenset({"DOCUMENT", "COLLECTION_COUNT"})
"""A collection's name as an argument of these means the collection, not all of its documents."""
