"""python-arango with nothing hidden: no retries, no failover between hosts, bounded time, no environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arango.client import ArangoClient
from arango.http import DefaultHTTPClient
from requests import Session

from harness.credentials import Secret
from harness.model import Endpoint

if TYPE_CHECKING:
    from arango.database import StandardDatabase


class PlainHttp(DefaultHTTPClient):
    """The library's HTTP side, over sessions that take nothing from the environment."""

    def create_session(self, host: str) -> Session:
        """What the library calls once per host."""
        session: Session = super().create_session(host)
        session.trust_env = False
        return session


def connect(
    endpoint: Endpoint, password: Secret, database: str, timeout: float, user: str = "root", token: Secret | None = None
) -> StandardDatabase:
    """One database, by a JSON Web `token`, else by password. What logs in is checked at the first call, not here."""
    http = PlainHttp(request_timeout=timeout, retry_attempts=0)
    client = ArangoClient(
        hosts=endpoint.url, http_client=http, resolver_max_tries=1, verify_override=endpoint.authority or None
    )
    if token:
        return client.db(database, user_token=token.reveal())
    return client.db(database, username=user, password=password.reveal())
