"""A client whose keeper is gone says so, in one sentence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import KeeperError
from harness.keeper.client import KeeperClient, RemoteStack, ignore
from harness.keeper.rundir import RunDir
from harness.model import Fidelity, ServiceStatus, Source, State

STATUS = ServiceStatus("a", "redis", State.READY, Fidelity(Source.BINARY), {})


@contextmanager
def answering(state: Path, answer: bytes) -> Iterator[RunDir]:
    """A socket that gives one answer and hangs up."""
    run_dir = RunDir(state)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(run_dir.socket))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if connection.recv(4096):
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield run_dir
        thread.join()


def test_nobody_answers(state: Path) -> None:
    with pytest.raises(KeeperError, match="its keeper does not answer: No such file"):
        KeeperClient(RunDir(state))


@pytest.mark.parametrize(
    ("answer", "told"), [(b"", "its keeper ended"), (b"garbage\n", "lost its keeper"), (b'{"event": 1}\n', "ended")]
)
def test_a_keeper_that_hangs_up(state: Path, answer: bytes, told: str) -> None:
    with answering(state, answer) as run_dir:
        client = KeeperClient(run_dir)
        with pytest.raises(KeeperError, match=told) as caught:
            client.call("status")
        assert caught.value.next_step == "start again"
        client.disconnect()
        client.disconnect()


def test_a_client_that_disconnects_frees_its_descriptor(state: Path) -> None:
    """A file made of a socket keeps its descriptor open: Python 3.12 and later say so when it is forgotten."""
    with answering(state, b"") as run_dir:
        client = KeeperClient(run_dir)
        client.disconnect()
        assert client._file.closed
        assert client._socket.fileno() == -1


def test_the_keepers_log_is_pointed_at_when_there_is_one(state: Path) -> None:
    (state / "keeper.log").write_text("Traceback")
    with answering(state, b"") as run_dir:
        client = KeeperClient(run_dir)
        with pytest.raises(KeeperError) as caught:
            client.call("status")
        assert caught.value.next_step == f"see {state}/keeper.log"
        client.disconnect()


def test_a_stack_is_found_by_kind(state: Path) -> None:
    with answering(state, b"") as run_dir:
        client = KeeperClient(run_dir)
        stack = RemoteStack(client, [STATUS])
        assert stack.of_kind("redis") is stack["a"]
        client.disconnect()
    ignore(STATUS)


def test_a_directory_that_stays_is_left_behind(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.keeper.client.GONE_WITHIN", 0.02)
    with answering(state, b'{"ok": ["process 1"]}\n') as run_dir, KeeperClient(run_dir) as client:
        assert client.close_stack() == ["process 1", str(state)]
