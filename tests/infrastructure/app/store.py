"""ArangoDB as the store of items. Every write gives the item's next version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from arango.client import ArangoClient
from arango.exceptions import AQLQueryExecuteError, ArangoClientError, ArangoServerError, CollectionCreateError
from arango.http import DefaultHTTPClient

from .errors import Unavailable, Unknown
from .settings import Settings
from .telemetry import Telemetry

ITEMS = "items"
WRITE = """
UPSERT { _key: @key }
INSERT { _key: @key, value: @value, version: 1 }
UPDATE { value: @value, version: OLD.version + 1 } IN @@items
RETURN { key: NEW._key, value: NEW.value, version: NEW.version }
"""
CONFLICTS = (1200, 1210)
"""Write-write conflict, and unique constraint: somebody wrote the same key at the same moment; nothing was done."""
DUPLICATE_NAME = 1207
ATTEMPTS = 20


class Http(DefaultHTTPClient):
    """Bounded, without retries, and with nothing taken from the environment."""

    def create_session(self, host: str) -> requests.Session:
        """What the library calls once per host."""
        session: requests.Session = super().create_session(host)
        session.trust_env = False
        return session


class Store:
    """Items in one collection."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        http = Http(request_timeout=settings.timeout, retry_attempts=0, pool_maxsize=128)
        client = ArangoClient(hosts=settings.arango_url, http_client=http, resolver_max_tries=1)
        # Any: the library types every answer as one of three, for three ways to run a call.
        self._db: Any = client.db(settings.arango_database, username="root", password=settings.arango_password)
        self._telemetry = telemetry

    def prepare(self) -> None:
        """Make the collection, unless it is there. Raises Unavailable."""
        with self._calling("create collection"):
            try:
                self._db.create_collection(ITEMS)
            except CollectionCreateError as error:
                if error.error_code != DUPLICATE_NAME:
                    raise

    def get(self, key: str) -> dict[str, Any]:
        """The item. Raises Unknown and Unavailable."""
        with self._calling("get document"):
            found = self._db.collection(ITEMS).get(key)
        if found is None:
            raise Unknown(f"no item {key!r}")
        return {"key": key, "value": found["value"], "version": found["version"]}

    def put(self, key: str, value: Any) -> dict[str, Any]:
        """Write atomically and return the item with its new version. Raises Unavailable."""
        with self._calling("upsert"):
            for attempt in range(ATTEMPTS):
                try:
                    bound = {"key": key, "value": value, "@items": ITEMS}
                    (item,) = self._db.aql.execute(WRITE, bind_vars=bound)
                except AQLQueryExecuteError as error:
                    if error.error_code not in CONFLICTS or attempt == ATTEMPTS - 1:
                        raise
                    self._telemetry.conflicts.add(1)
                else:
                    return dict(item)
        raise AssertionError("the last attempt returns or raises")

    def check(self) -> None:
        """Raises an error of the library or of its HTTP side when it does not answer."""
        self._db.collection(ITEMS).count()

    @contextmanager
    def _calling(self, operation: str) -> Iterator[None]:
        about = {"db.system.name": "arangodb", "db.collection.name": ITEMS}
        with self._telemetry.client_span("arangodb", operation, **about):
            try:
                yield
            except (ArangoClientError, ArangoServerError, OSError) as error:
                raise Unavailable("arangodb", error) from error
