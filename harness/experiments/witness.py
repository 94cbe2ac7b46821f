"""Witnesses: proof that a fault bit, seen on the workload's own path by code that shares nothing with the injector.

A witness is asked with what the workload did before the fault and since. It returns what it saw, in words, or raises
NotYet. It never asks the proxy, the runtime or the keeper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

from harness.experiments.history import Operation
from harness.probes.poll import NotYet

SHARE = 0.2
"""Of a client's operations: a fault that slows down does it to more, a loaded machine to one in fifty."""

Witness = Callable[[Sequence[Operation], Sequence[Operation]], str]


def errors(at_least: int = 1, containing: str = "", kinds: tuple[str, ...] = ()) -> Witness:
    """So many operations failed or stayed unknown, each with these words in its error."""

    def see(before: Sequence[Operation], since: Sequence[Operation]) -> str:
        del before
        seen = [item for item in since if not item.ok and containing in item.error and _of(item, kinds)]
        if len(seen) < at_least:
            raise NotYet(f"{len(seen)} of {at_least} failing operations seen{_words(containing)}")
        return f"{len(seen)} operations failed, first: {seen[0].error}"

    return see


def slower(than: float, at_least: int = 3, kinds: tuple[str, ...] = ()) -> Witness:
    """So many operations took longer than `than` seconds, acknowledged or not, and the median before was shorter."""

    def see(before: Sequence[Operation], since: Sequence[Operation]) -> str:
        usual = median([item.seconds for item in before if item.ok and _of(item, kinds)] or [0.0])
        slow = [item.seconds for item in since if item.seconds > than and _of(item, kinds)]
        if usual > than:
            raise NotYet(f"the median was {usual:.3f} s before the fault: no rise above {than:g} s could show")
        if len(slow) < at_least:
            raise NotYet(f"{len(slow)} of {at_least} operations slower than {than:g} s")
        return f"{len(slow)} operations took over {than:g} s (median before {usual * 1000:.1f} ms)"

    return see


def disturbed(factor: float = 5.0, floor: float = 0.25, at_least: int = 3) -> Witness:
    """Any trouble: an operation that failed, or `at_least` of one client, and a fifth of what it did, that took `floor`
    seconds and `factor` times what the slowest before did (its first `at_least` - 1 left out). Neither do slow ones
    before hide the fault, nor some after prove it: a loaded machine has them without any."""

    def see(before: Sequence[Operation], since: Sequence[Operation]) -> str:
        failed = [item for item in since if not item.ok]
        if failed:
            return f"{len(failed)} operations failed, first: {failed[0].error}"
        slowest = sorted((item.seconds for item in before if item.ok), reverse=True)
        usual = slowest[at_least - 1] if len(slowest) >= at_least else 0.0
        bound = max(floor, usual * factor)
        done = Counter(item.client for item in since)
        slow = [item for item in since if item.seconds > bound]
        held_up = Counter(item.client for item in slow)
        if any(count >= max(at_least, SHARE * done[client]) for client, count in held_up.items()):
            longest = max(item.seconds for item in slow)
            return f"{len(slow)} operations took up to {longest:.3f} s, {usual * 1000:.1f} ms before"
        raise NotYet(f"{len(since)} operations, none failed, {len(slow)} over {bound * 1000:.0f} ms")

    return see


def fact(question: Callable[[], str]) -> Witness:
    """Something else that is asked of the services themselves: a changed leader, a refused connection. It returns
    what it saw, or raises NotYet."""

    def see(before: Sequence[Operation], since: Sequence[Operation]) -> str:
        del before, since
        return question()

    return see


def _of(operation: Operation, kinds: tuple[str, ...]) -> bool:
    return not kinds or operation.kind in kinds


def _words(containing: str) -> str:
    return f" with {containing!r}" if containing else ""
