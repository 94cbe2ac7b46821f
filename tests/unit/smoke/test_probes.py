"""Each kind's probe: what it takes for an answer of its kind, what it makes of a refusal, and what it removes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.credentials import Secret
from harness.errors import TargetDown, TargetError, TargetExpired, TargetForbidden, TargetMismatch
from harness.services import SERVICES
from harness.services.base import HEADER
from harness.smoke import PROBES, probe_of
from harness.smoke.base import Probe
from harness.smoke.identity import new_id
from tests.unit.rigs.core_rig import Answer, Script, StubHandle, scripted

ID = new_id()
RIGHT = "GET /_api/user/root/database/_system"
HEALTHY: dict[str, dict[str, Answer]] = {
    "consul": {
        "GET /v1/status/leader": (200, '"h:8300"'),
        "GET /v1/agent/self": (200, {"Config": {"Version": "1.22.0"}}),
        "GET /v1/kv/smoke/": (200, [f"smoke/{ID}/", "smoke/notes"]),
        "PUT /v1/kv/smoke/*": (200, "false"),
        "DELETE /v1/kv/smoke/*": (200, True),
        "GET /v1/session/list": (200, [{"Name": f"smoke/{ID}", "ID": "s1"}, {"Name": "other", "ID": "s2"}]),
        "PUT /v1/session/destroy/*": (200, True),
    },
    "arangodb": {
        "GET /_admin/server/availability": (200, {"mode": "default"}),
        RIGHT: (200, {"result": "rw"}),
        "GET /_db/_system/_api/version": (200, {"server": "arango", "version": "3.12.10"}),
        "GET /_db/_system/_api/collection": (200, {"result": [{"name": f"smoke_{ID}"}, {"name": "smoke_notes"}]}),
        "DELETE /_db/_system/_api/collection/*": (200, {}),
    },
    "tempo": {
        "GET /api/echo": (200, "echo"),
        "GET /api/status/buildinfo": (200, {"version": "v3.0.3"}),
        "GET /api/search": (200, {"traces": []}),
        "POST /v1/traces": (200, {"partialSuccess": {}}),
    },
    "otel_collector": {
        "GET /": (200, {"status": "Server available", "upSince": "..."}),
        "GET /v1/traces": (405, "405 method not allowed, supported: [POST]"),
        "GET /metrics": (200, 'otelcol_process_uptime{service_version="0.159.0"} 1'),
        "POST /v1/traces": (200, {"partialSuccess": {}}),
    },
    "grafana": {
        "GET /api/health": (200, {"database": "ok", "version": "13.2.3"}),
        "GET /api/folders": (200, [{"uid": f"smoke-{ID}"}, {"uid": "smoke-notes"}, {"uid": "team"}]),
        "POST /api/folders": (400, {"message": "folder title cannot be empty"}),
        "DELETE /api/folders/*": (200, {}),
    },
}
PORTS = {"otel_collector": ("otlp_http", "health", "metrics"), "tempo": ("http", "otlp_http")}
VERSIONS = {
    "consul": "1.22.0",
    "arangodb": "3.12.10",
    "tempo": "3.0.3",
    "otel_collector": "0.159.0",
    "grafana": "13.2.3",
}


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def handle_of(script: Script, kind: str) -> StubHandle:
    script.answers.update({**HEALTHY[kind], **script.answers})
    ports = script.handle(*PORTS.get(kind, ("http",))).endpoints
    return StubHandle(ports, {"password": Secret("p")}, name=kind, kind=kind)


def probe(kind: str) -> Probe:
    found = probe_of(kind)
    assert found
    return found


def refusal(script: Script, kind: str) -> TargetError:
    with pytest.raises(TargetError) as raised:
        probe(kind).identify(handle_of(script, kind))
    return raised.value


def test_every_kind_of_service_has_a_probe() -> None:
    assert [one.kind for one in PROBES] == [kind.name for kind in SERVICES]
    assert all(one.what_it_writes for one in PROBES)
    assert probe_of("other") is None


@pytest.mark.parametrize("kind", list(HEALTHY))
def test_a_service_tells_its_version_and_is_only_read(script: Script, kind: str) -> None:
    assert probe(kind).identify(handle_of(script, kind)) == VERSIONS[kind]
    assert {seen.method for seen in script.seen} == {"GET"}


@pytest.mark.parametrize("kind", list(HEALTHY))
def test_the_right_to_write_is_asked_by_what_changes_nothing(script: Script, kind: str) -> None:
    probe(kind).permitted(handle_of(script, kind), ID)
    writes = [(seen.method, seen.body) for seen in script.seen if seen.method != "GET"]
    assert writes in ([], [("PUT", b"")], [("POST", b'{"resourceSpans": []}')],
                      [("POST", f'{{"uid": "smoke-{ID}", "title": ""}}'.encode())])  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "answers", "error"),
    [
        ("consul", {"GET /v1/status/leader": (200, '""')}, TargetDown),
        ("consul", {"GET /v1/status/leader": (404, "nothing")}, TargetMismatch),
        ("consul", {"GET /v1/agent/self": (403, "ACL not found")}, TargetExpired),
        ("consul", {"GET /v1/agent/self": (403, "Permission denied")}, TargetForbidden),
        ("consul", {"GET /v1/kv/smoke/": (403, "Permission denied")}, TargetForbidden),
        ("consul", {"GET /v1/agent/self": (502, "bad gateway")}, TargetDown),
        ("arangodb", {"GET /_admin/server/availability": (503, {"mode": "startup"})}, TargetDown),
        ("arangodb", {"GET /_admin/server/availability": (200, {"mode": "maintenance"})}, TargetDown),
        ("arangodb", {"GET /_admin/server/availability": (302, "to the login")}, TargetMismatch),
        ("arangodb", {RIGHT: (401, {"errorNum": 11})}, TargetExpired),
        ("arangodb", {RIGHT: (200, {"result": "none"})}, TargetForbidden),
        ("tempo", {"GET /api/echo": (404, "404 page not found")}, TargetMismatch),
        ("tempo", {"GET /api/echo": (401, "Unauthorized")}, TargetExpired),
        ("tempo", {"GET /api/search": (401, "no org id")}, TargetExpired),
        ("tempo", {"GET /api/search": (403, "not your tenant")}, TargetForbidden),
        ("tempo", {"GET /api/echo": (401, '{"messageId":"auth.unauthorized"}')}, TargetMismatch),
        ("otel_collector", {"GET /": (503, {"status": "Server not available"})}, TargetDown),
        ("otel_collector", {"GET /": (200, "a page")}, TargetMismatch),
        ("otel_collector", {"GET /v1/traces": (401, "Unauthorized")}, TargetExpired),
        ("otel_collector", {"GET /v1/traces": (404, "404 page not found")}, TargetMismatch),
        ("otel_collector", {"GET /metrics": (200, "up 1")}, TargetMismatch),
        ("grafana", {"GET /api/health": (200, {"database": "failing"})}, TargetDown),
        ("grafana", {"GET /api/health": (200, {"status": "ok"})}, TargetMismatch),
        ("grafana", {"GET /api/health": (401, {"errorNum": 11})}, TargetMismatch),
        ("grafana", {"GET /api/folders": (401, {"messageId": "api-key.expired"})}, TargetExpired),
        ("grafana", {"GET /api/folders": (403, {"accessErrorId": "ACE1"})}, TargetForbidden),
        ("grafana", {"GET /api/folders": (200, {"message": "?"})}, TargetMismatch),
    ],
)
def test_what_is_wrong_is_told_by_its_own_error(
    script: Script, kind: str, answers: dict[str, Answer], error: type[TargetError]
) -> None:
    script.answers.update(answers)
    raised = refusal(script, kind)
    assert type(raised) is error, raised
    assert script.endpoint.address in raised.message
    assert raised.next_step


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("consul", {"PUT /v1/kv/smoke/*": (403, "Permission denied")}),
        ("consul", {"PUT /v1/kv/smoke/*": (200, "true")}),
        ("arangodb", {RIGHT: (200, {"result": "ro"})}),
        ("tempo", {"POST /v1/traces": (403, "not your tenant")}),
        ("otel_collector", {"POST /v1/traces": (403, "read only")}),
        ("grafana", {"POST /api/folders": (403, {"accessErrorId": "ACE1"})}),
        ("grafana", {"POST /api/folders": (200, {})}),
    ],
)
def test_a_login_that_may_not_write_is_forbidden(script: Script, kind: str, answers: dict[str, Answer]) -> None:
    script.answers.update(answers)
    with pytest.raises(TargetForbidden):
        probe(kind).permitted(handle_of(script, kind), ID)


def test_what_everybody_may_ask_is_asked_without_a_login(script: Script) -> None:
    """Another service would take it for a bad login, and a refusal would look like an expired one."""
    probe("grafana").identify(handle_of(script, "grafana"))
    assert "authorization" not in script.seen[0].headers
    script.answers["GET /api/health"] = (401, "who?")
    assert isinstance(refusal(script, "grafana"), TargetMismatch)


def test_a_gateway_that_wants_a_header_gets_it(script: Script) -> None:
    """Then a refusal is the gateway's, and the login that it refuses is ours."""
    plain, healthy = handle_of(script, "grafana"), (200, {"database": "ok", "version": "13.2.3"})
    handle = StubHandle(plain.endpoints, {HEADER + "X-Key": Secret("k")}, name="grafana", kind="grafana")
    script.answers["GET /api/health"] = lambda seen: healthy if "x-key" in seen.headers else (401, "who?")
    assert probe("grafana").identify(handle) == "13.2.3"
    script.answers["GET /api/health"] = (401, "who?")
    with pytest.raises(TargetExpired):
        probe("grafana").identify(handle)


@pytest.mark.parametrize("kind", ["consul", "arangodb", "grafana"])
def test_only_names_of_smoke_runs_are_leftovers(script: Script, kind: str) -> None:
    assert probe(kind).leftovers(handle_of(script, kind)) == (ID,)


@pytest.mark.parametrize(
    ("kind", "removed"),
    [
        ("consul", [f"DELETE /v1/kv/smoke/{ID}/?recurse", "PUT /v1/session/destroy/s1"]),
        ("arangodb", [f"DELETE /_db/_system/_api/collection/smoke_{ID}"]),
        ("grafana", [f"DELETE /api/folders/smoke-{ID}?forceDeleteRules=true"]),
        ("tempo", []),
    ],
)
def test_what_a_run_wrote_is_removed_and_nothing_else(script: Script, kind: str, removed: list[str]) -> None:
    probe(kind).remove(handle_of(script, kind), ID)
    assert [asked for asked in script.asked() if not asked.startswith("GET ")] == removed


def test_arangodb_works_in_the_database_of_the_target_file_as_the_user_of_the_token(script: Script) -> None:
    token = Secret("e30.eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJzbW9rZSJ9.sig")  # {"preferred_username":"smoke"}
    handle: Any = Optioned({"http": script.endpoint}, {"token": token}, name="a", kind="arangodb")
    script.answers["GET /_api/user/smoke/database/orders"] = (200, {"result": "rw"})
    probe("arangodb").permitted(handle, ID)
    assert script.asked() == ["GET /_api/user/smoke/database/orders"]


class Optioned(StubHandle):
    """A handle of a target file."""

    options = {"database": "orders"}  # noqa: RUF012
