"""What an agent keeps: snapshots, and its data directory. Restoring and crashing take an agent of the test's own."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint, Source
from harness.probes.http import ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services import kind_named

SETTINGS = 'disable_update_check = true session_ttl_min = "1s" performance { raft_multiplier = 1 }'


RULES = 'key_prefix "app/" { policy = "write" } key_prefix "app/locked/" { policy = "read" }'


class Agent:
    """A private single server, with a data directory that survives its death."""

    def __init__(self, program: tuple[str, ...], directory: Path, *settings: str) -> None:
        self.http, server, serf = (Endpoint("http", "127.0.0.1", port, "http") for port in free_ports(3))
        self._command = (
            *program, "agent", "-server", "-bootstrap-expect=1", "-node=own", "-bind=127.0.0.1", "-client=127.0.0.1",
            f"-data-dir={directory / 'data'}", f"-http-port={self.http.port}", f"-server-port={server.port}",
            f"-serf-lan-port={serf.port}", "-serf-wan-port=-1", "-grpc-port=-1", "-dns-port=-1", f"-hcl={SETTINGS}",
            *(f"-hcl={setting}" for setting in settings),
        )  # fmt: skip
        self.directory, self._log = directory, directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Launch it and wait until it decides on a write: accepted, or forbidden when it has access control."""
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(self._command, stdout=log, stderr=log)

        def ended() -> str:
            return f"exit {process.returncode}: {self._log.read_text()[-500:]}" if process.poll() is not None else ""

        def writable() -> None:
            expect((200, 403), self.http, "/v1/kv/ready", "PUT", body=b"1")
            expect((200, 403), self.http, "/v1/catalog/node/own")

        poll(writable, Deadline.after(30), "the private agent", died=ended)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


Launch = Callable[..., Agent]


def free_ports(count: int) -> list[int]:
    """Port numbers that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture
def private(stack: RemoteStack) -> Iterator[Launch]:
    """Starts agents of this test's own with the program that the stack runs; they end with the test."""
    fidelity = stack["consul"].fidelity
    if fidelity.source not in {Source.BINARY, Source.EMULATOR}:
        pytest.skip(
            f"not verified: needs an agent of its own, and the stack's is no program here but {fidelity.source}"
        )
    program = (fidelity.detail,) if fidelity.source is Source.BINARY else kind_named("consul").emulator
    made: list[Agent] = []

    def launch(*settings: str) -> Agent:
        made.append(Agent(program, Path(tempfile.mkdtemp(prefix="consul-")), *settings))
        made[-1].start()
        return made[-1]

    yield launch
    for agent in made:
        agent.kill()
        shutil.rmtree(agent.directory)


@pytest.fixture
def first_token(stack: RemoteStack) -> str:
    """What the setting of the first token is called: renamed in 1.11."""
    found = re.match(r"(\d+)\.(\d+)", stack["consul"].fidelity.version)
    return "initial_management" if found is None or (int(found[1]), int(found[2])) >= (1, 11) else "master"


def value(http: Endpoint, key: str) -> bytes | None:
    """The bytes of a key, None when there is none."""
    answer = ask(http, f"/v1/kv/{key}?raw")
    return answer.body if answer.status == 200 else None


def test_the_servers_judge_themselves_healthy_with_one_leader(stack: RemoteStack) -> None:
    """What an operator asks before taking a server away: the verdict, and who leads. Source: HTTP API, "Autopilot",
    Read Health; one that leads is known to have had contact just now."""
    http = stack["consul"].endpoint("http")

    def healthy() -> Any:
        answer = ask(http, "/v1/operator/autopilot/health")  # 429 until it has been stable for ten seconds
        if answer.status != 200:
            raise NotYet(f"{answer.status} {answer.text[:200]}")
        return answer.json()

    found = poll(healthy, Deadline.after(30), "the servers to be healthy")
    assert found["Healthy"] is True
    (leader,) = [one for one in found["Servers"] if one["Leader"]]
    assert (leader["Voter"], leader["SerfStatus"]) == (True, "alive")
    assert leader["Name"] in {one["Node"] for one in expect(200, http, "/v1/catalog/nodes").json()}


def test_a_snapshot_is_a_point_in_time_that_contains_what_was_written(stack: RemoteStack, namespace: Namespace) -> None:
    """`GET /snapshot`: a gzip archive "that can be used to restore", with its index in a header."""
    http, key = stack["consul"].endpoint("http"), f"{namespace.of('consul')}key"
    expect(200, http, f"/v1/kv/{key}", "PUT", body=b"x" * 64)
    written = int(expect(200, http, f"/v1/kv/{key}").headers["x-consul-index"])
    taken = expect(200, http, "/v1/snapshot", timeout=10)
    assert taken.headers["content-type"] == "application/x-gzip"
    assert int(taken.headers["x-consul-index"]) >= written
    assert key.encode() in _state(taken.body), "an acknowledged write is not in the snapshot"


def test_a_snapshot_carries_checksums_that_hold(stack: RemoteStack) -> None:
    """The archive has `meta.json`, `state.bin` and `SHA256SUMS`, so that a damaged backup is noticed."""
    if not stack["consul"].fidelity.verified:
        pytest.skip("not verified: an emulator's snapshot has a format of its own")
    taken = expect(200, stack["consul"].endpoint("http"), "/v1/snapshot", timeout=10)
    with tarfile.open(fileobj=io.BytesIO(taken.body), mode="r:gz") as archive:
        files = {member.name: _read(archive, member) for member in archive.getmembers()}
    sums = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", files.pop("SHA256SUMS").decode(), re.MULTILINE))
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == {
        name: digest for digest, name in sums.items()
    }


def test_a_restored_snapshot_brings_back_what_was_and_drops_what_came_after(private: Launch) -> None:
    """`PUT /snapshot` replaces the whole state: keys, sessions, locks; what is no snapshot is refused first."""
    http = private().http
    holder = expect(200, http, "/v1/session/create", "PUT", body={"NodeChecks": []}).json()["ID"]
    expect(200, http, f"/v1/kv/lock?acquire={holder}", "PUT", body=b"held")
    expect(200, http, "/v1/kv/config", "PUT", body=b"good")
    snapshot = expect(200, http, "/v1/snapshot", timeout=10).body
    expect(200, http, "/v1/kv/config", "PUT", body=b"bad")
    expect(200, http, "/v1/kv/later", "PUT", body=b"1")
    assert ask(http, "/v1/snapshot", "PUT", body=b"no snapshot", timeout=10).status == 500
    assert value(http, "config") == b"bad"
    expect(200, http, "/v1/snapshot", "PUT", body=snapshot, timeout=10)
    assert (value(http, "config"), value(http, "later")) == (b"good", None)
    (lock,) = expect(200, http, "/v1/kv/lock").json()
    assert (lock["Session"], b64decode(lock["Value"])) == (holder, b"held")


def test_everything_acknowledged_survives_a_crash_of_the_server(private: Launch) -> None:
    """A server with a data directory keeps keys, sessions, locks, registrations, and the status of TTL checks."""
    agent = private()
    holder = expect(200, agent.http, "/v1/session/create", "PUT", body={"NodeChecks": [], "TTL": "600s"}).json()["ID"]
    expect(200, agent.http, f"/v1/kv/lock?acquire={holder}", "PUT", body=b"held")
    service = {"Name": "api", "Port": 80, "Check": {"TTL": "600s"}}
    expect(200, agent.http, "/v1/agent/service/register", "PUT", body=service)
    expect(200, agent.http, "/v1/agent/check/pass/service:api", "PUT")
    for number in range(100):
        expect(200, agent.http, f"/v1/kv/n/{number}", "PUT", body=b"%d" % number)
    agent.kill()
    agent.start()
    kept = expect(200, agent.http, "/v1/kv/n/?recurse").json()
    assert sorted(int(b64decode(entry["Value"])) for entry in kept) == list(range(100))
    (lock,) = expect(200, agent.http, "/v1/kv/lock").json()
    assert lock["Session"] == holder

    def registered() -> Any:
        if not (found := expect(200, agent.http, "/v1/health/service/api").json()):
            raise NotYet("the service is not in the catalog")
        return found[0]["Service"]["Port"]

    assert poll(registered, Deadline.after(10), "the registration") == 80
    assert expect(200, agent.http, "/v1/agent/checks").json()["service:api"]["Status"] == "passing"


@pytest.fixture
def secured(private: Launch, first_token: str) -> tuple[Endpoint, dict[str, str]]:
    """An agent of this test's own that denies what no token grants, with the policy `app`; and the first token."""
    secret = str(uuid.uuid4())
    http = private(f'acl {{ enabled = true default_policy = "deny" tokens {{ {first_token} = "{secret}" }} }}').http
    root, policy = {"X-Consul-Token": secret}, {"Name": "app", "Rules": RULES}

    def ready() -> None:
        expect(200, http, "/v1/acl/policy", "PUT", body=policy, headers=root)

    poll(ready, Deadline.after(15), "the access control to be ready")
    return http, root


def new_token(http: Endpoint, root: dict[str, str], **settings: Any) -> dict[str, str]:
    """The header of a new token with the policy `app`."""
    body = {"Policies": [{"Name": "app"}], **settings}
    made = expect(200, http, "/v1/acl/token", "PUT", body=body, headers=root).json()
    return {"X-Consul-Token": made["SecretID"]}


def test_a_token_does_only_what_its_policy_grants(secured: tuple[Endpoint, dict[str, str]]) -> None:
    """ACL rules: the longest prefix that matches decides; with `default_policy = "deny"` nothing else is allowed."""
    http, root = secured
    app = new_token(http, root)
    for key in ("app/a", "app/locked/b", "other"):
        expect(200, http, f"/v1/kv/{key}", "PUT", body=b"root", headers=root)
    for headers, key in (({}, "app/a"), (app, "app/locked/b"), (app, "other")):
        assert ask(http, f"/v1/kv/{key}", "PUT", body=b"app", headers=headers).status == 403, key
        assert expect(200, http, f"/v1/kv/{key}?raw", headers=root).body == b"root", f"{key} was written all the same"
    expect(200, http, "/v1/kv/app/a", "PUT", body=b"app", headers=app)
    assert expect(200, http, "/v1/kv/app/a?raw", headers=app).body == b"app"
    assert ask(http, "/v1/kv/app/locked/b?raw", headers=app).body == b"root"
    assert ask(http, "/v1/kv/other?raw", headers=app).status in (403, 404)
    listed = expect(200, http, "/v1/kv/?keys", headers=app).json()
    assert listed == ["app/a", "app/locked/b"], "keys that the token may not read are listed"


def test_a_token_that_is_deleted_or_unknown_is_refused(secured: tuple[Endpoint, dict[str, str]]) -> None:
    """ACL tokens: what a leaked secret may do ends with its token: 403 "ACL not found", for reading too."""
    http, root = secured
    app = new_token(http, root)
    mine = expect(200, http, "/v1/acl/token/self", headers=app).json()
    assert [link["Name"] for link in mine["Policies"]] == ["app"]
    expect(200, http, f"/v1/acl/token/{mine['AccessorID']}", "DELETE", headers=root)

    def forgotten() -> None:
        expect(403, http, "/v1/kv/app/a", headers=app)  # a server may remember a token for a moment: `token_ttl`

    poll(forgotten, Deadline.after(40), "the deleted token to be refused")
    for headers in (app, {"X-Consul-Token": str(uuid.uuid4())}):
        refused = ask(http, "/v1/kv/app/a", "PUT", body=b"x", headers=headers)
        assert (refused.status, "ACL not found" in refused.text) == (403, True), refused.text


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_token_ends_when_its_time_is_over(secured: tuple[Endpoint, dict[str, str]]) -> None:
    """Create token, `ExpirationTTL`: "must be no less than one minute"; from then on it is as if it never was."""
    http, root = secured
    short = ask(http, "/v1/acl/token", "PUT", body={"ExpirationTTL": "59s"}, headers=root)
    assert short.status >= 400, "an expiration below a minute was accepted"
    began, app = time.monotonic(), new_token(http, root, ExpirationTTL="60s")
    expect(200, http, "/v1/kv/app/a", "PUT", body=b"app", headers=app)

    def ended() -> float:
        expect(403, http, "/v1/kv/app/a", headers=app)
        return time.monotonic() - began

    assert poll(ended, Deadline.after(120), "the token to expire", interval=0.5) >= 59


def _state(snapshot: bytes) -> bytes:
    """The state inside a snapshot: one part of a real one's archive, all of an emulator's."""
    unpacked = gzip.decompress(snapshot)
    if not tarfile.is_tarfile(io.BytesIO(unpacked)):
        return unpacked
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        return _read(archive, archive.getmember("state.bin"))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
