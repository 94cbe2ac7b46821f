"""The process runtime: what a container would get, found on this machine; everything removed at the end."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import PlanError, ServiceError
from harness.model import Endpoint, Fidelity, Mount, ServicePlan, Source
from harness.ports import DiskLimitable, Instance, Isolatable, Reconfigurable
from harness.runtimes import make_runtime
from harness.runtimes.process import PathMap, ProcessInstance, ProcessRuntime
from tests.unit.rigs.core_rig import eventually, plan_of, service


def directly(start: Callable[[], None]) -> None:
    start()


MOUNTS = (
    Mount("bind", "/etc/a", "/host/conf"),
    Mount("bind", "/etc/a/deep/x.yml", "/host/x.yml"),
    Mount("volume", "/var/lib/a", "data"),
    Mount("volume", "/var/lib/b", "more"),
    Mount("tmpfs", "/run/", ""),
    Mount("content", "/secret/t.conf", "requirepass x"),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/a", "/host/conf"),
        ("/etc/a/b/c", "/host/conf/b/c"),
        ("/etc/a/deep/x.yml", "/host/x.yml"),
        ("/etc/ab", "/etc/ab"),
        ("/var/lib/a", "DATA"),
        ("/var/lib/a/b", "DATA/b"),
        ("/var/lib/b/b", "DATA/.mounts/var_lib_b/b"),
        ("/run/x", "DATA/.mounts/run/x"),
        ("--flag", "--flag"),
        ("", ""),
    ],
)
def test_paths_of_a_container_are_found_here(tmp_path: Path, path: str, expected: str) -> None:
    translate = PathMap(MOUNTS, tmp_path / "data", tmp_path / "files")
    assert translate(path) == expected.replace("DATA", str(tmp_path / "data"))


def test_an_inline_config_becomes_a_file_for_our_eyes_only(tmp_path: Path) -> None:
    file = Path(PathMap(MOUNTS, tmp_path, tmp_path / "files")("/secret/t.conf"))
    assert file.read_text() == "requirepass x"
    assert file.stat().st_mode & 0o777 == 0o600


parts = st.text(alphabet="ab", min_size=1, max_size=2)
containers = st.lists(parts, min_size=1, max_size=3).map(lambda items: "/" + "/".join(items))


@given(st.lists(containers, unique=True, max_size=4), containers)
def test_the_longest_mount_that_holds_a_path_wins(targets: list[str], path: str) -> None:
    mounts = tuple(Mount("bind", target, f"/m{number}") for number, target in enumerate(targets))
    found = PathMap(mounts, Path("/d"), Path("/f"))(path)
    holding = [target for target in targets if path == target or path.startswith(target + "/")]
    if not holding:
        assert found == path
    else:
        best = max(holding, key=len)
        assert found == f"/m{targets.index(best)}{path[len(best) :]}"


def prepared(tmp_path: Path, item: ServicePlan, fidelity: Fidelity) -> tuple[ProcessRuntime, Instance]:
    runtime = ProcessRuntime(tmp_path / "run", directly)
    plan = plan_of(item, service("tempo", kind="tempo"))
    runtime.prepare(replace(plan, fidelity={**plan.fidelity, item.name: fidelity}))
    addresses = {
        item.name: {"redis": Endpoint("redis", "127.0.0.1", 4001)},
        "tempo": {"otlp_grpc": Endpoint("otlp_grpc", "127.0.0.1", 4002)},
    }
    (tmp_path / "log").touch()
    return runtime, runtime.create(item, addresses, tmp_path / "log")


def test_a_process_gets_its_command_environment_and_directory(tmp_path: Path) -> None:
    item = service("r", kind="redis", environment={"T": "http://tempo:4317", "X": "1"})
    runtime, instance = prepared(tmp_path, item, Fidelity(Source.BINARY, "1", "1", "/bin/echo"))
    assert isinstance(runtime, ProcessRuntime)
    child = runtime._instances[0]
    assert child is instance
    assert child.command[:3] == ("/bin/echo", "--port", "4001")
    assert child.environment["T"] == "http://127.0.0.1:4002"
    assert child.directory == tmp_path / "run" / "data" / "r"
    assert child.healthy() is None
    instance.launch()
    assert runtime.close() == []
    assert not (tmp_path / "run" / "data").exists()


def test_data_bound_to_a_directory_here_lives_there_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    bound = Mount("bind", "/data", str(tmp_path / "mine"))
    runtime, _ = prepared(tmp_path, service("r", kind="redis", mounts=(bound,)), Fidelity(Source.EMULATOR))
    assert runtime._instances[0].directory == tmp_path / "mine"
    (tmp_path / "mine" / "kept").touch()
    assert runtime.close() == []
    assert (tmp_path / "mine" / "kept").exists()


def test_without_a_binary_the_emulator_takes_its_place(tmp_path: Path) -> None:
    runtime, _ = prepared(tmp_path, service("r", kind="redis"), Fidelity(Source.EMULATOR))
    assert "harness.emulators.redis" in runtime._instances[0].command
    assert runtime.close() == []


def test_what_is_no_part_of_the_plan_is_refused(tmp_path: Path) -> None:
    runtime = ProcessRuntime(tmp_path, directly)
    with pytest.raises(PlanError, match="service a: not part of a prepared plan"):
        runtime.create(service("a"), {}, tmp_path)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlanError, match="file: Not a directory") as caught:
        ProcessRuntime(tmp_path / "file", directly).prepare(plan_of())
    assert "--state" in caught.value.next_step


def test_a_process_that_stays_is_told_and_the_rest_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, _ = prepared(tmp_path, service("r", kind="redis"), Fidelity(Source.EMULATOR))

    def fail() -> None:
        raise ServiceError("process 7 did not die")

    monkeypatch.setattr(runtime._instances[0], "kill", fail)
    assert runtime.close() == ["process 7 did not die"]
    assert not (tmp_path / "run" / "data").exists()


def test_a_runtime_is_made_by_name(tmp_path: Path) -> None:
    from harness.model import RuntimeName

    assert isinstance(make_runtime(RuntimeName.PROCESS, tmp_path, directly), ProcessRuntime)


def test_an_emulator_whose_library_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.runtimes import process
    from harness.services import kind_named

    assert process._emulator(kind_named("consul"), service("consul")) == kind_named("consul").emulator
    monkeypatch.setattr("harness.runtimes.process.util.find_spec", lambda name: None)
    with pytest.raises(PlanError, match="no redis-server or valkey-server is here, and the emulator needs fakeredis"):
        process._emulator(kind_named("redis"), service("redis"))


# -- what can be broken -----------------------------------------------------------------------------------------

WRITER = """
import sys, time
while True:
    try:
        with open('out', 'a') as out:
            out.write('x' * 100)
        print('wrote', *sys.argv[1:], flush=True)
    except OSError as error:
        sys.stderr.flush()
        with open('/dev/null'): pass
        open('errors-' + str(error.errno), 'w').close()
    time.sleep(0.01)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ProcessInstance]:
    """A process that appends to a file for ever."""
    made = ProcessInstance((sys.executable, "-c", WRITER), {}, tmp_path, tmp_path / "log", directly)
    made.launch()
    eventually((tmp_path / "out").exists)
    yield made
    made.kill()


def test_a_process_can_be_broken_but_not_isolated(writer: ProcessInstance) -> None:
    assert isinstance(writer, Reconfigurable)
    assert isinstance(writer, DiskLimitable)
    assert not isinstance(writer, Isolatable)


def test_on_a_full_disk_writes_fail_and_the_process_lives(writer: ProcessInstance, tmp_path: Path) -> None:
    writer.fill_disk()
    eventually((tmp_path / f"errors-{errno.EFBIG}").exists)
    length = (tmp_path / "out").stat().st_size
    assert writer.alive
    writer.free_disk()
    eventually(lambda: (tmp_path / "out").stat().st_size > length)


def test_freeing_the_disk_of_a_dead_process_is_harmless(writer: ProcessInstance) -> None:
    writer.kill()
    writer.free_disk()
    writer.fill_disk()


def test_a_word_too_many_comes_and_goes(writer: ProcessInstance) -> None:
    whole = writer.command
    writer.misconfigure("--bad")
    eventually(lambda: "wrote --bad" in writer.log.read_text())
    writer.misconfigure("--worse")
    assert writer.command == (*whole, "--worse")
    writer.reconfigure()
    writer.reconfigure()
    assert writer.command == whole
    assert writer.alive


def test_an_emulator_that_speaks_no_tls_is_not_started_in_the_place_of_a_service_that_does() -> None:
    from harness.runtimes import process
    from harness.services import kind_named

    encrypted = service("consul", tls=("http",))
    with pytest.raises(PlanError, match="service consul: the emulator of consul speaks no TLS"):
        process._emulator(kind_named("consul"), encrypted)
    assert process._emulator(kind_named("grafana"), encrypted) == kind_named("grafana").emulator
