"""/_api/document: single documents and arrays of them"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import Outcome, WriteOptions, key_of
from harness.emulators.arangodb.errors import ArangoError, LockBusyError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.wire.call import Call, Reply, Routes

Operation = Callable[[Transaction, Any], Outcome]


def write_options(call: Call) -> WriteOptions:
    """The query parameters of a write. Raises ArangoError 10 for an unknown overwriteMode."""
    mode = call.params.get("overwriteMode") or ("replace" if call.flag("overwrite") else "conflict")
    if mode not in ("conflict", "ignore", "replace", "update"):
        raise ArangoError(10, f"invalid overwriteMode '{mode}'")
    return WriteOptions(
        keep_null=call.flag("keepNull", True),
        merge_objects=call.flag("mergeObjects", True),
        overwrite_mode=mode,
        ignore_revs=call.flag("ignoreRevs", True),
        version_attribute=call.params.get("versionAttribute", ""),
        match=call.match(),
    )


def changed(call: Call, outcome: Outcome) -> dict[str, Document]:
    """The document before and after, as far as the request asks for them."""
    old = {"old": outcome.old} if call.flag("returnOld") and outcome.old is not None else {}
    return old | ({"new": outcome.new} if call.flag("returnNew") and outcome.new is not None else {})


def _facts(call: Call, outcome: Outcome) -> Document:
    doc = outcome.new or outcome.old or {}
    facts = {name: doc[name] for name in ("_id", "_key", "_rev")}
    if call.method == "POST" and not outcome.written:
        return facts
    if outcome.old is not None and outcome.new is not None:
        facts["_oldRev"] = outcome.old["_rev"]
    return facts | changed(call, outcome)


def _status(call: Call, collection: Collection) -> int:
    if not call.waits(collection):
        return 202
    return 200 if call.method == "DELETE" else 201


def _single(call: Call, collection: Collection, operation: Operation, item: Any) -> Reply:
    with call.work(collection) as trx:
        facts = _facts(call, operation(trx, item))
    headers = {"etag": f'"{facts["_rev"]}"', "location": f"/_db/{call.database.name}/_api/document/{facts['_id']}"}
    return Reply(_status(call, collection), {} if call.flag("silent") else facts, headers)


def _many(call: Call, collection: Collection, operation: Operation, items: list[Any]) -> Reply:
    """Every item by itself: a failed one leaves the others alone."""
    results: list[Document] = []
    failures: Counter[int] = Counter()
    with call.work(collection) as trx:
        for item in items:
            mark = trx.savepoint()
            try:
                facts = _facts(call, operation(trx, item))
                results.extend([] if call.flag("silent") else [facts])
            except LockBusyError:
                raise
            except ArangoError as error:
                trx.rollback(mark)
                failures[error.number] += 1
                results.append(error.item())
    codes = ",".join(f'"{number}":{count}' for number, count in failures.items())
    return Reply(_status(call, collection), results, {"x-arango-error-codes": f"{{{codes}}}"} if codes else {})


def _insert(call: Call) -> Reply:
    collection, options, body, server = call.collection(write=True), write_options(call), call.json(), call.server

    def operation(trx: Transaction, item: Any) -> Outcome:
        return server.documents.insert(trx, collection, item, options)

    if isinstance(body, list):
        return _many(call, collection, operation, body)
    server.inserts += 1
    if "lost-write" in server.defects and server.inserts % 10 == 0:
        key = body.get("_key") or str(server.ticks.next())
        facts = {"_id": f"{collection.name}/{key}", "_key": key, "_rev": server.ticks.revision()}
        return Reply(202, facts)
    return _single(call, collection, operation, body)


def _read(call: Call) -> Reply:
    collection = call.collection()
    with call.work() as trx:
        doc = call.server.documents.fetch(trx, collection, key_of(call.values["key"]), call.match())
    etag = {"etag": f'"{doc["_rev"]}"'}
    if call.match("if-none-match") == doc["_rev"]:
        return Reply(304, raw=b"", headers=etag)
    return Reply(200, doc, etag)


def _change(call: Call) -> Reply:
    collection, options, key = call.collection(write=True), write_options(call), key_of(call.values["key"])
    change = call.server.documents.replace if call.method == "PUT" else call.server.documents.update
    return _single(call, collection, lambda trx, body: change(trx, collection, key, body, options), call.json())


def _change_many(call: Call) -> Reply:
    """Also reads many, with `onlyget`."""
    if call.method == "PUT" and call.flag("onlyget"):
        return _read_many(call)
    collection, options = call.collection(write=True), write_options(call)
    change = call.server.documents.replace if call.method == "PUT" else call.server.documents.update

    def operation(trx: Transaction, item: Any) -> Outcome:
        return change(trx, collection, key_of(item) if isinstance(item, dict) else "", item, options)

    return _many(call, collection, operation, call.array())


def _revision(call: Call, item: Any) -> Any:
    """The revision an item must have: its own, with `ignoreRevs=false`."""
    return item.get("_rev") if isinstance(item, dict) and not call.flag("ignoreRevs", True) else None


def _read_many(call: Call) -> Reply:
    collection = call.collection()
    found: list[Document] = []
    with call.work() as trx:
        for item in call.array():
            try:
                found.append(call.server.documents.fetch(trx, collection, key_of(item), _revision(call, item)))
            except ArangoError as error:
                found.append(error.item())
    return Reply(200, found)


def _remove(call: Call) -> Reply:
    collection, key, match = call.collection(write=True), key_of(call.values["key"]), call.match()
    docs = call.server.documents
    return _single(call, collection, lambda trx, _: docs.remove(trx, collection, key, match), None)


def _remove_many(call: Call) -> Reply:
    collection, docs = call.collection(write=True), call.server.documents

    def operation(trx: Transaction, item: Any) -> Outcome:
        return docs.remove(trx, collection, key_of(item), _revision(call, item))

    return _many(call, collection, operation, call.array())


ROUTES: Routes = {
    "POST /_api/document/{collection}": _insert,
    "GET /_api/document/{collection}/{key}": _read,
    "HEAD /_api/document/{collection}/{key}": _read,
    "PUT /_api/document/{collection}/{key}": _change,
    "PATCH /_api/document/{collection}/{key}": _change,
    "DELETE /_api/document/{collection}/{key}": _remove,
    "PUT /_api/document/{collection}": _change_many,
    "PATCH /_api/document/{collection}": _change_many,
    "DELETE /_api/document/{collection}": _remove_many,
}
