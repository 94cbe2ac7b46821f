"""What a workload did: every operation with its result, in memory and as append-only JSON lines.

A result has three values. `ok`: the service acknowledged. `fail`: it certainly did not happen (refused before it was
done). `info`: nobody knows; it timed out or the connection broke, and it may have happened or may happen yet.
Whoever calls an unknown outcome a failure hides lost and doubled writes; whoever calls it a success invents loss.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import ReportError


class Result(StrEnum):
    """How an operation ended, as far as its client can know."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Refused(Exception):
    """The operation certainly did not happen: a lock that is held, a write that was turned away."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one client. `started` and `ended` are monotonic seconds of one machine, `wall` is seconds since the
    epoch at the start. `ended` of an `info` is when the client gave up, not when the effect can no longer come."""

    kind: str
    client: str
    key: str
    value: Any
    result: Result
    started: float
    ended: float
    wall: float = 0.0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.result is Result.OK

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.ended - self.started


Classify = Callable[[Exception], Result]


def unless_refused(error: Exception) -> Result:
    """The careful reading of an error: nobody knows, unless it says that it was refused."""
    return Result.FAIL if isinstance(error, Refused) else Result.INFO


class History:
    """Operations in the order in which they ended. Safe to use from many threads; `close` ends the file."""

    def __init__(
        self,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None

    def perform(
        self,
        kind: str,
        client: str,
        key: str,
        value: Any,
        call: Callable[[], Any],
        classify: Classify = unless_refused,
    ) -> Operation:
        """Do `call` and record how it ended; never raises what it raised. With a `value` of None the answer is kept."""
        started, wall = self.clock(), self._wall()
        error, result = "", Result.OK
        try:
            answer = call()
            value = answer if value is None else value
        except Exception as raised:  # an experiment's subject may fail in any way; the history is where it is told
            error, result = f"{type(raised).__name__}: {raised}"[:200], classify(raised)
        operation = Operation(kind, client, key, value, result, started, self.clock(), wall, error)
        self.append(operation)
        return operation

    def append(self, operation: Operation) -> None:
        """Remember one operation."""
        with self._lock:
            self._operations.append(operation)
            if self._file:
                self._file.write(json.dumps(asdict(operation), default=str) + "\n")

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All so far."""
        with self._lock:
            return tuple(self._operations)

    def since(self, moment: float) -> tuple[Operation, ...]:
        """Those that ended after a monotonic moment, found from the end."""
        with self._lock:
            first = len(self._operations)
            # Threads append in nearly the order of `ended`; 64 places make up for those that overtook each other.
            strangers = 0
            while first > 0 and strangers < 64:
                first -= 1
                strangers = strangers + 1 if self._operations[first].ended < moment else 0
            return tuple(item for item in self._operations[first:] if item.ended >= moment)

    def __len__(self) -> int:
        return len(self._operations)

    def close(self) -> None:
        """End the file. Harmless when done before."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None


def read(file: Path) -> Iterator[Operation]:
    """A history from its file. A last line cut off by a crash is left out; raises ReportError for any other damage."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                data = json.loads(line)
                yield Operation(**{**data, "result": Result(data["result"])})
            except (ValueError, TypeError, KeyError) as error:
                raise ReportError(f"history {file}: line {number} is no operation: {line[:60]!r}") from error


def oks(operations: Iterable[Operation], *kinds: str) -> list[Operation]:
    """The acknowledged ones, of these kinds when any are named."""
    return [item for item in operations if item.ok and (not kinds or item.kind in kinds)]
