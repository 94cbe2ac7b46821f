"""Smoke on a live environment: who answers there, whether we may do what is needed, and leaving nothing behind.

One file per kind of service, one line in `PROBES`. A probe's questions are reads; only `remove` writes, and only below
`smoke/<id>/`. A kind without a probe is asked whether something answers at its addresses, and no more.
"""

from __future__ import annotations

from harness.smoke.arangodb import ArangoDBProbe
from harness.smoke.base import Probe
from harness.smoke.consul import ConsulProbe
from harness.smoke.grafana import GrafanaProbe
from harness.smoke.otel_collector import CollectorProbe
from harness.smoke.redis import RedisProbe
from harness.smoke.tempo import TempoProbe

PROBES: tuple[Probe, ...] = (
    ConsulProbe(),
    RedisProbe(),
    ArangoDBProbe(),
    TempoProbe(),
    CollectorProbe(),
    GrafanaProbe(),
)


def probe_of(kind: str) -> Probe | None:
    """The probe of a kind; None when it has none."""
    return next((probe for probe in PROBES if probe.kind == kind), None)
