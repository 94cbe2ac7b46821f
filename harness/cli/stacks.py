"""The stacks of `harness test`: one, or one on each engine that was named; started at once, ended at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console

from harness import app, journal
from harness.app import Run
from harness.cli.progress import show_progress
from harness.errors import HarnessError
from harness.identity import Identity
from harness.keeper.client import Progress
from harness.keeper.launch import Lifeline
from harness.model import StackPlan
from harness.pytest_plugin.ending import close_stack, how_to_reach, lose_keeper
from harness.report.read import summarise
from harness.report.verdict import judge


@dataclass(frozen=True)
class Stacks:
    """A keeper for each stack of a run, with the lifeline that it watches."""

    run: Run
    lifelines: tuple[Lifeline | None, ...]

    @classmethod
    def launch(cls, run: Run) -> Stacks:
        """Have the keepers. Raises HarnessError; those that were launched then end with this process."""
        lifelines = []
        for one in run.stacks:
            with _told_of(one):
                one.prepare()
                lifelines.append(app.ensure_keeper(one, Identity.mine(), lifeline=True))
        return cls(run, tuple(lifelines))

    def start(self, plan: StackPlan, reason: str, console: Console) -> None:
        """Start every stack, all at once. Raises what the first one raised that failed as a whole."""
        runs = self.run.stacks
        with show_progress(console, (_name(run, name) for run in runs for name in plan.services)) as progress:
            _at_once([_starter(run, plan, reason, progress, console) for run in runs])

    def end(self) -> list[str]:
        """Keep the stacks when that was asked for, else end them and note what is left. Returns how to reach them."""
        verdict = judge(summarise(journal.read(self.run.report / journal.FILE_NAME)))
        keep = self.run.settings["keep"]
        kept = keep == "always" or (keep == "on-failure" and bool(verdict.exit_code))
        with ThreadPoolExecutor(len(self.lifelines)) as pool:
            ended = pool.map(lambda run, lifeline: _end(run, lifeline, kept), self.run.stacks, self.lifelines)
            return [line for lines in ended for line in lines]


def _name(run: Run, service: str) -> str:
    return f"{service} on {run.engine}" if run.engine else service


@contextmanager
def _told_of(run: Run) -> Iterator[None]:
    """An error of one stack, told with the engine that was named for it."""
    try:
        yield
    except HarnessError as error:
        if not run.engine or run.engine in error.message:
            raise
        raise type(error)(run.of_engine(error.message), error.next_step) from error


def _starter(run: Run, plan: StackPlan, reason: str, progress: Progress, console: Console) -> Callable[[], None]:
    def start() -> None:
        with _told_of(run), app.connect(run) as client:
            app.start_stack(
                run, client, plan, reason,
                lambda status: progress(replace(status, name=_name(run, status.name))),
                lambda line: console.print(run.of_engine(line), markup=False, soft_wrap=True),
            )  # fmt: skip

    return start


def _at_once(jobs: list[Callable[[], None]]) -> None:
    """Run the jobs, several ones each on a thread that nobody waits for: Ctrl-C ends the wait, and the end of the
    keepers then ends the threads. Raises what the first one raised that failed."""
    failures: dict[int, Exception] = {}

    def work(number: int) -> None:
        try:
            jobs[number]()
        except Exception as error:  # raised again by whoever waits
            failures[number] = error

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(1, len(jobs))]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    for number in sorted(failures):
        raise failures[number]


def _end(run: Run, lifeline: Lifeline | None, keep: bool) -> list[str]:
    try:
        client = app.connect(run)
        if keep:
            client.keep()
            return how_to_reach(run, client.stack())
        close_stack(run, client)
    except HarnessError as error:
        lose_keeper(run, error)
    if lifeline is not None:
        lifeline.cut()
    return []
