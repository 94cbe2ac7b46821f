"""Readiness is a real write and read: each step that goes wrong is "not yet", with what was seen."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from harness.errors import ClientError
from harness.model import Endpoint
from harness.probes.poll import NotYet
from harness.services import kind_named
from harness.services.consul_client import blocking_seconds
from harness.services.http_session import IsolatedSession, ServiceSession
from harness.services.otel_client import CollectorClient
from harness.services.otel_collector import accepted_spans
from tests.unit.rigs.core_rig import Answer, Script, scripted
from tests.unit.rigs.http_rig import Seen


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def stored(script: Script) -> Answer:
    """Consul's answer for a key: the value that was put."""

    def answer(request: Seen) -> tuple[int, Any]:
        put = [seen.body for seen in script.seen if seen.method == "PUT"]
        return 200, [{"Value": base64.b64encode(put[-1]).decode()}]

    return answer


def consul_answers(script: Script) -> dict[str, Answer]:
    return {
        "GET /v1/status/leader": (200, '"127.0.0.1:8300"'),
        "PUT /v1/kv/*": (200, True),
        "GET /v1/kv/*": stored(script),
        "DELETE /v1/kv/*": (200, True),
        "GET /v1/catalog/service/consul": (200, [{}]),
        "GET /v1/agent/self": (200, {"Config": {"Version": "1.22.0"}}),
    }


def grafana_answers(script: Script) -> dict[str, Answer]:
    return {
        "GET /api/health": (200, {"database": "ok", "version": "13.2.3"}),
        "POST /api/folders": (200, {}),
        "GET /api/folders/*": lambda request: (200, {"title": request.path.rpartition("/")[2]}),
        "DELETE /api/folders/*": (200, {}),
    }


def arango_answers(script: Script) -> dict[str, Answer]:
    return {
        "GET /_admin/server/availability": (200, {}),
        "POST /_api/collection": (200, {}),
        "POST /_api/document/*": (202, {}),
        "GET /_api/document/*": (200, {"ready": True}),
        "DELETE /_api/collection/*": (200, {}),
        "GET /_api/version": (200, {"version": "3.12.10"}),
    }


def tempo_answers(script: Script) -> dict[str, Answer]:
    return {
        "GET /ready": (200, "ready"),
        "POST /v1/traces": (200, {}),
        "GET /api/v2/traces/*": (200, {}),
        "GET /api/status/buildinfo": (200, {"version": "v3.0.3"}),
    }


def collector_answers(script: Script) -> dict[str, Answer]:
    def metrics(request: Seen) -> tuple[int, Any]:
        sent = sum(seen.method == "POST" for seen in script.seen)
        return 200, (
            f'otelcol_receiver_accepted_spans_total{{transport="http"}} {sent}\n'
            'otelcol_receiver_accepted_spans_total{transport="grpc"} 5\n'
            'target_info{service_version="0.159.0"} 1\n'
        )

    return {"GET /": (200, "ok"), "POST /v1/traces": (200, {}), "GET /metrics": metrics}


KINDS: dict[str, Any] = {
    "consul": (consul_answers, "1.22.0", ("http",)),
    "grafana": (grafana_answers, "13.2.3", ("http",)),
    "arangodb": (arango_answers, "3.12.10", ("http",)),
    "tempo": (tempo_answers, "3.0.3", ("http", "otlp_http")),
    "otel_collector": (collector_answers, "0.159.0", ("otlp_http", "health", "metrics")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_working_service_is_ready_and_tells_its_version(script: Script, kind: str) -> None:
    answers, version, ports = KINDS[kind]
    script.answers = answers(script)
    assert kind_named(kind).ready(script.handle(*ports, password="pw")) == version
    made = [request for request in script.asked() if request.startswith(("PUT /v1/kv", "POST /api/f", "POST /_api/c"))]
    removed = [request for request in script.asked() if request.startswith("DELETE")]
    assert len(removed) == len(made), "what was written to see is removed"


@pytest.mark.parametrize(
    ("kind", "request_line", "answer", "told"),
    [
        ("consul", "GET /v1/status/leader", (200, ""), "expected JSON"),
        ("consul", "GET /v1/status/leader", (200, '""'), "no leader yet"),
        ("consul", "GET /v1/kv/*", (200, [{"Value": ""}]), "read back different"),
        ("consul", "PUT /v1/kv/*", (500, "rpc error"), "PUT /v1/kv/harness/ready/"),
        ("consul", "GET /v1/catalog/service/consul", (200, []), "not in its own catalog yet"),
        ("grafana", "GET /api/health", (200, {"database": "failing"}), "database 'failing'"),
        ("grafana", "GET /api/folders/*", (200, {"title": "other"}), "read back different"),
        ("arangodb", "GET /_api/document/*", (200, {"ready": False}), "read back different"),
        ("arangodb", "GET /_admin/server/availability", (503, ""), "HTTP 503"),
        ("tempo", "GET /api/v2/traces/*", (404, ""), "HTTP 404"),
        ("otel_collector", "POST /v1/traces", (503, "full"), "HTTP 503 full"),
        ("otel_collector", "GET /", (503, "unavailable"), "HTTP 503 unavailable"),
        ("otel_collector", "GET /metrics", (200, "otelcol_receiver_accepted_spans{a=\"b\"} 1\n"), "and not counted"),
    ],
)  # fmt: skip
def test_what_does_not_work_yet_is_said(
    script: Script, kind: str, request_line: str, answer: Answer, told: str
) -> None:
    answers, _, ports = KINDS[kind]
    script.answers = {**answers(script), request_line: answer}
    with pytest.raises(NotYet, match=told):
        kind_named(kind).ready(script.handle(*ports, password="pw"))


def test_a_collector_without_a_version_falls_back_to_the_pin(script: Script) -> None:
    lines = iter(["1", "2", "2"])
    script.answers = {
        "GET /": (200, ""), "POST /v1/traces": (200, {}),
        "GET /metrics": lambda request: (200, f"otelcol_receiver_accepted_spans{{}} {next(lines)}\n"),
    }  # fmt: skip
    assert kind_named("otel_collector").ready(script.handle("otlp_http", "health", "metrics")) == "1.0"


def test_a_collector_built_without_a_health_check_is_judged_by_what_it_takes(script: Script) -> None:
    """The extension is a contrib part: a core build that counts what it is sent works."""
    script.answers = collector_answers(script)
    handle = script.handle("otlp_http", "health", "metrics")
    nobody = {**handle.endpoints, "health": Endpoint("health", "127.0.0.1", 1, "http")}
    assert kind_named("otel_collector").ready(replace(handle, endpoints=nobody)) == "0.159.0"


def test_accepted_spans_of_all_transports_add_up(script: Script) -> None:
    script.answers = collector_answers(script)
    assert accepted_spans(script.handle("metrics")) == 5


# -- namespaces ----------------------------------------------------------------------------------------------------


def test_consuls_corner_is_a_prefix(script: Script) -> None:
    consul, handle = kind_named("consul"), script.handle("http")
    assert consul.open_namespace(handle, "t-1") == "t-1/"
    services = {"x": {"Service": "t-1-web"}, "y": {"Service": "other"}}
    script.answers = {
        "DELETE /v1/kv/*": (200, True),
        "GET /v1/agent/services": (200, services),
        "PUT /v1/agent/*": (200, ""),
    }
    consul.close_namespace(handle, "t-1")
    assert script.asked() == [
        "DELETE /v1/kv/t-1/?recurse", "GET /v1/agent/services", "PUT /v1/agent/service/deregister/x",
    ]  # fmt: skip


def test_grafanas_corner_is_a_folder(script: Script) -> None:
    grafana, handle = kind_named("grafana"), script.handle("http", password="pw")
    script.answers = {"POST /api/folders": (200, {}), "DELETE /api/folders/t-1": (404, {})}
    assert grafana.open_namespace(handle, "t-1") == "t-1"
    assert json.loads(script.seen[0].body) == {"uid": "t-1", "title": "t-1"}
    grafana.close_namespace(handle, "t-1")
    script.answers["DELETE /api/folders/t-1"] = (500, {})
    with pytest.raises(requests.HTTPError, match="500"):
        grafana.close_namespace(handle, "t-1")


def test_arangos_corner_is_a_database_and_its_client_can_be_closed(script: Script) -> None:
    arango, handle = kind_named("arangodb"), script.handle("http", password="pw")
    script.answers = {
        "GET /_db/_system/_api/database": (200, {"result": ["_system"], "error": False, "code": 200}),
        "POST /_db/_system/_api/database": (201, {"result": True, "error": False, "code": 201}),
        "DELETE /_db/_system/_api/database/t-1": (
            404,
            {"error": True, "code": 404, "errorNum": 1228, "errorMessage": "no"},
        ),
    }
    database = arango.open_namespace(handle, "t-1")
    assert database.name == "t-1"
    arango.close_namespace(handle, "t-1")
    assert [request.partition("?")[0] for request in script.asked()] == list(script.answers)
    arango.close_client(database)


@pytest.mark.parametrize("kind", ["tempo", "otel_collector"])
def test_telemetrys_corner_is_an_attribute(script: Script, kind: str) -> None:
    handle = script.handle("http")
    assert kind_named(kind).open_namespace(handle, "t-1") == {"test.namespace": "t-1"}
    kind_named(kind).close_namespace(handle, "t-1")
    assert script.seen == []


# -- clients ----------------------------------------------------------------------------------------------------------


def test_a_session_is_bound_to_its_service_and_to_time(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    script.answers = {"GET /a": (200, {"x": 1})}
    client = kind_named("tempo").client(script.handle("http"))
    with client:
        assert client.get("/a").json() == {"x": 1}
        assert client.request("GET", b"/a").status_code == 200
        assert client.get(f"{script.endpoint.url}/a", timeout=1).ok
    kind_named("tempo").close_client(client)
    kind_named("tempo").close_client(object())
    assert ServiceSession(Endpoint("g", "h", 9, "grpc")).base == "http://h:9"


def test_no_call_is_without_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(requests.Session, "request", lambda self, method, url, **more: seen.append(more["timeout"]))
    session = IsolatedSession(3)
    session.request("GET", "http://x")
    session.request("GET", "http://x", timeout=None)
    session.request("GET", "http://x", timeout=9)
    assert seen == [3, 3, 9]
    assert session.get_adapter("http://x").max_retries.total == 0  # type: ignore[attr-defined]
    session.close()


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        ("http://h/v1/kv/a", 0),
        ("http://h/v1/kv/a?index=5", 0),
        ("http://h/v1/kv/a?wait=10s", 0),
        ("http://h/v1/kv/a?index=5&wait=16s", 17),
        ("http://h/v1/kv/a?index=5&wait=1m", 63.75),
    ],
)
def test_a_blocking_query_may_take_its_wait_and_a_little_more(url: str, seconds: float) -> None:
    assert blocking_seconds(url) == seconds


def test_consuls_client_goes_through_our_session(script: Script) -> None:
    kind = kind_named("consul")
    script.answers = {"GET /v1/status/leader": (200, '"127.0.0.1:8300"')}
    client = kind.client(script.handle("http", token="t0ken"))
    assert client.status.leader() == "127.0.0.1:8300"
    assert client.http.session.trust_env is False
    assert client.token == "t0ken"
    kind.close_client(client)


def test_a_lost_span_or_metric_raises_though_the_sdk_says_all_is_well(script: Script) -> None:
    script.answers = {"POST /v1/traces": (400, {})}
    names = ("otlp_http", "otlp_grpc", "health", "metrics", "prometheus")
    client = kind_named("otel_collector").client(script.handle(*names))
    assert isinstance(client, CollectorClient)
    sdk = client.sdk("me", {"a": "b"}, protocol="http")
    assert sdk.flush_spans() == 0
    with sdk.tracer.start_as_current_span("x"):
        pass
    with pytest.raises(ClientError, match="1 spans were lost on the way to the Collector, 0 arrived"):
        sdk.flush_spans()
    client.close()
