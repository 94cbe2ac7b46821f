"""Databases and their collections, with the rules for names and properties, kept in the journal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.collection import DOCUMENT, EDGE, Collection
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.log import Log, Record
from harness.emulators.arangodb.schema import check_schema
from harness.emulators.arangodb.store import Store, Write
from harness.emulators.arangodb.ticks import Ticks
from harness.emulators.runner import Defects

SYSTEM = "_system"
_SYSTEM_COLLECTIONS = ("_analyzers", "_apps", "_aqlfunctions", "_frontend", "_graphs", "_jobs", "_queues")
_KINDS = {"2": DOCUMENT, "document": DOCUMENT, "3": EDGE, "edge": EDGE}


class Database:
    """A named set of collections."""

    def __init__(self, ident: str, name: str) -> None:
        self.id = ident
        self.name = name
        self.collections: dict[str, Collection] = {}

    def find(self, name_or_id: str) -> Collection:
        """A collection by name or id. Raises ArangoError 1203."""
        found = self.collections.get(name_or_id)
        if found is None and name_or_id.isdigit():
            found = next((item for item in self.collections.values() if item.id == name_or_id), None)
        if found is None:
            raise ArangoError(1203, f"collection or view not found: {name_or_id}")
        return found


class Catalog:
    """All databases. Every change is journalled: a database as a whole, documents by commit."""

    def __init__(self, ticks: Ticks, defects: Defects) -> None:
        self.ticks = ticks
        self.log: Log | None = None
        self.databases: dict[str, Database] = {}
        self.store = Store(defects, self._commit)
        self._defects = defects
        self._by_id: dict[str, Collection] = {}

    # -- journal

    def record(self, record: Record, sync: bool = False) -> None:
        """Journal one change together with the tick reached."""
        if self.log is not None:
            self.log.append({"t": self.ticks.last, **record}, sync)

    def _commit(self, writes: list[Write], sync: bool) -> None:
        if "log-not-written" not in self._defects:
            self.record({"k": "trx", "w": [[c.id, key, doc] for c, key, doc in writes]}, sync)

    def save(self, database: Database) -> None:
        """Journal a database's collections and indexes as they are now."""
        self.record(_database_record(database))

    def snapshot(self, batch: int) -> Iterator[Record]:
        """Records that make the same databases, with up to `batch` documents in each."""
        for database in self.databases.values():
            yield _database_record(database)
            for collection in database.collections.values():
                writes = [[collection.id, key, doc] for key, doc in collection.current.items()]
                for start in range(0, len(writes), batch):
                    yield {"k": "trx", "w": writes[start : start + batch]}

    def replay(self, record: Record) -> None:
        """Do again what a record says; indexes stay empty until `finish_replay`."""
        if record["k"] == "trx":
            self._by_id = self._by_id or {collection.id: collection for collection in self.collections()}
            for ident, key, doc in record["w"]:
                current = self._by_id[ident].current if ident in self._by_id else {}
                if doc is None:
                    current.pop(key, None)
                else:
                    current[key] = doc
            return
        known = {collection.id: collection.current for collection in self.collections()}
        self._by_id = {}
        self.databases.pop(record["name"], None)
        if record["k"] == "db":
            database = self.databases[record["name"]] = Database(record["id"], record["name"])
            for facts in record["collections"]:
                made = database.collections[facts["name"]] = Collection(facts)
                made.current = known.get(made.id, {})

    def finish_replay(self) -> None:
        """Fill the indexes and go on counting keys where they ended."""
        for collection in self.collections():
            for index in collection.indexes:
                collection.fill(index)
            options = collection.facts["keyOptions"]
            if options["type"] == "autoincrement":
                numbers = (int(key) for key in collection.current if key.isdigit())
                options["lastValue"] = max(numbers, default=options["lastValue"])

    def collections(self) -> Iterator[Collection]:
        """Every collection of every database."""
        return (found for database in self.databases.values() for found in database.collections.values())

    # -- databases

    def create_database(self, name: str) -> Database:
        """A new database with its system collections. Raises ArangoError 1229 or 1207."""
        if not _valid_name(name) and name != SYSTEM:
            raise ArangoError(1229, f"database name invalid: {name}")
        if name in self.databases:
            raise ArangoError(1207, f"duplicate database name '{name}'")
        database = Database("1" if name == SYSTEM else str(self.ticks.next()), name)
        for system in _SYSTEM_COLLECTIONS + (("_statistics", "_users") if name == SYSTEM else ()):
            self._add(database, system, DOCUMENT, {**_defaults(), "isSystem": True})
        self.databases[name] = database
        self.save(database)
        return database

    def database(self, name: str) -> Database:
        """A database by name. Raises ArangoError 1228."""
        if name not in self.databases:
            raise ArangoError(1228)
        return self.databases[name]

    def drop_database(self, name: str) -> None:
        """Raises ArangoError 1228, or 11 for `_system`."""
        database = self.database(name)
        if name == SYSTEM:
            raise ArangoError(11)
        self.record({"k": "dropdb", "name": name})
        del self.databases[database.name]

    # -- collections

    def create_collection(self, database: Database, body: dict[str, Any]) -> Collection:
        """A new collection from the body of POST /_api/collection. Raises ArangoError 1207, 1208, 10, 1232, 1621."""
        name, kind = body.get("name"), _KINDS.get(str(body.get("type", DOCUMENT)))
        if not _valid_name(name):
            raise ArangoError(1208, f"illegal name: collection name '{name}' is not valid")
        if kind is None:
            raise ArangoError(1218)
        if name in database.collections:
            raise ArangoError(1207, f"duplicate name: {name}")
        facts = {**_defaults(), **_settable(body), "keyOptions": _key_options(body.get("keyOptions") or {})}
        collection = self._add(database, str(name), kind, facts)
        self.save(database)
        return collection

    def _add(self, database: Database, name: str, kind: int, facts: dict[str, Any]) -> Collection:
        ident, own = str(self.ticks.next()), {**facts, "objectId": str(self.ticks.next())}
        collection = Collection({"id": ident, "name": name, "type": kind, "facts": own, "indexes": []})
        database.collections[name] = collection
        return collection

    def configure(self, database: Database, collection: Collection, body: dict[str, Any]) -> None:
        """Change the settable properties. Raises ArangoError as `create_collection`."""
        collection.facts = {**collection.facts, **_settable(body)}
        self.save(database)

    def drop_collection(self, database: Database, collection: Collection) -> None:
        """Forget a collection and its data."""
        del database.collections[collection.name]
        self.save(database)


def _database_record(database: Database) -> Record:
    collections = [collection.definition() for collection in database.collections.values()]
    return {"k": "db", "id": database.id, "name": database.name, "collections": collections}


def _valid_name(name: Any) -> bool:
    """The rule for extended names, the default of 3.12 (manual: "Database names", "Collection names")."""
    if not isinstance(name, str) or not name or len(name.encode()) > 128:
        return False
    bad = name[0] in "._0123456789" or name != name.strip() or unicodedata.normalize("NFC", name) != name
    return not bad and not any(letter in "/:" or ord(letter) < 32 or ord(letter) == 127 for letter in name)


def _defaults() -> Document:
    facts = {"waitForSync": False, "schema": None, "computedValues": None, "cacheEnabled": False, "isSystem": False}
    return {**facts, "keyOptions": _key_options({})}


def _settable(body: dict[str, Any]) -> Document:
    for option in ("computedValues", "isSystem"):
        if body.get(option):
            raise NotEmulatedError(f"collection property {option}")
    facts: Document = {}
    for name in ("waitForSync", "cacheEnabled"):
        if not isinstance(body.get(name, False), bool):
            raise ArangoError(10, f"{name} must be a boolean")
        facts |= {name: body[name]} if name in body else {}
    return facts | ({"schema": check_schema(body["schema"])} if "schema" in body else {})


def _key_options(options: Any) -> Document:
    if not isinstance(options, dict):
        raise ArangoError(10, "invalid value for keyOptions")
    kind = options.get("type", "traditional")
    if kind in ("uuid", "padded") or options.get("increment") or options.get("offset"):
        raise NotEmulatedError("keyOptions of type uuid or padded, or with increment or offset")
    if kind not in ("traditional", "autoincrement"):
        raise ArangoError(1232)
    made: Document = {"allowUserKeys": bool(options.get("allowUserKeys", True)), "type": kind, "lastValue": 0}
    return made if kind == "traditional" else {**made, "offset": 0, "increment": 1}
