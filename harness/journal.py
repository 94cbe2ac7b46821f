"""The journal of a run: append-only JSON lines that everything else (verdict, reports, timelines) is read from.

One file, many writers (the pytest controller, its workers, the command line): each event is one line, written under
a lock, so no line is ever torn. Wall time is seconds since the epoch, for people; order is the file's order.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.credentials import redact
from harness.errors import ReportError

FILE_NAME = "journal.jsonl"

RUN_STARTED = "run_started"
"""`run`, `seed`, `runtime`, `reason`, `services`, `argv`, `version`; `engine` when one was named: its address, version
and platform, and the stack there. With several engines there is one such event for each."""
SERVICE_READY = "service_ready"
"""`service`, `kind`, `fidelity`, `seconds`, `engine` (its address, when one was named)."""
SERVICE_FAILED = "service_failed"
"""`service`, `kind`, `cause`, `state` (`failed`, or `blocked` by another service), `engine`."""
LAYER_STARTED = "layer_started"
"""`layer`, `name`."""
LAYER_FINISHED = "layer_finished"
"""`layer`, `name`, `exit`, `collected`."""
TEST_FINISHED = "test_finished"
"""`test`, `layer`, `uses`, `outcome`, `seconds`, `reason`, `detail`, `worker`, `engine`, `properties` (it recorded)."""
SESSION_ERROR = "session_error"
"""`detail`: pytest itself could not go on (collection error, internal error, crashed worker)."""
EXPERIMENT_FINISHED = "experiment_finished"
"""`name`, `test`, `verdict`, `ending`, `cause`, `witness`, `findings`, `phases`, `measured`, `points`, `changes` (of
primary or leader, as each observer saw it), `history`, `discarded`: what a timeline needs. Times in seconds from the
experiment's beginning."""
SMOKE_PLANNED = "smoke_planned"
"""`tests`: what a smoke run is to execute."""
SMOKE_JUDGED = "smoke_judged"
"""`identity`, `read_only`, `budget`, `seconds`, `exit`, `cause`, `not_reached`, `swept`, `services` by name."""
ENGINE_LOST = "engine_lost"
"""`detail`: the connection to an engine on another machine ended during the run; `engine`, when one was named."""
LEFT_BEHIND = "left_behind"
"""`what`: a list of things still there after the end."""
RUN_FINISHED = "run_finished"
"""`exit`."""

EVENT_TYPES = (
    RUN_STARTED,
    SERVICE_READY,
    SERVICE_FAILED,
    LAYER_STARTED,
    LAYER_FINISHED,
    TEST_FINISHED,
    SESSION_ERROR,
    EXPERIMENT_FINISHED,
    SMOKE_PLANNED,
    SMOKE_JUDGED,
    ENGINE_LOST,
    LEFT_BEHIND,
    RUN_FINISHED,
)


@dataclass(frozen=True)
class Event:
    """One line of the journal."""

    type: str
    at: float
    data: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.data[key]


IDENTIFIERS = frozenset({"run", "service", "services", "kind", "test", "layer", "name", "uses", "outcome", "state"})
"""Keys whose values name things that reports look up. They are left as they are, even if a password looks like one."""


class Journal:
    """Appends events to one file. `secrets` are masked in every text of an event, identifiers excepted."""

    def __init__(self, path: Path, secrets: Iterable[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._secrets = tuple(secrets)
        self._clock = clock

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        self._secrets = (*self._secrets, *secrets)

    def write(self, event: str, /, **data: Any) -> None:
        """Append one event. Raises ReportError when the file cannot be written, ValueError for an unknown type."""
        if event not in EVENT_TYPES:
            raise ValueError(f"unknown event type {event!r}")
        shown = {key: value if key in IDENTIFIERS else self._masked(value) for key, value in data.items()}
        line = json.dumps({"type": event, "at": round(self._clock(), 6), **shown}, default=str)
        try:
            _append(self.path, line + "\n")
        except OSError as error:
            raise ReportError(f"journal {self.path}: {error.strerror}", "check the disk and --reports") from error

    def _masked(self, value: Any) -> Any:
        """The value with secrets replaced in every text inside: masking the finished line would miss what JSON escapes,
        and could break its structure."""
        if isinstance(value, Mapping):
            return {key: self._masked(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(item) for item in value]
        return redact(value, self._secrets) if isinstance(value, str) else value


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        data = line.encode()
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[Event]:
    """Every whole event of a journal, in order. A last line cut off by a crash is left out; absent file, no events.

    Raises ReportError for a line in the middle that is no event.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                data = json.loads(line)
                event = Event(data.pop("type"), data.pop("at"), data)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ReportError(f"journal {path}: line {number} is no event: {line[:60]!r}") from error
            yield event
