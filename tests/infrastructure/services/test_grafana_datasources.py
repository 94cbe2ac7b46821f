"""Data sources: from files, by the API, healthy or not, and what the proxy carries.

Documents: HTTP API "Data source"; "Provision Grafana", data sources.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from harness.keeper.client import RemoteStack
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

FILE = Path(__file__).parents[3] / "compose/config/grafana/provisioning/datasources/platform.yaml"
REFUSED = "http://127.0.0.1:1"
"""Where nothing listens, inside a container as well."""
Maker = Callable[..., Any]


@dataclass
class Upstream:
    """A source of the test's own: what it was asked, and what it answers."""

    url: str = ""
    status: int = 200
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    open: Event = field(default_factory=Event)


@pytest.fixture
def upstream(stack: RemoteStack) -> Iterator[Upstream]:
    """An HTTP server that Grafana can reach. It answers while `open` is set."""
    state = Upstream()
    state.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append((self.command, self.path, headers, body))
            state.open.wait(20)
            self.send_response(state.status)
            for name, value in (("X-Upstream", "yes"), ("Set-Cookie", "spy=1"), ("Content-Length", "5")):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *words: object) -> None:
            pass

    with (
        ThreadingHTTPServer((stack.callback_host, 0), Handler) as server,
        stack.called_at(server.server_port) as address,
    ):
        state.url = f"http://{address}"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        state.open.set()
        server.shutdown()


@pytest.fixture
def source(grafana: ServiceSession, namespace: Namespace) -> Iterator[Maker]:
    """Makes a data source named after the namespace, removes it afterwards."""

    def make(url: str = REFUSED, kind: str = "tempo", **more: Any) -> Any:
        body = {"name": namespace.name, "uid": namespace.name, "type": kind, "access": "proxy", "url": url, **more}
        return done(grafana.post("/api/datasources", json=body))["datasource"]

    yield make
    grafana.delete(f"/api/datasources/uid/{namespace.name}")


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json()


def refused(answer: Any) -> tuple[int, str]:
    """Status and message of an answer."""
    return answer.status_code, answer.json()["message"]


def restore(grafana: ServiceSession, path: str, before: Any) -> None:
    """Let the file speak again, when a source that nobody should be able to change was changed all the same."""
    found = grafana.get(path)
    if found.status_code != 200 or found.json()["url"] != before["url"]:
        done(grafana.post("/api/admin/provisioning/datasources/reload"))


def query(grafana: ServiceSession, uid: str, **model: Any) -> Any:
    """The answer to one query A over the last hour."""
    body = {"queries": [{"refId": "A", "datasource": {"uid": uid}, **model}], "from": "now-1h", "to": "now"}
    return grafana.post("/api/ds/query", json=body)


def test_the_sources_are_those_of_the_provisioning_file(grafana: ServiceSession) -> None:
    """ "Provision Grafana", data sources: every field of the file is found; `editable: false` reads as `readOnly`."""
    for wanted in yaml.safe_load(FILE.read_text())["datasources"]:
        found = done(grafana.get(f"/api/datasources/uid/{wanted['uid']}"))
        assert found["readOnly"] is not wanted.get("editable", False)
        assert found["isDefault"] is wanted.get("isDefault", False)
        for key in ("name", "type", "access"):
            assert found[key] == wanted[key], key
        assert {key: found["jsonData"].get(key) for key in wanted.get("jsonData", {})} == wanted.get("jsonData", {})
        assert "$" not in found["url"], "a variable of the file was left standing"


@pytest.mark.parametrize("uid", ["testdata", "tempo"])
def test_a_provisioned_source_is_healthy(grafana: ServiceSession, uid: str) -> None:
    """`GET /api/datasources/uid/:uid/health`: status OK and the plugin's own words."""
    health = done(grafana.get(f"/api/datasources/uid/{uid}/health"))
    assert (health["status"], health["message"]) == ("OK", "Data source is working")


def test_a_provisioned_source_cannot_be_changed_by_the_api(
    grafana: ServiceSession, request: pytest.FixtureRequest
) -> None:
    """ "Provision Grafana": a source with `editable: false` is the file's alone, whoever asks."""
    path = "/api/datasources/uid/tempo"
    before = done(grafana.get(path))
    changed = {**before, "url": REFUSED, "version": before["version"]}
    request.addfinalizer(lambda: restore(grafana, path, before))
    assert refused(grafana.put(path, json=changed)) == (403, "Cannot update read-only data source")
    assert refused(grafana.delete(path)) == (403, "Cannot delete read-only data source")
    after = done(grafana.get(path))
    assert (after["url"], after["version"]) == (before["url"], before["version"])


def test_the_proxy_answers_what_tempo_answers(grafana: ServiceSession, tempo: ServiceSession) -> None:
    """ "Data source proxy calls": status and body are the source's own, of a success as of a failure."""
    for path in ("/api/status/buildinfo", f"/api/v2/traces/{secrets.token_hex(16)}", "/api/search?q={oops"):
        direct, proxied = tempo.get(path), grafana.get(f"/api/datasources/proxy/uid/tempo{path}")
        assert (proxied.status_code, proxied.content) == (direct.status_code, direct.content), path
    assert done(grafana.get("/api/datasources/proxy/uid/tempo/api/status/buildinfo"))["version"]


def test_the_proxy_sends_the_sources_secrets_and_keeps_the_callers(
    grafana: ServiceSession, source: Maker, upstream: Upstream, namespace: Namespace
) -> None:
    """ "Data source proxy calls": basic authentication and `httpHeaderValue1` of the source go up; the caller's own
    credentials do not, and no cookie comes down. Method, path, query, body and status pass."""
    secret = {"basicAuthPassword": "p4ss", "httpHeaderValue1": "t0ken"}
    source(
        upstream.url, basicAuth=True, basicAuthUser="u", secureJsonData=secret, jsonData={"httpHeaderName1": "X-Probe"}
    )
    upstream.status = 418
    answer = grafana.post(f"/api/datasources/proxy/uid/{namespace.name}/a/b?c=1&c=2", data=b"question")
    assert (answer.status_code, answer.text, answer.headers["X-Upstream"]) == (418, "hello", "yes")
    assert "Set-Cookie" not in answer.headers
    method, path, headers, body = upstream.asked[-1]
    assert (method, path, body) == ("POST", "/a/b?c=1&c=2", b"question")
    assert headers["authorization"] == "Basic " + base64.b64encode(b"u:p4ss").decode()
    assert (headers["x-probe"], "cookie" in headers) == ("t0ken", False)
    grafana.get(f"/api/datasources/proxy/uid/{namespace.name}")
    assert upstream.asked[-1][:2] == ("GET", "/"), "without a path it is the root that is asked"


def test_an_unreachable_source_says_so_in_every_way_it_is_asked(
    grafana: ServiceSession, source: Maker, namespace: Namespace
) -> None:
    """The proxy answers 502 without a body, health 400 `ERROR`, a query 400 with the cause under its refId."""
    source(REFUSED)
    proxied = grafana.get(f"/api/datasources/proxy/uid/{namespace.name}/api/echo")
    assert (proxied.status_code, proxied.content) == (502, b"")
    health = done(grafana.get(f"/api/datasources/uid/{namespace.name}/health"), 400)
    assert health["status"] == "ERROR"
    assert "connection refused" in health["message"]
    result = done(query(grafana, namespace.name, queryType="traceql", query="{}"), 400)["results"]["A"]
    assert "connection refused" in result["error"]
    assert (result["errorSource"], result.get("frames") or []) == ("downstream", [])


def test_health_follows_the_source(
    grafana: ServiceSession, source: Maker, upstream: Upstream, namespace: Namespace
) -> None:
    """`health` asks the source each time (Tempo: `/api/echo`): well, ill with the status it saw, well again."""
    source(upstream.url)
    path = f"/api/datasources/uid/{namespace.name}/health"
    assert done(grafana.get(path))["status"] == "OK"
    upstream.status = 503
    ill = done(grafana.get(path), 400)
    assert ill["status"] == "ERROR"
    assert "503" in ill["message"]
    upstream.status = 200
    assert done(grafana.get(path))["status"] == "OK"
    assert {path for _, path, _, _ in upstream.asked} == {"/api/echo"}


def test_a_stalled_source_holds_up_nobody_else(
    grafana: ServiceSession, source: Maker, upstream: Upstream, namespace: Namespace
) -> None:
    """Each request to a source waits for that source alone; the stalled one is answered when its source answers."""
    source(upstream.url)
    upstream.open.clear()
    with ThreadPoolExecutor(4) as pool:
        stalled = [pool.submit(grafana.get, f"/api/datasources/proxy/uid/{namespace.name}/{i}") for i in range(4)]
        try:
            table = query(grafana, "testdata", scenarioId="csv_content", csvContent="a\n1")
            assert table.elapsed.total_seconds() < 2
            assert done(table)["results"]["A"]["frames"][0]["data"]["values"] == [[1]]
            assert [one.done() for one in stalled] == [False] * 4
        finally:
            upstream.open.set()
        assert [one.result().text for one in stalled] == ["hello"] * 4


def test_a_secret_goes_in_and_never_comes_out(grafana: ServiceSession, source: Maker, namespace: Namespace) -> None:
    """`secureJsonData` is stored encrypted; readers see under `secureJsonFields` that it is set, and an update that
    does not name it keeps it."""
    secret = f"s3cret-{namespace.name}"
    made = source(secureJsonData={"basicAuthPassword": secret})
    assert made["secureJsonFields"] == {"basicAuthPassword": True}
    path = f"/api/datasources/uid/{namespace.name}"
    update = {**made, "url": "http://127.0.0.1:2"}
    kept = done(grafana.put(path, json=update))["datasource"]
    assert (kept["url"], kept["secureJsonFields"]) == ("http://127.0.0.1:2", {"basicAuthPassword": True})
    for where in (path, "/api/datasources", f"/api/datasources/name/{namespace.name}", "/api/frontend/settings"):
        assert secret not in grafana.get(where).text, where


def test_an_update_from_a_stale_copy_is_refused(grafana: ServiceSession, source: Maker, namespace: Namespace) -> None:
    """`PUT /api/datasources/uid/:uid` with an old `version` is 409 and writes nothing."""
    first = source()
    path = f"/api/datasources/uid/{namespace.name}"
    second = done(grafana.put(path, json={**first, "url": "http://127.0.0.1:2"}))["datasource"]
    assert second["version"] == first["version"] + 1
    stale = refused(grafana.put(path, json={**first, "url": "http://127.0.0.1:3"}))
    assert stale[0] == 409
    assert "already been updated by someone else" in stale[1]
    assert done(grafana.get(path))["url"] == "http://127.0.0.1:2"


def test_a_name_and_a_uid_are_given_once_and_free_after_deletion(
    grafana: ServiceSession, source: Maker, namespace: Namespace
) -> None:
    """`POST /api/datasources`: 409 for a taken name or uid. What was deleted is 404 by every way to ask for it."""
    source()
    taken = {"name": namespace.name, "type": "tempo", "access": "proxy"}
    assert refused(grafana.post("/api/datasources", json=taken)) == (
        409,
        "data source with the same name already exists",
    )
    same_uid = {**taken, "name": f"{namespace.name}-b", "uid": namespace.name}
    assert refused(grafana.post("/api/datasources", json=same_uid))[0] == 409
    done(grafana.delete(f"/api/datasources/uid/{namespace.name}"))
    gone = (404, "Data source not found")
    assert refused(grafana.get(f"/api/datasources/uid/{namespace.name}")) == gone
    assert refused(grafana.get(f"/api/datasources/proxy/uid/{namespace.name}/x")) == gone
    assert refused(query(grafana, namespace.name)) == gone
    again = source()
    assert again["uid"] == namespace.name
    done(grafana.delete(f"/api/datasources/name/{again['name']}"))
    assert refused(grafana.get(f"/api/datasources/uid/{namespace.name}")) == gone
