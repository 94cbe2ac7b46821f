"""`harness chaos` on a stack that is up: told, witnessed, undone; by the keeper when the command is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import EXIT_INTERRUPTED
from harness.experiments.actors.redis_calls import connect
from harness.faults import LinkFault, fault_named
from harness.keeper import rundir
from harness.keeper.client import KeeperClient, RemoteStack
from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, eventually, harness, needs_redis, short_directory

pytestmark = needs_redis
LASTING = ("pause", "kill", "term", "bad_configuration", "memory", "disk", "latency", "down")
"""Every undo that the keeper knows on this runtime. Connections of a dead process are the kernel's to close."""
WRITES = "[redis-server, --appendonly, 'yes', "
"""Into a file, so that a full disk shows."""


class Up:
    """A stack of one Redis, and the command on it."""

    def __init__(self, home: Path) -> None:
        self.home, self._state = home, ("--state", str(home / "s"))
        assert self("status")[0] == 12, "no stack is up"
        done = harness("up", "--runtime", "process", "--owner", str(os.getpid()), *self._state, cwd=home)
        assert done.returncode == 0, done.stderr
        (run,) = rundir.all_runs(home / "s")
        self.client = KeeperClient(run)

    def __call__(self, *words: str) -> tuple[int, str]:
        done = harness("chaos", *words, *self._state, cwd=self.home)
        return done.returncode, done.stdout + done.stderr

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The command, running, once it has told its witness."""
        command = [sys.executable, "-m", "harness.cli.main", "chaos", *words, "--for", "60s", *self._state]
        process = subprocess.Popen(command, cwd=self.home, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if line.startswith("witnessed"):
                break
        assert process.poll() is None, told
        return process

    @property
    def stack(self) -> RemoteStack:
        return self.client.stack()

    def whole(self) -> bool:
        """Whether nothing is broken by the keeper's account, and by the services' own."""
        redis, links = self.stack["redis"], self.stack.links
        if self.client.call("broken") or any(link.flaws() for link in links.values()):
            return False
        try:
            with connect(redis, 1.0) as client:
                client.set("whole", "yes", px=1000)
                clients, limit = client.info("clients")["connected_clients"], client.config_get("maxmemory")
        except Exception:
            return False
        return int(clients) < 10 and limit == {"maxmemory": "0"}


@pytest.fixture(scope="module")
def up(request: pytest.FixtureRequest) -> Iterator[Up]:
    home = short_directory(request)
    (home / "compose").mkdir()
    (home / "compose" / "stack.yml").write_text(REDIS_COMPOSE.replace("[redis-server, ", WRITES))
    made = Up(home)
    yield made
    made.client.disconnect()
    assert harness("down", "--all", "--state", str(home / "s"), cwd=home).returncode == 0


@pytest.mark.parametrize("name", ["kill", "down", "memory", "latency"])
def test_it_tells_the_witness_undoes_and_verifies(up: Up, name: str) -> None:
    code, text = up(name, "redis", "--for", "100ms")
    assert code == 0, text
    for words in ("witnessed: ", "undone in ", "verified after ", "served again "):
        assert words in text
    assert ("link chaos-redis: whoever connects to 127.0.0.1:" in text) == issubclass(fault_named(name), LinkFault)
    assert up.whole()


@pytest.mark.parametrize("name", LASTING)
def test_killed_by_sigkill_everything_is_undone_all_the_same(up: Up, name: str) -> None:
    process = up.begin(name, "redis")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert eventually(up.whole, within=20)
    assert "nothing is broken" in up("status")[1]


def test_killed_by_sigterm_it_undoes_itself_and_says_so(up: Up) -> None:
    process = up.begin("pause", "redis")
    assert "redis: broken, resume undoes it" in up("status")[1]
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert "interrupted: undone" in out
    assert process.returncode == EXIT_INTERRUPTED
    assert up.whole()


def test_heal_mends_what_another_command_holds(up: Up) -> None:
    process = up.begin("pause", "redis")
    assert "redis: resume: done" in up("heal")[1]
    assert eventually(up.whole)
    process.kill()
    process.communicate(timeout=20)
    assert "nothing was broken" in up("heal")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("pause",), 2, "expected a service"),
        (("pause", "nobody"), 2, "no service 'nobody'"),
        (("latency", "redis", "--set", "x"), 2, "expected NAME=VALUE"),
        (("latency", "redis", "--for", "soon"), 2, "--for 'soon'"),
        (("isolate", "redis"), 13, "is not Isolatable on this runtime"),
    ],
)
def test_bad_input_breaks_nothing(up: Up, words: tuple[str, ...], code: int, told: str) -> None:
    found, text = up(*words)
    assert found == code, text
    assert told in text
    assert up.whole()
