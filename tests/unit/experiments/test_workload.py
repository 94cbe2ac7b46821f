"""The background workload: own clients, bounded, and nothing hidden."""

from __future__ import annotations

import threading

import pytest

from harness.errors import FaultError
from harness.experiments.history import History
from harness.experiments.workload import Careful, Record, RunningWorkload, Workload
from tests.unit.rigs.core_rig import eventually


class Adds(Careful):
    """Adds its step's number; remembers that it was closed."""

    def __init__(self, closed: list[int], number: int) -> None:
        self.closed, self.number = closed, number

    def step(self, number: int, record: Record) -> None:
        record("add", "k", number, lambda: threading.get_ident())

    def close(self) -> None:
        self.closed.append(self.number)


def test_every_client_has_its_own_name_and_is_closed() -> None:
    closed: list[int] = []
    history = History()
    running = RunningWorkload(Workload("w", lambda n: Adds(closed, n), clients=3, interval=0, most=5), history)
    running.start()
    running.start()
    running.stop()
    running.stop()
    assert sorted(closed) == [0, 1, 2]
    assert {item.client for item in history.operations} == {"w-0", "w-1", "w-2"}
    assert len(history) == 15


def test_it_goes_on_until_it_is_stopped() -> None:
    history = History()
    running = RunningWorkload(Workload("w", lambda n: Adds([], n), interval=0.001), history)
    running.start()
    eventually(lambda: len(history) > 20)
    running.stop()
    length = len(history)
    assert length == len(history)


def test_a_broken_actor_is_told_by_stop() -> None:
    class Broken(Careful):
        def step(self, number: int, record: Record) -> None:
            raise RuntimeError("no such method")

    running = RunningWorkload(Workload("w", lambda n: Broken(), clients=1), History())
    running.start()
    with pytest.raises(FaultError, match="RuntimeError: no such method"):
        running.stop()


def test_a_client_that_does_not_end_is_named() -> None:
    gate = threading.Event()

    class Hangs(Careful):
        def step(self, number: int, record: Record) -> None:
            gate.wait(10)

    running = RunningWorkload(Workload("w", lambda n: Hangs(), clients=1), History())
    running.start()
    with pytest.raises(FaultError, match="did not end: w-0"):
        running.stop(within=0.05)
    gate.set()
    running.stop()
