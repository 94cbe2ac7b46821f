"""A keeper in its own process: launched once, ending with its owner however that ends, leaving nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from harness import app
from harness.errors import KeeperError
from harness.identity import Identity
from harness.keeper import launch as launching
from harness.keeper import rundir
from harness.keeper.client import KeeperClient, RemoteStack
from harness.keeper.launch import launch
from harness.keeper.rundir import RunDir
from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, eventually, needs_redis

OWNER = f"""
import json, os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from harness import app
from harness.identity import Identity
settings = app.load_settings({{}}, Path(sys.argv[1]))
run = app.new_run(settings)
run.prepare()
lifeline = app.ensure_keeper(run, Identity.mine(), lifeline=sys.argv[2] == "lifeline")
plan, reason = app.plan_for(settings)
stack = app.start_stack(run, app.connect(run), plan, reason)
print(json.dumps([str(run.directory.path), stack["redis"].endpoint().port, str(stack["redis"].state)]), flush=True)
if os.fork() == 0:
    import time
    time.sleep(30)
input()
"""


@pytest.fixture
def root(state: Path) -> Path:
    (state / "one.yml").write_text(REDIS_COMPOSE)
    (state / "pyproject.toml").write_text(
        f'[tool.infra-harness]\ncompose = "one.yml"\nruntime = "process"\nstate = "{state}/s"\nreports = "{state}/r"\n'
    )
    return state


def gone(path: Path) -> bool:
    """Whether no process still has anything to do with a run."""
    return not path.exists() and not of_run(path)


def of_run(path: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if str(path) in " ".join(process.cmdline()) or process.cwd().startswith(str(path)):
                found.append(process)
        except psutil.Error:  # gone meanwhile, or not ours to ask
            continue
    return found


@needs_redis
@pytest.mark.parametrize("lifeline", ["lifeline", "pidfd"])
def test_kill_nine_of_the_owner_leaves_nothing(root: Path, lifeline: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(root), lifeline],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout
        directory, _, state = json.loads(owner.stdout.readline())
        path = Path(directory)
        assert state == "ready"
        assert len(of_run(path)) >= 2, "the keeper and its server"
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: gone(path), within=5)
        os.killpg(owner.pid, signal.SIGKILL)


def test_a_keeper_has_the_environment_that_it_is_given(root: Path) -> None:
    """So it asks the engine of its stack, whichever its launcher's is."""
    (root / "s" / "r1").mkdir(parents=True)
    run_dir = RunDir(root / "s" / "r1")
    lifeline = launch(run_dir, Identity.mine(), lifeline=True, environment={"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert lifeline
    environment = Path(f"/proc/{lifeline.process.pid}/environ").read_bytes().split(b"\0")
    lifeline.cut()
    assert environment.count(b"DOCKER_HOST=tcp://127.0.0.1:1") == 1
    assert environment.count(b"PATH=" + os.environ["PATH"].encode()) == 1


def started(root: Path) -> tuple[app.Run, RemoteStack, launching.Lifeline]:
    settings = app.load_settings({}, root)
    run = app.new_run(settings)
    run.prepare()
    lifeline = app.ensure_keeper(run, Identity.mine(), lifeline=True)
    assert lifeline
    plan, reason = app.plan_for(settings)
    return run, app.start_stack(run, app.connect(run), plan, reason), lifeline


@needs_redis
def test_kill_nine_of_the_keeper_takes_its_services_and_the_next_run_sweeps(root: Path) -> None:
    run, stack, lifeline = started(root)
    keeper = run.directory.keeper()
    assert keeper
    children = [Identity.from_json(line) for line in run.directory.children.read_text().splitlines()]
    assert [child.alive for child in children] == [True]
    os.kill(keeper.pid, signal.SIGKILL)
    eventually(lambda: not any(child.alive for child in children), within=5)
    with pytest.raises(KeeperError, match=r"lost its keeper|its keeper ended"):
        stack["redis"].kill()
    lifeline.cut()
    assert rundir.sweep(root / "s") == [run.id]
    assert gone(run.directory.path)
    stack.client.disconnect()


@needs_redis
def test_a_service_keeps_its_address_through_real_signals(root: Path) -> None:
    run, stack, lifeline = started(root)
    redis, port = stack["redis"], stack["redis"].endpoint().port
    from harness.services import kind_named

    client = kind_named("redis").client(redis)
    for operation in (redis.kill, redis.start, redis.pause, redis.resume, redis.restart):
        operation()
    assert client.ping()
    assert redis.refresh().endpoint().port == port
    client.close()
    stack.client.disconnect()
    lifeline.cut()
    assert gone(run.directory.path)


def test_of_many_callers_one_starts_the_keeper(state: Path) -> None:
    run_dir, pids = RunDir(state), set[int]()
    lifelines: list[launching.Lifeline | None] = []

    def join() -> None:
        lifelines.append(launch(run_dir, Identity.mine(), lifeline=True))
        client = KeeperClient(run_dir)
        pids.add(client.call("hello")["pid"])
        client.disconnect()

    threads = [threading.Thread(target=join) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lifeline,) = filter(None, lifelines)
    assert pids == {lifeline.process.pid}
    lifeline.cut()
    assert not state.exists()


def test_a_keeper_without_owner_ends_when_it_is_asked_to(state: Path) -> None:
    assert launch(RunDir(state), None) is None
    keeper = RunDir(state).keeper()
    assert keeper
    client = KeeperClient(RunDir(state))
    assert client.close_stack() == []
    client.disconnect()
    eventually(lambda: not keeper.alive and not state.exists())


def test_a_directory_longer_than_an_address_of_a_socket_serves(state: Path) -> None:
    run = RunDir(rundir.state_root(state / ("d" * 120)) / "r")
    run.path.mkdir()
    lifeline = launch(run, Identity.mine(), lifeline=True)
    assert lifeline
    with KeeperClient(run) as client:
        assert client.call("hello")["run"] == "r"
    lifeline.cut()
    assert gone(run.path)


def test_sigterm_ends_it_in_order_and_sigint_does_not(state: Path) -> None:
    lifeline = launch(RunDir(state), None, lifeline=True)
    assert lifeline
    lifeline.process.send_signal(signal.SIGINT)
    lifeline.process.send_signal(signal.SIGHUP)
    client = KeeperClient(RunDir(state))
    assert client.call("hello")
    client.disconnect()
    lifeline.process.send_signal(signal.SIGTERM)
    lifeline.cut()
    assert lifeline.process.returncode == 0
    assert not state.exists()


def test_a_kept_stack_outlives_its_owner(state: Path) -> None:
    lifeline = launch(RunDir(state), None, lifeline=True)
    assert lifeline
    client = KeeperClient(RunDir(state))
    client.keep()
    with pytest.raises(KeeperError, match="did not end within 0 s"):
        lifeline.cut(within=0.2)
    assert client.call("hello")
    client.close_stack()
    client.disconnect()
    lifeline.cut()


def test_a_keeper_that_does_not_come_up_tells_why(state: Path) -> None:
    (state / "s.new").mkdir()
    with pytest.raises(KeeperError, match=r"the keeper did not come up: .*Address already in use"):
        launch(RunDir(state), None)


def test_a_keeper_that_is_too_slow_is_ended(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "LAUNCH_WITHIN", 0.0)
    monkeypatch.setattr(launching, "_answers", lambda run_dir: False)
    with pytest.raises(KeeperError, match="the keeper did not come up: exit -9"):
        launch(RunDir(state), None)
