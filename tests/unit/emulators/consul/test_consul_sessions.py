"""Sessions: who ends them, when, and what becomes of their locks."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulators.consul.decode import lock_delay
from harness.emulators.consul.errors import ConsulError
from tests.unit.emulators.consul.consul_rig import World, entry, make_world, put

SECOND = 1_000_000_000


def create(world: World, delay: int | None = None, **body: Any) -> str:
    return world.server.sessions.create(body, "n1", delay)


def test_a_session_ends_twice_its_ttl_after_the_last_renewal(world: World) -> None:
    session = create(world, TTL="10s")
    world.timers.advance(15)
    found = world.server.sessions.find(session)
    assert found
    world.server.sessions.renew(found)
    world.timers.advance(19.9)
    assert world.server.sessions.find(session)
    world.timers.advance(0.2)
    assert not world.server.sessions.find(session)


def test_a_session_without_ttl_stays(world: World) -> None:
    session = create(world)
    world.timers.advance(1e6)
    assert world.server.sessions.find(session)


def test_release_keeps_the_value_and_delete_takes_the_key(world: World) -> None:
    keep, drop = create(world), create(world, Behavior="delete")
    put(world, "keep", verb="lock", session=keep)
    put(world, "drop", verb="lock", session=drop)
    for session in (keep, drop):
        world.server.sessions.destroy(session)
    assert (entry(world, "keep").session, entry(world, "keep").modify_index) == (None, world.server.store.index - 1)
    assert world.server.kv.get("drop")[1] is None


@pytest.mark.parametrize(("delay", "blocked"), [(None, 15.0), (0, 0.0), (SECOND, 1.0), (61 * SECOND, 60.0)])
def test_lock_delay(world: World, delay: int | None, blocked: float) -> None:
    session = create(world, delay)
    put(world, "l", verb="lock", session=session)
    world.server.sessions.destroy(session)
    assert world.server.sessions.delayed("l") is (blocked > 0)
    world.timers.advance(max(0.0, blocked - 0.01))
    assert world.server.sessions.delayed("l") is (blocked > 0)
    world.timers.advance(0.02)
    assert not world.server.sessions.delayed("l")


def test_no_delay_after_a_voluntary_release(world: World) -> None:
    session = create(world)
    put(world, "l", verb="lock", session=session)
    put(world, "l", verb="unlock", session=session)
    assert not world.server.sessions.delayed("l")


def test_a_critical_check_ends_the_sessions_that_hang_on_it(world: World) -> None:
    agent = world.server.agent
    agent.register_check({"CheckID": "c", "Name": "c", "TTL": 10 * SECOND, "Status": "passing", "Type": "ttl"})
    tied, free = create(world, Checks=["serfHealth", "c"]), create(world)
    agent.heartbeat("c", "warning", "")
    assert world.server.sessions.find(tied)
    agent.heartbeat("c", "critical", "")
    assert not world.server.sessions.find(tied)
    assert world.server.sessions.find(free)


def test_deregistering_the_service_of_a_check_ends_its_sessions(world: World) -> None:
    check = {"CheckID": "service:s", "Name": "c", "TTL": SECOND, "Status": "passing", "ServiceID": "s", "Type": "ttl"}
    world.server.agent.register_service({"ID": "s", "Service": "s"}, [check])
    session = create(world, ServiceChecks=[{"ID": "service:s"}])
    world.server.agent.deregister_service("s")
    assert not world.server.sessions.find(session)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"TTL": "9s"}, "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"),
        ({"TTL": "86401s"}, "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"),
        ({"TTL": "abc"}, "Session TTL 'abc' invalid: time: invalid duration \"abc\""),
        ({"TTL": "15"}, "Session TTL '15' invalid: time: missing unit in duration \"15\""),
        ({"Behavior": "x"}, "Invalid Behavior setting 'x'"),
        ({"Node": "zz"}, "Missing node registration"),
        ({"Checks": ["zz"]}, "Missing check 'zz' registration"),
    ],
)
def test_refused_sessions(world: World, body: dict[str, Any], text: str) -> None:
    with pytest.raises(ConsulError) as refused:
        create(world, **body)
    assert str(refused.value) == text
    assert world.server.sessions.listed()[1] == []


def test_session_ttl_min_lowers_the_floor() -> None:
    world = make_world('-hcl=session_ttl_min = "1s"')
    session = create(world, TTL="1s")
    world.timers.advance(1.99)
    assert world.server.sessions.find(session)
    world.timers.advance(0.02)
    assert not world.server.sessions.find(session)


@pytest.mark.parametrize(
    ("given", "delay"),
    [(5, 5 * SECOND), (999, 999 * SECOND), (5 * SECOND, 5 * SECOND), ("5s", 5 * SECOND), (None, None)],
)
def test_lock_delay_forms(given: Any, delay: int | None) -> None:
    assert lock_delay(given) == delay


def test_the_session_index_moves_with_sessions_only(world: World) -> None:
    assert world.server.sessions.listed()[0] == 1
    create(world)
    index = world.server.sessions.listed()[0]
    put(world, "a")
    assert world.server.sessions.listed()[0] == index
