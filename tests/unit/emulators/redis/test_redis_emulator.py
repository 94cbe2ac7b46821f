"""The emulator of last resort: a password that is asked for, an INFO that says what answers, redis-server's flags."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.emulators.redis.options import Options, read_options
from harness.emulators.redis.server import VERSION, EmulatedRedis
from harness.emulators.runner import ConfigError


@pytest.fixture(params=["", "s3cret"])
def server(request: pytest.FixtureRequest) -> Iterator[EmulatedRedis]:
    made = EmulatedRedis(("127.0.0.1", 0), request.param)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def client(server: EmulatedRedis, password: str | None = None, **more: Any) -> redis.Redis:
    port = server.server_address[1]
    return redis.Redis(
        "127.0.0.1",
        port,
        password=password,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=3,
        **more,
    )


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_with_the_password_works_and_is_told_who_answers(server: EmulatedRedis, protocol: int) -> None:
    given = server.password.decode() or None
    with client(server, given, protocol=protocol) as found:
        assert found.set("k", "v", px=10_000)
        assert found.getdel("k") == "v"
        assert found.info("server")["redis_version"] == VERSION
        pipe = found.pipeline(transaction=False)
        pipe.set("a", "1").incr("a").info().get("a")
        assert [pipe_answer for pipe_answer in pipe.execute() if not isinstance(pipe_answer, dict)] == [True, 2, "2"]


def test_an_error_leaves_the_connection_open(server: EmulatedRedis) -> None:
    with client(server, server.password.decode() or None, single_connection_client=True) as found:
        found.set("k", "v")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            found.lpush("k", "x")
        assert found.get("k") == "v"


def test_no_or_a_wrong_password_opens_nothing(server: EmulatedRedis) -> None:
    if not server.password:
        with client(server, "any") as found, pytest.raises(redis.AuthenticationError, match="without any password"):
            found.get("k")
        return
    for protocol in (2, 3):
        with client(server, protocol=protocol) as found, pytest.raises(redis.AuthenticationError):
            found.get("k")
        with client(server, "wrong", protocol=protocol) as found, pytest.raises(redis.AuthenticationError):
            found.get("k")


def test_the_command_line_wins_over_files_and_includes_are_followed(tmp_path: Path) -> None:
    (tmp_path / "auth.conf").write_text("requirepass s3cret\n")
    (tmp_path / "redis.conf").write_text('# c\nport 1\nappendonly yes\nsave ""\n')
    made = read_options(
        [str(tmp_path / "redis.conf"), "--include", str(tmp_path / "auth.conf"), "--port", "7", "--bind", "127.0.0.1"]
    )
    assert made == Options("127.0.0.1", 7, "s3cret")


@pytest.mark.parametrize(("words", "said"), [(["--port", "x"], "integer"), (["--nosuch", "1"], "Bad directive")])
def test_a_bad_directive_is_refused_in_the_servers_words(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_options(words)


def test_the_program_refuses_a_missing_file_and_tells_its_version(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness.emulators.redis"]
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert f"v={VERSION} " in told.stdout
    done = subprocess.run(
        [*command, str(tmp_path / "no.conf")], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "can't open config file" in done.stderr) == (1, True)
