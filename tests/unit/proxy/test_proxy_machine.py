"""Random toxics come, change and go while a stream flows: every byte arrives, in order, and nothing wedges."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.proxy.entry import Entry, read_entry
from harness.proxy.stream import Ending
from tests.unit.proxy.proxy_rig import Bench, VirtualLoop, settle

KEEPING = st.one_of(
    st.tuples(
        st.just("latency"), st.fixed_dictionaries({"latency": st.integers(0, 3000), "jitter": st.integers(0, 200)})
    ),
    st.tuples(st.just("bandwidth"), st.fixed_dictionaries({"rate": st.integers(0, 100)})),
    st.tuples(st.just("slow_close"), st.fixed_dictionaries({"delay": st.integers(0, 5000)})),
    st.tuples(
        st.just("slicer"),
        st.fixed_dictionaries(
            {"average_size": st.integers(50, 500), "size_variation": st.integers(0, 49), "delay": st.integers(0, 9999)}
        ),
    ),
    st.tuples(st.just("reset_peer"), st.fixed_dictionaries({"timeout": st.just(10**9)})),
    st.tuples(st.just("limit_data"), st.fixed_dictionaries({"bytes": st.just(10**12)})),
)
DROPPING = st.one_of(
    st.tuples(st.just("timeout"), st.fixed_dictionaries({"timeout": st.integers(0, 500)})),
    st.tuples(st.just("limit_data"), st.fixed_dictionaries({"bytes": st.integers(0, 5000)})),
)


class Stream(RuleBasedStateMachine):
    """Model: the bytes that were fed. What came out is a prefix of them, and all of them once the toxics are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.serials = itertools.count(1)
        self.entries: dict[int, Entry] = {}
        self.numbers = itertools.count()
        self.fed = bytearray()
        self.dropped = False
        self.ended = False

    @initialize()
    def begin(self) -> None:
        async def make() -> Bench:
            return Bench()

        self.bench = self.runner.run(make())

    def within(self, *steps: object, seconds: float = 0.0) -> None:
        async def story() -> None:
            for step in steps:
                assert callable(step)
                step()
            await settle()
            await asyncio.sleep(seconds)

        self.runner.run(story())

    @precondition(lambda self: not self.ended)
    @rule(size=st.integers(1, 3000))
    def feed(self, size: int) -> None:
        data = b"".join(next(self.numbers).to_bytes(4, "big") for _ in range(size // 4 + 1))
        self.fed += data
        self.within(lambda: self.bench.pipe.feed(data))

    @precondition(lambda self: len(self.entries) < 6)
    @rule(kind=KEEPING, toxicity=st.sampled_from([0.0, 0.5, 1.0]))
    def add(self, kind: tuple[str, dict[str, int]], toxicity: float) -> None:
        self._apply(next(self.serials), kind, toxicity)

    @precondition(lambda self: len(self.entries) < 6)
    @rule(kind=DROPPING)
    def add_dropping(self, kind: tuple[str, dict[str, int]]) -> None:
        self.dropped = True
        self._apply(next(self.serials), kind, 1.0)

    @precondition(lambda self: self.entries)
    @rule(which=st.integers(0, 5), kind=KEEPING, toxicity=st.sampled_from([0.0, 0.5, 1.0]))
    def update(self, which: int, kind: tuple[str, dict[str, int]], toxicity: float) -> None:
        serial = sorted(self.entries)[which % len(self.entries)]
        if kind[0] == self.entries[serial].toxic.NAME:
            self._apply(serial, kind, toxicity)

    @precondition(lambda self: self.entries)
    @rule(which=st.integers(0, 5))
    def remove(self, which: int) -> None:
        serial = sorted(self.entries)[which % len(self.entries)]
        del self.entries[serial]
        self.within(lambda: self.bench.pipe.retract(serial))

    @rule(seconds=st.sampled_from([0.001, 0.05, 1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.within(seconds=seconds)

    @rule(blocked=st.booleans())
    def slow_reader(self, blocked: bool) -> None:
        self.within(lambda: self.bench.block(blocked))

    @precondition(lambda self: not self.ended and len(self.fed) > 3000)
    @rule()
    def end(self) -> None:
        self.ended = True
        self.within(self.bench.pipe.end)

    @invariant()
    def nothing_invented_nothing_out_of_order(self) -> None:
        if hasattr(self, "bench"):
            assert self.bench.failures == []
            if not self.dropped:
                assert self.fed.startswith(self.bench.data)
                assert self.bench.outlet.ending is not Ending.CLOSE

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            for serial in sorted(self.entries, reverse=True):
                self.within(lambda serial=serial: self.bench.pipe.retract(serial))
            self.within(lambda: self.bench.block(False))
            if not self.dropped:
                assert self.bench.data == bytes(self.fed)
                assert (self.bench.outlet.ending is Ending.END) is self.ended
            assert not self.bench.source.waits()
        self.runner.close()

    def _apply(self, serial: int, kind: tuple[str, dict[str, int]], toxicity: float) -> None:
        name, attributes = kind
        entry = read_entry({"type": name, "toxicity": toxicity, "attributes": attributes}, serial)
        self.entries[serial] = entry
        self.within(lambda: self.bench.pipe.apply(entry))


TestStream = Stream.TestCase
TestStream.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
