"""The process: options, environment, exit codes, crash and restart."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.emulators.arangodb.options import read_options

_ENV = {"ARANGO_NO_AUTH": "1"}


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.emulators.arangodb", *args]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ARANGO")}
    return subprocess.run(command, env={**clean, **env}, capture_output=True, text=True, timeout=20, check=False)


def until(fact: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a fact, at most so long."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_version() -> None:
    assert run("--version").stdout.split()[0].endswith("+emu")


@pytest.mark.parametrize(
    ("args", "env", "code", "text"),
    [
        ([], {}, 1, "ARANGO_ROOT_PASSWORD"),
        ([], {"ARANGO_NO_AUTH": "1", "ARANGO_ROOT_PASSWORD": "x"}, 1, "ARANGO_ROOT_PASSWORD"),
        (["--no.such", "1"], _ENV, 3, "unknown option '--no.such'"),
        (["--server.authentication", "maybe"], _ENV, 4, "boolean"),
        (["--server.endpoint", "udp://x:1"], _ENV, 4, "endpoint"),
        (["--ttl.frequency", "often"], _ENV, 4, "numeric"),
        (["--ttl.frequency"], _ENV, 4, "no value specified"),
        (["--configuration", "/no/such/file"], _ENV, 6, "cannot read config file"),
        (["--server.jwt-secret-keyfile", "/no/such/file"], _ENV, 1, "unable to read"),
        (["--defect", "nope"], _ENV, 2, "unknown defect"),
    ],
)
def test_refused_starts(args: list[str], env: dict[str, str], code: int, text: str) -> None:
    done = run(*args, **env)
    assert done.returncode == code
    assert text in done.stderr


def test_port_in_use_and_directory_in_use(tmp_path: Path, arangod: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--server.endpoint", f"tcp://127.0.0.1:{taken.getsockname()[1]}", **_ENV)
    assert done.returncode == 21
    arangod("--database.directory", str(tmp_path / "data"))
    assert run("--database.directory", str(tmp_path / "data"), **_ENV).returncode == 22


def test_options(tmp_path: Path) -> None:
    config, secret = tmp_path / "arangod.conf", tmp_path / "secret"
    config.write_text("# c\n[ttl]\nfrequency = 500\n[transaction]\nstreaming-idle-timeout = 300\n")
    secret.write_text("s3\n")
    made = read_options(
        ["--configuration", str(config), "--server.jwt-secret-keyfile", str(secret), "--server.endpoint",
         "http+tcp://127.0.0.1:1234", "--rocksdb.block-cache-size", "1", "--query.max-runtime=7", str(tmp_path)],
        {"ARANGO_ROOT_PASSWORD": ""},
    )  # fmt: skip
    assert (made.ttl_seconds, made.idle_timeout, made.jwt_secret, made.port) == (0.5, 120, b"s3", 1234)
    assert (made.directory, made.authentication, made.max_runtime) == (tmp_path, True, 7)


def test_the_stacks_own_flags_are_read() -> None:
    file = Path(__file__).parents[4] / "compose" / "stack.yml"
    command = yaml.safe_load(file.read_text())["services"]["arangodb"]["command"]
    made = read_options(command, _ENV)
    assert (made.ttl_seconds, made.max_runtime) == (1, 60)


def test_no_auth(arangod: Any) -> None:
    running = arangod(env=_ENV)
    assert running.call("GET", "/_api/version", auth=None).status_code == 200


def test_jwt_secret_survives_a_restart_only_when_given(tmp_path: Path, arangod: Any) -> None:
    (tmp_path / "secret").write_text("s")
    args = ("--database.directory", str(tmp_path / "data"), "--server.jwt-secret-keyfile", str(tmp_path / "secret"))

    def login(running: Any) -> str:
        body = {"username": "root", "password": "pw"}
        return str(running.call("POST", "/_open/auth", json=body, auth=None).json()["jwt"])

    first = arangod(*args)
    token = login(first)
    first.stop()
    second = arangod(*args, env={"ARANGO_ROOT_PASSWORD": "ignored now"})
    headers = {"authorization": f"bearer {token}"}
    assert second.call("GET", "/_api/version", auth=None, headers=headers).status_code == 200
    assert second.call("GET", "/_api/version").status_code == 200
    second.stop()
    third = arangod(*args[:2])
    assert third.call("GET", "/_api/version", auth=None, headers=headers).status_code == 401


def test_acknowledged_writes_survive_sigkill_and_open_transactions_do_not(tmp_path: Path, arangod: Any) -> None:
    args = ("--database.directory", str(tmp_path / "data"))
    first = arangod(*args)
    db = first.database()
    db.create_collection("c")
    db.create_collection("d")
    acked: list[str] = []

    def write() -> None:
        try:
            for number in range(100_000):
                db.collection("c").insert({"_key": f"k{number}"})
                acked.append(f"k{number}")
        except OSError:
            return

    done = db.begin_transaction(write=["c", "d"])
    for name in ("c", "d"):
        done.collection(name).insert({"_key": "committed"})
    done.commit_transaction()
    open_one = db.begin_transaction(write=["c", "d"])
    open_one.collection("d").insert({"_key": "open"})
    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(acked) >= 50)
    first.stop(kill=True)
    writer.join(30)
    kept = arangod(*args).database()
    found = set(kept.collection("c").keys())
    assert set(acked) | {"committed"} <= found
    assert len(found) <= len(acked) + 2
    assert list(kept.collection("d").keys()) == ["committed"]


def test_without_a_directory_nothing_is_kept(arangod: Any) -> None:
    first = arangod()
    first.database().create_collection("c")
    first.stop()
    assert first.process.returncode == 0
    assert not arangod().database().has_collection("c")


def test_a_bad_request_on_the_wire_is_survived(shared: Any) -> None:
    port = int(shared.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"\x00\x01garbage\r\n\r\n")
        raw.settimeout(5)
        raw.recv(100)
    assert shared.call("GET", "/_api/version").status_code == 200


def test_sigterm_ends_running_queries(arangod: Any) -> None:
    running = arangod()
    client = running.database()
    replies: list[Any] = []
    body = {"query": "RETURN SLEEP(60)"}
    thread = threading.Thread(
        target=lambda: replies.append(running.call("POST", "/_api/cursor", json=body).status_code)
    )
    thread.start()
    until(lambda: bool(client.aql.queries()))
    running.stop()
    thread.join(5)
    assert replies == [410]


def test_a_stopping_server_refuses(servers: Any, http: Any) -> None:
    server = servers()
    server.stopping = True
    status, body = http(server)("GET", "/_api/version")
    assert (status, body["errorNum"]) == (503, 30)
