"""ArangoDB: documents, graphs, AQL."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from harness.credentials import Secret
from harness.model import Port, Reading, ServicePlan
from harness.ports import Handle
from harness.probes.exposition import samples
from harness.probes.http import expect
from harness.probes.poll import NotYet
from harness.services.base import ImageFacts, Kind, Launch, Place, basic, take_flags, user_of, without

if TYPE_CHECKING:
    from arango.database import StandardDatabase

TIMEOUT = 10.0
"""Seconds that a call of the client may take; python-arango's own default is 60, with three silent retries."""


class ArangoDB(Kind):
    """A single server with a root password."""

    name: ClassVar[str] = "arangodb"
    fixture: ClassVar[str] = "arangodb"
    images: ClassVar[tuple[str, ...]] = ("arangodb", "arangodb/arangodb", "arangodb/enterprise")
    programs: ClassVar[tuple[str, ...]] = ("arangod",)
    ports: ClassVar[tuple[Port, ...]] = (Port("http", 8529, "http"),)
    secret_variables: ClassVar[tuple[str, ...]] = ("ARANGO_ROOT_PASSWORD", "ARANGO_JWT_SECRET")
    emulator_unproven: ClassVar[bool] = True
    emulator_tls: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = ("database",)
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="root",
        has_shell=True,
        writable=("/var/lib/arangodb3", "/var/lib/arangodb3-apps"),
        entrypoint=("/entrypoint.sh",),
        licence="ArangoDB Community License since 3.12: no production use, 100 GiB of data at most",
        source="https://github.com/arangodb/arangodb-docker",
    )

    def read_version(self, printed: str) -> str:
        """The first number of `arangod --version`."""
        match = re.search(r"\d+\.\d+\.\d+\S*", printed)
        return match.group(0) if match else ""

    def launch(self, place: Place) -> Launch:
        """arangod's own flags from the command, the leased address, and the data directory."""
        command = [word for word in place.service.command if word != "arangod"]
        flags = {word.partition("=")[0]: 0 if "=" in word else 1 for word in command if word.startswith("--")}
        words = take_flags(self.name, replace(place.service, command=tuple(command)), flags)
        words = without(words, ("--server.endpoint",))
        return Launch(
            (
                *(place.host_path(word) for word in words),
                "--server.endpoint",
                f"{'ssl' if place.service.tls else 'tcp'}://127.0.0.1:{place.port('http')}",
                "--database.directory",
                str(place.data),
            )
        )

    def credentials(self, service: ServicePlan) -> dict[str, Secret]:
        """The root user's password, as the image's entrypoint reads it."""
        return {"password": Secret(service.environment.get("ARANGO_ROOT_PASSWORD", ""))}

    def authorization(self, handle: Handle) -> dict[str, str]:
        """A JSON Web Token as `token`, else `username` (root when there is none) and `password`."""
        found, password = super().authorization(handle), handle.credentials.get("password")
        if password is not None and "Authorization" not in found:
            found["Authorization"] = basic(user_of(handle), password.reveal())
        return found

    def ready(self, handle: Handle) -> str:
        """Available by its own account, and a document written to a collection of its own and read back."""
        http, login = handle.endpoint("http"), self.authorization(handle)
        expect(200, http, "/_admin/server/availability")
        name, key = f"harness-ready-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
        expect(200, http, "/_api/collection", "POST", body={"name": name}, headers=login)
        try:
            expect((201, 202), http, f"/_api/document/{name}", "POST", body={"_key": key, "ready": True}, headers=login)
            if expect(200, http, f"/_api/document/{name}/{key}", headers=login).json().get("ready") is not True:
                raise NotYet("a document read back different from what was written")
        finally:
            expect(200, http, f"/_api/collection/{name}", "DELETE", headers=login)
        return str(expect(200, http, "/_api/version", headers=login).json()["version"])

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """Its mode (refused once the queue is three quarters full), the wait in the queue, and the queue's length."""
        http, login = handle.endpoint("http"), self.authorization(handle)
        available = expect(200, http, "/_admin/server/availability")
        waited = float(available.headers.get("x-arango-queue-time-seconds", 0))
        metrics = expect(200, http, "/_admin/metrics/v2", headers=login).text
        queued = [Reading("queue length", one.value) for one in samples(metrics, "arangodb_scheduler_queue_length")]
        return (Reading("mode", available.json().get("mode", "unknown")), Reading("queue seconds", waited), *queued[:1])

    def client(self, handle: Handle) -> StandardDatabase:
        """python-arango's `_system` database, logged in: one host, one try, a bounded time per call."""
        return self._database(handle, "_system")

    def _database(self, handle: Handle, name: str) -> StandardDatabase:
        from harness.services.arangodb_client import connect

        given = handle.credentials
        password = given.get("password", Secret(""))
        return connect(handle.endpoint("http"), password, name, TIMEOUT, user_of(handle), given.get("token"))

    def close_client(self, client: Any) -> None:
        """Close the pooled connections."""
        for session in client.conn._sessions:  # the library keeps them to itself and has no way to close a database's
            session.close()

    def open_namespace(self, handle: Handle, name: str) -> StandardDatabase:
        """A database of its own, as root."""
        system = self.client(handle)
        if not system.has_database(name):
            system.create_database(name)
        return self._database(handle, name)

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Drop the database."""
        self.client(handle).delete_database(name, ignore_missing=True)
