"""Tempo: one trace, marked with the run. Traces cannot be deleted; retention removes them."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from harness.ports import Handle
from harness.probes.poll import NotYet
from harness.services.tempo import one_span
from harness.smoke.base import Probe, allowed, call, fields, granted, mismatch
from harness.smoke.identity import ROOT

SPOKEN_FOR = 300
"""Seconds back from now that the question for the right to search looks at: little to read."""


class TempoProbe(Probe):
    """Needs the tenant, and what a gateway in front of it wants."""

    kind: ClassVar[str] = "tempo"
    what_it_writes: ClassVar[str] = "one trace of one span with the attribute smoke.run; retention removes it"

    def identify(self, handle: Handle) -> str:
        """Only Tempo echoes; the tenant is needed to search."""
        http = handle.endpoint("http")
        echo = allowed(call(handle, "/api/echo"), handle, http, "GET /api/echo")
        if (echo.status, echo.text.strip()) != (200, "echo"):
            raise mismatch(http, self.kind, f"HTTP {echo.status} {echo.text.strip()}")
        about = fields(granted(handle, "/api/status/buildinfo"), handle, http, "version")
        now = int(time.time())
        searched = granted(handle, f"/api/search?limit=1&start={now - SPOKEN_FOR}&end={now}")
        fields(searched, handle, http, "traces")
        return str(about["version"]).removeprefix("v")

    def permitted(self, handle: Handle, identity: str) -> None:
        """A request without a span."""
        del identity
        no_span(handle)


def marked_span(trace: str, identity: str) -> dict[str, Any]:
    """An OTLP/JSON request with one span of a trace, whose resource says which smoke run sent it."""
    request: dict[str, Any] = one_span(trace, "harness-smoke")
    mark = {"key": "smoke.run", "value": {"stringValue": f"{ROOT}/{identity}"}}
    request["resourceSpans"][0]["resource"]["attributes"].append(mark)
    return request


def arrived(handle: Handle, trace: str, identity: str) -> None:
    """Whether a trace of a smoke run can be read. Raises NotYet; Tempo answers 200 for a trace that it has not, too."""
    answer = granted(handle, f"/api/v2/traces/{trace}")
    if answer.status != 200 or identity not in answer.text:
        raise NotYet(f"HTTP {answer.status} {answer.text.strip()[:160]}")


def no_span(handle: Handle) -> None:
    """Ask an OTLP receiver to take nothing at all. Raises TargetError when it refuses."""
    if "otlp_http" not in handle.endpoints:
        return
    answer = granted(handle, "/v1/traces", "POST", port="otlp_http", body={"resourceSpans": []})
    if answer.status != 200:
        raise mismatch(handle.endpoint("otlp_http"), "an OTLP receiver", f"HTTP {answer.status} {answer.text.strip()}")
