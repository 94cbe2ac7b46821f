"""/_api/import: many documents from lines or arrays of JSON"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import WriteOptions
from harness.emulators.arangodb.errors import ArangoError, LockBusyError
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.wire.call import Call, Reply, Routes

_MODES = {"error": "conflict", "update": "update", "replace": "replace", "ignore": "ignore"}
_EMPTY = object()


def _lines(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        try:
            yield json.loads(line) if line.strip() else _EMPTY
        except ValueError:
            yield None


def _items(call: Call) -> list[Any]:
    """The documents of the body by its `type`; empty lines are kept to be counted. Raises ArangoError 400."""
    text, kind = call.text().decode("utf-8", "replace"), call.params.get("type", "")
    if kind == "auto":
        kind = "list" if text.lstrip().startswith("[") else "documents"
    if kind in ("list", "array"):
        try:
            rows = json.loads(text)
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            raise ArangoError(400, "expecting a JSON array in the request")
        return rows
    if kind not in ("documents", ""):
        raise ArangoError(400, "invalid value for <type>")
    rows = list(_lines(text.removesuffix("\n")))
    if kind == "documents":
        return rows
    if not rows or not isinstance(rows[0], list):
        raise ArangoError(400, "no JSON array found in first line")
    return [dict(zip(rows[0], row, strict=True)) if _fits(rows[0], row) else row for row in rows[1:]]


def _fits(names: list[Any], row: Any) -> bool:
    return isinstance(row, list) and len(row) == len(names)


def _prefixed(call: Call, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    made = dict(item)
    for end, prefix in (("_from", call.params.get("fromPrefix")), ("_to", call.params.get("toPrefix"))):
        if prefix and isinstance(made.get(end), str) and "/" not in made[end]:
            made[end] = f"{prefix.rstrip('/')}/{made[end]}"
    return made


class _Counts:
    def __init__(self) -> None:
        self.numbers = {"created": 0, "errors": 0, "empty": 0, "updated": 0, "ignored": 0}
        self.details: list[str] = []

    def fail(self, at: int, error: ArangoError, item: Any) -> None:
        self.numbers["errors"] += 1
        text = f"creating document failed with error '{error}', offending document: {json.dumps(item)}"
        self.details.append(f"at position {at}: {text}")


def load(call: Call) -> Reply:
    """POST /_api/import"""
    collection = call.collection("rw")
    mode = _MODES.get(call.params.get("onDuplicate", "error"))
    if mode is None:
        raise ArangoError(10, "invalid value for <onDuplicate>")
    items = _items(call)
    counts = _Counts()
    with call.work(call.waits(collection)) as trx:
        if call.flag("overwrite"):
            for doc in list(trx.scan(collection)):
                trx.put(collection, doc["_key"], None)
        for at, item in enumerate(items):
            _load_one(call, trx, collection, WriteOptions(overwrite_mode=mode), at, item, counts)
    details = {"details": counts.details} if call.flag("details") else {}
    return Reply(201, {"error": False, **counts.numbers, **details})


def _load_one(
    call: Call, trx: Transaction, collection: Collection, options: WriteOptions, at: int, item: Any, counts: _Counts
) -> None:
    if item is _EMPTY:
        counts.numbers["empty"] += 1
        return
    mark = trx.savepoint()
    try:
        outcome = call.server.documents.insert(trx, collection, _prefixed(call, item), options)
    except LockBusyError:
        raise
    except ArangoError as error:
        trx.rollback(mark)
        if call.flag("complete"):
            raise
        counts.fail(at, error, item)
        return
    if outcome.old is None:
        counts.numbers["created"] += 1
    else:
        counts.numbers["updated" if outcome.written else "ignored"] += 1


ROUTES: Routes = {"POST /_api/import": load}
