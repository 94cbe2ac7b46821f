"""One request as the handlers see it, and the reply they give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.emulators.arangodb.aql.values import read_json
from harness.emulators.arangodb.catalog import SYSTEM, Database
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
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

    def text(self, errors: str = "replace") -> str:
        """The body; `errors` says what to do about what is not UTF-8. Raises NotEmulatedError for a compressed one."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise NotEmulatedError(f"request bodies with content-encoding {encoding}")
        return self.content.decode("utf-8", errors)

    def json(self) -> Any:
        """The body's value. Raises ArangoError 600."""
        try:
            return read_json(self.text("strict"))
        except (ValueError, RecursionError):
            raise ArangoError(600) from None

    def object(self) -> dict[str, Any]:
        """The body, which must be an object. Raises ArangoError 400 or 600."""
        body = self.json()
        if not isinstance(body, dict):
            raise ArangoError(400, "expecting JSON object body")
        return body

    def array(self) -> list[Any]:
        """The body, which must be an array. Raises ArangoError 400 or 600."""
        body = self.json()
        if not isinstance(body, list):
            raise ArangoError(400, "expecting a JSON array in the request body")
        return body

    def match(self, name: str = "if-match") -> str | None:
        """The revision of a precondition header, quoted or not."""
        return self.headers[name].strip('" ') if name in self.headers else None

    # -- rights

    def _check(self, right: str, write: bool) -> None:
        if self.server.auth.required and (right == "none" or (write and right != "rw")):
            raise ArangoError(11)
        if write and self.server.read_only:
            raise ArangoError(1004)

    def need_database(self) -> None:
        """Raises ArangoError 11 (403) without rw on the database, 1004 on a read-only server."""
        self._check(self.server.users.right(self.user, self.database.name), True)

    def need_system(self) -> None:
        """Raises ArangoError 1230 outside `_system`, 11 without rw on it, 1004 on a read-only server."""
        if self.database.name != SYSTEM:
            raise ArangoError(1230)
        self.need_database()

    def authorize(self, collection: Collection, write: bool) -> None:
        """Raises ArangoError 11 (403) without the right, 1004, or 1652 for what the transaction has not declared."""
        self._check(self.server.users.right(self.user, self.database.name, collection.name), write)
        stream = self.stream
        if stream is not None:
            stream.authorize(collection, write)

    # -- state

    def collection(self, write: bool = False) -> Collection:
        """The collection the path (or the `collection` parameter) names. Raises ArangoError 1203 and as `authorize`."""
        found = self.database.find(self.values.get("collection") or self.params.get("collection", ""))
        self.authorize(found, write)
        return found

    @cached_property
    def stream(self) -> Stream | None:
        """The stream transaction the request runs in. The first look raises ArangoError 1655, 1654, 1653, 28."""
        ident = self.headers.get("x-arango-trx-id")
        return self.server.streams.use(ident, self.database.name) if ident else None

    @contextmanager
    def work(self, collection: Collection | None = None) -> Iterator[Transaction]:
        """The transaction to work in: the request's stream transaction, or one committed when the block ends.

        With a collection, its waitForSync and the request's are heeded.
        """
        stream = self.stream
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
            trx.wait_for_sync |= collection is not None and self.waits(collection)
            trx.commit()

    def waits(self, collection: Collection) -> bool:
        """Whether the write has to reach the disk first."""
        return bool(collection.facts["waitForSync"]) or self.flag("waitForSync")


Handler = Callable[[Call], Reply | Awaitable[Reply]]
Routes = Mapping[str, Handler]


def ok(status: int = 200, /, **facts: Any) -> Reply:
    """A success object."""
    return Reply(status, {"error": False, "code": status, **facts})
