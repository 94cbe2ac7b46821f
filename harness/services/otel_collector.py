"""The OpenTelemetry Collector: receives OTLP, forwards traces, turns spans into metrics."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, ClassVar

from harness.model import Port, Reading
from harness.ports import Handle
from harness.probes.exposition import samples, total
from harness.probes.http import ask, expect
from harness.probes.poll import NotYet
from harness.services.base import ImageFacts, Kind, Launch, Place, take_flags
from harness.services.tempo import one_span

if TYPE_CHECKING:
    from harness.services.otel_client import CollectorClient


class OtelCollector(Kind):
    """The contrib distribution, for its span metrics, file storage and health check."""

    name: ClassVar[str] = "otel_collector"
    fixture: ClassVar[str] = "otel_collector"
    images: ClassVar[tuple[str, ...]] = ("otel/opentelemetry-collector-contrib", "otel/opentelemetry-collector")
    programs: ClassVar[tuple[str, ...]] = ("otelcol-contrib", "otelcol")
    ports: ClassVar[tuple[Port, ...]] = (
        Port("otlp_http", 4318, "http"),
        Port("otlp_grpc", 4317, "grpc"),
        Port("health", 13133, "http"),
        Port("metrics", 8888, "http"),
        Port("prometheus", 8889, "http"),
    )
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="10001",
        has_shell=False,
        writable=(),
        entrypoint=("/otelcol-contrib",),
        licence="Apache-2.0",
        source="https://github.com/open-telemetry/opentelemetry-collector-releases",
    )

    def read_version(self, printed: str) -> str:
        """`otelcol-contrib version 0.159.0`."""
        match = re.search(r"version v?(\d+\.\d+\.\d+\S*)", printed)
        return match.group(1) if match else ""

    def launch(self, place: Place) -> Launch:
        """The configuration's path on this machine; addresses through the environment that it interpolates."""
        words = take_flags(self.name, place.service, {"--config": 1})
        translated = [
            "--config=" + place.host_path(word.partition("=")[2]) if "=" in word else place.host_path(word)
            for word in words
        ]
        return Launch(
            tuple(translated),
            {
                "OTELCOL_OTLP_GRPC_LISTEN": place.endpoints["otlp_grpc"].address,
                "OTELCOL_OTLP_HTTP_LISTEN": place.endpoints["otlp_http"].address,
                "OTELCOL_HEALTH_LISTEN": place.endpoints["health"].address,
                "OTELCOL_PROMETHEUS_LISTEN": place.endpoints["prometheus"].address,
                "OTELCOL_METRICS_HOST": "127.0.0.1",
                "OTELCOL_METRICS_PORT": place.port("metrics"),
                "OTELCOL_DATA": str(place.data),
            },
        )

    def ready(self, handle: Handle) -> str:
        """A span that was sent is counted as accepted by its metrics, and its health check agrees, if it has one."""
        before = accepted_spans(handle)
        span, login = one_span(secrets.token_hex(16)), self.authorization(handle)
        expect(200, handle.endpoint("otlp_http"), "/v1/traces", "POST", body=span, headers=login)
        if accepted_spans(handle) <= before:
            raise NotYet("a span was acknowledged and not counted")
        if has_health_check(handle):
            expect(200, handle.endpoint("health"), "/")
        text = expect(200, handle.endpoint("metrics"), "/metrics").text
        match = re.search(r'service_version="([^"]+)"', text)
        return match.group(1) if match else handle.fidelity.pin

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """The fill of each exporter's queue for each signal."""
        text = expect(200, handle.endpoint("metrics"), "/metrics").text
        return tuple(
            Reading(
                " ".join(filter(None, ("queue", one.labels.get("exporter"), one.labels.get("data_type")))),
                total(text, "otelcol_exporter_queue_size", **one.labels),
                one.value,
            )
            for one in samples(text, "otelcol_exporter_queue_capacity")
        )

    def client(self, handle: Handle) -> CollectorClient:
        """Sessions for its HTTP ports, and an OpenTelemetry SDK that exports to it and counts what failed."""
        from harness.services.otel_client import CollectorClient

        return CollectorClient(handle, self.authorization(handle))

    def open_namespace(self, handle: Handle, name: str) -> dict[str, str]:
        """Resource attributes to put on everything that the test sends."""
        del handle
        return {"test.namespace": name}

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Nothing: what went through it lies elsewhere."""


def has_health_check(handle: Handle) -> bool:
    """Whether anything answers on the health port: the extension is a contrib part, which a core build lacks."""
    try:
        ask(handle.endpoint("health"), "/")
    except (OSError, NotYet):
        return False
    return True


def accepted_spans(handle: Handle) -> float:
    """How many spans it says its receivers took, over all transports."""
    text = expect(200, handle.endpoint("metrics"), "/metrics").text
    lines = re.findall(r"^otelcol_receiver_accepted_spans(?:_total)?\{[^}]*\} (\S+)", text, re.MULTILINE)
    return sum(float(value) for value in lines)
