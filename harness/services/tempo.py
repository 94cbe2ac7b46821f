"""Tempo: traces by id, search, TraceQL."""

from __future__ import annotations

import re
import secrets
import time
from typing import ClassVar

from harness.model import Port, Reading
from harness.ports import Handle
from harness.probes.exposition import total
from harness.probes.http import expect
from harness.services.base import ImageFacts, Kind, Launch, Place, take_flags
from harness.services.http_session import ServiceSession


class Tempo(Kind):
    """The single binary, with its blocks on local disk."""

    name: ClassVar[str] = "tempo"
    fixture: ClassVar[str] = "tempo"
    images: ClassVar[tuple[str, ...]] = ("grafana/tempo",)
    programs: ClassVar[tuple[str, ...]] = ("tempo",)
    ports: ClassVar[tuple[Port, ...]] = (
        Port("http", 3200, "http"),
        Port("otlp_grpc", 4317, "grpc"),
        Port("otlp_http", 4318, "http"),
    )
    process_ports: ClassVar[tuple[Port, ...]] = (Port("grpc", 9095, "grpc"),)
    version_arguments: ClassVar[tuple[str, ...]] = ("-version",)
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="10001",
        has_shell=False,
        writable=("/var/tempo",),
        entrypoint=("/tempo",),
        licence="AGPL-3.0",
        source="https://github.com/grafana/tempo/blob/v3.0.3/cmd/tempo/Dockerfile",
    )

    def read_version(self, printed: str) -> str:
        """`tempo, version v3.0.3 (...)`."""
        match = re.search(r"version v?(\d+\.\d+\.\d+\S*)", printed)
        return match.group(1) if match else ""

    def launch(self, place: Place) -> Launch:
        """The compose file's flags with the configuration's path on this machine; addresses through the environment."""
        words = take_flags(self.name, place.service, {"-config.file": 1, "-config.expand-env": 1, "-target": 1})
        return Launch(
            tuple(_translated(word, place) for word in words),
            {
                "TEMPO_HTTP_LISTEN_ADDRESS": "127.0.0.1",
                "TEMPO_HTTP_PORT": place.port("http"),
                "TEMPO_GRPC_LISTEN_ADDRESS": "127.0.0.1",
                "TEMPO_GRPC_PORT": place.port("grpc"),
                "TEMPO_OTLP_GRPC_LISTEN": place.endpoints["otlp_grpc"].address,
                "TEMPO_OTLP_HTTP_LISTEN": place.endpoints["otlp_http"].address,
                "TEMPO_DATA": str(place.data),
            },
        )

    def ready(self, handle: Handle) -> str:
        """Ready by its own account, and a span that was sent is found by its trace id."""
        http, login, trace = handle.endpoint("http"), self.authorization(handle), secrets.token_hex(16)
        expect(200, http, "/ready", headers=login)
        expect(200, handle.endpoint("otlp_http"), "/v1/traces", "POST", body=one_span(trace), headers=login)
        expect(200, http, f"/api/v2/traces/{trace}", headers=login)
        return str(expect(200, http, "/api/status/buildinfo", headers=login).json()["version"]).removeprefix("v")

    def authorization(self, handle: Handle) -> dict[str, str]:
        """Tempo itself has no login: the `tenant`, and what a gateway in front of it wants."""
        tenant = handle.credentials.get("tenant")
        return super().authorization(handle) | ({"X-Scope-OrgID": tenant.reveal()} if tenant else {})

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """Traces still in memory, of all tenants; the name of the figure changed with 3.0."""
        text = expect(200, handle.endpoint("http"), "/metrics", headers=self.authorization(handle)).text
        live = sum(total(text, f"tempo_{part}_live_traces") for part in ("live_store", "ingester"))
        return (Reading("live traces", live),)

    def client(self, handle: Handle) -> ServiceSession:
        """A session for the query API, of one tenant when the credentials name it."""
        session = ServiceSession(handle.endpoint("http"))
        session.headers.update(self.authorization(handle))
        return session

    def open_namespace(self, handle: Handle, name: str) -> dict[str, str]:
        """Resource attributes to put on every span of the test, and to search by. Traces cannot be deleted."""
        del handle
        return {"test.namespace": name}

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Nothing: Tempo has no deletion; retention removes the blocks."""


def one_span(trace: str, service: str = "harness-ready") -> dict[str, object]:
    """An OTLP/JSON request with one finished span. Source: OTLP 1.7, "JSON Protobuf Encoding"."""
    now = time.time_ns()
    span = {
        "traceId": trace,
        "spanId": secrets.token_hex(8),
        "name": "ready",
        "kind": 1,
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


def _translated(word: str, place: Place) -> str:
    name, equals, value = word.partition("=")
    return f"{name}={place.host_path(value)}" if equals else place.host_path(word)
