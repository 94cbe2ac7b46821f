"""One container: what is asked of the engine, how its end is told, and operations that can be repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException
from requests import ReadTimeout

from harness.errors import HarnessError, PortError, ServiceError
from harness.model import Endpoint, Limits, ServicePlan
from harness.ports import COMPLETED
from harness.runtimes.docker.container import ContainerInstance
from harness.runtimes.docker.request import Copied, Joins, Request, request_for
from tests.unit.rigs.core_rig import eventually, service
from tests.unit.rigs.docker_rig import DIGEST, FakeContainer, FakeEngine, refusal

NUMBERS = {"http": 8500, "dns": 8600}
ENDPOINTS = {
    "http": Endpoint("http", "127.0.0.1", 20001, "http"),
    "dns": Endpoint("dns", "127.0.0.1", 20002, "udp"),
    "server": Endpoint("server", "127.0.0.1", 20003),
}
PLAN = service("consul")
JOINS = Joins("ih-r1", "10.9.0.2")
FILES = {"/consul/config/a.json": Copied(b"{}")}


def asked(plan: ServicePlan) -> Request:
    return request_for(plan, ENDPOINTS, NUMBERS, [], JOINS, {"dev.infra-harness.run": "r1"}, FILES)


@pytest.fixture
def made(engine: FakeEngine, tmp_path: Path) -> Iterator[ContainerInstance]:
    """An instance of an image that the engine has, not launched."""
    engine.image("consul:1.0")
    engine.thing("networks", "ih-r1", {})
    instance = ContainerInstance(PLAN, asked(PLAN), tmp_path / "consul.log")
    yield instance
    instance.close()


@pytest.fixture
def running(made: ContainerInstance) -> ContainerInstance:
    """The instance, launched."""
    made.launch()
    return made


def only(engine: FakeEngine) -> FakeContainer:
    (container,) = engine.containers
    return container


# -- what is asked of the engine ----------------------------------------------------------------------------------


def test_a_container_is_published_on_loopback_labelled_and_gains_no_privileges(
    engine: FakeEngine, running: ContainerInstance
) -> None:
    request = only(engine).asked
    assert request["ports"] == {"8500/tcp": ("127.0.0.1", 20001), "8600/tcp": ("127.0.0.1", 20002),
                                "8600/udp": ("127.0.0.1", 20002)}  # fmt: skip
    assert request["labels"]["dev.infra-harness.run"] == "r1"
    assert request["security_opt"] == ["no-new-privileges:true"]
    assert request["network"] == "ih-r1"
    assert request["networking_config"]["ih-r1"]["Aliases"] == ["consul"]
    assert running.id == only(engine).id
    assert running.alive


def test_an_image_that_is_not_here_is_told_and_never_pulled_behind_our_back(
    engine: FakeEngine, made: ContainerInstance
) -> None:
    engine.images.clear()
    with pytest.raises(ServiceError, match=r"consul: image consul:1\.0 is not on the engine"):
        made.launch()
    engine.image("consul:1.0")
    made.launch()
    assert made.alive


def test_an_image_pinned_by_digest_runs_under_the_name_that_the_engine_has(engine: FakeEngine, tmp_path: Path) -> None:
    engine.image("consul:1", f"mirror.test/library/consul@{DIGEST}")
    plan = replace(PLAN, image=f"consul:1@{DIGEST}")
    instance = ContainerInstance(plan, asked(plan), tmp_path / "log")
    instance.launch()
    assert only(engine).asked["image"] == "consul:1"
    instance.close()


PORT_TAKEN = "driver failed programming external connectivity on endpoint x (1f): Bind for 127.0.0.1:20001 failed: "


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (PORT_TAKEN + "port is already allocated", PortError, "consul: .*port is already allocated"),
        ("Error starting userland proxy: listen tcp4 127.0.0.1:20001: bind: address already in use", PortError,
         "address already in use"),
        ("exec user process caused: exec format error", ServiceError, "built for another architecture"),
        ("image's platform (linux/arm64) does not match the specified platform (linux/amd64)", ServiceError,
         "built for another architecture"),
        ("no space left on device", ServiceError, "consul: no space left on device"),
    ],
)  # fmt: skip
def test_a_start_that_the_engine_refuses_is_one_sentence(
    engine: FakeEngine, made: ContainerInstance, said: str, kind: type[HarnessError], told: str
) -> None:
    engine.refuse("containers.start", refusal(500, said))
    with pytest.raises(kind, match=told):
        made.launch()
    assert made.exit_report() == ""


def test_a_container_that_was_made_and_not_started_is_started_at_the_next_launch(
    engine: FakeEngine, made: ContainerInstance
) -> None:
    engine.refuse("containers.start", refusal(500, "port is already allocated"))
    with pytest.raises(PortError):
        made.launch()
    made.launch()
    assert made.alive
    assert len(engine.asked("containers.create")) == 1


def test_an_engine_that_is_away_is_told(engine: FakeEngine, made: ContainerInstance) -> None:
    engine.refuse("connect", DockerException("Connection refused"))
    with pytest.raises(ServiceError, match="consul: Connection refused"):
        made.launch()
    made.close()
    assert engine.clients == 0


# -- how it ended -------------------------------------------------------------------------------------------------


def test_before_its_launch_it_is_nothing_and_can_be_told_everything(made: ContainerInstance) -> None:
    assert (made.id, made.alive, made.exit_report(), made.healthy()) == ("", False, "", None)
    for operation in (made.kill, made.pause, made.resume, made.isolate, made.rejoin, lambda: made.stop(1)):
        operation()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"ExitCode": 0}, COMPLETED),
        ({"ExitCode": 3}, "exited with code 3"),
        ({"ExitCode": 137}, r"ended by signal 9 \(exit code 137\)"),
        ({"ExitCode": 127, "Error": "no such program"}, "exited with code 127: no such program"),
        ({"ExitCode": 137, "OOMKilled": True}, r"killed by the kernel: out of memory \(limit 1024 bytes\)"),
    ],
)
def test_its_end_is_told_in_words(engine: FakeEngine, tmp_path: Path, state: dict[str, Any], told: str) -> None:
    engine.image("consul:1.0")
    plan = replace(PLAN, limits=Limits(memory=1024))
    instance = ContainerInstance(plan, asked(plan), tmp_path / "log")
    instance.launch()
    assert instance.exit_report() == ""
    only(engine).end(**state)
    assert re.fullmatch(told, instance.exit_report())
    assert not instance.alive
    instance.close()


def test_its_last_lines_are_in_the_log_when_its_end_is_told(
    engine: FakeEngine, made: ContainerInstance, tmp_path: Path
) -> None:
    def stream() -> Iterator[bytes]:
        yield b"starting\n"
        eventually(lambda: not only(engine).state["Running"])
        yield b"fatal: bad port\n"

    engine.before["containers.logs"] = lambda: setattr(only(engine), "stream", stream())
    made.launch()
    only(engine).end(ExitCode=1)
    assert made.exit_report() == "exited with code 1"
    assert (tmp_path / "consul.log").read_text() == "starting\nfatal: bad port\n"


def test_a_container_that_somebody_removed_is_told_as_that(engine: FakeEngine, running: ContainerInstance) -> None:
    engine.containers.clear()
    assert "somebody removed the container" in running.exit_report()
    assert not running.alive


@pytest.mark.parametrize("error", [ReadTimeout("Read timed out."), refusal(500, "engine is confused")])
def test_an_engine_that_does_not_say_how_it_is_is_told(
    engine: FakeEngine, running: ContainerInstance, error: Exception
) -> None:
    engine.refuse("containers.reload", error)
    with pytest.raises(ServiceError, match="consul: the engine does not say how it is: "):
        running.exit_report()


def test_its_process_is_told_only_where_this_machine_sees_it(
    running: ContainerInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine in a virtual machine or on another host tells numbers that mean other processes here."""
    monkeypatch.setattr(running, "_state", lambda: {"Running": True, "Pid": 77})
    monkeypatch.setattr("harness.runtimes.docker.container.belongs_to", lambda pid, container: (pid, container))
    assert running.main_process == 77
    monkeypatch.setattr("harness.runtimes.docker.container.belongs_to", lambda pid, container: False)
    assert running.main_process == 0
    monkeypatch.setattr(running, "_state", dict)
    assert running.main_process == 0


@pytest.mark.parametrize(
    ("health", "answer"),
    [(None, None), ({"Status": "none"}, None), ({"Status": "healthy"}, True), ({"Status": "starting"}, False),
     ({"Status": "unhealthy"}, False)],
)  # fmt: skip
def test_its_health_is_the_engines_answer(
    engine: FakeEngine, running: ContainerInstance, health: dict[str, str] | None, answer: bool | None
) -> None:
    only(engine).state["Health"] = health
    assert running.healthy() is answer


# -- what can be done to it ---------------------------------------------------------------------------------------


def test_kill_stop_pause_and_resume_can_be_repeated(engine: FakeEngine, running: ContainerInstance) -> None:
    for _ in range(2):
        running.pause()
    assert engine.asked("containers.pause") == ["consul"]
    assert running.exit_report() == ""
    for _ in range(2):
        running.resume()
    assert engine.asked("containers.unpause") == ["consul"]
    for _ in range(2):
        running.kill()
    assert not running.alive
    running.pause()
    running.stop(1.6)
    assert engine.asked("containers.pause") == ["consul"]
    assert [how["timeout"] for verb, _, how in engine.calls if verb == "containers.stop"] == [2]


def test_a_frozen_container_is_thawed_before_it_is_stopped(engine: FakeEngine, running: ContainerInstance) -> None:
    running.pause()
    running.stop(0)
    verbs = [verb for verb, _, _ in engine.calls if verb in {"containers.unpause", "containers.stop"}]
    assert verbs == ["containers.unpause", "containers.stop"]


def test_the_same_container_is_started_again(engine: FakeEngine, running: ContainerInstance) -> None:
    first = running.id
    running.kill()
    running.launch()
    assert running.alive
    assert running.id == first
    assert len(engine.asked("containers.create")) == 1


def test_a_kill_that_takes_its_time_is_waited_for(
    engine: FakeEngine, running: ContainerInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeContainer, "kill", lambda self, signal: None)
    running.kill()
    assert engine.asked("containers.wait") == ["consul"]
    engine.refuse("containers.wait", ReadTimeout("Read timed out."))
    with pytest.raises(ServiceError, match="consul: wait: Read timed out"):
        running.kill()


def test_what_the_engine_refuses_is_told_with_the_verb(engine: FakeEngine, running: ContainerInstance) -> None:
    engine.refuse("containers.pause", refusal(500, "cgroup freezer is not mounted"))
    with pytest.raises(ServiceError, match="consul: pause: cgroup freezer is not mounted"):
        running.pause()


def test_inline_configs_are_copied_before_the_first_start_and_only_then(
    engine: FakeEngine, made: ContainerInstance
) -> None:
    for _ in range(2):
        made.launch()
        made.kill()
    assert only(engine).files == {"/consul/config/a.json": (b"{}", 0o444)}
    verbs = [verb for verb, _, _ in engine.calls]
    assert verbs.count("containers.put_archive") == 1
    assert verbs.index("containers.create") < verbs.index("containers.put_archive") < verbs.index("containers.start")


def test_isolated_it_is_off_the_network_and_back_under_its_names(
    engine: FakeEngine, running: ContainerInstance
) -> None:
    before = only(engine).networks["ih-r1"]
    for _ in range(2):
        running.isolate()
    assert engine.asked("networks.disconnect") == ["consul"]
    assert not only(engine).networks
    for _ in range(2):
        running.rejoin()
    joined = [how for verb, _, how in engine.calls if verb == "networks.connect"]
    assert [how["aliases"] for how in joined] == [["consul"]]
    assert only(engine).networks["ih-r1"] == before == {"IPAddress": "10.9.0.2"}
