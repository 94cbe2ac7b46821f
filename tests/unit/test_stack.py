"""The stack on a runtime without processes: waves, failures that stay where they are, closing in reverse."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from harness.errors import NotReady, RuntimeUnavailable, ServiceError, ServiceExited, UsageError
from harness.model import Endpoint, Port, ServicePlan, ServiceStatus, Source, State
from harness.ports import Handle
from harness.probes.poll import Deadline, NotYet
from harness.services import kind_named
from harness.stack import Stack, pick_endpoint, ports_needed, tail
from tests.unit.rigs.core_rig import FakeInstance, FakeRuntime, addresses_of, eventually, plan_of, service


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


def stack_of(runtime: FakeRuntime, tmp_path: Path, *services: ServicePlan, **more: float) -> Stack:
    plan = plan_of(*services, **more)  # type: ignore[arg-type]
    return Stack(plan, runtime, addresses_of(plan), tmp_path / "logs")


def states(stack: Stack) -> dict[str, str]:
    return {status.name: str(status.state) for status in stack.statuses()}


# -- what runs to its end -------------------------------------------------------------------------------


def test_what_others_wait_for_the_end_of_is_ready_when_it_ended_well(runtime: FakeRuntime, tmp_path: Path) -> None:
    migrate = runtime.instance("migrate")
    plans = (service("migrate", one_shot=True), service("app", "migrate"))
    stack = stack_of(runtime, tmp_path, *plans, ready_timeout=10)
    thread = threading.Thread(target=stack.start)
    thread.start()
    eventually(lambda: "launch migrate" in runtime.events)
    time.sleep(0.15)
    assert "launch app" not in runtime.events
    migrate.ending = "exited with code 0"
    thread.join(10)
    assert states(stack) == {"migrate": "ready", "app": "ready"}


def test_what_ends_badly_blocks_those_who_wait_for_it(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("migrate", ending="exited with code 3")
    stack = stack_of(runtime, tmp_path, service("migrate", one_shot=True), service("app", "migrate"))
    stack.start()
    assert states(stack) == {"migrate": "failed", "app": "blocked"}


def test_what_never_ends_is_told(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack = stack_of(runtime, tmp_path, service("migrate", one_shot=True), ready_timeout=0.1)
    stack.start()
    assert "last seen: it has not come to its end yet" in stack.statuses()[0].cause


@pytest.mark.parametrize(("health", "expected"), [(None, "ready"), (True, "failed")])
def test_an_unknown_service_that_ends_well_is_done_unless_it_has_a_health_check(
    runtime: FakeRuntime, tmp_path: Path, health: bool | None, expected: str
) -> None:
    runtime.instance("chown", ending="exited with code 0", health=health)
    stack = stack_of(runtime, tmp_path, service("chown"))
    stack.start()
    assert states(stack) == {"chown": expected}


# -- starting -------------------------------------------------------------------------------------------


def test_waves_start_in_order_and_progress_is_told(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack = stack_of(runtime, tmp_path, service("b", "a"), service("a"), service("c", "b"))
    told: list[ServiceStatus] = []
    stack.start(told.append)
    assert runtime.events == ["prepare", "launch a", "launch b", "launch c"]
    expected = [(name, state) for name in "abc" for state in (State.STARTING, State.READY)]
    assert [(status.name, status.state) for status in told] == expected
    assert [status.name for status in stack.statuses()] == ["a", "b", "c"]
    assert all(0 < status.ready_after < 5 for status in stack.statuses())
    assert (tmp_path / "logs" / "a.log").exists()


def test_one_failure_stops_neither_its_wave_nor_what_does_not_need_it(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("bad", ending="exited with code 3")
    stack = stack_of(
        runtime, tmp_path, service("bad"), service("good"), service("needs-bad", "bad"), service("needs-good", "good"),
        service("far", "needs-bad"),
    )  # fmt: skip
    stack.start()
    assert states(stack) == {
        "bad": "failed", "good": "ready", "needs-bad": "blocked", "needs-good": "ready", "far": "blocked",
    }  # fmt: skip
    causes = {status.name: status.cause for status in stack.statuses()}
    assert causes["needs-bad"] == "needs bad, which is not ready"
    assert causes["far"] == "needs needs-bad, which is not ready"
    assert "launch needs-bad" not in runtime.events
    assert all(status.log.is_file() for status in stack.statuses())


def test_an_exit_at_start_is_told_at_once_with_its_last_lines(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("a", ending="exited with code 3")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("one\nbad option --x\n")
    stack = stack_of(runtime, tmp_path, service("a"), ready_timeout=60)
    started = time.monotonic()
    stack.start()
    assert time.monotonic() - started < 1
    cause = stack.statuses()[0].cause
    assert cause.startswith("a: exited with code 3; last lines of ")
    assert cause.endswith("    one\n    bad option --x")


def test_a_readiness_timeout_tells_what_was_last_seen(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("a", health=False)
    stack = stack_of(runtime, tmp_path, service("a"), ready_timeout=0.1)
    stack.start()
    cause = stack.statuses()[0].cause
    assert "last seen: its health check does not pass yet" in cause
    assert cause.endswith("last lines of its log:\n    (the log is empty)")


def test_the_deadline_is_shared_by_all_waves(runtime: FakeRuntime, tmp_path: Path) -> None:
    for name in "abc":
        runtime.instance(name, health=False)
    stack = stack_of(runtime, tmp_path, service("a"), service("b"), service("c"), ready_timeout=0.2)
    started = time.monotonic()
    stack.start()
    assert time.monotonic() - started < 2
    assert set(states(stack).values()) == {"failed"}


def test_a_later_wave_gets_only_what_is_left_of_the_deadline(
    runtime: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Deadline] = []
    monkeypatch.setattr("harness.stack.Service.wait", lambda self, deadline: seen.append(deadline))
    stack_of(runtime, tmp_path, service("a"), service("b", "a")).start()
    assert len(set(seen)) == 1


def test_an_error_that_is_no_ours_is_still_this_services(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("a", launch_error=PermissionError(13, "no"))
    runtime.create_error["b"] = ServiceError("cannot be made")
    stack = stack_of(runtime, tmp_path, service("a"), service("b"), service("c"))
    stack.start()
    assert {status.name: (str(status.state), status.cause) for status in stack.statuses()} == {
        "a": ("failed", "PermissionError: [Errno 13] no"),
        "b": ("failed", "cannot be made"),
        "c": ("ready", ""),
    }


def test_a_runtime_that_does_not_prepare_is_the_starts_own_error(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.prepare_error = RuntimeUnavailable("no engine")
    with pytest.raises(RuntimeUnavailable):
        stack_of(runtime, tmp_path, service("a")).start()


# -- kinds ----------------------------------------------------------------------------------------------


def kind_answers(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    def ready(handle: Handle) -> str:
        if not version:
            raise NotYet("loading")
        return version

    monkeypatch.setattr(kind_named("redis"), "ready", ready, raising=False)


def with_kind(runtime: FakeRuntime, tmp_path: Path, source: Source) -> Stack:
    plan = plan_of(service("a", kind="redis", environment={"REDISCLI_AUTH": "pw"}), source=source, ready_timeout=0.2)
    names = ("redis", "extra")
    addresses = {"a": {name: Endpoint(name, "127.0.0.1", 1) for name in names}}
    stack = Stack(plan, runtime, addresses, tmp_path / "logs")
    stack.start()
    return stack


def test_a_kind_tells_version_credentials_and_public_ports(
    runtime: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind_answers(monkeypatch, "7.2.0")
    (status,) = with_kind(runtime, tmp_path, Source.BINARY).statuses()
    assert (status.state, status.fidelity.version) == (State.READY, "7.2.0")
    assert (list(status.endpoints), status.credentials) == (["redis"], {"password": "pw"})
    assert "pw'" not in repr(status)


def test_an_emulator_that_hides_its_nature_is_refused(
    runtime: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind_answers(monkeypatch, "7.2.0")
    (status,) = with_kind(runtime, tmp_path, Source.EMULATOR).statuses()
    assert (status.state, status.cause) == (
        State.FAILED,
        "a: an emulator calls itself '7.2.0': its version has to end in +emu",
    )


def test_an_emulator_that_says_so_is_ready(
    runtime: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind_answers(monkeypatch, "7.2.0+emu")
    assert states(with_kind(runtime, tmp_path, Source.EMULATOR)) == {"a": "ready"}


# -- operating ------------------------------------------------------------------------------------------


def up(runtime: FakeRuntime, tmp_path: Path) -> tuple[Stack, FakeInstance]:
    instance = runtime.instance("a")
    stack = stack_of(runtime, tmp_path, service("a", stop_grace=7.0))
    stack.start()
    runtime.events.clear()
    return stack, instance


def test_operations_reach_the_instance_and_change_the_state(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, _ = up(runtime, tmp_path)
    a = stack.service("a")
    seen = []
    for operation in (a.pause, a.resume, a.kill, a.start, a.stop, a.start, a.restart):
        operation()
        seen.append(str(a.status().state))
    assert seen == ["paused", "ready", "stopped", "ready", "stopped", "ready", "ready"]
    assert runtime.events == [
        "pause a", "resume a", "kill a", "launch a", "stop a 7", "launch a", "stop a 7", "launch a",
    ]  # fmt: skip


def test_a_start_need_not_wait_and_a_stop_may_have_its_own_grace(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, _ = up(runtime, tmp_path)
    stack.service("a").stop(0.5)
    stack.service("a").start(wait=False)
    assert runtime.events == ["stop a 0.5", "launch a"]
    assert states(stack) == {"a": "starting"}


def test_a_death_in_the_night_is_seen_and_healed(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, instance = up(runtime, tmp_path)
    instance.ending = "killed by SIGSEGV"
    (status,) = stack.statuses()
    assert (status.state, status.cause) == (State.FAILED, "killed by SIGSEGV")
    assert not stack.is_ready("a")
    stack.service("a").start()
    (status,) = stack.statuses()
    assert (status.state, status.cause) == (State.READY, "")


def test_a_restart_that_does_not_come_up_raises(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, instance = up(runtime, tmp_path)
    instance.health = False
    a = stack.service("a")
    a.stop()
    with pytest.raises(NotReady):
        a.start(within=0.05)
    instance.launched = False
    instance.ending = "exited with code 1"
    with pytest.raises(ServiceExited, match="exited with code 1"):
        a.wait(Deadline.after(5))


def test_resuming_what_was_not_paused_changes_no_state(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, _ = up(runtime, tmp_path)
    a = stack.service("a")
    a.kill()
    a.resume()
    assert states(stack) == {"a": "stopped"}


def test_a_service_that_is_not_up_is_named_with_those_that_are(runtime: FakeRuntime, tmp_path: Path) -> None:
    stack, _ = up(runtime, tmp_path)
    with pytest.raises(UsageError, match="no service 'b' is up: expected one of a"):
        stack.service("b")
    assert not stack.is_ready("b")


def test_endpoints_by_name() -> None:
    endpoints = {name: Endpoint(name, "h", 1) for name in ("http", "grpc")}
    assert pick_endpoint("a", endpoints, "").name == "http"
    assert pick_endpoint("a", endpoints, "grpc").name == "grpc"
    with pytest.raises(UsageError, match="a: no endpoint 'x': expected one of http, grpc"):
        pick_endpoint("a", endpoints, "x")
    with pytest.raises(UsageError, match=r"expected one of \(none\)"):
        pick_endpoint("a", {}, "")


# -- closing --------------------------------------------------------------------------------------------


def test_closing_goes_in_reverse_and_past_what_cannot_be_stopped(runtime: FakeRuntime, tmp_path: Path) -> None:
    runtime.instance("b", stop_error=ServiceError("hangs"))
    runtime.instance("c", stop_error=OSError("odd"))
    runtime.left = ["process 1"]
    stack = stack_of(runtime, tmp_path, service("a"), service("b", "a"), service("c", "b"))
    stack.start()
    runtime.events.clear()
    assert stack.close(grace=1.5) == ["process 1"]
    assert runtime.events == ["stop c 1.5", "stop b 1.5", "stop a 1.5", "close"]
    assert stack.services["c"].cause == "OSError: odd"


def test_closing_before_anything_was_started_still_removes(runtime: FakeRuntime, tmp_path: Path) -> None:
    assert stack_of(runtime, tmp_path, service("a")).close() == []
    assert runtime.events == ["close"]


# -- helpers --------------------------------------------------------------------------------------------


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "l"
    log.write_bytes(b"\xff\n" + b"".join(b"%d\n" % n for n in range(20_000)))
    assert tail(log, 2) == "    19998\n    19999"
    assert tail(tmp_path / "none") == "    (the log is empty)"


def test_ports_follow_kind_runtime_and_file() -> None:
    plan = plan_of(service("c", kind="consul"), service("x", ports=(Port("80", 80),)))
    names = {name: [port.name for port in ports] for name, ports in ports_needed(plan).items()}
    assert names == {"c": ["http", "dns", "server", "serf_lan"], "x": ["80"]}
