"""What a Redis server does with its memory and its disk. It needs a server of its own: settings are server-wide."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.keeper.client import RemoteStack
from harness.model import Source
from harness.probes.poll import Deadline, NotYet, poll


class Server:
    """A private server on a Unix socket, with a directory that survives its death."""

    def __init__(self, program: str, directory: Path, *settings: str) -> None:
        self.directory, self.socket, self._log = directory, directory / "socket", directory / "log"
        self._command = (program, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(directory), *settings)
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Redis(unix_socket_path=str(self.socket), decode_responses=True, retry=Retry(NoBackoff(), 0))

    def start(self) -> Redis:
        """Launch it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(self._command, stdout=log, stderr=log)

        def answers() -> None:
            try:
                self.client.ping()
            except exceptions.RedisError as error:
                raise NotYet(str(error)) from error

        poll(answers, Deadline.after(10), "the private server", interval=0.01, died=lambda: self._ended(process))
        return self.client

    def _ended(self, process: subprocess.Popen[bytes]) -> str:
        return f"exit {process.returncode}: {self._log.read_text()[-300:]}" if process.poll() is not None else ""

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self.client.connection_pool.disconnect()


Launch = Callable[..., Server]


@pytest.fixture
def private(stack: RemoteStack) -> Iterator[Launch]:
    """Starts servers of this test's own with the program that the stack runs; they end with the test."""
    fidelity = stack["redis"].fidelity
    if fidelity.source is not Source.BINARY:
        pytest.skip(
            f"not verified: needs a server of its own, and the stack's is no program here but {fidelity.source}"
        )
    made: list[Server] = []

    def launch(*settings: str) -> Server:
        made.append(Server(fidelity.detail, Path(tempfile.mkdtemp(prefix="redis-")), *settings))
        made[-1].start()
        return made[-1]

    yield launch
    for server in made:
        server.kill()
        shutil.rmtree(server.directory)


def limit_memory(redis: Redis, policy: str, room: int = 2_000_000) -> None:
    """Let it use so many bytes more than it does now."""
    info: Any = redis.info("memory")
    redis.config_set("maxmemory-policy", policy)
    redis.config_set("maxmemory-samples", 64)
    redis.config_set("maxmemory", info["used_memory"] + room)


def fill(redis: Redis, name: str, entries: int = 4_000, ttl: int | None = None) -> int:
    """Write entries of a kilobyte; returns how many of them the server took."""
    taken = 0
    for start in range(0, entries, 200):
        with redis.pipeline(transaction=False) as pipe:
            for number in range(start, start + 200):
                pipe.set(f"{name}{number}", "x" * 1000, ex=ttl)
                pipe.get("hot")
            taken += sum(answer is True for answer in pipe.execute(raise_on_error=False))
    return taken


def count(redis: Redis, section: str, name: str) -> int:
    """A number of INFO."""
    info: Any = redis.info(section)
    return int(info[name])


def test_a_full_server_without_eviction_refuses_writes_and_keeps_everything(private: Launch) -> None:
    """`maxmemory-policy noeviction`: OOM for commands that need memory; reading and deleting still work."""
    redis = private("--save", "").client
    limit_memory(redis, "noeviction")
    stored = fill(redis, "k")
    assert 500 < stored < 3_000
    assert redis.dbsize() == stored
    assert count(redis, "stats", "evicted_keys") == 0
    assert redis.get("k0") == "x" * 1000
    assert redis.delete(*(f"k{number}" for number in range(400))) == 400

    def accepted() -> None:
        try:
            redis.set("again", "1")
        except exceptions.OutOfMemoryError as error:
            raise NotYet(str(error)) from error

    poll(accepted, Deadline.after(5), "room again after deleting", interval=0.01)


def test_a_full_cache_drops_what_is_seldom_used_and_keeps_what_is_often(private: Launch) -> None:
    """`maxmemory-policy allkeys-lfu`: memory stays at its bound, the frequently read key stays ("Key eviction")."""
    redis = private("--save", "").client
    redis.set("hot", "kept")
    limit_memory(redis, "allkeys-lfu")
    assert fill(redis, "k") == 4_000
    evicted = count(redis, "stats", "evicted_keys")
    assert evicted > 1_000
    assert redis.dbsize() == 4_001 - evicted
    assert redis.get("hot") == "kept"
    assert count(redis, "memory", "used_memory") < count(redis, "memory", "maxmemory") * 1.1


def test_eviction_of_volatile_keys_never_takes_one_without_ttl(private: Launch) -> None:
    """`maxmemory-policy volatile-lru`: only keys with an expiry set are candidates; with none left, writes fail."""
    redis = private("--save", "").client
    redis.mset({f"kept{number}": "x" * 1000 for number in range(200)})
    limit_memory(redis, "volatile-lru")
    assert fill(redis, "cache", ttl=600) == 4_000
    assert count(redis, "stats", "evicted_keys") > 1_000
    assert redis.exists(*(f"kept{number}" for number in range(200))) == 200
    assert fill(redis, "more") < 4_000
    assert redis.exists(*(f"kept{number}" for number in range(200))) == 200


def test_every_acknowledged_write_survives_a_crash_with_the_append_only_file(private: Launch) -> None:
    """`appendonly yes`, `appendfsync always`: what was answered OK is there after SIGKILL, TTL and type included."""
    server = private("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    for _ in range(60):
        server.client.incr("count")
    server.client.set("with-ttl", "1", ex=600)
    server.client.xadd("stream", {"n": "1"}, id="7-1")
    server.kill()
    redis = server.start()
    assert redis.get("count") == "60"
    assert 590 <= redis.ttl("with-ttl") <= 600
    assert redis.xinfo_stream("stream")["last-generated-id"] == "7-1"


def test_a_half_written_last_command_is_all_that_a_torn_file_loses(private: Launch) -> None:
    """`aof-load-truncated yes`: the server starts, and drops only what was cut off ("Persistence", truncated AOF)."""
    server = private("--appendonly", "yes", "--appendfsync", "always", "--save", "")
    for number in range(50):
        server.client.rpush("log", f"line {number}")
    server.kill()
    (written,) = server.directory.glob("appendonlydir/*.incr.aof")
    written.write_bytes(written.read_bytes()[:-5])
    redis = server.start()
    assert redis.lrange("log", 0, -1) == [f"line {number}" for number in range(49)]


def test_a_crash_goes_back_to_the_last_snapshot(private: Launch) -> None:
    """BGSAVE, `dump.rdb`: without an append-only file, what came after the snapshot is lost, nothing before it."""
    server = private("--save", "", "--appendonly", "no")
    server.client.set("before", "1")
    saved = server.client.lastsave()
    server.client.save()
    assert server.client.lastsave() >= saved
    server.client.set("after", "1")
    server.kill()
    redis = server.start()
    assert redis.mget("before", "after") == ["1", None]


def test_without_persistence_a_crash_loses_everything(private: Launch) -> None:
    """The control of the tests above: `save ""`, `appendonly no` keep nothing, so that survival is no accident."""
    server = private("--save", "", "--appendonly", "no")
    server.client.mset({f"k{number}": "1" for number in range(100)})
    server.kill()
    assert server.start().dbsize() == 0


def test_expiry_is_announced_to_subscribers_of_key_events(private: Launch) -> None:
    """Keyspace notifications: with `Ex`, `__keyevent@0__:expired` carries the key, after and not before its time."""
    redis = private("--save", "", "--notify-keyspace-events", "Ex").client
    listener: Any = Redis.pubsub(redis)  # type: ignore[no-untyped-call]
    listener.subscribe("__keyevent@0__:expired")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    redis.set("kept", "1", ex=600)
    redis.set("session", "1", px=200)

    def announced() -> Any:
        message = listener.get_message(timeout=0.05)
        if message is None:
            raise NotYet(f"no event, {redis.pttl('session')} ms to live")
        return message["data"]

    assert poll(announced, Deadline.after(5), "the event", interval=0.001) == "session"
    assert redis.exists("session", "kept") == 1
    listener.close()


def test_a_runaway_script_can_be_killed_and_the_server_serves_again(private: Launch) -> None:
    """SCRIPT KILL: past the threshold others get BUSY, and a script that wrote nothing can be ended."""
    server = private("--save", "", "--busy-reply-threshold", "100")
    caller = Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0), socket_timeout=10)
    connection: Any = caller.connection_pool.get_connection()
    connection.send_command("EVAL", "while true do end", "0")

    def busy() -> None:
        try:
            server.client.get("key")
        except exceptions.ResponseError as error:
            if "SCRIPT KILL" in str(error):
                return
        raise NotYet("the server answers as if it were not busy")

    poll(busy, Deadline.after(5), "the server to be busy", interval=0.01)
    server.client.script_kill()
    with pytest.raises(exceptions.ResponseError, match="killed"):
        connection.read_response()
    assert server.client.set("key", "1")
    caller.connection_pool.release(connection)
    caller.connection_pool.disconnect()


def test_connections_beyond_the_limit_are_turned_away_and_those_inside_stay(private: Launch) -> None:
    """`maxclients`: an error and a closed connection for the one too many; a place that is given up is free again."""
    server = private("--save", "", "--maxclients", "3")
    inside = [Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0)) for _ in range(2)]
    assert all(client.ping() for client in inside)
    late = Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0))
    with pytest.raises(exceptions.ConnectionError):
        late.ping()
    assert all(client.ping() for client in inside)
    inside.pop().connection_pool.disconnect()

    def admitted() -> None:
        try:
            late.ping()
        except exceptions.ConnectionError as error:
            raise NotYet(str(error)) from error

    poll(admitted, Deadline.after(5), "a free place", interval=0.01)
    for client in (*inside, late):
        client.connection_pool.disconnect()
