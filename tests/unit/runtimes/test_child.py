"""A child process: every operation is safe to repeat, nothing of its group stays."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import ServiceError
from harness.identity import Identity
from harness.runtimes.child import Child
from tests.unit.rigs.core_rig import eventually

Make = Callable[..., Child]


def directly(start: Callable[[], None]) -> None:
    start()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Child] = []

    def build(code: str, stdin: str = "") -> Child:
        command = (sys.executable, "-u", "-c", code)
        made.append(Child(command, {"GREETING": "hi"}, tmp_path, tmp_path / "log", directly, stdin))
        return made[-1]

    yield build
    for child in made:
        child.kill()


SLEEP = "import time, os; print(os.environ['GREETING'], os.getcwd(), flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FORKS = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(60)"


def printed(child: Child) -> str:
    return str(eventually(lambda: child.log.exists() and child.log.read_text()))


def test_before_its_launch_it_is_nothing(make: Make) -> None:
    child = make(SLEEP)
    assert (child.pid, child.alive, child.exit_report()) == (0, False, "")
    for operation in (child.kill, child.pause, child.resume, lambda: child.stop(0.1)):
        operation()


def test_a_launched_child_leads_a_group_and_logs(make: Make, tmp_path: Path) -> None:
    child = make(SLEEP)
    child.launch()
    first = child.pid
    child.launch()
    assert child.pid == first == os.getpgid(first)
    assert printed(child) == f"hi {tmp_path}\n"
    assert child.alive
    assert child.exit_report() == ""


def test_it_can_be_killed_and_launched_again(make: Make) -> None:
    child = make(SLEEP)
    child.launch()
    first = child.pid
    child.kill()
    child.kill()
    assert (child.alive, child.exit_report()) == (False, "killed by SIGKILL")
    child.launch()
    assert child.alive
    assert child.pid != first


def test_it_tells_its_exit_code(make: Make) -> None:
    child = make("raise SystemExit(3)")
    child.launch()
    assert eventually(child.exit_report) == "exited with code 3"


@pytest.mark.parametrize(("number", "told"), [(signal.SIGTERM, "killed by SIGTERM"), (40, "killed by signal 40")])
def test_it_tells_the_signal_that_ended_it(make: Make, number: int, told: str) -> None:
    child = make(SLEEP)
    child.launch()
    printed(child)
    os.kill(child.pid, number)
    assert eventually(child.exit_report) == told


def test_stopping_asks_first_and_insists_after_the_grace(make: Make) -> None:
    polite, stubborn = make(SLEEP), make(STUBBORN)
    polite.launch()
    polite.stop(30)
    polite.stop(30)
    assert polite.exit_report() == "killed by SIGTERM"
    polite.log.unlink()
    stubborn.launch()
    printed(stubborn)
    started = time.monotonic()
    stubborn.stop(0.05)
    assert stubborn.exit_report() == "killed by SIGKILL"
    assert time.monotonic() - started < 5


def test_a_paused_child_is_stopped_by_the_kernel_and_goes_on(make: Make) -> None:
    child = make(SLEEP)
    child.launch()
    child.pause()
    assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    assert child.alive
    child.resume()
    child.resume()
    eventually(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    child.pause()
    child.stop(5)
    assert child.exit_report() == "killed by SIGTERM"


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_it_forked_dies_too_even_when_it_died_first(make: Make, end: str) -> None:
    child = make(FORKS)
    child.launch()
    forked = Identity.of(int(printed(child)))
    assert forked
    os.kill(child.pid, signal.SIGKILL)
    eventually(child.exit_report)
    assert forked.alive
    child.kill() if end == "kill" else child.stop(1)
    eventually(lambda: not forked.alive)


def test_its_old_number_is_not_killed_twice(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the group is swept the number may be somebody else's."""
    child = make(SLEEP)
    child.launch()
    child.kill()
    killed: list[int] = []
    monkeypatch.setattr("harness.runtimes.child.os.killpg", lambda pid, number: killed.append(pid))
    child.kill()
    child.stop(0.1)
    assert killed == []


def test_standard_input_is_handed_over(make: Make) -> None:
    child = make("import sys; sys.stdout.write(input() + '\\n')", stdin="a secret\n")
    child.launch()
    assert printed(child) == "a secret\n"


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    child = Child(("/nowhere/server",), {}, tmp_path, tmp_path / "log", directly)
    with pytest.raises(ServiceError, match="/nowhere/server: No such file") as caught:
        child.launch()
    assert caught.value.next_step == "is it executable?"


def test_a_process_that_does_not_die_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    child = make(SLEEP)
    child.launch()
    monkeypatch.setattr(Child, "_ended", lambda self, seconds: False)
    with pytest.raises(ServiceError, match="did not die within 5 s of SIGKILL"):
        child.kill()
    monkeypatch.undo()
