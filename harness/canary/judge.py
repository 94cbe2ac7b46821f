"""The whole comparison: every part is tried, each failure is a finding, and the gravest finding decides."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from harness.app import Run
from harness.canary import decision, measure
from harness.canary.decision import Decision, Finding
from harness.canary.golden import golden_of
from harness.canary.pair import alone
from harness.canary.rounds import tree
from harness.canary.side import Side, SideFailed, blaming
from harness.errors import LeftBehind
from harness.keeper.client import RemoteHandle
from harness.services import kind_named

T = TypeVar("T")


@dataclass(frozen=True)
class Terms:
    """How much is compared. `budget` is the seconds that recovery may take; `flags` go to each `harness test`."""

    service: str
    rounds: int
    samples: int
    budget: float
    flags: tuple[str, ...]


def compare(run: Run, pin: Side, candidate: Side, terms: Terms, tell: Callable[[str], None]) -> Iterator[Finding]:
    """One finding after the other."""
    tell("upgrade: the pin's data under the candidate")
    yield from _tried("upgrade", lambda: _upgrade(run, pin, candidate, terms))
    tell("latency and recovery, both sides in turn")
    yield from _tried("latency and recovery", lambda: _side_by_side(run, pin, candidate, terms))
    yield from _tried("results", lambda: [_trees(run, pin, candidate, terms, tell)])


def _tried(subject: str, part: Callable[[], Sequence[Finding]]) -> Sequence[Finding]:
    """A part that breaks off says nothing good of a candidate, and nothing for certain when it is the pin's fault."""
    try:
        return part()
    except SideFailed as failed:
        decided = Decision.ROLLBACK if failed.is_candidate else Decision.HOLD
        return [Finding(subject, decided, failed.message)]


def _trees(run: Run, pin: Side, candidate: Side, terms: Terms, tell: Callable[[str], None]) -> Finding:
    rounds: dict[str, list[dict[str, bool]]] = {pin.name: [], candidate.name: []}
    for number in range(1, terms.rounds + 1):
        for side in (pin, candidate):
            tell(f"round {number} of {terms.rounds}: the tree on the {side.name} ({side.version(terms.service)})")
            rounds[side.name].append(tree(side, run.report, number, terms.flags))
    return decision.results(rounds[pin.name], rounds[candidate.name])


def _side_by_side(run: Run, pin: Side, candidate: Side, terms: Terms) -> list[Finding]:
    with alone(run, pin, terms.service) as first, alone(run, candidate, terms.service) as second:
        both = ((pin, first), (candidate, second))
        seconds = measure.round_trips(both, terms.samples)
        back = [measure.recoveries(side, handle) for side, handle in both]
    latency = decision.latency(seconds[0], seconds[1], Random(run.seed))
    return [latency, decision.recovery(back[0], back[1], terms.budget)]


def _upgrade(run: Run, pin: Side, candidate: Side, terms: Terms) -> list[Finding]:
    golden = golden_of(pin.plan.services[terms.service].kind or "")
    if golden is None:
        return [Finding("upgrade", Decision.PROMOTE, f"{terms.service} keeps no data that is asked for later")]
    passwords = {name: secrets.token_urlsafe(18) for name in kind_named(golden.kind).secret_variables}
    data = Path(tempfile.mkdtemp(prefix="ih-canary-"))
    data.chmod(0o777)  # an image's own user writes here; the name is random, and it is gone with this function
    try:
        with alone(run, pin, terms.service, data, passwords) as handle:
            acknowledged = _with_client(pin, handle, lambda client: golden.plant(client, handle))
            expected = _with_client(pin, handle, golden.ask)
        with alone(run, candidate, terms.service, data, passwords) as handle:
            kept = _with_client(candidate, handle, golden.kept)
            found = _with_client(candidate, handle, golden.ask)
    finally:
        _remove(data)
    return [decision.upgrade(acknowledged, kept), decision.golden(expected, found)]


def _with_client(side: Side, handle: RemoteHandle, use: Callable[..., T]) -> T:
    kind = kind_named(handle.kind or "")
    client = kind.client(handle)
    try:
        with blaming(side):
            return use(client)
    finally:
        kind.close_client(client)


def _remove(data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    if data.exists():
        raise LeftBehind(f"canary: still there: {data}", "its files are the container's user's: remove it as root")
