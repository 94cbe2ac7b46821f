"""Any order of pushes, queries, time and restarts: a search finds the traces that a plain look at their spans would."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.unit.emulators.tempo.tempo_replay import make_rig

T0 = 1_800_000_000.25
CONFIG = "config-single-binary.yaml"
SETTLED = 3.0
"""Seconds until a trace is searchable and on disk with this configuration: idle for one, looked for every one."""
NAMES, COLOURS, DURATIONS = ("get", "getter"), ("red", "green"), (10, 100, 1000)
"""One name begins with the other, so that a pattern that is not anchored finds too much."""


@dataclass(frozen=True)
class Span:
    """What is searched for. `duration` in milliseconds."""

    name: str
    colour: str
    duration: int
    error: bool


@dataclass(frozen=True)
class Condition:
    """A TraceQL condition on one span, as text and as what it means."""

    text: str
    name: str = ""
    colour: str = ""
    longer: int = 0
    error: bool = False
    both: bool = True

    def holds(self, span: Span) -> bool:
        """Whether a span satisfies it."""
        parts = [
            span.name == self.name if self.name else None,
            span.colour == self.colour if self.colour else None,
            span.duration > self.longer if self.longer else None,
            span.error if self.error else None,
        ]
        asked = [part for part in parts if part is not None]
        return (all(asked) if self.both else any(asked)) if asked else True


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Up to two parts, joined by one operator."""
    asked = draw(st.sets(st.sampled_from(["name", "colour", "longer", "error"]), max_size=2))
    name = draw(st.sampled_from(NAMES)) if "name" in asked else ""
    colour = draw(st.sampled_from(COLOURS)) if "colour" in asked else ""
    longer = draw(st.sampled_from(DURATIONS)) if "longer" in asked else 0
    parts = [
        f'name {draw(st.sampled_from(["=", "=~", "=~"]))} "{name}"' if name else "",
        f'span.colour = "{colour}"' if colour else "",
        f"duration > {longer}ms" if longer else "",
        "status = error" if "error" in asked else "",
    ]
    both = draw(st.booleans())
    text = (" && " if both else " || ").join(part for part in parts if part)
    return Condition(f"{{ {text} }}", name, colour, longer, "error" in asked, both)


SPANS = st.builds(Span, st.sampled_from(NAMES), st.sampled_from(COLOURS), st.sampled_from(DURATIONS), st.booleans())


def as_otlp(trace: str, spans: list[Span], at: float) -> dict[str, Any]:
    """OTLP/JSON of a trace whose first span is the root."""
    made = [
        {
            "traceId": trace, "spanId": f"{number:016x}", "parentSpanId": "" if number == 1 else f"{1:016x}",
            "name": span.name, "startTimeUnixNano": str(int(at * 1e9)),
            "endTimeUnixNano": str(int(at * 1e9) + span.duration * 10**6),
            "status": {"code": 2} if span.error else {},
            "attributes": [{"key": "colour", "value": {"stringValue": span.colour}}],
        }
        for number, span in enumerate(spans, 1)
    ]  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


class Search(RuleBasedStateMachine):
    """Model: the spans of each trace, and when it was pushed."""

    defects: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="tempo-machine-"))
        self.rig = make_rig(CONFIG, self.directory, T0, *self.defects)
        self.numbers = count(1)
        self.traces: dict[str, tuple[list[Span], float]] = {}

    def teardown(self) -> None:
        """Leave nothing on disk."""
        shutil.rmtree(self.directory)

    def _settled(self) -> set[str]:
        return {trace for trace, (_, at) in self.traces.items() if at + SETTLED <= self.rig.now[0]}

    @rule(spans=st.lists(SPANS, min_size=1, max_size=3))
    def push(self, spans: list[Span]) -> None:
        """A trace of its own."""
        trace, now = f"{next(self.numbers):032x}", self.rig.now[0]
        self.rig.push(as_otlp(trace, spans, now))
        self.traces[trace] = (spans, now)

    @rule(seconds=st.sampled_from([0.4, SETTLED]))
    def time_passes(self, seconds: float) -> None:
        """In steps, as a clock does."""
        until = self.rig.now[0] + seconds
        while self.rig.now[0] < until:
            self.rig.at(min(self.rig.now[0] + 0.2, until))

    @rule(condition=conditions())
    def search(self, condition: Condition) -> None:
        """What has settled and has such a span is found; what is newer may be; nothing else is."""
        answer = self.rig.query(f"/api/search?limit=1000&q={quote(condition.text)}")
        assert answer.status == 200, (condition, answer)
        found = {one["traceID"].zfill(32) for one in json.loads(answer.body)["traces"]}
        right = {trace for trace, (spans, _) in self.traces.items() if any(map(condition.holds, spans))}
        assert right & self._settled() <= found <= right, condition

    @rule(gracefully=st.booleans())
    def restart(self, gracefully: bool) -> None:
        """A kill keeps what has settled, a stop keeps everything."""
        kept = set(self.traces) if gracefully else self._settled()
        if gracefully:
            self.rig.instance.stop()
        newer = set(self.traces) - kept
        self.rig = make_rig(CONFIG, self.directory, self.rig.now[0], *self.defects)
        for trace in newer:
            if not self._names(trace):
                del self.traces[trace]

    def _names(self, trace: str) -> list[str]:
        answer = self.rig.query(f"/api/traces/{trace}")
        batches = json.loads(answer.body)["batches"] if answer.status == 200 else []
        return [span["name"] for batch in batches for scoped in batch["scopeSpans"] for span in scoped["spans"]]

    @invariant()
    def every_trace_is_read_by_id_as_it_was_sent(self) -> None:
        """At once, whole, and each span once."""
        for trace, (spans, _) in self.traces.items():
            assert sorted(self._names(trace)) == sorted(span.name for span in spans), trace


ENOUGH = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestSearch = Search.TestCase
TestSearch.settings = ENOUGH


@pytest.mark.parametrize(
    "defect",
    ["dropped-span", "wal-not-written", "sigterm-loses-live", "stuck-flush", "unanchored-regex"],
)
def test_the_machine_finds_what_is_broken(defect: str) -> None:
    """The control: with a seeded defect the same machine goes red."""
    found = settings(ENOUGH, max_examples=1000, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("Broken", (Search,), {"defects": (defect,)}), settings=found)
