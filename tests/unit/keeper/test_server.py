"""The keeper's server over its real socket: every operation, errors with their class, undos when a client goes."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import journal
from harness.errors import HarnessError, KeeperError, PortError, RuntimeUnavailable, ServiceError, UsageError
from harness.keeper.client import KeeperClient, RemoteStack
from harness.keeper.leases import Leases
from harness.keeper.server import main
from harness.model import Endpoint, Port, ServiceStatus, State
from harness.ports import ManagedHandle
from tests.unit.rigs.core_rig import FakeRuntime, eventually, plan_of, service
from tests.unit.rigs.keeper_rig import Keeper, keeper_here


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def keeper(state: Path, monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> Iterator[Keeper]:
    with keeper_here(state, monkeypatch, runtime) as made:
        yield made


PLAN = plan_of(service("a", ports=(Port("http", 80, "http"), Port("grpc", 81))), service("b", "a"))


def up(keeper: Keeper, client: KeeperClient | None = None) -> RemoteStack:
    return (client or keeper.client()).start(PLAN, **keeper.request)


# -- starting -------------------------------------------------------------------------------------------


def test_a_stack_on_a_named_engine_is_told_apart(keeper: Keeper, runtime: FakeRuntime) -> None:
    """In the journal and in the logs: the stacks of several engines share one report."""
    runtime.instance("b", ending="exited with code 1")
    about = {"run": "r", "engine": {"address": "tcp://127.0.0.1:1", "stack": "r"}}
    stack = keeper.client().start(PLAN, keeper.report, about)
    assert stack["a"].log == keeper.report / "logs" / keeper.run_dir.run / "a.log"
    events = {event.type: event for event in journal.read(keeper.report / journal.FILE_NAME)}
    assert events[journal.RUN_STARTED]["engine"] == about["engine"]
    assert {events[name]["engine"] for name in (journal.SERVICE_READY, journal.SERVICE_FAILED)} == {"tcp://127.0.0.1:1"}


def test_a_start_tells_progress_and_gives_handles(keeper: Keeper) -> None:
    told: list[ServiceStatus] = []
    stack = keeper.client().start(PLAN, **keeper.request, progress=told.append)
    assert [(item.name, str(item.state)) for item in told] == [
        ("a", "starting"), ("a", "ready"), ("b", "starting"), ("b", "ready"),
    ]  # fmt: skip
    assert list(stack) == ["a", "b"]
    assert len(stack) == 2
    a = stack["a"]
    assert isinstance(a, ManagedHandle)
    assert (a.state, a.kind, a.cause, dict(a.credentials)) == (State.READY, None, "", {})
    assert a.endpoint().url == f"http://127.0.0.1:{a.endpoints['http'].port}"
    assert a.endpoint("grpc").port != a.endpoint("http").port
    assert a.ready_after > 0
    assert a.log.exists()
    assert str(a.fidelity).startswith("binary")
    assert (stack.of_kind("redis"), stack.failed(), stack.callback_host) == (None, [], "127.0.0.1")


# -- services on another machine --------------------------------------------------------------------------


def test_a_receiver_is_called_where_it_listens_when_services_are_here(keeper: Keeper, runtime: FakeRuntime) -> None:
    stack = up(keeper)
    with stack.called_at(4711) as address:
        assert address == "127.0.0.1:4711"
    assert (stack.elsewhere, runtime.called) == ("", [])


def test_services_elsewhere_have_a_way_to_a_receiver_as_long_as_it_is_wanted(
    keeper: Keeper, runtime: FakeRuntime
) -> None:
    runtime.elsewhere = "ssh://h"
    stack = up(keeper)
    with stack.called_at(4711) as address:
        assert address == "10.9.0.1:4712"
        assert runtime.called == [4711]
    assert (stack.elsewhere, runtime.called) == ("ssh://h", [])


def test_an_address_that_is_taken_there_is_another_before_anybody_is_told(
    keeper: Keeper, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased: list[Endpoint] = []
    lease = Leases.lease

    def noting(leases: Leases, port: Port, host: str = "127.0.0.1") -> Endpoint:
        leased.append(lease(leases, port, host))
        runtime.numbers = frozenset({leased[0].port})
        return leased[-1]

    monkeypatch.setattr(Leases, "lease", noting)
    stack = up(keeper)
    ports = {endpoint.port for handle in stack.values() for endpoint in handle.endpoints.values()}
    assert leased[0].port not in ports
    assert leased[-1].port in ports
    assert stack["a"].endpoint("http").scheme == "http"


def test_a_way_to_a_receiver_needs_a_stack(keeper: Keeper) -> None:
    with pytest.raises(UsageError, match="no stack is up"):
        keeper.client().call("called_at", port=1)
    assert keeper.client().call("called_no_more", port=1) is True


def test_an_engine_that_is_lost_is_told_once_in_the_journal_and_in_the_runs_directory(
    keeper: Keeper, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.elsewhere = "ssh://h"
    monkeypatch.setattr("harness.keeper.owned.LOST_EVERY", 0.01)
    about = {"run": "r", "engine": {"address": "ssh://h", "stack": "r"}}
    keeper.client().start(PLAN, keeper.report, about)
    assert keeper.run_dir.loss() == ""
    runtime.loss = "docker engine at ssh://h: the ssh connection was lost"
    assert eventually(keeper.run_dir.loss) == runtime.loss
    file = keeper.report / journal.FILE_NAME
    (event,) = eventually(lambda: [one for one in journal.read(file) if one.type == journal.ENGINE_LOST])
    assert (event["detail"], event["engine"]) == (runtime.loss, "ssh://h")


def test_many_clients_start_one_stack(keeper: Keeper, runtime: FakeRuntime) -> None:
    barrier, ports = threading.Barrier(8), list[int]()

    def join() -> None:
        client = keeper.client()
        barrier.wait()
        ports.append(up(keeper, client)["a"].endpoint().port)

    threads = [threading.Thread(target=join) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ports) == 8
    assert len(set(ports)) == 1
    assert runtime.events.count("launch a") == 1


def test_what_was_started_is_told_to_who_joins(keeper: Keeper) -> None:
    client = keeper.client()
    with pytest.raises(UsageError, match="no stack is up"):
        client.call("plan")
    up(keeper, client)
    assert keeper.client().stack().plan == PLAN


def test_the_journal_tells_the_start(keeper: Keeper, runtime: FakeRuntime) -> None:
    runtime.instance("a", ending="exited with code 1")
    stack = up(keeper)
    assert [handle.name for handle in stack.failed()] == ["a", "b"]
    found = list(journal.read(keeper.report / journal.FILE_NAME))
    assert [event.type for event in found] == ["run_started", "service_failed", "service_failed"]
    assert [(event["service"], event["state"]) for event in found[1:]] == [("a", "failed"), ("b", "blocked")]


def test_a_start_that_fails_raises_its_own_class_and_may_be_tried_again(keeper: Keeper, runtime: FakeRuntime) -> None:
    runtime.prepare_error = RuntimeUnavailable("no engine", "start it")
    client = keeper.client()
    with pytest.raises(RuntimeUnavailable, match="no engine") as caught:
        up(keeper, client)
    assert caught.value.next_step == "start it"
    runtime.prepare_error = None
    assert up(keeper, client)["a"].state is State.READY


def test_a_machine_without_ports_gives_back_what_it_had(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []

    def lease(self: Leases, port: Port) -> Endpoint:
        raise PortError("127.0.0.1: no free port")

    monkeypatch.setattr(Leases, "lease", lease)
    monkeypatch.setattr(Leases, "release", lambda self: released.append(1))
    with pytest.raises(PortError, match="no free port"):
        up(keeper)
    assert released
    assert not (keeper.report / journal.FILE_NAME).exists()


# -- operating ------------------------------------------------------------------------------------------


def test_every_operation_reaches_the_instance(keeper: Keeper, runtime: FakeRuntime) -> None:
    a = up(keeper)["a"]
    runtime.events.clear()
    states = []
    for operation in (a.pause, a.resume, a.kill, a.start, a.stop, lambda: a.start(wait=False), a.restart):
        operation()
        states.append(str(a.state))
    assert states == ["paused", "ready", "stopped", "ready", "stopped", "starting", "ready"]
    assert runtime.events == [
        "pause a", "resume a", "kill a", "launch a", "stop a 10", "launch a", "stop a 10", "launch a",
    ]  # fmt: skip
    a.stop(0.25)
    assert runtime.events[-1] == "stop a 0.25"
    assert a.refresh().state is State.STOPPED


def test_bad_requests_are_told_and_the_connection_goes_on(keeper: Keeper) -> None:
    client = keeper.client()
    with pytest.raises(UsageError, match="no stack is up"):
        client.call("kill", service="a")
    assert list(client.stack()) == []
    up(keeper, client)
    with pytest.raises(UsageError, match="no service 'x' is up: expected one of a, b"):
        client.call("kill", service="x")
    with pytest.raises(UsageError, match="the keeper knows no operation 'explode'"):
        client.call("explode")
    with pytest.raises(HarnessError, match="KeyError"):
        client.call("kill")
    assert client.call("hello")["run"] == "r"


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'{"no": "op"}\n'])
def test_a_line_that_is_no_request_is_answered_too(keeper: Keeper, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(keeper.run_dir.socket))
        raw.sendall(line)
        answer = json.loads(raw.makefile().readline())
    assert answer["error"]["type"] == "UsageError"
    assert answer["error"]["message"].startswith("not a request: ")


def test_the_socket_is_for_this_user_only(keeper: Keeper) -> None:
    assert keeper.run_dir.socket.stat().st_mode & 0o777 == 0o600


# -- undoing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "healed"),
    [(["pause"], ["resume a"]), (["kill"], ["launch a"]), (["stop"], ["launch a"]), (["kill", "pause"], ["resume a"])],
)
def test_what_a_client_broke_is_healed_when_it_goes(
    keeper: Keeper, runtime: FakeRuntime, broken: list[str], healed: list[str]
) -> None:
    client = keeper.client()
    a = up(keeper, client)["a"]
    for verb in broken:
        getattr(a, verb)()
    runtime.events.clear()
    client.disconnect()
    eventually(lambda: runtime.events[: len(healed)] == healed)
    eventually(lambda: keeper.client().stack()["a"].state is State.READY)


def test_what_a_client_healed_itself_is_left_alone(keeper: Keeper, runtime: FakeRuntime) -> None:
    client = keeper.client()
    a = up(keeper, client)["a"]
    for operation in (a.pause, a.resume, a.kill, a.start, a.stop, a.restart, a.pause, a.restart):
        operation()
    runtime.events.clear()
    client.disconnect()
    witness = keeper.client()
    assert witness.stack()["a"].state is State.READY
    eventually(lambda: threading.active_count() < 20)
    assert runtime.events == []


def test_one_undo_that_fails_does_not_keep_the_others(keeper: Keeper, runtime: FakeRuntime) -> None:
    client = keeper.client()
    stack = up(keeper, client)
    stack["a"].kill()
    stack["b"].kill()
    runtime.prepared["b"].launch_error = OSError("odd")
    runtime.events.clear()
    client.disconnect()
    eventually(lambda: "launch a" in runtime.events)
    assert runtime.events == ["launch b", "launch a"]


# -- the end --------------------------------------------------------------------------------------------


def test_closing_stops_everything_and_answers_what_is_left(keeper: Keeper, runtime: FakeRuntime) -> None:
    runtime.left = ["process 7"]
    client, other = keeper.client(), keeper.client()
    up(keeper, client)
    runtime.events.clear()
    assert client.close_stack() == ["process 7"]
    assert not keeper.run_dir.path.exists()
    assert runtime.events == ["stop b 2", "stop a 2", "close"]
    last = list(journal.read(keeper.report / journal.FILE_NAME))[-1]
    assert (last.type, last["what"]) == ("left_behind", ["process 7"])
    with pytest.raises(KeeperError, match="the stack is being closed"):
        up(keeper, other)


def test_closing_without_a_stack_leaves_nothing(keeper: Keeper) -> None:
    assert keeper.client().close_stack() == []


def test_a_kept_stack_is_no_longer_watched(keeper: Keeper) -> None:
    keeper.client().keep()
    assert keeper.client().call("hello")["run"] == "r"


def test_what_is_spawned_after_the_end_is_refused(keeper: Keeper) -> None:
    owned = keeper.server.owned
    assert keeper.client().close_stack() == []
    with pytest.raises(KeeperError, match="being closed"):
        owned._spawn(lambda: None)


def test_a_job_that_nobody_runs_any_more_is_given_up(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a thread's asking and the loop's end: the thread must not wait for ever, or the keeper never exits."""
    owned = keeper.server.owned
    monkeypatch.setattr(keeper.loop, "submit", lambda job: owned.close(keeper.loop, grace=0.0))
    with pytest.raises(KeeperError, match="being closed"):
        owned._spawn(lambda: None)


def test_a_job_reached_while_closing_starts_nothing(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    owned, started = keeper.server.owned, list[int]()
    submit = keeper.loop.submit

    def close_first(job: object) -> None:
        owned._closing = True
        submit(job)  # type: ignore[arg-type]

    monkeypatch.setattr(keeper.loop, "submit", close_first)
    with pytest.raises(KeeperError, match="being closed"):
        owned._spawn(lambda: started.append(1))
    assert started == []


def test_an_error_of_a_spawn_reaches_the_thread_that_asked(keeper: Keeper) -> None:
    def fail() -> None:
        raise ServiceError("not executable")

    with pytest.raises(ServiceError, match="not executable"):
        keeper.server.owned._spawn(fail)


def test_use_is_told_of_the_keeper_and_of_what_this_machine_sees(keeper: Keeper, runtime: FakeRuntime) -> None:
    seen = runtime.instance("a")
    seen.main_process = os.getpid()  # type: ignore[attr-defined]
    client = keeper.client()
    assert list(client.usage()) == ["keeper"]
    up(keeper, client)
    used = client.usage()
    assert (list(used), used["b"]) == (["keeper", "a", "b"], None)
    assert used["a"] is not None
    assert used["keeper"] is not None
    assert used["keeper"].memory > 1 << 20
    assert used["keeper"].handles


def test_an_identity_that_is_none_is_refused(state: Path) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        main(["--run-dir", str(state), "--owner", "nobody"])
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN, "a refused keeper has changed its process"
