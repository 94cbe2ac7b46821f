"""/_api/import: many documents from lines or an array of JSON"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.aql.values import read_json
from harness.emulators.arangodb.documents import WriteOptions
from harness.emulators.arangodb.errors import ArangoError, LockBusyError, NotEmulatedError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes

_MODES = {"error": "conflict", "update": "update", "replace": "replace", "ignore": "ignore"}


def _line(line: str) -> Any:
    try:
        return read_json(line)
    except (ValueError, RecursionError):
        return None


def _items(call: Call) -> tuple[list[Any], int]:
    """The documents of the body by its `type`, and how many empty lines were among them. Raises ArangoError 400."""
    kind = call.params.get("type", "")
    if kind not in ("documents", "list", "array", "auto"):
        raise NotEmulatedError("imports of a first line of attribute names")
    if kind in ("list", "array") or (kind == "auto" and call.text().lstrip().startswith("[")):
        return call.array(), 0
    lines = call.text().removesuffix("\n").split("\n")
    filled = [_line(line) for line in lines if line.strip()]
    return filled, len(lines) - len(filled)


def _load(call: Call) -> Reply:
    """Good documents are kept and bad ones counted; with `complete` the first bad one ends and undoes it all."""
    collection, mode = call.collection(write=True), _MODES.get(call.params.get("onDuplicate", "error"))
    if mode is None:
        raise ArangoError(10, "invalid value for <onDuplicate>")
    for name in ("overwrite", "fromPrefix", "toPrefix"):
        if call.params.get(name, "false") not in ("false", "0", ""):
            raise NotEmulatedError(f"imports with {name}")
    items, empty = _items(call)
    counts = {"created": 0, "errors": 0, "empty": empty, "updated": 0, "ignored": 0}
    details: list[str] = []
    with call.work(collection) as trx:
        for at, item in enumerate(items):
            mark = trx.savepoint()
            try:
                outcome = call.server.documents.insert(trx, collection, item, WriteOptions(overwrite_mode=mode))
                kind = "updated" if outcome.written else "ignored"
                counts["created" if outcome.old is None else kind] += 1
            except LockBusyError:
                raise
            except ArangoError as error:
                trx.rollback(mark)
                if call.flag("complete"):
                    raise
                counts["errors"] += 1
                details.append(f"at position {at}: creating document failed with error '{error}'")
    return Reply(201, {"error": False, **counts, **({"details": details} if call.flag("details") else {})})


ROUTES: Routes = {"POST /_api/import": _load}
