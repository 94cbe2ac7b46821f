"""One request as the handlers see it, and the reply they give."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from harness.emulators.arangodb.catalog import SYSTEM, Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.streams import Stream

_TRUE = frozenset({"1", "true", "yes", "on", "y"})
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Reply:
    """Status, JSON body (or `raw` bytes as they are) and extra headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json; charset=utf-8"


@dataclass
class Call:
    """A request to `database` by `user`. `values` are the path's parameters, `params` the query string's."""

    server: Server
    method: str
    path: str
    values: dict[str, str]
    params: dict[str, str]
    headers: dict[str, str]
    content: bytes
    user: str
    database: Database
    in_thread: InThread
    lock_timeout: float = 900

    # -- input

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean query parameter: 1, true, yes, on and y are true."""
        return self.params[name].lower() in _TRUE if name in self.params else default

    def json(self) -> Any:
        """The body's value. Raises ArangoError 600."""
        try:
            return json.loads(self.text(), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ArangoError(600) from None

    def text(self) -> bytes:
        """The body, decompressed. Raises ArangoError 400."""
        encoding = self.headers.get("content-encoding", "")
        try:
            if encoding == "gzip":
                return gzip.decompress(self.content)
            return zlib.decompress(self.content) if encoding == "deflate" else self.content
        except (OSError, zlib.error, EOFError):
            raise ArangoError(400, "handler error: could not decompress body") from None

    def object(self) -> dict[str, Any]:
        """The body, which must be an object. Raises ArangoError 400 or 600."""
        body = self.json()
        if not isinstance(body, dict):
            raise ArangoError(400, "expecting JSON object body")
        return body

    def match(self, name: str = "if-match") -> str | None:
        """The revision of a precondition header, quoted or not, or of the `rev` parameter."""
        given = self.headers.get(name) or (self.params.get("rev") if name == "if-match" else None)
        return given.strip('" ') if given else None

    # -- rights

    def need_database(self, right: str) -> None:
        """Raises ArangoError 11 (403) without the right on the database, 1004 for a change of a read-only server."""
        self._check(self.server.users.database_right(self.user, self.database.name), right)

    def _check(self, actual: str, right: str) -> None:
        if self.server.auth.required and (actual == "none" or (right == "rw" and actual != "rw")):
            raise ArangoError(11)
        if right == "rw" and self.server.read_only:
            raise ArangoError(1004)

    def need_collection(self, collection: Collection, right: str) -> None:
        """Raises ArangoError 11 (403) without the right on a collection, 1004 for a change of a read-only server."""
        self._check(self.server.users.collection_right(self.user, self.database.name, collection.name), right)

    def need_system(self) -> None:
        """Raises ArangoError 1230 outside `_system`, 11 without write access to it."""
        if self.database.name != SYSTEM:
            raise ArangoError(1230)
        self.need_database("rw")

    # -- state

    def collection(self, right: str = "ro") -> Collection:
        """The collection the path (or the `collection` parameter) names, with that right on it."""
        name = self.values.get("collection") or self.params.get("collection", "")
        found = self.database.find(name)
        self.need_collection(found, right)
        stream = self.stream()
        if stream is not None:
            (stream.may_write if right == "rw" else stream.may_read)(found)
        return found

    def stream(self) -> Stream | None:
        """The stream transaction the request runs in. Raises ArangoError 1655, 1654, 1653, 28."""
        ident = self.headers.get("x-arango-trx-id")
        return self.server.streams.use(ident, self.database.name) if ident else None

    @contextmanager
    def work(self, sync: bool = False) -> Iterator[Transaction]:
        """The transaction to work in: the request's stream transaction, or one committed when the block ends."""
        stream = self.stream()
        trx = stream.trx if stream else self.server.catalog.store.begin()
        mark = trx.savepoint()
        try:
            yield trx
        except BaseException:
            if stream:
                trx.rollback(mark)
            else:
                trx.abort()
            raise
        if stream is None:
            trx.wait_for_sync |= sync
            trx.commit()

    def waits(self, collection: Collection) -> bool:
        """Whether the write has to reach the disk first."""
        default = bool(collection.facts["waitForSync"]) or self.server.options.wait_for_sync
        return default or self.flag("waitForSync")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


Handler = Callable[[Call], Reply | Awaitable[Reply]]
Routes = Mapping[str, Handler]


def ok(status: int = 200, **facts: Any) -> Reply:
    """A success object."""
    return Reply(status, {"error": False, "code": status, **facts})
