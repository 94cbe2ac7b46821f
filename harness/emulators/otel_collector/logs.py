"""Log lines as the Collector's console encoder writes them: tab separated, fields as JSON, sampled per message."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

LEVELS = ("debug", "info", "warn", "error")


@dataclass
class Sampling:
    """Zap's sampler: per message and tick (seconds), the first `initial` lines, then every `thereafter`-th."""

    initial: int = 10
    thereafter: int = 100
    tick: float = 10.0
    seen: dict[str, tuple[float, int]] = field(default_factory=dict)

    def lets_pass(self, message: str, now: float) -> bool:
        """Whether this line is written."""
        started, count = self.seen.get(message, (now, 0))
        if now - started >= self.tick:
            started, count = now, 0
        count += 1
        self.seen[message] = (started, count)
        over = count - self.initial
        return over <= 0 or (self.thereafter > 0 and over % self.thereafter == 0)


@dataclass
class Log:
    """A logger of the Collector or, after `named`, of one of its components."""

    level: str = "info"
    stream: TextIO = sys.stderr
    fields: Mapping[str, Any] = field(default_factory=dict)
    sampling: Sampling | None = field(default_factory=Sampling)
    clock: Callable[[], float] = time.time

    def named(self, kind: str, component: str, signal: str = "") -> Log:
        """The logger of a component, sharing this one's stream and sampler."""
        own = {"otelcol.component.id": component, "otelcol.component.kind": kind}
        if signal:
            own["otelcol.signal"] = signal
        return Log(self.level, self.stream, {**self.fields, **own}, self.sampling, self.clock)

    def write(self, level: str, caller: str, message: str, /, **extra: Any) -> None:
        """One line. `caller` is the file of the real program the message comes from."""
        now = self.clock()
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        if self.sampling and not self.sampling.lets_pass(f"{level} {message}", now):
            return
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        body = json.dumps({**self.fields, **extra}, ensure_ascii=False)
        self.stream.write(f"{stamp}\t{level}\t{caller}\t{message}\t{body}\n")
        self.stream.flush()
