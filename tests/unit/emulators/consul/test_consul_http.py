"""The emulator over HTTP: blocking queries, limits, profiles, ACL on the wire, and malformed input."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.emulators.consul.consul_rig import Emulator, Reply

MASTER = "11111111-aaaa-bbbb-cccc-222222222222"
ACL = f'acl {{ enabled = true default_policy = "deny" tokens {{ master = "{MASTER}" }} }}'


class Background:
    """A call in a thread, timed."""

    def __init__(self, emulator: Emulator, path: str) -> None:
        self.reply: Reply | None = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, args=(emulator, path))
        self._thread.start()

    def _run(self, emulator: Emulator, path: str) -> None:
        start = time.monotonic()
        self.reply = emulator.get(path)
        self.seconds = time.monotonic() - start

    def result(self) -> Reply:
        self._thread.join(timeout=15)
        assert self.reply is not None
        return self.reply


@pytest.mark.parametrize(
    ("path", "method", "change", "body"),
    [
        ("/v1/kv/watched", "PUT", "/v1/kv/watched", b"new"),
        ("/v1/kv/tree/?recurse", "PUT", "/v1/kv/tree/a", b"new"),
        ("/v1/kv/tree2/?keys", "PUT", "/v1/kv/tree2/a", b"new"),
        ("/v1/kv/missing", "PUT", "/v1/kv/unrelated", b"new"),
        ("/v1/health/service/watched", "PUT", "/v1/agent/service/register", {"Name": "watched"}),
        ("/v1/catalog/services", "PUT", "/v1/agent/service/register", {"Name": "another"}),
        ("/v1/session/list", "PUT", "/v1/session/create", {}),
        ("/v1/event/list", "PUT", "/v1/event/fire/x", b""),
    ],
)
def test_a_blocking_query_wakes_at_the_change(
    emulator: Emulator, path: str, method: str, change: str, body: Any
) -> None:
    if path.endswith(("watched", "?recurse")) and "kv" in path:
        emulator.put(change, b"old")
    before = emulator.get(path)
    separator = "&" if "?" in path else "?"
    waiting = Background(emulator, f"{path}{separator}index={before.index}&wait=10s")
    time.sleep(0.15)
    changed = time.monotonic()
    assert emulator.call(method, change, body).status == 200
    after = waiting.result()
    assert time.monotonic() - changed < 1.0
    assert waiting.seconds >= 0.14, "it blocked until the change"
    assert after.index != before.index
    assert after.body != before.body or path == "/v1/kv/missing"


def test_a_blocking_query_without_change_runs_its_wait_and_a_little_more(emulator: Emulator) -> None:
    emulator.put("/v1/kv/quiet", b"x")
    index = emulator.get("/v1/kv/quiet").index
    waiting = Background(emulator, f"/v1/kv/quiet?index={index}&wait=800ms")
    time.sleep(0.1)
    emulator.put("/v1/kv/noise", b"x")
    emulator.put("/v1/kv/quiet", b"x")
    assert waiting.result().index == index
    assert 0.8 <= waiting.seconds < 0.8 * 17 / 16 + 0.3


def test_an_old_index_answers_at_once_and_a_future_one_waits(emulator: Emulator) -> None:
    emulator.put("/v1/kv/a", b"x")
    index = emulator.get("/v1/kv/a").index
    start = time.monotonic()
    assert emulator.get(f"/v1/kv/a?index={index - 1}&wait=5s").index == index
    assert time.monotonic() - start < 0.5
    assert emulator.get(f"/v1/kv/a?index={index + 1000}&wait=200ms").index == index
    assert time.monotonic() - start >= 0.2


def test_what_is_not_emulated_says_so(emulator: Emulator) -> None:
    for path in (
        "/v1/query",
        "/v1/config/x",
        "/v1/operator/usage",
        "/v1/acl/roles",
        "/v1/coordinate/nodes",
        "/v1/kv/a/../b",
        "/v1/agent/maintenance",
        "/v1/health/ingress/x",
        "/v1/acl/token/x",
    ):
        reply = emulator.get(path)
        assert (reply.status, path in reply.text) == (501, True)
    for path in (
        "/v1/kv/a?near=_agent",
        "/v1/catalog/nodes?node-meta=a:b",
        "/v1/event/fire/x?node=a",
        "/v1/catalog/services?filter=a",
    ):
        assert emulator.call("PUT" if "fire" in path else "GET", path).status == 501
    assert emulator.put("/v1/txn", [{"Node": {}}]).status == 501


def test_newer_versions_answer_otherwise(emulator: Emulator) -> None:
    agent = emulator.get("/v1/agent/self").json
    assert agent["Config"]["Version"] == "1.22.0+emu"
    assert agent["Stats"]["consul"]["leader_addr"] == emulator.get("/v1/status/leader").json
    gone = emulator.put("/v1/agent/service/deregister/nope")
    assert (gone.status, gone.text.split(".")[0]) == (404, 'Unknown service ID "nope"')
    assert emulator.put("/v1/agent/check/pass/nope").status == 404
    assert emulator.get("/v1/nope").text == "Invalid URL path: not a recognized HTTP API endpoint"
    reply = emulator.get("/v1/kv/missing")
    assert reply.headers["x-consul-default-acl-policy"] == "allow"
    assert reply.headers["x-consul-query-backend"] == "blocking-query"
    assert emulator.put("/v1/kv/a%20/%2e%2e", b"x").status == 501
    assert emulator.put("/v1/kv/%20a", b"x").status == 400
    emulator.put("/v1/agent/service/register", {"Name": "shape"})
    assert emulator.get("/v1/agent/services").json["shape"] == {
        "ID": "shape",
        "Service": "shape",
        "Tags": [],
        "Meta": {},
        "Port": 0,
        "Address": "",
        "Weights": {"Passing": 1, "Warning": 1},
        "EnableTagOverride": False,
        "Datacenter": "dc1",
    }


def raw(emulator: Emulator, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", emulator.http), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"PUT /v1/txn HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{", b"400"),
        (b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\xff\xfe", b"400"),
        (b"GET /v1/kv/%zz%ff%00?index=%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /v1/kv/%00%c3 HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /v1/kv/%c3 HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"PUT /v1/kv/a%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"OPTIONS /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /v1/kv/a?index=99999999999999999999 HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /v1/kv/a?index=1&wait=99999999999h HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"PUT /v1/txn HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n[{}]", b"200"),
        (b"PUT /v1/catalog/register HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n[[[[", b"400"),
    ],
)
def test_malformed_requests_get_an_error_and_the_emulator_goes_on(
    emulator: Emulator, data: bytes, status: bytes
) -> None:
    assert raw(emulator, data).split(b" ")[1] == status
    assert emulator.get("/v1/status/leader").status == 200


def test_a_body_that_breaks_off_is_not_stored(emulator: Emulator) -> None:
    assert raw(emulator, b"PUT /v1/kv/torn HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc") == b""
    assert emulator.get("/v1/kv/torn").status == 404


def test_deeply_nested_json_is_refused(emulator: Emulator) -> None:
    assert emulator.put("/v1/catalog/register", b'{"Service":' * 5000).status == 400
    assert emulator.put("/v1/catalog/register", b"[" * 200_000).status == 400


# -- ACL on the wire ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secured() -> Iterator[Emulator]:
    running = Emulator(f"-hcl={ACL}")
    yield running
    running.stop()


def ask(emulator: Emulator, method: str, path: str, body: Any = None, token: str = MASTER) -> Reply:
    return emulator.call(method, path, body, {"X-Consul-Token": token} if token else {})


def test_without_a_token_everything_is_denied_or_empty(secured: Emulator) -> None:
    ask(secured, "PUT", "/v1/kv/secret", b"x")
    hint = " The anonymous token is used implicitly when a request does not specify a token."
    denied = secured.get("/v1/kv/secret")
    text = f"Permission denied: anonymous token lacks permission 'key:read' on \"secret\".{hint}"
    assert (denied.status, denied.text) == (403, text)
    assert secured.put("/v1/kv/secret", b"y").status == 403
    listed = secured.get("/v1/kv/?recurse")
    assert (listed.status, listed.headers["x-consul-results-filtered-by-acls"]) == (404, "true")
    assert secured.get("/v1/catalog/services").json == {}
    assert secured.get("/v1/agent/self").status == 403
    assert secured.put("/v1/session/create", {}).status == 403
    assert secured.get("/v1/status/leader").status == 200
    assert ask(secured, "GET", "/v1/kv/secret", token="nope").text == "ACL not found"
    assert secured.call("GET", "/v1/kv/secret", None, {"Authorization": f"Bearer {MASTER}"}).status == 200


def test_a_read_only_token_reads_and_does_not_write(secured: Emulator) -> None:
    rules = (
        'key_prefix "ro/" { policy = "read" } node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }'
    )
    assert ask(secured, "PUT", "/v1/acl/policy", {"Name": "ro", "Rules": rules}).status == 200
    token = ask(secured, "PUT", "/v1/acl/token", {"Policies": [{"Name": "ro"}]}).json
    ask(secured, "PUT", "/v1/kv/ro/x", b"v")
    own = token["SecretID"]
    assert ask(secured, "GET", "/v1/kv/ro/x?raw", token=own).body == b"v"
    assert ask(secured, "GET", "/v1/kv/?keys", token=own).json == ["ro/x"]
    denied = ask(secured, "PUT", "/v1/kv/ro/x", b"w", own)
    accessor = token["AccessorID"]
    assert (
        denied.text == f"Permission denied: token with AccessorID '{accessor}' lacks permission 'key:write' on \"ro/x\""
    )
    assert ask(secured, "GET", "/v1/catalog/services", token=own).json == {"consul": []}
    write = [{"KV": {"Verb": "set", "Key": "ro/x", "Value": "eA=="}}]
    assert ask(secured, "PUT", "/v1/txn", write, own).status == 409
    assert ask(secured, "GET", "/v1/acl/token/self", token=own).json["AccessorID"] == accessor
    assert ask(secured, "DELETE", f"/v1/acl/token/{accessor}").json is True
    assert ask(secured, "GET", "/v1/kv/ro/x", token=own).text == "ACL not found"
