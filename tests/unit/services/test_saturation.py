"""How full a service is, read from its own account."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model import Reading
from harness.services import kind_named
from harness.services.base import Kind
from harness.services.redis import Redis
from tests.unit.rigs.core_rig import Script, StubHandle, scripted

COLLECTOR = """\
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_grpc/tempo"} 1000
otelcol_exporter_queue_capacity{data_type="logs",exporter="otlp_grpc/tempo"} 10
otelcol_exporter_queue_size{data_type="traces",exporter="otlp_grpc/tempo"} 250
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_grpc/tempo"} 10
"""
ARANGO = 'arangodb_scheduler_queue_length{role="SINGLE",shortname="x"} 7\n'
TEMPO = 'tempo_live_store_live_traces{tenant="a"} 2\ntempo_live_store_live_traces{tenant="b"} 3\n'


@pytest.mark.parametrize(
    ("kind", "answers", "expected"),
    [
        (
            "consul",
            {"GET /v1/status/leader": (200, '"h:8300"'), "GET /v1/health/state/critical": (200, [{}, {}])},
            [("leader", "h:8300", 0), ("critical checks", 2, 0)],
        ),
        (
            "consul",
            {"GET /v1/status/leader": (200, '""'), "GET /v1/health/state/critical": (200, [])},
            [("leader", "none", 0), ("critical checks", 0, 0)],
        ),
        (
            "arangodb",
            {"GET /_admin/server/availability": (200, {"mode": "default"}), "GET /_admin/metrics/v2": (200, ARANGO)},
            [("mode", "default", 0), ("queue seconds", 0.0, 0), ("queue length", 7.0, 0)],
        ),
        ("tempo", {"GET /metrics": (200, TEMPO)}, [("live traces", 5.0, 0)]),
        (
            "otel_collector",
            {"GET /metrics": (200, COLLECTOR)},
            [("queue otlp_grpc/tempo traces", 250.0, 1000.0), ("queue otlp_grpc/tempo logs", 10.0, 10.0)],
        ),
        ("grafana", {"GET /api/health": (200, {"database": "ok"})}, [("database", "ok", 0)]),
    ],
)
def test_a_kind_reads_its_own_account(kind: str, answers: Any, expected: list[tuple[str, Any, float]]) -> None:
    with scripted(answers) as script:
        readings = kind_named(kind).saturation(handle(script))
    assert [(one.name, one.value, one.limit) for one in readings] == expected


def handle(script: Script) -> StubHandle:
    return script.handle("http", "metrics", password="pw")


class FakeRedis:
    """A client whose server tells what a test says."""

    def __init__(self, policy: str) -> None:
        self.policy, self.closed = policy, False

    def info(self, section: str) -> dict[str, Any]:
        memory = {"used_memory": 50, "maxmemory": 100, "maxmemory_policy": self.policy}
        return memory if section == "memory" else {"connected_clients": 3, "maxclients": 10}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("policy", "limit"), [("noeviction", 100.0), ("allkeys-lru", 0.0)])
def test_memory_is_a_limit_only_where_nothing_is_evicted(
    monkeypatch: pytest.MonkeyPatch, policy: str, limit: float
) -> None:
    client = FakeRedis(policy)
    monkeypatch.setattr(Redis, "client", lambda self, handle: client)
    readings = kind_named("redis").saturation(StubHandle({}))
    assert readings == (Reading("used memory", 50.0, limit), Reading("connected clients", 3.0, 10.0))
    assert client.closed


def test_a_kind_that_says_nothing_has_no_readings() -> None:
    assert Kind.saturation(kind_named("redis"), StubHandle({})) == ()
