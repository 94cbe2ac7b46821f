"""Databases and their collections, with the rules for names and properties, kept in the journal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from harness.emulators.arangodb.collection import DOCUMENT, Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.indexes import Document
from harness.emulators.arangodb.log import Log, Record
from harness.emulators.arangodb.schema import check_schema
from harness.emulators.arangodb.store import Store, Write
from harness.emulators.arangodb.ticks import Ticks
from harness.emulators.runner import Defects

SYSTEM = "_system"
_SYSTEM_COLLECTIONS = (
    "_analyzers",
    "_appbundles",
    "_apps",
    "_aqlfunctions",
    "_frontend",
    "_graphs",
    "_jobs",
    "_queues",
)
_STATISTICS = ("_statistics", "_statistics15", "_statisticsRaw", "_users")
_KEY_TYPES = ("traditional", "autoincrement", "uuid", "padded")


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
    """All databases. Every change is journalled before it is visible."""

    def __init__(self, ticks: Ticks, defects: Defects, log: Log | None = None) -> None:
        self.ticks = ticks
        self.defects = defects
        self.log = log
        self.store = Store(defects, self._commit)
        self.databases: dict[str, Database] = {}

    # -- journal

    def record(self, record: Record, sync: bool = False) -> None:
        """Journal one change together with the tick reached."""
        if self.log is not None:
            self.log.append({"t": self.ticks.last, **record}, sync)

    def _commit(self, writes: list[Write], sync: bool) -> None:
        if "log-not-written" not in self.defects and self.log is not None:
            self.record({"k": "trx", "w": [[c.id, key, doc] for c, key, doc in writes]}, sync)

    # -- databases

    def create_database(self, name: str) -> Database:
        """A new database with its system collections. Raises ArangoError 1229 or 1207."""
        if not valid_database_name(name) and name != SYSTEM:
            raise ArangoError(1229, f"database name invalid: {name}")
        if name in self.databases:
            raise ArangoError(1207, f"duplicate database name '{name}'")
        database = Database("1" if name == SYSTEM else str(self.ticks.next()), name)
        self.record({"k": "db", "id": database.id, "name": name})
        self.databases[name] = database
        names = _SYSTEM_COLLECTIONS + (_STATISTICS if name == SYSTEM else ())
        for system in sorted(names):
            self._add(database, system, DOCUMENT, {**_defaults(), "isSystem": True})
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
        self.record({"k": "dropdb", "id": database.id})
        del self.databases[name]

    # -- collections

    def create_collection(self, database: Database, body: dict[str, Any]) -> Collection:
        """A new collection from the body of POST /_api/collection. Raises ArangoError 1207, 1208, 10, 1232, 1621."""
        name, kind = body.get("name"), body.get("type", DOCUMENT)
        if not isinstance(name, str) or not valid_collection_name(name, bool(body.get("isSystem"))):
            raise ArangoError(1208, f"illegal name: collection name '{name}' is not valid")
        if kind not in (2, 3, "document", "edge"):
            raise ArangoError(1218, "invalid collection type")
        if name in database.collections:
            raise ArangoError(1207, f"duplicate name: {name}")
        facts = {**_defaults(), **_settable(body), "isSystem": bool(body.get("isSystem"))}
        facts["keyOptions"] = _key_options(body.get("keyOptions"))
        return self._add(database, name, 3 if kind in (3, "edge") else 2, facts)

    def _add(self, database: Database, name: str, kind: int, facts: dict[str, Any]) -> Collection:
        ident = str(self.ticks.next())
        facts = {**facts, "objectId": str(self.ticks.next()), "db": database.id}
        collection = Collection(ident, name, kind, facts)
        self._save(collection)
        database.collections[name] = collection
        return collection

    def _save(self, collection: Collection) -> None:
        facts = {"id": collection.id, "name": collection.name, "type": collection.kind, "facts": collection.facts}
        self.record({"k": "coll", **facts})

    def configure(self, collection: Collection, body: dict[str, Any]) -> None:
        """Change the settable properties. Raises ArangoError as `create_collection`."""
        collection.facts = {**collection.facts, **_settable(body)}
        self._save(collection)

    def rename(self, database: Database, collection: Collection, name: Any) -> None:
        """Give a collection another name; its documents' ids follow. Raises ArangoError 1208, 1207."""
        if not isinstance(name, str) or not valid_collection_name(name, collection.is_system):
            raise ArangoError(1208)
        if name in database.collections:
            raise ArangoError(1207)
        del database.collections[collection.name]
        collection.name = name
        database.collections[name] = collection
        for key, doc in collection.current.items():
            collection.current[key] = {**doc, "_id": f"{name}/{key}"}
        self._save(collection)

    def drop_collection(self, database: Database, collection: Collection) -> None:
        """Forget a collection and its data."""
        self.record({"k": "dropcoll", "id": collection.id})
        del database.collections[collection.name]

    def all_collections(self) -> Iterator[tuple[Database, Collection]]:
        """Every collection of every database."""
        for database in self.databases.values():
            for collection in database.collections.values():
                yield database, collection


def valid_database_name(name: Any) -> bool:
    """The rule for extended names, the default of 3.12 (manual: "Database names")."""
    if not isinstance(name, str) or not name or len(name.encode()) > 128:
        return False
    bad = name[0] in "._0123456789" or name != name.strip() or unicodedata.normalize("NFC", name) != name
    return not bad and not any(letter in "/:" or ord(letter) < 32 or ord(letter) == 127 for letter in name)


def valid_collection_name(name: str, system: bool) -> bool:
    """As for databases; a leading underscore is for system collections only."""
    if system and name.startswith("_"):
        name = name.lstrip("_")
    return len(name.encode()) <= 256 and valid_database_name(name) and not re.search(r"\s$", name)


def _defaults() -> Document:
    facts = {"waitForSync": False, "schema": None, "computedValues": None, "cacheEnabled": False}
    return {**facts, "keyOptions": {"allowUserKeys": True, "type": "traditional", "lastValue": 0}}


def _settable(body: dict[str, Any]) -> Document:
    facts: Document = {}
    if body.get("computedValues"):
        raise ArangoError(9, "not emulated: computedValues", status=501)
    for name in ("waitForSync", "cacheEnabled"):
        if name in body:
            if not isinstance(body[name], bool):
                raise ArangoError(10, f"{name} must be a boolean")
            facts[name] = body[name]
    if "schema" in body:
        facts["schema"] = check_schema(body["schema"])
    return facts


def _key_options(given: Any) -> Document:
    options = given or {}
    if not isinstance(options, dict):
        raise ArangoError(10, "invalid value for keyOptions")
    kind = options.get("type", "traditional")
    if kind not in _KEY_TYPES:
        raise ArangoError(1232)
    if kind != "autoincrement" and ("increment" in options or "offset" in options):
        raise ArangoError(10, "increment and offset are only allowed with autoincrement keys")
    made: Document = {"allowUserKeys": bool(options.get("allowUserKeys", True)), "type": kind}
    if kind == "autoincrement":
        made |= {"offset": options.get("offset", 0), "increment": options.get("increment", 1)}
    return made if kind == "uuid" else {**made, "lastValue": 0}
