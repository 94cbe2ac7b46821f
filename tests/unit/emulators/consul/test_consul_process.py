"""The emulator as a process: persistence through SIGTERM and SIGKILL, active checks, DNS, the command line."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from harness.emulators.consul.__main__ import main
from tests.unit.emulators.consul.consul_rig import Emulator, free_port

ROOT = Path(__file__).resolve().parents[4]
SERVER = ("-server", "-bootstrap-expect=1", f"-config-file={ROOT / 'compose/config/consul/consul.json'}")


def eventually(fact: Callable[[], bool], within: float = 5.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


# -- persistence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_acknowledged_survives(tmp_path: Path, number: int) -> None:
    master = "11111111-aaaa-bbbb-cccc-222222222222"
    acl = f'-hcl=acl {{ enabled = true default_policy = "allow" tokens {{ initial_management = "{master}" }} }}'
    emulator = Emulator(f"-data-dir={tmp_path}", *SERVER, acl)
    try:
        for at in range(50):
            assert emulator.put(f"/v1/kv/k{at}", b"v").json is True
        emulator.call("DELETE", "/v1/kv/k7")
        session = emulator.put("/v1/session/create", {"TTL": "1s", "LockDelay": "0s"}).json["ID"]
        assert emulator.put(f"/v1/kv/lock?acquire={session}", b"me").json is True
        emulator.put("/v1/agent/service/register", {"Name": "web", "Port": 1, "Check": {"TTL": "60s"}})
        emulator.put("/v1/agent/check/pass/service:web?note=fine")
        emulator.put("/v1/agent/service/register", {"Name": "late", "Check": {"TTL": "10ms"}})
        emulator.put("/v1/agent/check/pass/service:late")
        headers = {"X-Consul-Token": master}
        token = emulator.call("PUT", "/v1/acl/token", {"Description": "kept"}, headers).json
        before = emulator.get("/v1/kv/?recurse")
        node = emulator.get("/v1/agent/self").json["Config"]["NodeID"]
        emulator.stop(number)
        emulator.start()
        after = emulator.get("/v1/kv/?recurse")
        assert (after.body, after.index) == (before.body, before.index)
        assert emulator.get("/v1/agent/self").json["Config"]["NodeID"] == node
        assert emulator.get(f"/v1/session/info/{session}").json[0]["TTL"] == "1s"
        health = emulator.get("/v1/health/service/web?passing").json
        assert [check["Output"] for check in health[0]["Checks"]][1:] == ["fine"]
        late = emulator.get("/v1/health/checks/late").json
        assert late[0]["Status"] == "critical", "a heartbeat whose TTL ran out does not count"
        headers = {"X-Consul-Token": token["SecretID"]}
        found = emulator.call("GET", "/v1/acl/token/self", None, headers).json
        assert found["Description"] == "kept"
        if number == signal.SIGKILL:
            eventually(lambda: emulator.get(f"/v1/session/info/{session}").json == [])
            assert "Session" not in emulator.get("/v1/kv/lock").json[0]
    finally:
        emulator.stop()


def test_a_torn_last_line_of_the_log_is_dropped(tmp_path: Path) -> None:
    emulator = Emulator(f"-data-dir={tmp_path}", *SERVER)
    try:
        emulator.put("/v1/kv/whole", b"v")
        emulator.stop(signal.SIGKILL)
        (log,) = (tmp_path / "emulator").glob("log-*.jsonl")
        with log.open("ab") as file:
            file.write(b'[99,"kv",{"verb":"set","key":"torn"')
        emulator.start()
        assert emulator.get("/v1/kv/whole").status == 200
        assert emulator.get("/v1/kv/torn").status == 404
    finally:
        emulator.stop()


def test_dev_keeps_nothing_and_writes_nothing(tmp_path: Path) -> None:
    emulator = Emulator("-dev", f'-hcl=data_dir = "{tmp_path}"')
    try:
        emulator.put("/v1/kv/a", b"v")
        emulator.stop()
        emulator.start()
        assert emulator.get("/v1/kv/a").status == 404
        assert list(tmp_path.iterdir()) == []
    finally:
        emulator.stop()


def test_a_snapshot_brings_everything_back_and_moves_indexes_backwards(emulator: Emulator) -> None:
    emulator.put("/v1/kv/before", b"v")
    index = emulator.get("/v1/kv/before").index
    saved = emulator.get("/v1/snapshot").body
    emulator.put("/v1/kv/after", b"v")
    emulator.call("DELETE", "/v1/kv/before")
    assert emulator.put("/v1/snapshot", saved).status == 200
    assert emulator.get("/v1/kv/before").index == index
    assert emulator.get("/v1/kv/after").status == 404
    assert emulator.put("/v1/snapshot", b"garbage").text == "failed to decompress snapshot: unexpected EOF"


# -- active checks ------------------------------------------------------------------------------------


class _Target(BaseHTTPRequestHandler):
    code = 200
    seen: dict[str, str]

    def do_GET(self) -> None:
        type(self).seen = dict(self.headers)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(type(self).code)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def target() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _Target.code = 200
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_http_and_tcp_checks_really_run(emulator: Emulator, target: int) -> None:
    url, closed = f"http://127.0.0.1:{target}", free_port()
    checks: dict[str, dict[str, Any]] = {
        "ok": {"HTTP": f"{url}/x", "Interval": "1s"},
        "moved": {"HTTP": f"{url}/moved", "Interval": "1s"},
        "refused": {"HTTP": f"http://127.0.0.1:{closed}/", "Interval": "1s", "Status": "passing"},
        "tcp": {"TCP": f"127.0.0.1:{target}", "Interval": "1s"},
        "tcp-refused": {"TCP": f"127.0.0.1:{closed}", "Interval": "1s", "Status": "passing"},
    }
    for name, check in checks.items():
        assert emulator.put("/v1/agent/check/register", {"Name": name, **check}).status == 200
    refused = f"dial tcp 127.0.0.1:{closed}: connect: connection refused"
    expected = {
        "ok": ("passing", f"HTTP GET {url}/x: 200 OK Output: abc"),
        "moved": ("critical", f'Get "{url}/moved": consul emulator: a redirect is not followed'),
        "refused": ("critical", f'Get "http://127.0.0.1:{closed}/": {refused}'),
        "tcp": ("passing", f"TCP connect 127.0.0.1:{target}: Success"),
        "tcp-refused": ("critical", refused),
    }

    def results() -> dict[str, tuple[str, str]]:
        found = emulator.get("/v1/agent/checks").json
        return {name: (found[name]["Status"], found[name]["Output"]) for name in checks}

    eventually(lambda: results() == expected)
    assert _Target.seen["User-Agent"] == "Consul Health Check"
    _Target.code = 429
    eventually(lambda: results()["ok"][0] == "warning")
    _Target.code = 503
    eventually(lambda: results()["ok"][1].endswith("503 Service Unavailable Output: abc"))
    for name in checks:
        emulator.put(f"/v1/agent/check/deregister/{name}")


# -- DNS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named() -> Iterator[Emulator]:
    """The services that the captured DNS answers were given about."""
    running = Emulator("-node=dev1", profile="1.8")
    services = [
        {"ID": "api1", "Name": "api", "Tags": ["a"], "Address": "127.0.0.5", "Port": 8001},
        {"ID": "api2", "Name": "api", "Tags": ["b"], "Port": 8002, "Check": {"TTL": "60s", "Status": "warning"}},
        {"ID": "api3", "Name": "api", "Port": 8003, "Check": {"TTL": "60s"}},
        {"Name": "hn", "Address": "example.internal", "Port": 1},
        *({"ID": f"m{n}", "Name": "many", "Address": f"127.0.1.{n}", "Port": 9000 + n} for n in range(8)),
    ]
    for service in services:
        running.put("/v1/agent/service/register", service)
    yield running
    running.stop()


def records(section: list[Any]) -> list[str]:
    return sorted(line for rrset in section for line in str(rrset).split("\n"))


def masked(text: str) -> list[str]:
    """The records, sorted; a SOA's serial is the time."""
    return sorted(re.sub(r"(hostmaster\.consul\.) \d+", r"\1 0", line) for line in text.split("\n") if line)


CAPTURED = json.loads((Path(__file__).parent / "captures/dns.json").read_text())


@pytest.mark.parametrize("at", range(len(CAPTURED)), ids=lambda at: CAPTURED[at]["q"])
def test_dns_answers_as_captured(named: Emulator, at: int) -> None:
    captured = CAPTURED[at]
    name, kind, *rest = captured["q"].split()
    query = dns.message.make_query(name, kind)
    whole = len(captured["answer"]) and captured["answer"][0].count("\n") > 2
    query.use_edns(0, payload=4096) if whole or rest == ["tcp"] else None
    answer = dns.query.udp(query, "127.0.0.1", port=named.dns, timeout=5)
    if name == "consul" or name.endswith(".arpa"):
        assert answer.rcode() == dns.rcode.NOTIMP, "outside the emulated scope: said so, not answered falsely"
        return
    assert dns.rcode.to_text(answer.rcode()) == captured["rcode"]
    assert dns.flags.to_text(answer.flags) == captured["flags"]
    wanted = {part: masked("\n".join(captured[part])) for part in ("answer", "authority", "additional")}
    if "many" in name and not whole:
        assert len(answer.answer[0]) == len(wanted["answer"]) == 3, "which three is random"
        return
    for part, lines in wanted.items():
        assert masked("\n".join(str(rrset) for rrset in getattr(answer, part))) == lines


def test_dns_survives_garbage(named: Emulator) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"x", b"\xff" * 600):
            sender.sendto(data, ("127.0.0.1", named.dns))
    answer = dns.query.udp(dns.message.make_query("dev1.node.consul", "A"), "127.0.0.1", port=named.dns, timeout=5)
    assert records(answer.answer) == ["dev1.node.consul. 0 IN A 127.0.0.1"]


# -- the command line ---------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """Exit code and output of a command that ends by itself."""
    code = 0
    try:
        main(argv)
    except SystemExit as ended:
        code = int(ended.code or 0)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_version_says_that_it_is_an_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "version")[1].startswith("Consul v1.22.0+emu\n")
    assert run(capsys, "--profile", "1.8", "--version")[1].startswith("Consul v1.8.7+emu\n")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["agent", "-dev", "-nope=1"], 1, "flag provided but not defined: -nope"),
        (["agent"], 1, "data_dir cannot be empty"),
        (["frobnicate"], 127, "Usage: consul"),
        (["--profile", "9", "version"], 1, "unknown Consul profile '9'"),
        (["--defect", "nope", "version"], 2, "unknown defect 'nope'"),
        (["--defects"], 0, "kv-cas-ignored"),
        (["agent", "-dev", "-client=192.0.2.1"], 1, "only loopback is allowed"),
    ],
)
def test_commands_that_end_at_once(capsys: pytest.CaptureFixture[str], argv: list[str], code: int, words: str) -> None:
    ended, output = run(capsys, *argv)
    assert ended == code
    assert words in output


def test_a_taken_port_stops_the_start(emulator: Emulator) -> None:
    ports = [f"-http-port={emulator.http}", f"-dns-port={free_port()}"]
    command = [sys.executable, "-m", "harness.emulators.consul", "agent", "-dev", *ports]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    assert (ended.returncode, "error starting listener" in ended.stderr) == (1, True)


def test_sigterm_ends_it_although_a_client_waits() -> None:
    running = Emulator()
    running.put("/v1/kv/a", b"x")
    waiter = threading.Thread(target=_wait_in_vain, args=(running,))
    waiter.start()
    time.sleep(0.2)
    start = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - start < 3.0
    waiter.join(timeout=5)


def _wait_in_vain(running: Emulator) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        running.get(f"/v1/kv/a?index={running.get('/v1/kv/a').index}&wait=60s")


def test_a_local_configuration_from_the_environment() -> None:
    running = Emulator(environ={"CONSUL_LOCAL_CONFIG": '{"datacenter": "east"}'})
    try:
        assert running.get("/v1/catalog/datacenters").json == ["east"]
    finally:
        assert running.stop() == 0
