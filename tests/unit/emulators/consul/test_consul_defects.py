"""Each seeded defect shows, and without it the same steps come out right."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.message
import pytest

from harness.emulators.consul.acl import Authorizer
from harness.emulators.consul.app import App
from harness.emulators.consul.dns import Resolver
from harness.emulators.consul.errors import ConsulError
from harness.emulators.consul.profile import DEFECTS
from tests.unit.emulators.consul.consul_rig import World, entry, make_world, put

SECOND = 1_000_000_000
ACL = '-hcl=acl { enabled = true default_policy = "deny" tokens { initial_management = "m" } }'


def ask(world: World, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request through the ASGI application, no sockets."""
    sent: list[dict[str, Any]] = []
    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode(), "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(App(world.server)(scope, receive, send))
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


def lost_write(world: World) -> bool:
    for at in range(20):
        put(world, f"k{at}")
    return len(world.server.kv.under("k")[1]) == 20


def cas_kept(world: World) -> bool:
    put(world, "a")
    return not put(world, "a", "b", "cas", index=999)


def one_holder(world: World) -> bool:
    first, second = (world.server.sessions.create({}, "n1", 0) for _ in range(2))
    put(world, "l", verb="lock", session=first)
    return not put(world, "l", verb="lock", session=second)


def session_expires(world: World) -> bool:
    session = world.server.sessions.create({"TTL": "10s"}, "n1", 0)
    world.timers.advance(21)
    return not world.server.sessions.find(session)


def lock_delayed(world: World) -> bool:
    session = world.server.sessions.create({}, "n1", SECOND)
    put(world, "l", verb="lock", session=session)
    world.server.sessions.destroy(session)
    return world.server.sessions.delayed("l")


def watcher_woken(world: World) -> bool:
    app = App(world.server)

    async def scenario() -> bool:
        gone = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(app._change(("kvs",), 0.2, gone))
        await asyncio.sleep(0)
        put(world, "a")
        return await waiting

    return asyncio.run(scenario())


def index_monotonic(world: World) -> bool:
    seen = []
    for at in range(10):
        put(world, "a", str(at))
        seen.append(int(ask(world, "GET", "/v1/kv/a")[1]["x-consul-index"]))
    return seen == sorted(seen)


def _critical_service(world: World) -> None:
    check = {"CheckID": "c", "Name": "c", "TTL": SECOND, "ServiceID": "s", "Status": "passing", "Type": "ttl"}
    world.server.agent.register_service({"ID": "s", "Service": "s"}, [check])
    world.server.agent.heartbeat("c", "critical", "")


def critical_shows(world: World) -> bool:
    _critical_service(world)
    return world.server.catalog.checks["n1", "c"].status == "critical"


def ttl_expires(world: World) -> bool:
    world.server.agent.register_check({"CheckID": "c", "Name": "c", "TTL": SECOND, "Status": "passing", "Type": "ttl"})
    world.timers.advance(2)
    return world.server.agent.checks["c"].status == "critical"


def transaction_atomic(world: World) -> bool:
    operations = [{"Verb": "set", "Key": "a", "Value": "eA=="}, {"Verb": "get", "Key": "missing"}]
    with pytest.raises(ConsulError):
        world.server.txn.run(operations, Authorizer())
    return world.server.kv.get("a")[1] is None


def critical_not_in_dns(world: World) -> bool:
    _critical_service(world)
    query = dns.message.make_query("s.service.consul", "A")
    return not Resolver(world.server).answer(query).answer


def checks_go_with_their_service(world: World) -> bool:
    _critical_service(world)
    world.server.agent.deregister_service("s")
    return ("n1", "c") not in world.server.catalog.checks


CASES: dict[str, Callable[[World], bool]] = {
    "kv-lost-write": lost_write,
    "kv-cas-ignored": cas_kept,
    "lock-two-holders": one_holder,
    "session-ttl-ignored": session_expires,
    "lock-delay-skipped": lock_delayed,
    "blocking-never-wakes": watcher_woken,
    "index-backwards": index_monotonic,
    "health-stale": critical_shows,
    "ttl-never-expires": ttl_expires,
    "txn-not-atomic": transaction_atomic,
    "dns-critical-included": critical_not_in_dns,
    "deregister-leaves-checks": checks_go_with_their_service,
}


@pytest.mark.parametrize("name", CASES)
def test_a_defect_breaks_what_holds_without_it(name: str) -> None:
    assert CASES[name](make_world()) is True
    assert CASES[name](make_world(defects=(name,))) is False


@pytest.mark.parametrize(("defects", "status"), [((), 403), (("acl-deny-ignored",), 200)])
def test_acl_deny_ignored(defects: tuple[str, ...], status: int) -> None:
    assert ask(make_world(ACL, defects=defects), "PUT", "/v1/kv/a", b"x")[0] == status


@pytest.mark.parametrize(("defects", "kept"), [((), base64.b64encode(b"v").decode()), (("log-not-written",), None)])
def test_log_not_written(tmp_path: Path, defects: tuple[str, ...], kept: str | None) -> None:
    flags = ("-server", f"-data-dir={tmp_path}")
    put(make_world(*flags, defects=defects), "a")
    again = make_world(*flags)
    assert (entry(again, "a").value if kept else again.server.kv.get("a")[1]) == kept


def test_every_defect_has_its_test() -> None:
    assert set(DEFECTS) == {*CASES, "acl-deny-ignored", "log-not-written"}
