"""The emulator as a process, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.emulators.grafana.grafana_rig import Server, eventually, fires, make, running, serving

FAST_ALERTS = {
    "GF_FEATURE_TOGGLES_ENABLE": "configurableSchedulerTick",
    "GF_UNIFIED_ALERTING_SCHEDULER_TICK_INTERVAL": "1s",
    "GF_UNIFIED_ALERTING_MIN_INTERVAL": "1s",
}

ADMIN = (b"authorization", b"Basic YWRtaW46YWRtaW4=")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environ = FAST_ALERTS | {"GF_DATAPROXY_TIMEOUT": "1", "GF_SECURITY_DISABLE_BRUTE_FORCE_LOGIN_PROTECTION": "true"}
    with running(tmp_path_factory.mktemp("grafana"), **environ) as one:
        yield one


def bearer(server: Server, role: str) -> dict[str, str]:
    """Headers of a new service account with this role."""
    account = server.call("POST", "/api/serviceaccounts", {"name": f"{role}-{time.monotonic_ns()}", "role": role})
    assert account.status_code == 201
    made = server.call("POST", f"/api/serviceaccounts/{account.json()['id']}/tokens", {"name": "t"})
    assert made.status_code == 200
    return {"Authorization": f"Bearer {made.json()['key']}"}


def anonymous(server: Server, method: str, path: str, **extra: Any) -> requests.Response:
    return requests.request(method, server.url + path, timeout=5, allow_redirects=False, **extra)


def test_health_is_pretty_and_open(server: Server) -> None:
    answer = anonymous(server, "GET", "/api/health")
    assert answer.text.startswith('{\n  "database": "ok",\n  "version": "13.2.3+emu"')
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert (answer.headers["X-Frame-Options"], answer.headers["Cache-Control"]) == ("deny", "no-store")
    head = anonymous(server, "HEAD", "/api/health")
    assert (head.status_code, head.content) == (200, b"")
    assert anonymous(server, "GET", "/healthz").text == "Ok"


def test_errors_without_and_with_bad_credentials(server: Server) -> None:
    answer = anonymous(server, "GET", "/api/org")
    expected = {
        "extra": None,
        "message": "Unauthorized",
        "messageId": "auth.unauthorized",
        "statusCode": 401,
        "traceID": "",
    }
    assert (answer.status_code, answer.json()) == (401, expected)
    for headers, message_id in (
        ({"Authorization": "Bearer glsa_x"}, "api-key.invalid"),
        ({"Authorization": "Basic !"}, "basic-auth.invalid-header"),
        ({"Authorization": "Basic YWRtaW46eA=="}, "password-auth.failed"),
    ):
        answer = anonymous(server, "GET", "/api/org", headers=headers)
        assert (answer.status_code, answer.json()["messageId"]) == (401, message_id)


def test_roles(server: Server) -> None:
    viewer, editor = bearer(server, "Viewer"), bearer(server, "Editor")
    folder = {"uid": "roles", "title": "Roles"}
    refused = anonymous(server, "POST", "/api/folders", headers=viewer, json=folder)
    assert refused.status_code == 403
    assert refused.json()["message"].endswith("Permissions needed: folders:create")
    assert refused.json()["accessErrorId"].startswith("ACE")
    assert anonymous(server, "POST", "/api/folders", headers=editor, json=folder).status_code == 200
    assert anonymous(server, "GET", "/api/folders/absent", headers=viewer).status_code == 403
    assert server.call("GET", "/api/folders/absent").status_code == 404
    assert anonymous(server, "POST", "/api/datasources", headers=editor, json={}).status_code == 403
    assert (
        anonymous(
            server, "POST", "/api/admin/provisioning/dashboards/reload", headers=bearer(server, "Admin")
        ).status_code
        == 403
    )
    assert server.call("POST", "/api/admin/provisioning/dashboards/reload").json() == {
        "message": "Dashboards config reloaded"
    }
    assert anonymous(server, "GET", "/api/v1/provisioning/alert-rules", headers=viewer).status_code == 403


def test_login_cookie_and_foreign_origin(server: Server) -> None:
    session = requests.Session()
    session.trust_env = False
    answer = session.post(server.url + "/login", json={"user": "admin", "password": "secret"}, timeout=5)
    assert answer.json() == {"message": "Logged in", "redirectUrl": "/"}
    assert set(session.cookies.keys()) == {"grafana_session", "grafana_session_expiry"}
    assert session.get(server.url + "/api/user", timeout=5).json()["login"] == "admin"
    body = {"title": "x"}
    foreign = session.post(server.url + "/api/folders", json=body, headers={"Origin": "http://evil"}, timeout=5)
    assert (foreign.status_code, foreign.json()["message"]) == (403, "origin not allowed")
    assert (
        session.post(server.url + "/api/folders", json=body, headers={"Origin": server.url}, timeout=5).status_code
        == 200
    )
    session.get(server.url + "/logout", timeout=5, allow_redirects=False)
    assert session.get(server.url + "/api/user", timeout=5).status_code == 401


def test_pages_and_what_is_missing(server: Server) -> None:
    page = anonymous(server, "GET", "/d/x/y")
    assert (page.status_code, page.headers["Location"]) == (302, "/login")
    assert "not emulated" in server.call("GET", "/d/x/y").json()["message"]
    assert server.call("GET", "/api/nonsense").json() == {"message": "Not found"}
    assert server.call("POST", "/api/snapshots", {}).status_code == 501
    assert server.call("GET", "/api/dashboard/snapshots").status_code == 501
    for gone in ("/api/datasources/1", "/api/datasources/proxy/1/x"):  # by number: no longer in Grafana 13
        assert server.call("GET", gone).json() == {"message": "Not found"}
    assert server.call("GET", "/apis/dashboard.grafana.app/v1/namespaces/default/dashboards").status_code == 501
    assert anonymous(server, "GET", "/api/teams").status_code == 401


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"\xff"])
def test_malformed_bodies(server: Server, body: bytes) -> None:
    answer = server.session.post(server.url + "/api/dashboards/db", data=body, timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (400, "bad request data")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/annotations", {"text": "x", "tags": 5}),
        ("/api/dashboards/db", {"dashboard": {"title": "x", "tags": 5}}),
        ("/api/datasources", {"name": "x", "type": "tempo", "jsonData": 5}),
        ("/api/ds/query", {"queries": [5]}),
        ("/api/ds/query", {"queries": [{"datasource": {"uid": "x"}, "intervalMs": "often"}]}),
        ("/api/v1/provisioning/alert-rules", {"title": "x", "data": 5}),
    ],
)
def test_values_of_the_wrong_type(server: Server, path: str, body: dict[str, Any]) -> None:
    assert server.call("POST", path, body).status_code == 400
    assert server.call("GET", "/api/search").status_code == 200


def test_malformed_numbers_and_big_bodies(server: Server) -> None:
    assert server.call("DELETE", "/api/admin/users/abc").status_code == 400
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert b"400" in sock.recv(100)
    big = requests.post(server.url + "/login", data=b"x" * (26 * 1024 * 1024), timeout=10)
    assert big.status_code == 413
    assert server.call("GET", "/api/health").status_code == 200


def test_there_is_one_organization(server: Server) -> None:
    assert server.call("GET", "/api/org", headers={"X-Grafana-Org-Id": "1"}).json()["name"] == "Main Org."
    other = server.call("GET", "/api/org", headers={"X-Grafana-Org-Id": "2"})
    assert (other.status_code, "not emulated" in other.json()["message"]) == (501, True)
    assert server.call("GET", "/api/user/orgs").json() == [{"orgId": 1, "name": "Main Org.", "role": "Admin"}]
    assert server.call("POST", "/api/user/using/1").json() == {"message": "Active organization changed"}
    away = server.call("POST", "/api/user/using/2")
    assert (away.status_code, away.json()) == (401, {"message": "Not a valid organization"})
    assert server.call("POST", "/api/orgs", {"name": "Second"}).json()["message"] == "not emulated: POST /api/orgs"


def test_a_fault_of_the_program_is_an_answer_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    world = make()
    world.site.store.close()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"method": "GET", "raw_path": b"/api/frontend/settings", "query_string": b"", "headers": [ADMIN]}
    asyncio.run(world.app(scope, receive, send))
    assert (sent[0]["status"], b"Internal Server Error" in sent[1]["body"]) == (500, True)
    assert "ProgrammingError" in caplog.text


def test_dashboard_round_trip(server: Server) -> None:
    saved = server.call(
        "POST", "/api/dashboards/db", {"dashboard": {"uid": "rt", "title": "Round Trip", "tags": ["rt"]}}
    )
    assert saved.json()["url"] == "/d/rt/round-trip"
    stale = server.call("POST", "/api/dashboards/db", {"dashboard": {"uid": "rt", "title": "X", "version": 5}})
    assert (stale.status_code, stale.json()["status"]) == (412, "version-mismatch")
    assert [hit["uid"] for hit in server.call("GET", "/api/search?tag=rt").json()] == ["rt"]
    assert len(server.call("GET", "/api/dashboards/uid/rt/versions").json()["versions"]) == 1
    assert server.call("DELETE", "/api/dashboards/uid/rt").json()["message"] == "Dashboard Round Trip deleted"
    assert server.call("GET", "/api/dashboards/uid/rt").json()["message"] == "Dashboard not found"


def test_proxy_passes_through_and_fails_as_grafana(server: Server) -> None:
    source = {"name": "Up", "uid": "up", "type": "tempo", "access": "proxy"}
    with serving() as tempo:
        secret = {
            "basicAuth": True,
            "basicAuthUser": "u",
            "secureJsonData": {"basicAuthPassword": "p", "httpHeaderValue1": "t"},
        }
        server.call(
            "POST", "/api/datasources", source | {"url": tempo.url, "jsonData": {"httpHeaderName1": "X-Scope"}} | secret
        )
        tempo.answers["/api/echo"] = (200, "text/plain", b"echo")
        answer = server.call("GET", "/api/datasources/proxy/uid/up/api/echo?a=1&a=2")
        assert (answer.status_code, answer.text, "Set-Cookie" in answer.headers) == (200, "echo", False)
        method, path, headers, _ = tempo.calls[-1]
        assert (method, path, headers["authorization"], headers["x-scope"]) == (
            "GET",
            "/api/echo?a=1&a=2",
            "Basic dTpw",
            "t",
        )
        server.call("POST", "/api/datasources/proxy/uid/up/x", {"k": 1})
        assert tempo.calls[-1][3] == b'{"k": 1}'
        assert server.call("GET", "/api/datasources/proxy/uid/up/absent").status_code == 404
        assert server.call("GET", "/api/datasources/uid/up/health").json() == {
            "status": "OK",
            "message": "Data source is working",
        }
        tempo.answers["/api/v2/search/tags"] = (200, "application/json", b'{"scopes":[]}')
        assert server.call("GET", "/api/datasources/uid/up/resources/tags").json() == {"scopes": []}
        missing = server.call("GET", "/api/datasources/uid/up/resources/tag-values")
        assert (missing.status_code, missing.text) == (400, "Missing required 'tag' parameter")
        tempo.delay = 1.4
        slow = server.call("GET", "/api/datasources/proxy/uid/up/api/echo")
        assert (slow.status_code, slow.content) == (504, b"")
    down = server.call("GET", "/api/datasources/proxy/uid/up/api/echo")
    assert (down.status_code, down.content) == (502, b"")
    unhealthy = server.call("GET", "/api/datasources/uid/up/health")
    assert (unhealthy.status_code, unhealthy.json()["status"]) == (400, "ERROR")
    assert server.call("GET", "/api/datasources/uid/up/resources/tags").text == "Failed to connect to Tempo"
    assert server.call("GET", "/api/datasources/proxy/uid/absent/x").json() == {"message": "Data source not found"}


def test_query_over_the_wire(server: Server) -> None:
    server.call("POST", "/api/datasources", {"name": "TD", "uid": "td", "type": "grafana-testdata-datasource"})
    query = {"refId": "A", "datasource": {"uid": "td"}, "scenarioId": "csv_content", "csvContent": "a,b\n1,x"}
    answer = server.call("POST", "/api/ds/query", {"queries": [query], "from": "now-1h", "to": "now"})
    assert answer.json()["results"]["A"]["frames"][0]["data"]["values"] == [[1], ["x"]]
    assert server.call("POST", "/api/ds/query", {"queries": []}).json()["messageId"] == "query.noQueries"
    assert server.call("GET", "/api/datasources/uid/td/health").json()["status"] == "OK"


def test_an_alert_is_sent_and_resolved_in_real_time(server: Server) -> None:
    with serving() as receiver:
        receiver.answers["/alert"] = (200, "text/plain", b"ok")
        api = "/api/v1/provisioning"
        point = {
            "uid": "hook",
            "name": "hook",
            "type": "webhook",
            "settings": {"url": receiver.url + "/alert", "username": "u", "password": "p"},
        }
        assert server.call("POST", f"{api}/contact-points", point).status_code == 202
        policy = {
            "receiver": "hook",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        }
        assert server.call("PUT", f"{api}/policies", policy).status_code == 202
        server.call("POST", "/api/folders", {"uid": "f", "title": "Tests"})
        group = {"title": "g", "folderUid": "f", "interval": 1, "rules": [fires(**{"for": "1s"})]}
        assert server.call("PUT", f"{api}/folder/f/rule-groups/g", group).status_code == 200

        def state() -> Any:
            groups = server.call("GET", "/api/prometheus/grafana/api/v1/rules").json()["data"]["groups"]
            return groups[0]["rules"][0]["state"]

        eventually(lambda: state() == "pending", 3)
        assert receiver.calls == []
        eventually(lambda: state() == "firing", 4)
        eventually(lambda: receiver.calls, 2)
        method, _, headers, _ = receiver.calls[0]
        assert (method, headers["content-type"], headers["user-agent"], headers["authorization"]) == (
            "POST", "application/json", "Grafana", "Basic dTpw",
        )  # fmt: skip
        assert receiver.payloads()[0]["status"] == "firing"
        assert server.call("GET", "/api/alertmanager/grafana/api/v2/alerts").json()[0]["status"]["state"] == "active"
        assert server.call("DELETE", f"{api}/alert-rules/always").status_code == 204
        eventually(lambda: len(receiver.calls) > 1, 4)
        assert receiver.payloads()[-1]["status"] == "resolved"
        text = server.call("GET", "/metrics").text
        assert re.search(r'^grafana_build_info\{.*version="13\.2\.3\+emu"\} 1$', text, re.MULTILINE)
        assert "grafana_alerting_rule_evaluations_total" in text


def test_what_was_written_survives_kill_and_stop(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        key = bearer(server, "Viewer")
        for path, body in (
            ("/api/folders", {"uid": "f", "title": "F"}),
            ("/api/dashboards/db", {"dashboard": {"uid": "b", "title": "B"}, "folderUid": "f"}),
            ("/api/v1/provisioning/alert-rules", fires()),
            ("/api/annotations", {"text": "mark", "time": 5}),
        ):
            assert server.call("POST", path, body).ok
        assert server.stop(kill=True) == -9
        for how in ("after a kill", "after a stop"):
            server.start()
            assert server.call("GET", "/api/dashboards/uid/b").json()["meta"]["version"] == 1, how
            assert server.call("GET", "/api/v1/provisioning/alert-rules/always").status_code == 200
            assert server.call("GET", "/api/annotations").json()[0]["text"] == "mark"
            assert anonymous(server, "GET", "/api/org", headers=key).status_code == 200
            started = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - started < 3


def test_broken_provisioning_exits_with_one(tmp_path: Path) -> None:
    folder = tmp_path / "provisioning" / "datasources"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(
        json.dumps({"datasources": [{"name": n, "type": "tempo", "isDefault": True} for n in "ab"]})
    )
    server = Server(tmp_path / "data", {"GF_PATHS_PROVISIONING": str(tmp_path / "provisioning")})
    with pytest.raises(AssertionError, match="Only one datasource per organization can be marked as default"):
        server.start()
    assert server.process
    assert server.stop(kill=True) == 1


def test_anonymous_viewer_and_dashboard_polling(tmp_path: Path) -> None:
    (tmp_path / "provisioning" / "dashboards").mkdir(parents=True)
    (tmp_path / "json").mkdir()
    provider = {"name": "p", "updateIntervalSeconds": 0.1, "options": {"path": str(tmp_path / "json")}}
    (tmp_path / "provisioning" / "dashboards" / "p.yaml").write_text(json.dumps({"providers": [provider]}))
    environ = {"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_PATHS_PROVISIONING": str(tmp_path / "provisioning")}
    with running(tmp_path / "data", **environ) as server:
        assert anonymous(server, "GET", "/api/search").json() == []
        (tmp_path / "json" / "x.json").write_text('{"uid":"x","title":"X"}')
        eventually(lambda: anonymous(server, "GET", "/api/dashboards/uid/x").status_code == 200, 3)
        assert anonymous(server, "POST", "/api/folders", json={"title": "x"}).status_code == 403
