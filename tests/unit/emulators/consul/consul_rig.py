"""What the tests of the Consul emulator share: state on a clock that tests move, and a running emulator."""

from __future__ import annotations

import base64
import heapq
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from harness.emulators.consul.profile import DEFECTS
from harness.emulators.consul.rows import Entry
from harness.emulators.consul.server import Server, build_server
from harness.emulators.consul.settings import read_settings
from harness.emulators.consul.timers import Timers
from harness.emulators.runner import Defects

READY_WITHIN = 10.0


class FakeTimers:
    """Timers on a clock that moves only when told."""

    def __init__(self) -> None:
        self.clock = 0.0
        self._queue: list[tuple[float, int, Hashable]] = []
        self._live: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        self._serial = 0

    def now(self) -> float:
        return self.clock

    def at(self, name: Hashable, delay: float, run: Callable[[], None]) -> None:
        self._serial += 1
        self._live[name] = (self._serial, run)
        heapq.heappush(self._queue, (self.clock + delay, self._serial, name))

    def cancel(self, name: Hashable) -> None:
        self._live.pop(name, None)

    def advance(self, seconds: float) -> None:
        """Let time pass, firing what falls due in order."""
        end = self.clock + seconds
        while self._queue and self._queue[0][0] <= end:
            self.clock, serial, name = heapq.heappop(self._queue)
            if self._live.get(name, (0,))[0] == serial:
                self._live.pop(name)[1]()
        self.clock = end


class FakeMonitors:
    """Records which active checks run."""

    def __init__(self) -> None:
        self.running: dict[str, dict[str, Any]] = {}

    def start(self, check_id: str, definition: dict[str, Any]) -> None:
        self.running[check_id] = definition

    def stop(self, check_id: str) -> None:
        self.running.pop(check_id, None)


@dataclass
class World:
    """A server without sockets."""

    server: Server
    timers: FakeTimers
    monitors: FakeMonitors = field(default_factory=FakeMonitors)


def make_world(*flags: str, defects: tuple[str, ...] = (), profile: str = "1.22") -> World:
    """A started server on a fake clock. `flags` as on the command line; `-dev` unless a data directory is given."""
    argv = ["-node=n1", *flags] if any("data-dir" in flag for flag in flags) else ["-dev", "-node=n1", *flags]
    timers = FakeTimers()
    server = build_server(
        read_settings(argv, {}, profile), Defects(DEFECTS, frozenset(defects)), cast("Timers", timers)
    )
    world = World(server, timers)
    server.agent.monitors = world.monitors
    server.start()
    return world


def put(world: World, key: str, value: str = "v", verb: str = "set", **more: Any) -> bool:
    """A KV write; whether it took effect."""
    text = base64.b64encode(value.encode()).decode()
    return world.server.kv.apply(verb, key, text, **more)


def entry(world: World, key: str) -> Entry:
    """The entry of a key that is there."""
    found = world.server.kv.get(key)[1]
    assert found is not None
    return found


@dataclass
class Reply:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def index(self) -> int:
        return int(self.headers["x-consul-index"])


class Emulator:
    """A running emulator process."""

    def __init__(self, *flags: str, profile: str = "1.22", environ: dict[str, str] | None = None) -> None:
        self.http, self.dns = free_port(), free_port()
        ports = [f"-http-port={self.http}", f"-dns-port={self.dns}"]
        mode = [] if any("data-dir" in flag for flag in flags) else ["-dev"]
        argv = [sys.executable, "-m", "harness.emulators.consul", "--profile", profile, "agent", "-node=n1", *mode]
        self.argv = [*argv, "-bind=127.0.0.1", "-client=127.0.0.1", *ports, *flags]
        self.environ = {**os.environ, **(environ or {})}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.argv, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=_root()
        )
        try:
            self._until_ready()
        except BaseException:  # whatever ended the wait: the process must not outlive its test
            self.stop(signal.SIGKILL)
            raise

    def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the emulator ended: {self.output()}")
            try:
                if self.call("GET", "/v1/status/leader").json:
                    return
            except OSError:
                time.sleep(0.02)
        pytest.fail("the emulator did not become ready")

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=20)
        try:
            data = body if isinstance(body, bytes | str | None) else json.dumps(body)
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, fields, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def put(self, path: str, body: Any = None) -> Reply:
        return self.call("PUT", path, body)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def _root() -> Path:
    return Path(__file__).resolve().parents[4]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
