"""Progress while services start: a live table on a terminal, plain lines in pipes and CI."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.keeper.client import Progress
from harness.model import ServiceStatus, State

MARKS = {State.READY: "[green]ready[/]", State.FAILED: "[red]FAILED[/]", State.BLOCKED: "[yellow]blocked[/]"}


@contextmanager
def show_progress(console: Console, services: Iterable[str]) -> Iterator[Progress]:
    """Gives the function to call with each status; it may be called from several threads."""
    if console.is_terminal:
        with _Board(console, services) as board:
            yield board.update
    else:
        started = time.monotonic()
        yield lambda status: _print_line(console, status, time.monotonic() - started)


def _print_line(console: Console, status: ServiceStatus, elapsed: float) -> None:
    if status.state is State.STARTING:
        return
    tail = f"{status.fidelity}" if status.state is State.READY else status.cause
    console.print(f"{elapsed:6.2f} s  {status.name:16} {status.state:8} {tail}", markup=False, soft_wrap=True)


class _Board:
    """A table that is redrawn while services come up."""

    def __init__(self, console: Console, services: Iterable[str]) -> None:
        self._latest: dict[str, ServiceStatus | None] = dict.fromkeys(services)
        self._started = time.monotonic()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> _Board:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for status in self._latest.values():
            if status and status.cause:
                self._live.console.print(f"{status.name}: {status.cause}", markup=False, style="red")

    def update(self, status: ServiceStatus) -> None:
        self._latest[status.name] = status

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, title=f"starting, {time.monotonic() - self._started:.1f} s")
        for name, status in self._latest.items():
            state = MARKS.get(status.state, "starting") if status else "waiting"
            table.add_row(name, state, f"{status.ready_after:.2f} s" if status and status.ready_after else "")
        return table
