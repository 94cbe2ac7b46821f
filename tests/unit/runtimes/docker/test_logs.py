"""A container's output through all its lives: nothing twice, nothing lost, and an end that is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound
from requests import ConnectionError  # noqa: A004

from harness.runtimes.docker.logs import LogPump, _started_at
from tests.unit.rigs.core_rig import eventually
from tests.unit.rigs.docker_rig import FakeContainer, FakeEngine, FakeStream

AT = 1782907200.25
"""`STARTED_AT` of the rig: 2026-07-01, 12:00 UTC, in summer."""


@pytest.fixture
def container(engine: FakeEngine) -> FakeContainer:
    made = engine.container("consul", {})
    made.start()
    return made


@pytest.fixture
def pump(tmp_path: Path) -> LogPump:
    return LogPump(tmp_path / "log")


def since(engine: FakeEngine) -> list[float | None]:
    return [how["since"] for verb, _, how in engine.calls if verb == "containers.logs"]


def test_every_life_is_copied_from_its_own_start(
    engine: FakeEngine, container: FakeContainer, pump: LogPump, tmp_path: Path
) -> None:
    container.lines = [b"first\n", b"life\n"]
    pump.follow(container)
    pump.settle()
    container.lines = [b"second\n"]
    container.state["StartedAt"] = "2026-07-01T12:00:09.5Z"
    pump.follow(container)
    pump.settle()
    assert (tmp_path / "log").read_text() == "first\nlife\nsecond\n"
    assert since(engine) == [AT, AT + 9.25]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_a_start_is_the_same_moment_in_every_time_zone(
    container: FakeContainer, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """An hour too early, and the lines of the life before would come twice."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert _started_at(container) == AT
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00:00Z", "soon"])
def test_a_container_that_has_not_started_has_no_start(container: FakeContainer, text: str) -> None:
    container.state["StartedAt"] = text
    assert _started_at(container) is None


def test_whole_seconds_and_nanoseconds_are_read(container: FakeContainer) -> None:
    container.state["StartedAt"] = "2026-07-01T12:00:00Z"
    assert _started_at(container) == AT - 0.25
    container.state["StartedAt"] = "2026-07-01T12:00:00.250000999Z"
    assert _started_at(container) == AT


def test_a_log_that_breaks_off_says_so(
    engine: FakeEngine, container: FakeContainer, pump: LogPump, tmp_path: Path
) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"one\n"
        raise ConnectionError("engine restarted")

    container.stream = FakeStream(breaking())
    pump.follow(container)
    pump.settle()
    engine.refuse("containers.logs", NotFound("gone"))
    container.stream = None
    pump.follow(container)
    pump.settle()
    assert (tmp_path / "log").read_text() == "one\n(log ends here: ConnectionError)\n(log ends here: NotFound)\n"


def test_a_file_that_cannot_be_written_ends_the_copy_and_nothing_else(container: FakeContainer, tmp_path: Path) -> None:
    pump = LogPump(tmp_path / "none" / "log")
    container.lines = [b"x"]
    pump.follow(container)
    pump.settle()
    pump.close()


def test_close_ends_a_stream_that_would_go_on(container: FakeContainer, pump: LogPump, tmp_path: Path) -> None:
    pump.close()
    container.stream = FakeStream([b"up\n"], open_ended=True)
    pump.follow(container)
    eventually(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text() == "up\n")
    started = time.monotonic()
    pump.close()
    assert time.monotonic() - started < 0.4
    pump.close()


def test_a_stream_that_ended_while_it_was_closed_is_no_error(
    container: FakeContainer, pump: LogPump, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.stream = stream = FakeStream([], open_ended=True)
    pump.follow(container)
    original = stream.close

    def racing() -> None:
        original()
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(stream, "close", racing)
    eventually(lambda: pump._stream is stream)
    pump.close()
