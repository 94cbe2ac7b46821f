"""A lock of Consul's around a read-modify-write in ArangoDB, judged from what its holders did and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from harness.experiments.checkers.mutual_exclusion import MutualExclusion
from harness.experiments.history import History, Operation, Result
from harness.model import Verdict
from harness.probes.poll import Deadline, NotYet, poll

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Call, Caller, Deployment

CALLERS, ROUNDS = 6, 3


def count_up(shop: Deployment, caller: Caller, key: str, query: str = "") -> list[Call]:
    """Callers on both instances, all adding one to the same item; every call must be served."""
    assert caller.call("PUT", f"{shop.instances[0].url}/items/{key}", 0).status == 200

    def work(number: int) -> list[Call]:
        url = f"{shop.instances[number % 2].url}/counts/{key}{query}"
        return [caller.call("POST", url) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [call for made in pool.map(work, range(CALLERS)) for call in made]
    assert {call.status for call in calls} == {200}, [call.body for call in calls]
    return calls


def holds(calls: list[Call], key: str) -> History:
    """When each call was inside, by the clock that all processes of a machine share."""
    history = History()
    for call in calls:
        who, since, until = call.trace_id, call.body["since"], call.body["until"]
        history.append(Operation("acquire", who, key, None, Result.OK, since, since))
        history.append(Operation("release", who, key, None, Result.OK, until, until))
    return history


def test_a_lock_keeps_the_critical_section_to_one_at_a_time(
    shop: Deployment, caller: Caller, consul: Any, key: str
) -> None:
    """Over two processes never two inside, no increment lost, and nobody holds the lock in the end.

    Source: Consul, "Sessions and distributed locks": a key has one session that acquired it.
    """
    calls = count_up(shop, caller, key)
    finding = MutualExclusion().check(holds(calls, key).operations)
    assert finding.verdict is Verdict.VALID, finding
    assert finding.details["holds"] == CALLERS * ROUNDS
    assert sorted(call.body["value"] for call in calls) == list(range(1, CALLERS * ROUNDS + 1))
    assert shop.database.collection("items").get(key)["value"] == CALLERS * ROUNDS
    assert len({call.body["holder"] for call in calls}) == CALLERS * ROUNDS, "a session was used twice"
    _, entry = consul.kv.get(f"{shop.name}/lock/{key}")
    assert ("Session" in entry, entry["LockIndex"]) == (False, CALLERS * ROUNDS)


def test_without_the_lock_the_checker_sees_two_inside(shop: Deployment, caller: Caller, key: str) -> None:
    """The control: the same section without its lock overlaps, and loses increments.

    Source: harness/experiments/checkers/mutual_exclusion.py; a checker that never says no proves nothing.
    """

    def overlap() -> str:
        calls = count_up(shop, caller, key, "?unlocked")
        finding = MutualExclusion().check(holds(calls, key).operations)
        value = shop.database.collection("items").get(key)["value"]
        if finding.verdict is not Verdict.INVALID or value == CALLERS * ROUNDS:
            raise NotYet(f"{finding}, counted to {value}")
        return finding.summary

    assert "while" in poll(overlap, Deadline.after(10), "two inside at once, and a lost increment")
