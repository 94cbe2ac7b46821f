"""A stack on an engine elsewhere, as the runtime has it: connected, copied to, called back, lost and had again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import PlanError, RuntimeUnavailable
from harness.model import Endpoint, Mount
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.forwarded import ForwardedContainer
from harness.runtimes.docker.runtime import DockerRuntime
from tests.unit.rigs.core_rig import eventually, plan_of, service
from tests.unit.rigs.docker_rig import FakeEngine, no_sleep
from tests.unit.rigs.ssh_rig import FarMachine, far_machine

ADDRESSES = {"app": {"main": Endpoint("main", "127.0.0.1", 20001)}}


@pytest.fixture
def far(engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarMachine]:
    """The machine, with the fake engine on it."""
    engine.image("app:1.0")
    with far_machine(state, monkeypatch) as made:
        yield made


@pytest.fixture
def runtime(far: FarMachine, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerRuntime]:
    """A runtime of the run `r1`, not prepared; closed after the test."""
    no_sleep(monkeypatch, "harness.runtimes.docker.sweep")
    made = DockerRuntime(state / "r1", lambda start: start())
    yield made
    made.close()


def connection(runtime: DockerRuntime) -> int:
    """The process that is the runtime's connection."""
    assert runtime._distance.tunnel is not None
    return runtime._distance.tunnel.pid


def test_all_clients_of_the_process_have_the_forwarded_socket(far: FarMachine, runtime: DockerRuntime) -> None:
    assert runtime.elsewhere == ""
    runtime.prepare(plan_of(service("app")))
    assert os.environ["DOCKER_HOST"].startswith("unix://")
    assert runtime.elsewhere == str(far.address)
    assert runtime.callback_host == "127.0.0.1"
    assert isinstance(runtime.create(service("app"), ADDRESSES, runtime.directory.parent / "log"), ForwardedContainer)


def test_receivers_are_called_at_the_networks_gateway(engine: FakeEngine, runtime: DockerRuntime) -> None:
    runtime.prepare(plan_of(service("app")))
    host, port = runtime.called_at(4711)
    assert host == engine.networks[0].attrs["IPAM"]["Config"][0]["Gateway"]
    assert port not in (0, 4711)
    assert runtime.called_at(4711) == (host, port)
    runtime.called_no_more(4711)


def test_services_that_could_not_call_back_are_not_started(
    engine: FakeEngine, far: FarMachine, runtime: DockerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runtimes.ssh.checks.COMES_WITHIN", 0.1)
    far.behave(gateway_ports="no")
    with pytest.raises(RuntimeUnavailable, match="from its loopback only"):
        runtime.prepare(plan_of(service("app")))
    assert runtime.close() == []
    assert (engine.networks, engine.volumes) == ([], [])


def test_files_are_copied_and_directories_lie_in_volumes(
    engine: FakeEngine, runtime: DockerRuntime, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("in a directory")
    (tmp_path / "f").write_text("a file")
    mounts = (
        Mount("bind", "/etc/d", str(tmp_path / "d"), read_only=True),
        Mount("bind", "/etc/f", str(tmp_path / "f"), read_only=True),
        Mount("content", "/etc/c", "inline"),
    )
    app = replace(service("app"), mounts=mounts)
    runtime.prepare(plan_of(app))
    runtime.create(app, ADDRESSES, runtime.directory.parent / "log").launch()
    (container,) = engine.containers
    assert {path: data for path, (data, _) in container.files.items()} == {
        "/etc/d/a": b"in a directory", "/etc/f": b"a file", "/etc/c": b"inline",
    }  # fmt: skip
    (mount,) = container.asked["mounts"]
    assert (mount["Type"], mount["Target"]) == ("volume", "/etc/d")
    assert mount["VolumeOptions"] == {"NoCopy": True}
    assert mount["Source"].startswith("ih-r1-app-")
    assert mount["Source"] in engine.asked("volumes.create")


def test_a_mount_that_cannot_be_carried_ends_it_before_anything_is_made(
    engine: FakeEngine, runtime: DockerRuntime, tmp_path: Path
) -> None:
    app = replace(service("app"), mounts=(Mount("bind", "/d", str(tmp_path)),))
    with pytest.raises(PlanError, match="it may be written"):
        runtime.prepare(plan_of(app))
    assert engine.asked("networks.create") == []


def test_a_lost_connection_is_told_and_the_end_has_another(
    engine: FakeEngine, far: FarMachine, runtime: DockerRuntime, state: Path
) -> None:
    runtime.prepare(plan_of(service("app")))
    runtime.create(service("app"), ADDRESSES, runtime.directory.parent / "log").launch()
    assert runtime.lost() == ""
    os.kill(connection(runtime), signal.SIGKILL)
    eventually(lambda: "the ssh connection was lost" in runtime.lost(), 5)
    assert runtime.close() == []
    assert (engine.containers, engine.networks, engine.volumes) == ([], [], [])
    assert len(far.calls("-M")) == 2
    assert not (state / "t").exists()


def test_what_is_left_when_there_is_no_other_connection_is_told(
    engine: FakeEngine, far: FarMachine, runtime: DockerRuntime, state: Path
) -> None:
    runtime.prepare(plan_of(service("app")))
    far.behave(code=255, say="ssh: connect to host far.test port 22: No route to host\n")
    os.kill(connection(runtime), signal.SIGKILL)
    eventually(runtime.lost, 5)
    (left,) = runtime.close()
    assert left.startswith("what run r1 has there, until the next run with that engine: docker engine at ssh://")
    assert "no way leads to it" in left
    assert not (state / "t").exists()


def test_an_engine_of_this_machine_needs_none_of_it(
    engine: FakeEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_sleep(monkeypatch, "harness.runtimes.docker.sweep")
    engine.image("app:1.0")
    runtime = DockerRuntime(state / "r1", lambda start: start())
    runtime.prepare(plan_of(service("app")))
    assert (runtime.elsewhere, runtime.lost()) == ("", "")
    assert runtime.called_at(4711) == (runtime.callback_host, 4711)
    runtime.called_no_more(4711)
    made = runtime.create(service("app"), ADDRESSES, state / "log")
    assert isinstance(made, ContainerInstance)
    assert not isinstance(made, ForwardedContainer)
    assert runtime.close() == []
