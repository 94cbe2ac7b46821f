"""AQL's functions, one table per family; `FUNCTIONS` is all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.functions.arrays import ARRAYS
from harness.emulators.arangodb.aql.functions.database import COLLECTION_FUNCTIONS, DATABASE
from harness.emulators.arangodb.aql.functions.dates import DATES
from harness.emulators.arangodb.aql.functions.numbers import NUMBERS
from harness.emulators.arangodb.aql.functions.objects import OBJECTS
from harness.emulators.arangodb.aql.functions.strings import STRINGS
from harness.emulators.arangodb.aql.functions.types import TYPES


@dataclass(frozen=True, slots=True)
class Function:
    """A function, how many arguments it takes (`most` None: any number), and whether it needs the query's context."""

    run: Callable[..., Any]
    least: int
    most: int | None
    needs_context: bool
    takes_collection: bool


def _describe(run: Callable[..., Any], needs_context: bool, takes_collection: bool) -> Function:
    parameters = list(inspect.signature(run).parameters.values())[needs_context:]
    least = sum(item.default is item.empty and item.kind is not item.VAR_POSITIONAL for item in parameters)
    endless = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    return Function(run, least, None if endless else len(parameters), needs_context, takes_collection)


def _all() -> Mapping[str, Function]:
    table: dict[str, Function] = {}
    for family in (ARRAYS, DATES, NUMBERS, OBJECTS, STRINGS, TYPES):
        table.update((name, _describe(run, False, False)) for name, run in family.items())
    for name, run in DATABASE.items():
        table[name] = _describe(run, True, name in COLLECTION_FUNCTIONS)
    return table


FUNCTIONS: Mapping[str, Function] = _all()
