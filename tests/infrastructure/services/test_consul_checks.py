"""Health checks of Consul: what a check says follows what is so. Documents: "Define health checks"."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import ask, expect
from harness.probes.poll import Deadline, NotYet, poll

INTERVAL = 1.0
"""Seconds: the shortest interval that Consul honours; the first run comes at a random time within it."""
SOON = 3 * INTERVAL + 2
"""Seconds within which a check has run and its result is in the catalog, on a loaded machine too."""


class Receiver:
    """An application's health endpoint: `/200` answers 200, and `/app` whatever `status` says at the time."""

    def __init__(self, host: str, called_at: Callable[[int], AbstractContextManager[str]]) -> None:
        self.status, self.asked, self.patience = 200, list[dict[str, str]](), threading.Event()
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._way = called_at(self._server.server_port)
        self.address = self._way.__enter__()

    def url(self, path: str) -> str:
        """An address to be checked."""
        return f"http://{self.address}{path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.asked.append(
                    {"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}
                )
                if self.path == "/slow":
                    receiver.patience.wait(10)
                body = b"it is " + self.path[1:].encode()
                self.send_response(
                    receiver.status if self.path == "/app" else int(self.path[1:].replace("slow", "200"))
                )
                self.send_header("Content-Length", str(len(body)))
                with suppress(OSError):  # who gave up waiting has closed the connection
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        return Handler

    def close(self) -> None:
        """Stop answering: connections are refused from now on."""
        self.patience.set()
        self._server.shutdown()
        self._server.server_close()
        self._way.__exit__(None, None, None)


@pytest.fixture
def receiver(stack: RemoteStack) -> Iterator[Receiver]:
    """An application that the agent can call."""
    made = Receiver(stack.callback_host, stack.called_at)
    yield made
    made.close()


def register(http: Endpoint, name: str, check: dict[str, Any], identity: str = "") -> None:
    """Register an instance with one check."""
    body = {"Name": name, "ID": identity or name, "Check": check}
    expect(200, http, "/v1/agent/service/register", "PUT", body=body)


def check_of(http: Endpoint, name: str, identity: str = "") -> Any:
    """The check of an instance as discovery sees it."""
    found = expect(200, http, f"/v1/health/checks/{name}").json()
    return next((check for check in found if check["CheckID"] == f"service:{identity or name}"), None)


def until(http: Endpoint, name: str, status: str, identity: str = "", seconds: float = SOON) -> Any:
    """Wait for the check to have a status; returns it."""

    def seen() -> Any:
        check = check_of(http, name, identity)
        if check is None or check["Status"] != status:
            raise NotYet(f"{check and (check['Status'], check['Output'])}")
        return check

    return poll(seen, Deadline.after(seconds), f"the check of {identity or name} to be {status}", interval=0.02)


def ran(http: Endpoint, identity: str) -> str:
    """The first output of a check. The agent has it; the catalog gets it with a new status or after minutes."""

    def seen() -> str:
        check = expect(200, http, "/v1/agent/checks").json()[f"service:{identity}"]
        if not check["Output"]:
            raise NotYet(f"no output, {check['Status']}")
        return str(check["Output"])

    return poll(seen, Deadline.after(SOON), f"the check of {identity} to have run", interval=0.02)


def test_an_instance_is_critical_until_its_check_has_passed(http: Endpoint, name: str) -> None:
    """Initial health check status: critical by default, so that nothing is sent to what is still starting."""
    register(http, name, {"TTL": "60s"})
    assert until(http, name, "critical")["Output"] == ""
    assert expect(200, http, f"/v1/health/service/{name}?passing").json() == []
    register(http, name, {"TTL": "60s", "Status": "passing"}, f"{name}-2")
    until(http, name, "passing", f"{name}-2")


def test_a_ttl_check_says_what_the_application_reported_last(http: Endpoint, name: str) -> None:
    """`pass`, `warn`, `fail` with a note, and `update` with status and output; the note is the output others read."""
    register(http, name, {"TTL": "60s"})
    for verb, status in (("warn", "warning"), ("pass", "passing"), ("fail", "critical")):
        expect(200, http, f"/v1/agent/check/{verb}/service:{name}?note=queue+{verb}", "PUT")
        assert until(http, name, status)["Output"] == f"queue {verb}"
    body = {"Status": "passing", "Output": "x" * 5000}
    expect(200, http, f"/v1/agent/check/update/service:{name}", "PUT", body=body)
    output = until(http, name, "passing")["Output"]
    assert output == "x" * 4096 + " ... (captured 4096 of 5000 bytes)"
    refused = ask(http, f"/v1/agent/check/update/service:{name}", "PUT", body={"Status": "fine", "Output": ""})
    assert (refused.status, refused.text) == (400, "Invalid check status: 'fine'")


def test_a_ttl_check_that_is_not_refreshed_turns_critical(http: Endpoint, name: str) -> None:
    """TTL check: critical when the application has not reported within the TTL; its last words are kept."""
    register(http, name, {"TTL": "1s"})
    for _ in range(4):
        reported = time.monotonic()  # no later than the agent's clock starts anew
        expect(200, http, f"/v1/agent/check/pass/service:{name}?note=alive", "PUT")
        until(http, name, "passing")
        time.sleep(0.3)
    check = until(http, name, "critical")
    assert time.monotonic() - reported >= 1.0, "it turned critical before its TTL was over"
    assert check["Output"] == "TTL expired (last output before timeout follows): alive"
    expect(200, http, f"/v1/agent/check/pass/service:{name}", "PUT")
    until(http, name, "passing")


def test_an_http_check_reads_the_status_code(http: Endpoint, name: str, receiver: Receiver) -> None:
    """HTTP check: any 2xx is passing, 429 is warning, anything else is critical; the body is in the output."""
    expected = {"200": "passing", "201": "passing", "429": "warning", "404": "critical", "503": "critical"}
    for code in expected:
        register(http, name, {"HTTP": receiver.url(f"/{code}"), "Interval": "1s", "Timeout": "2s"}, f"{name}-{code}")
    for code, status in expected.items():
        assert f"HTTP GET {receiver.url(f'/{code}')}: {code} " in ran(http, f"{name}-{code}")
        until(http, name, status, f"{name}-{code}")
    assert "it is 429" in ran(http, f"{name}-429"), "the body is not in the output"
    assert {each["user-agent"] for each in receiver.asked} == {"Consul Health Check"}


def test_an_http_check_follows_the_application(http: Endpoint, name: str, receiver: Receiver) -> None:
    """The check runs at every interval: discovery drops an instance that turns bad, and takes it back."""
    register(http, name, {"HTTP": receiver.url("/app"), "Interval": "1s", "Timeout": "2s"})
    until(http, name, "passing")
    assert len(expect(200, http, f"/v1/health/service/{name}?passing").json()) == 1
    receiver.status = 500
    until(http, name, "critical")
    assert expect(200, http, f"/v1/health/service/{name}?passing").json() == []
    receiver.status = 200
    until(http, name, "passing")


def test_an_application_that_hangs_or_is_gone_is_critical(
    http: Endpoint, name: str, receiver: Receiver, stack: RemoteStack
) -> None:
    """`Timeout` bounds the check; the output tells a refused connection from an overdue answer."""
    with socket.socket() as unused:
        unused.bind((stack.callback_host, 0))
        with stack.called_at(unused.getsockname()[1]) as address:
            nobody = f"http://{address}/"  # from another machine there is a way no more, so nobody listens there either
        register(http, name, {"HTTP": nobody, "Interval": "1s", "Timeout": "1s"}, f"{name}-gone")
        register(http, name, {"HTTP": receiver.url("/slow"), "Interval": "1s", "Timeout": "200ms"}, f"{name}-slow")

        outputs = {part: ran(http, f"{name}-{part}") for part in ("gone", "slow")}
    assert "connection refused" in outputs["gone"]
    assert "context deadline exceeded" in outputs["slow"]
    assert {check_of(http, name, f"{name}-{part}")["Status"] for part in ("gone", "slow")} == {"critical"}


def test_a_tcp_check_tells_whether_somebody_listens(http: Endpoint, name: str, stack: RemoteStack) -> None:
    """TCP check: passing when the connection is accepted, critical when not."""
    with (
        socket.create_server((stack.callback_host, 0)) as listener,
        stack.called_at(listener.getsockname()[1]) as address,
    ):
        register(http, name, {"TCP": address, "Interval": "1s", "Timeout": "1s"})
        assert "Success" in until(http, name, "passing")["Output"]
    assert "connection refused" in until(http, name, "critical")["Output"]


def test_every_check_of_an_instance_counts(http: Endpoint, name: str) -> None:
    """An instance passes when all of its checks do; a check that is taken away counts no longer."""
    body = {"Name": name, "Checks": [{"CheckID": f"{name}-{part}", "TTL": "60s"} for part in ("disk", "queue")]}
    expect(200, http, "/v1/agent/service/register", "PUT", body=body)
    path = f"/v1/health/service/{name}?passing"
    expect(200, http, f"/v1/agent/check/pass/{name}-disk", "PUT")
    assert expect(200, http, path).json() == [], "one critical check did not count"
    expect(200, http, f"/v1/agent/check/deregister/{name}-queue", "PUT")

    def offered() -> None:
        if len(expect(200, http, path).json()) != 1:
            raise NotYet(expect(200, http, f"/v1/health/checks/{name}").text)

    poll(offered, Deadline.after(5), "the instance to be offered")


def test_a_check_may_be_added_to_an_instance_or_to_the_node(http: Endpoint, name: str) -> None:
    """`PUT /v1/agent/check/register`: with `ServiceID` it counts for the instance, without for the node, which the
    catalog lists. Source: HTTP API, "Checks - Agent", Register Check; "Catalog", List Nodes."""
    expect(200, http, "/v1/agent/service/register", "PUT", body={"Name": name})
    check = {"ID": f"{name}-disk", "Name": "disk", "TTL": "60s", "Status": "passing", "ServiceID": name}
    expect(200, http, "/v1/agent/check/register", "PUT", body=check)
    found = expect(200, http, f"/v1/health/checks/{name}").json()
    assert [(one["CheckID"], one["Status"], one["ServiceID"]) for one in found] == [(f"{name}-disk", "passing", name)]
    nodes = [one["Node"] for one in expect(200, http, "/v1/catalog/nodes").json()]
    assert found[0]["Node"] in nodes
    refused = ask(http, "/v1/agent/check/register", "PUT", body={**check, "ID": "x", "ServiceID": f"{name}-gone"})
    assert f"{name}-gone" in refused.text
    assert refused.status in {404, 500}, "the first since 1.9"
    expect(200, http, f"/v1/agent/check/deregister/{name}-disk", "PUT")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_instance_that_stays_critical_is_taken_out(http: Endpoint, name: str) -> None:
    """`DeregisterCriticalServiceAfter`: at least one minute, looked for every 30 s; one that passes again stays."""
    check = {"TTL": "60s", "DeregisterCriticalServiceAfter": "1s"}
    register(http, name, check, f"{name}-dead")
    register(http, name, {**check, "Status": "passing", "TTL": "600s"}, f"{name}-alive")
    expect(200, http, f"/v1/agent/check/fail/service:{name}-dead", "PUT")
    began = time.monotonic()

    def removed() -> float:
        services = {entry["ServiceID"] for entry in expect(200, http, f"/v1/catalog/service/{name}").json()}
        if f"{name}-dead" in services:
            raise NotYet(f"{sorted(services)} after {time.monotonic() - began:.0f} s")
        assert services == {f"{name}-alive"}
        return time.monotonic() - began

    took = poll(removed, Deadline.after(130), "the critical instance to be taken out", interval=0.5)
    assert took >= 59, f"it was taken out after {took:.0f} s already"
