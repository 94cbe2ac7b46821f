"""The answers of a real Consul 1.8.7, asked of the emulator again, in order: what is equal, and why the rest is not.

Masked: ids, indexes, dates, hashes. `DIFFERENT` holds every call that does not replay equal; one that starts or stops
to be equal fails the test, so the list stays true.
"""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.emulators.consul.consul_differences import DIFFERENT
from tests.unit.emulators.consul.consul_rig import Emulator, Reply

CAPTURES = Path(__file__).parent / "captures"
CAPTURED_PORT = "18080"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INDEXES = {"CreateIndex", "ModifyIndex", "LTime", "LastIndex", "LastTerm"}
_MASKED = {"ContentHash", "StableSince", "X-Consul-Contenthash", "X-Consul-Index"}
_SKIPPED_HEADERS = {"date", "vary", "content-length", "transfer-encoding", "content-encoding"}


class _Target(BaseHTTPRequestHandler):
    """What the captured HTTP and TCP checks looked at."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"hello-body")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield str(server.server_address[1])
    server.shutdown()
    server.server_close()


class Replayer:
    """Asks the emulator what was asked of the real server, translating ids and indexes learnt on the way."""

    def __init__(self, emulator: Emulator, port: str) -> None:
        self.emulator, self.port = emulator, port
        self.ids: dict[str, str] = {"dev1": "dev1"}
        self.indexes: dict[int, int] = {}
        self.equal: set[str] = set()
        self.unequal: dict[str, str] = {}

    def run(self, file: str) -> None:
        for at, call in enumerate(json.loads((CAPTURES / f"{file}.json").read_text())):
            name = f"{file}:{at} {call['name']}"
            SETUP.get((file, at), lambda _: None)(self)
            fault = self._compare(call)
            deadline = time.monotonic() + (3.5 if call["name"] in POLLED else 0)
            while fault and time.monotonic() < deadline:
                time.sleep(0.05)
                fault = self._compare(call)
            if fault:
                self.unequal[name] = fault
            else:
                self.equal.add(name)

    def ask(self, call: dict[str, Any]) -> Reply:
        body = call.get("body")
        text = _grown(call["name"], body) if isinstance(body, str) else body if body is None else json.dumps(body)
        data = text if isinstance(text, bytes | None) else self._translated(text).encode()
        path = self._translated(call["path"])
        if call["name"].startswith("key len"):
            path = "/v1/kv/" + "k" * int(call["name"].split()[-1])
        return self.emulator.call(call["method"], path, data, call.get("headers"))

    def _translated(self, text: str) -> str:
        text = _UUID.sub(lambda m: self.ids.get(m[0], m[0]), text).replace(CAPTURED_PORT, self.port)
        return re.sub(r"(?<=cas=)\d+", lambda m: str(self.indexes.get(int(m[0]), int(m[0]))), text)

    def _compare(self, call: dict[str, Any]) -> str:
        reply = self.ask(call)
        if reply.status != call["status"]:
            return f"status {reply.status}, captured {call['status']}: {reply.body[:200]!r}"
        wanted_headers = {n.lower(): v for n, v in call["answer_headers"].items() if n.lower() not in _SKIPPED_HEADERS}
        got_headers = {n: v for n, v in reply.headers.items() if n not in _SKIPPED_HEADERS}
        for name in wanted_headers.keys() | got_headers.keys():
            if name in {"x-consul-index", "x-consul-contenthash"} and name in wanted_headers and name in got_headers:
                continue
            if wanted_headers.get(name) != got_headers.get(name):
                return f"header {name}: {got_headers.get(name)!r}, captured {wanted_headers.get(name)!r}"
        if "answer_omitted" in call or call["method"] == "HEAD":
            return ""
        return self._compare_bodies(call, reply)

    def _compare_bodies(self, call: dict[str, Any], reply: Reply) -> str:
        wanted = call["answer"]
        raw = isinstance(wanted, str) and wanted.startswith("base64:")
        got: Any = "base64:" + b64encode(reply.body).decode() if raw else reply.body.decode("utf-8", "replace")
        if not call.get("text"):
            got = json.loads(got)
            self._learn(wanted, got)
            if call["name"].startswith("health/service/"):
                # The real agent walks a Go map here, so the order of what it lists is random.
                got, wanted = _sorted(got), _sorted(wanted)
        left, right = self._masked(got), self._masked(wanted)
        if left == right and (call.get("text") or _order(got) == _order(wanted)):
            return ""
        return f"body {json.dumps(left)[:600]}\ncaptured {json.dumps(right)[:600]}"

    def _learn(self, wanted: Any, got: Any) -> None:
        if isinstance(wanted, dict) and isinstance(got, dict):
            for name in wanted.keys() & got.keys():
                old, new = wanted[name], got[name]
                if name == "ID" and isinstance(old, str) and _UUID.fullmatch(old) and isinstance(new, str):
                    self.ids[old] = new
                elif name == "ModifyIndex" and isinstance(new, int):
                    self.indexes[old] = new
                self._learn(old, new)
        elif isinstance(wanted, list) and isinstance(got, list):
            for old, new in zip(wanted, got, strict=False):
                self._learn(old, new)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {n: "*" if n in _INDEXES | _MASKED else self._masked(v) for n, v in value.items()}
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        if value == int(self.port):
            return int(CAPTURED_PORT)
        if isinstance(value, str):
            value = _UUID.sub("*", value).replace(self.port, CAPTURED_PORT).replace("+emu", "")
            return re.sub(r"current modify index \d+", "current modify index *", value)
        return value


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(item) for name, item in value.items()}
    if isinstance(value, list):
        key = "CheckID" if value and "CheckID" in value[0] else "Service"
        items = [_sorted(item) for item in value]
        return sorted(items, key=lambda item: json.dumps(item[key])) if value and isinstance(value[0], dict) else items
    return value


def _order(value: Any) -> Any:
    """The order of field names, which a dict comparison ignores."""
    if isinstance(value, dict):
        return [(name, _order(item)) for name, item in value.items() if not _UUID.fullmatch(name)]
    return [_order(item) for item in value] if isinstance(value, list) else None


def _grown(name: str, body: str) -> bytes | str:
    """Bodies that the capture holds in short form."""
    sized = re.fullmatch(r"<(\d+) bytes>", body)
    operations = re.fullmatch(r"txn (\d+) ops", name)
    if operations:
        one = {"KV": {"Verb": "set", "Key": "tx/m{}", "Value": "eA=="}}
        return "[" + ", ".join(json.dumps(one).replace("{}", str(at)) for at in range(int(operations[1]))) + "]"
    if name.startswith("txn big"):
        return b"[" + b" " * ({"txn big value": 699107, "txn big total": 1092488}[name] - 1)
    if name == "put binary":
        return bytes(range(256))
    if name == "update big output":
        return json.dumps({"Status": "passing", "Output": "z" * 5000})
    if name == "reg 600KB body":
        return json.dumps({"Name": "x", "Meta": {"k": "v" * 600000}})
    return b"x" * int(sized[1]) if sized else body


def _three_apis(replayer: Replayer) -> None:
    """Registered before the capture began: one passing, one warning, one critical instance."""
    shapes: tuple[tuple[str, list[str], int, dict[str, str], str], ...] = (
        ("api1", ["a", "b"], 80, {"v": "1"}, "passing"),
        ("api2", ["b"], 81, {}, "warning"),
    )
    for service_id, tags, port, meta, status in (*shapes, ("api3", [], 82, {}, "")):
        check = {"TTL": "60s", "Status": status} if status else {"TTL": "60s"}
        body = {"ID": service_id, "Name": "api", "Tags": tags, "Port": port, "Meta": meta, "Check": check}
        replayer.emulator.put("/v1/agent/service/register", body)


def _no_apis(replayer: Replayer) -> None:
    for name in ("api1", "api2", "api3"):
        replayer.emulator.put(f"/v1/agent/service/deregister/{name}")
    for name in ("ext4", "ext5", "ext6"):
        replayer.emulator.put("/v1/catalog/deregister", {"Node": name})


def _no_services(replayer: Replayer) -> None:
    for service_id in replayer.emulator.get("/v1/agent/services").json:
        replayer.emulator.put(f"/v1/agent/service/deregister/{quote(service_id)}")
    for check_id in replayer.emulator.get("/v1/agent/checks").json:
        replayer.emulator.put(f"/v1/agent/check/deregister/{check_id}")


def _session(replayer: Replayer) -> None:
    created = replayer.emulator.put("/v1/session/create", {}).json["ID"]
    replayer.ids["f8a66d66-3874-6066-c62d-f22eaf9e39a2"] = created


def _after_snapshot(replayer: Replayer) -> None:
    snapshot = replayer.emulator.get("/v1/snapshot").body
    replayer.emulator.put("/v1/kv/after-snap", b"x")
    assert replayer.emulator.put("/v1/snapshot", snapshot).status == 200


POLLED = {"checks after 2.2s", "checks low"}
"""Calls that came after a pause in the capture: asked until equal."""

SETUP = {
    ("agent", 142): _no_services,
    ("catalog_health", 0): _three_apis,
    ("catalog_health", 68): _no_apis,
    ("misc", 37): _session,
    ("misc", 122): _after_snapshot,
}
"""What the captured session did between two captured calls."""


def test_captured_calls_replay_equal_but_for_the_listed_ones(
    target: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    emulator = Emulator("-node=dev1", profile="1.8")
    try:
        replayer = Replayer(emulator, target)
        for file in ("kv", "session", "agent", "catalog_health", "misc"):
            replayer.run(file)
    finally:
        emulator.stop()
    record_testsuite_property("exchanges", len(replayer.equal) - 1)  # this test counts as one
    record_testsuite_property("listed", len(DIFFERENT))
    unexpected = {name: why for name, why in replayer.unequal.items() if name not in DIFFERENT}
    assert not unexpected, "\n\n".join(f"{name}\n{why}" for name, why in unexpected.items())
    assert not set(DIFFERENT) & replayer.equal, "these replay equal now: take them off the list"
    assert len(replayer.equal) + len(replayer.unequal) == 551
