"""Document operations inside a transaction: keys, system attributes, merging, preconditions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.collection import EDGE, Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.schema import enforce
from harness.emulators.arangodb.store import Transaction, duplicate
from harness.emulators.arangodb.ticks import Ticks

_KEY = re.compile(r"[A-Za-z0-9_\-:.@()+,=;$!*'%]{1,254}\Z")
_ID = re.compile(r"[^/]{1,256}/[A-Za-z0-9_\-:.@()+,=;$!*'%]{1,254}\Z")
Make = Callable[[Document], Document]


@dataclass(frozen=True)
class WriteOptions:
    """How one write behaves; the names are the query parameters of the document API."""

    keep_null: bool = True
    merge_objects: bool = True
    overwrite_mode: str = "conflict"
    ignore_revs: bool = True
    version_attribute: str = ""
    match: str | None = None
    """The revision a changed document must have, as If-Match asks."""


@dataclass(frozen=True)
class Outcome:
    """What a write did: the document before and after; `written` is false when it changed nothing."""

    old: Document | None
    new: Document | None
    written: bool = True


class Documents:
    """Document operations of one server. `ignore_preconditions` is a seeded defect."""

    def __init__(self, ticks: Ticks, ignore_preconditions: bool = False) -> None:
        self._ticks = ticks
        self._ignore_preconditions = ignore_preconditions

    def insert(self, trx: Transaction, into: Collection, body: Any, options: WriteOptions) -> Outcome:
        """Store a new document. Raises ArangoError 1210, 1221, 1222, 1227, 1233, 1620, 1200."""
        key = self._key(into, _object(body))
        existing = trx.get(into, key)
        if existing is None:
            return self._store(trx, into, None, self._assemble(into, key, body))
        if options.overwrite_mode == "ignore":
            return Outcome(existing, existing, written=False)
        if options.overwrite_mode == "update":
            return self.update(trx, into, key, body, options)
        if options.overwrite_mode == "replace":
            return self.replace(trx, into, key, body, options)
        raise duplicate(None, existing)

    def _key(self, collection: Collection, body: Document) -> str:
        options = collection.facts["keyOptions"]
        counts = options["type"] == "autoincrement"
        if "_key" not in body:
            step = options["increment"] if counts else 0
            options["lastValue"] = options["lastValue"] + step if counts else self._ticks.next()
            return str(options["lastValue"])
        key = body["_key"]
        if not isinstance(key, str) or not _KEY.match(key):
            raise ArangoError(1221)
        if not options["allowUserKeys"]:
            raise ArangoError(1222)
        if counts and key.isdigit():
            options["lastValue"] = max(options["lastValue"], int(key))
        return key

    def _assemble(self, collection: Collection, key: str, body: Document, base: Document | None = None) -> Document:
        """The document to store, its system attributes first; an edge's ends may come from `base`."""
        doc: Document = {"_key": key, "_id": f"{collection.name}/{key}"}
        for end in ("_from", "_to") if collection.kind == EDGE else ():
            value = body.get(end, (base or {}).get(end))
            if not isinstance(value, str) or not _ID.match(value):
                raise ArangoError(1233)
            doc[end] = value
        doc["_rev"] = self._ticks.revision()
        return {**doc, **{name: value for name, value in body.items() if name not in doc}}

    def fetch(self, trx: Transaction, collection: Collection, key: str, match: str | None = None) -> Document:
        """A document whose revision is `match`, if given. Raises ArangoError 1202, or 1200 with status 412."""
        doc = trx.get(collection, key)
        if doc is None:
            raise ArangoError(1202)
        if match is not None and match != doc["_rev"] and not self._ignore_preconditions:
            raise ArangoError(1200, status=412, extra={name: doc[name] for name in ("_id", "_key", "_rev")})
        return doc

    def update(self, trx: Transaction, coll: Collection, key: str, body: Any, options: WriteOptions) -> Outcome:
        """Merge `body` into a document. Raises ArangoError 1202, 1227, 1620, 1200."""
        changes = {name: value for name, value in _object(body).items() if name not in ("_key", "_id", "_rev")}

        def merged(old: Document) -> Document:
            return merge(old, changes, options.keep_null, options.merge_objects)

        return self._change(trx, coll, key, body, options, merged)

    def replace(self, trx: Transaction, coll: Collection, key: str, body: Any, options: WriteOptions) -> Outcome:
        """Put `body` in a document's place. Raises ArangoError 1202, 1227, 1620, 1200."""
        return self._change(trx, coll, key, _object(body), options, lambda _old: body)

    def _change(
        self, trx: Transaction, coll: Collection, key: str, body: Document, options: WriteOptions, make: Make
    ) -> Outcome:
        own = None if options.ignore_revs else body.get("_rev")
        old = self.fetch(trx, coll, key, options.match or own)
        if _is_outdated(old, body, options.version_attribute):
            return Outcome(old, old, written=False)
        return self._store(trx, coll, old, self._assemble(coll, key, make(old), old))

    def _store(self, trx: Transaction, coll: Collection, old: Document | None, doc: Document) -> Outcome:
        enforce(coll.facts["schema"], doc, old)
        trx.put(coll, doc["_key"], doc)
        return Outcome(old, doc)

    def remove(self, trx: Transaction, coll: Collection, key: str, match: str | None = None) -> Outcome:
        """Delete a document. Raises ArangoError 1202, 1200."""
        old = self.fetch(trx, coll, key, match)
        trx.put(coll, key, None)
        return Outcome(old, None)


def _object(body: Any) -> Document:
    if not isinstance(body, dict):
        raise ArangoError(1227)
    return body


def _is_outdated(old: Document, body: Document, attribute: str) -> bool:
    stored, given = old.get(attribute), body.get(attribute)
    return bool(attribute) and is_number(stored) and is_number(given) and bool(given <= stored)  # type: ignore[operator]


def merge(old: Document, changes: Document, keep_null: bool, merge_objects: bool) -> Document:
    """`old` with `changes` applied, recursively for objects unless `merge_objects` is off."""
    merged = dict(old)
    for name, value in changes.items():
        if value is None and not keep_null:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            base = before if merge_objects and isinstance(before, dict) else {}
            merged[name] = merge(base, value, keep_null, merge_objects)
        else:
            merged[name] = value
    return merged


def key_of(selector: Any) -> str:
    """The key that a string, an id or an object with `_key` or `_id` selects. Raises ArangoError 1221."""
    if isinstance(selector, dict):
        selector = selector.get("_key") or selector.get("_id")
    key = selector.rpartition("/")[2] if isinstance(selector, str) else ""
    if not _KEY.match(key):
        raise ArangoError(1221)
    return str(key)
