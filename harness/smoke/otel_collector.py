"""The Collector: one trace, marked with the run. What goes through it lies elsewhere."""

from __future__ import annotations

import re
from typing import ClassVar

from harness.ports import Handle
from harness.smoke.base import Probe, allowed, call, fields, granted, mismatch
from harness.smoke.tempo import no_span


class CollectorProbe(Probe):
    """Needs what its receivers' authenticator wants. Each of its ports is asked where the target file has it."""

    kind: ClassVar[str] = "otel_collector"
    what_it_writes: ClassVar[str] = "one trace of one span with the attribute smoke.run, to where its pipelines lead"

    def identify(self, handle: Handle) -> str:
        """Its health, the receiver's own refusal of a GET, and the version that its own metrics carry."""
        if "health" in handle.endpoints:
            answer = call(handle, "/", port="health", login=False)
            fields(answer, handle, handle.endpoint("health"), "status", "upSince")
        if "otlp_http" in handle.endpoints:
            _receives(handle)
        if "metrics" not in handle.endpoints:
            return ""
        told = re.search(r'service_version="([^"]+)"', granted(handle, "/metrics", port="metrics").text)
        if not told:
            raise mismatch(handle.endpoint("metrics"), self.kind, "metrics without service_version")
        return told.group(1)

    def permitted(self, handle: Handle, identity: str) -> None:
        """A request without a span."""
        del identity
        no_span(handle)


def _receives(handle: Handle) -> None:
    endpoint = handle.endpoint("otlp_http")
    answer = allowed(call(handle, "/v1/traces", port="otlp_http"), handle, endpoint, "GET /v1/traces")
    if answer.status != 405 or "supported: [POST]" not in answer.text:
        raise mismatch(endpoint, "an OTLP receiver", f"HTTP {answer.status} {answer.text.strip()}")
