"""A soak: a stack in steady use for minutes, its memory and handles measured meanwhile, and the keeper's with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.health import look
from harness.keeper.client import RemoteStack
from harness.probes.usage import Usage

SAMPLES = 120
"""How many are taken at most, evenly over the time; one a second in a short soak."""
PAUSE = 0.1
"""Seconds between two rounds of use."""


@dataclass
class Soaked:
    """What a soak saw. `rounds`: how often every service wrote and read back; `troubles`: what did not, each once."""

    samples: list[Mapping[str, Usage | None]] = field(default_factory=list)
    rounds: int = 0
    troubles: dict[str, float] = field(default_factory=dict)


def soak(stack: RemoteStack, seconds: float, file: Path | None = None) -> Soaked:
    """Use every service of the stack, one write and read a round, for so long. The samples go to `file` as they come,
    a JSON object a line, so that they outlive a run that is killed."""
    seen, over, began = Soaked(), threading.Event(), time.monotonic()
    user = threading.Thread(target=lambda: _use(stack, seen, over, began), name="soak")
    user.start()
    try:
        _sample(stack.client.usage, seen, seconds, file)
    finally:
        over.set()
        user.join()
    return seen


def _use(stack: RemoteStack, seen: Soaked, over: threading.Event, began: float) -> None:
    services = stack.plan.services
    while not over.wait(PAUSE):
        for name, judged in look(stack, services).services.items():
            if not judged.ready:
                seen.troubles.setdefault(f"{name} {judged.cause}", round(time.monotonic() - began, 1))
        seen.rounds += 1


def _sample(measure: Callable[[], Mapping[str, Usage | None]], seen: Soaked, seconds: float, file: Path | None) -> None:
    began = time.monotonic()
    every = max(1.0, seconds / SAMPLES)
    while (passed := time.monotonic() - began) < seconds:
        sample = measure()
        seen.samples.append(sample)
        if file:
            line = {"at": round(passed, 2), "rounds": seen.rounds}
            told = {name: asdict(used) if used else None for name, used in sample.items()}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({**line, "usage": told}) + "\n")
        time.sleep(min(every, max(0.0, seconds - passed)))
