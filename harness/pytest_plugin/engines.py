"""Several engines in one pytest run: each xdist worker has the stack of one of them, round robin.

What a test asks for is the same as ever; only which stack a worker joins differs. The process that runs tests has its
engine in its environment, as DOCKER_HOST, for whatever asks an engine there: private stacks, and tests themselves.
"""

from __future__ import annotations

import os
import re

import pytest

from harness.app import Run
from harness.errors import HarnessError, UsageError
from harness.pytest_plugin.session import HarnessSession
from harness.report.engines import EngineReport, differences
from harness.runtimes.choice import reach_engines, refuse_engines_without_containers


def workers_of(config: pytest.Config) -> int:
    """In how many processes tests run: the xdist workers, or this one alone."""
    if config.getoption("dist", "no") == "no":
        return 1
    counts = (re.match(r"(\d+)\*", spec) for spec in config.getoption("tx"))
    return sum(int(count.group(1)) if count else 1 for count in counts)


def refuse_few_workers(engines: tuple[str, ...], workers: int, flag: str = "-n") -> None:
    """Raises UsageError when an engine would get no worker, for its stack would be started for nothing."""
    if workers < len(engines):
        found = f"{workers} worker{'s' * (workers != 1)}" if workers > 1 else "no workers"
        raise UsageError(
            f"{len(engines)} engines and {found}: expected a worker for each engine, or more",
            f"give {flag} {len(engines)}, or name fewer engines",
        )


def stack_of(run: Run, worker: str) -> Run:
    """The stack of a worker by its number: gw0 has the first engine's, gw1 the second's, and so on, round robin."""
    number = re.search(r"\d+$", worker)
    stacks = run.stacks
    return stacks[int(number.group()) % len(stacks)] if number else stacks[0]


def live_on(run: Run) -> None:
    """Make the engine of the run's one stack the engine of this process."""
    if len(run.stacks) == 1:
        os.environ.update(run.environment)


def ask_engines(run: Run) -> list[EngineReport]:
    """What answers at each engine of the run, and its stack's id; empty when none was named. Raises
    RuntimeUnavailable."""
    if not run.engine:
        return []
    reach_engines(run.settings)
    from harness.runtimes.docker.engines import ask_all

    found = ask_all([stack.engine for stack in run.stacks])
    return [EngineReport.of(one.told(), stack.id) for one, stack in zip(found, run.stacks, strict=True)]


def told(engines: list[EngineReport]) -> list[str]:
    """A line for each engine, and one for each difference between them."""
    return [*map(str, engines), *(f"different: {text}" for text in differences(engines))]


class Engines:
    """In the controller, or in the only process: asks for every engine before anything starts, and says which is whose.

    When `harness test` has done so already, only the number of workers is looked at."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session
        self._lines: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Bad input is one sentence, before any worker is started."""
        if session.config.option.collectonly:
            return
        run = self._session.run
        try:
            refuse_engines_without_containers(run.settings)
            refuse_few_workers(run.settings["engines"], workers_of(session.config))
            if self._session.owns_run:
                self._lines = told(ask_engines(run))
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_report_header(self) -> list[str]:
        """The engines, above the tests."""
        return self._lines
