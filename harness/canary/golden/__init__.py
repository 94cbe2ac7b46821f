"""Fixed data, fixed queries: what a version must keep of its predecessor's data, and answer alike. A file per kind."""

from __future__ import annotations

from harness.canary.golden.arangodb import ArangoDB
from harness.canary.golden.base import Golden
from harness.canary.golden.consul import Consul
from harness.canary.golden.grafana import Grafana
from harness.canary.golden.redis import Redis
from harness.canary.golden.tempo import Tempo

GOLDEN: tuple[Golden, ...] = (Consul(), Redis(), ArangoDB(), Tempo(), Grafana())
"""The Collector is not among them: what it holds is under way, and nothing of it is asked for later."""


def golden_of(kind: str) -> Golden | None:
    """The golden data of a kind; None for one that keeps none."""
    return next((one for one in GOLDEN if one.kind == kind), None)
