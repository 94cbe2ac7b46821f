"""One stack on an engine: swept before, labelled throughout, removed after, and what stays is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import DockerException
from requests import ReadTimeout

from harness.errors import PlanError, RuntimeUnavailable
from harness.model import ContainerOptions, Endpoint, Mount, RuntimeName
from harness.runtimes import make_runtime
from harness.runtimes.docker.labels import RUN, SERVICE
from harness.runtimes.docker.runtime import DockerRuntime
from tests.unit.rigs.core_rig import plan_of, service
from tests.unit.rigs.docker_rig import FakeEngine, no_sleep, owner, refusal

PLAN = plan_of(service("app"), service("redis", kind="redis"))
ADDRESSES = {"app": {"main": Endpoint("main", "127.0.0.1", 20001)},
             "redis": {"redis": Endpoint("redis", "127.0.0.1", 20002, "redis")}}  # fmt: skip


@pytest.fixture
def runtime(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerRuntime]:
    """A runtime of the run `r1`, not prepared; closed after the test."""
    no_sleep(monkeypatch, "harness.runtimes.docker.sweep")
    made = make_runtime(RuntimeName.DOCKER, tmp_path / "r1", lambda start: start())
    assert isinstance(made, DockerRuntime)
    yield made
    made.close()


def test_dead_runs_are_swept_and_a_network_is_made(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.container("old", owner("dead", started=1).labels())
    runtime.prepare(PLAN)
    assert engine.containers == []
    (network,) = engine.networks
    assert (network.name, network.labels[RUN]) == ("ih-r1", "r1")
    assert runtime.callback_host.startswith("10.")
    assert len(engine.volumes) == 1  # the lease


def test_a_service_is_a_labelled_container_on_the_network(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.image("redis:1.0")
    runtime.prepare(PLAN)
    instance = runtime.create(service("redis", kind="redis"), ADDRESSES, runtime.directory.parent / "redis.log")
    instance.launch()
    (container,) = engine.containers
    assert container.labels[RUN] == "r1"
    assert container.labels[SERVICE] == "redis"
    assert container.asked["ports"] == {"6379/tcp": ("127.0.0.1", 20002)}
    assert container.asked["network"] == "ih-r1"


def test_volumes_binds_and_inline_configs_are_mounted(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.image("app:1.0")
    runtime.prepare(PLAN)
    mounts = (
        Mount("volume", "/data", "store"),
        Mount("bind", "/etc/a", "/srv/a", read_only=True),
        Mount("content", "/etc/app/conf.json", "{}"),
        Mount("content", "/run/secrets/key", "k"),
        Mount("tmpfs", "/run"),
    )
    runtime.create(replace(service("app"), mounts=mounts), ADDRESSES, runtime.directory / "log").launch()
    asked = {mount["Target"]: mount for mount in engine.containers[0].asked["mounts"]}
    assert (asked["/data"]["Source"], asked["/data"]["Type"]) == ("ih-r1-store", "volume")
    assert asked["/etc/a"]["ReadOnly"] is True
    file = Path(asked["/run/secrets/key"]["Source"])  # copied, the tmpfs would hide it
    assert file.read_text() == "k"
    assert file.stat().st_mode & 0o777 == 0o644
    assert engine.containers[0].asked["tmpfs"] == {"/run": ""}
    assert engine.containers[0].files == {"/etc/app/conf.json": (b"{}", 0o444)}
    assert "ih-r1-store" in engine.asked("volumes.create")


def test_a_config_that_cannot_be_written_is_told(engine: FakeEngine, runtime: DockerRuntime) -> None:
    runtime.directory.write_text("a file where the directory should be")
    runtime.prepare(PLAN)
    plan = replace(service("app"), read_only=True, mounts=(Mount("content", "/c", "x"),))
    with pytest.raises(PlanError, match="Not a directory"):
        runtime.create(plan, ADDRESSES, Path("log"))


def test_every_service_has_an_address_of_its_own_and_keeps_it(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.image("app:1.0")
    runtime.prepare(PLAN)
    inside = runtime.inside(service("redis", kind="redis"), ADDRESSES["redis"])["redis"]
    assert (inside.port, inside.scheme) == (6379, "redis")
    assert inside.host.rpartition(".")[0] == runtime.callback_host.rpartition(".")[0]
    instance = runtime.create(service("app"), ADDRESSES, runtime.directory.parent / "log")
    instance.launch()
    (container,) = engine.containers
    given = container.networks["ih-r1"]["IPAddress"]
    assert len({given, inside.host, runtime.callback_host}) == 3
    instance.kill()
    instance.launch()
    instance.isolate()
    instance.rejoin()
    assert container.networks["ih-r1"]["IPAddress"] == given


def test_a_fixed_address_of_the_compose_file_is_kept(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.image("app:1.0")
    app = replace(service("app"), options=ContainerOptions(address="172.28.0.77/16"))
    runtime.prepare(plan_of(app))
    runtime.create(app, ADDRESSES, runtime.directory.parent / "log").launch()
    assert engine.networks[0].attrs["IPAM"]["Config"][0]["Subnet"] == "172.28.0.0/16"
    assert engine.containers[0].networks["ih-r1"]["IPAddress"] == "172.28.0.77"


@pytest.mark.parametrize(
    ("verb", "error", "told"),
    [
        ("connect", DockerException("Connection refused"), "does not answer: Connection refused"),
        ("containers.list", ReadTimeout("Read timed out."), "docker engine: Read timed out."),
        ("volumes.create", refusal(500, "no space left on device"), "docker engine: no space left on device"),
        ("networks.create", refusal(500, "iptables failed"), "no network for the stack: iptables failed"),
    ],
)
def test_an_engine_that_refuses_is_told(
    engine: FakeEngine, runtime: DockerRuntime, verb: str, error: Exception, told: str
) -> None:
    engine.refuse(verb, error)
    with pytest.raises(RuntimeUnavailable, match=told):
        runtime.prepare(PLAN)
    assert runtime.close() == []


def test_close_leaves_nothing_of_this_run_and_everything_of_others(engine: FakeEngine, runtime: DockerRuntime) -> None:
    engine.image("app:1.0")
    engine.container("other", owner("r2").labels())
    runtime.prepare(PLAN)
    runtime.create(service("app"), ADDRESSES, runtime.directory.parent / "log").launch()
    assert runtime.close() == []
    assert [item.name for item in engine.containers] == ["other"]
    assert (engine.networks, engine.volumes) == ([], [])


def test_an_engine_that_is_gone_at_the_end_is_told_as_what_is_left(engine: FakeEngine, runtime: DockerRuntime) -> None:
    runtime.prepare(PLAN)
    engine.refuse("containers.list", ReadTimeout("Read timed out."))
    assert runtime.close() == ["what run r1 has on the engine: Read timed out."]


def test_a_runtime_that_was_never_prepared_closes(runtime: DockerRuntime) -> None:
    assert runtime.close() == []
