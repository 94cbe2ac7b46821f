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
    )


def outcome_facts(call: Call, outcome: Outcome) -> Document:
    """What a write's answer says about the document."""
    doc = outcome.new or outcome.old or {}
    facts = {name: doc[name] for name in ("_id", "_key", "_rev")}
    if outcome.old is not None and outcome.new is not None and outcome.written:
        facts["_oldRev"] = outcome.old["_rev"]
    if call.flag("returnNew") and outcome.new is not None:
        facts["new"] = outcome.new
    if call.flag("returnOld") and outcome.old is not None:
        facts["old"] = outcome.old
    return facts


def _headers(call: Call, facts: Document) -> dict[str, str]:
    where = f"/_db/{call.database.name}/_api/document/{facts['_id']}"
    return {"etag": f'"{facts["_rev"]}"', "location": where}


def _status(call: Call, collection: Collection, synced: int) -> int:
    return synced if call.waits(collection) else 202


def _single(call: Call, collection: Collection, operation: Operation, item: Any, synced: int) -> Reply:
    with call.work(call.waits(collection)) as trx:
        outcome = operation(trx, item)
    facts = outcome_facts(call, outcome)
    body = {} if call.flag("silent") else facts
    return Reply(_status(call, collection, synced), body, _headers(call, facts))


def _many(call: Call, collection: Collection, operation: Operation, items: list[Any], synced: int) -> Reply:
    """Every item by itself: a failed one leaves the others alone."""
    results: list[Document] = []
    failures: Counter[str] = Counter()
    silent = call.flag("silent")
    with call.work(call.waits(collection)) as trx:
        for item in items:
            mark = trx.savepoint()
            try:
                facts = outcome_facts(call, operation(trx, item))
                results.extend([] if silent else [facts])
            except LockBusyError:
                raise
            except ArangoError as error:
                trx.rollback(mark)
                failures[str(error.number)] += 1
                results.append(error.item())
    codes = ",".join(f'"{number}":{count}' for number, count in failures.items())
    return Reply(_status(call, collection, synced), results, {"x-arango-error-codes": f"{{{codes}}}"} if codes else {})


def insert(call: Call) -> Reply:
    """POST /_api/document/{collection}"""
    collection, options, body = call.collection("rw"), write_options(call), call.json()
    docs = call.server.documents

    def operation(trx: Transaction, item: Any) -> Outcome:
        return docs.insert(trx, collection, item, options)

    if isinstance(body, list):
        return _many(call, collection, operation, body, 201)
    call.server.inserts += 1
    if "lost-write" in call.server.defects and call.server.inserts % 10 == 0 and isinstance(body, dict):
        doc = {"_key": body.get("_key") or str(call.server.ticks.next()), "_rev": call.server.ticks.revision(), **body}
        return Reply(202, {"_id": f"{collection.name}/{doc['_key']}", "_key": doc["_key"], "_rev": doc["_rev"]})
    return _single(call, collection, operation, body, 201)


def read(call: Call) -> Reply:
    """GET and HEAD /_api/document/{collection}/{key}"""
    collection = call.collection()
    with call.work() as trx:
        doc = call.server.documents.fetch(trx, collection, key_of(call.values["key"]), call.match())
    etag = {"etag": f'"{doc["_rev"]}"'}
    if call.match("if-none-match") == doc["_rev"]:
        return Reply(304, raw=b"", headers=etag)
    return Reply(200, doc, etag)


def change(call: Call) -> Reply:
    """PUT and PATCH /_api/document/{collection}/{key}"""
    collection, options, key = call.collection("rw"), write_options(call), key_of(call.values["key"])
    docs = call.server.documents
    operation = docs.replace if call.method == "PUT" else docs.update
    match = call.match()
    body = call.json()
    return _single(call, collection, lambda trx, item: operation(trx, collection, key, item, options, match), body, 201)


def change_many(call: Call) -> Reply:
    """PUT and PATCH /_api/document/{collection}, and reading many with `onlyget`"""
    if call.method == "PUT" and call.flag("onlyget"):
        return _read_many(call)
    collection, options, items = call.collection("rw"), write_options(call), call.json()
    docs = call.server.documents
    operation = docs.replace if call.method == "PUT" else docs.update
    if not isinstance(items, list):
        items = [items]
        if not isinstance(items[0], dict):
            raise ArangoError(1227)
    return _many(
        call, collection, lambda trx, item: operation(trx, collection, _selected(item), item, options), items, 201
    )


def _selected(item: Any) -> str:
    if not isinstance(item, dict):
        raise ArangoError(1227)
    return key_of(item)


def _read_many(call: Call) -> Reply:
    collection, items = call.collection(), call.json()
    if not isinstance(items, list):
        raise ArangoError(400, "expecting a JSON array in the request body")
    check_revisions = not call.flag("ignoreRevs", True)
    found: list[Document] = []
    with call.work() as trx:
        for item in items:
            match = item.get("_rev") if check_revisions and isinstance(item, dict) else None
            try:
                found.append(call.server.documents.fetch(trx, collection, key_of(item), match))
            except ArangoError as error:
                found.append(error.item())
    return Reply(200, found)


def remove(call: Call) -> Reply:
    """DELETE /_api/document/{collection}/{key}"""
    collection, key, match = call.collection("rw"), key_of(call.values["key"]), call.match()
    docs = call.server.documents
    return _single(call, collection, lambda trx, _: docs.remove(trx, collection, key, match), None, 200)


def remove_many(call: Call) -> Reply:
    """DELETE /_api/document/{collection}"""
    collection, items, ignore = call.collection("rw"), call.json(), call.flag("ignoreRevs", True)
    if not isinstance(items, list):
        raise ArangoError(400, "expecting a JSON array in the request body")

    def operation(trx: Transaction, item: Any) -> Outcome:
        match = item.get("_rev") if isinstance(item, dict) and not ignore else None
        return call.server.documents.remove(trx, collection, key_of(item), match)

    return _many(call, collection, operation, items, 200)


ROUTES: Routes = {
    "POST /_api/document/{collection}": insert,
    "GET /_api/document/{collection}/{key}": read,
    "HEAD /_api/document/{collection}/{key}": read,
    "PUT /_api/document/{collection}/{key}": change,
    "PATCH /_api/document/{collection}/{key}": change,
    "DELETE /_api/document/{collection}/{key}": remove,
    "PUT /_api/document/{collection}": change_many,
    "PATCH /_api/document/{collection}": change_many,
    "DELETE /_api/document/{collection}": remove_many,
}
