"""Log lines as the Collector's console encoder writes them: tab separated, fields as JSON, none sampled away."""

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
class Log:
    """A logger of the Collector or, after `named`, of one of its components."""

    level: str = "info"
    stream: TextIO = sys.stderr
    fields: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def named(self, kind: str, component: str, signal: str = "") -> Log:
        """The logger of a component, sharing this one's stream."""
        own = {"otelcol.component.id": component, "otelcol.component.kind": kind}
        if signal:
            own["otelcol.signal"] = signal
        return Log(self.level, self.stream, {**self.fields, **own}, self.clock)

    def write(self, level: str, caller: str, message: str, /, **extra: Any) -> None:
        """One line. `caller` is the file of the real program the message comes from."""
        now = self.clock()
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        body = json.dumps({**self.fields, **extra}, ensure_ascii=False)
        self.stream.write(f"{stamp}\t{level}\t{caller}\t{message}\t{body}\n")
        self.stream.flush()


def say_rejected(log: Log, caller: str, partial: Any) -> None:
    """Warn of a backend that took a request but not all of it: the real one only logs that, too."""
    rejected = {name.name: value for name, value in partial.ListFields() if isinstance(value, int)}
    if partial.error_message or rejected:
        log.write("warn", caller, "Partial success response", message=partial.error_message, **rejected)
