"""Each seeded defect is seen by a check that a sound emulator passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.emulators.grafana.auth import Identity, require
from harness.emulators.grafana.defects import KNOWN
from harness.emulators.grafana.errors import GrafanaError
from harness.emulators.grafana.grafana import Grafana
from harness.emulators.grafana.http import NOBODY, Request
from tests.unit.emulators.grafana.grafana_rig import Clock, fires, make

BOARD = {"dashboard": {"uid": "b", "title": "B"}}


def raises(call: Callable[..., Any], *arguments: Any) -> bool:
    try:
        call(*arguments)
    except GrafanaError:
        return True
    return False


def stored_dashboard_is_found(world: Grafana, clock: Clock) -> bool:
    world.dashboards.save(1, BOARD, "admin")
    return not raises(world.dashboards.get, 1, "b", True)


def stale_dashboard_is_refused(world: Grafana, clock: Clock) -> bool:
    world.dashboards.save(1, BOARD, "admin")
    return raises(world.dashboards.save, 1, {"dashboard": {"uid": "b", "title": "C", "version": 9}}, "admin")


def provisioned_is_guarded(world: Grafana, clock: Clock) -> bool:
    world.datasources.create(1, {"name": "P", "uid": "p", "type": "tempo"}, True)
    world.dashboards.save(1, BOARD, "Grafana", {"provider": "p", "externalId": "b.json", "checksum": ""})
    return raises(world.datasources.delete, 1, "p") and raises(world.dashboards.delete, 1, "b")


def viewer_is_refused(world: Grafana, clock: Clock) -> bool:
    viewer = Identity(2, "v", "Viewer")
    return raises(require, viewer, "Editor", "dashboards:create", world.site.defects)


def token_expires(world: Grafana, clock: Clock) -> bool:
    number = str(world.service_accounts.create(1, {"name": "ci"})["id"])
    key = world.service_accounts.create_token(1, number, {"name": "t", "secondsToLive": 1})["key"]
    clock.now += 2
    return world.service_accounts.by_key(key) is None


def sixth_login_is_refused(world: Grafana, clock: Clock) -> bool:
    for _ in range(5):
        raises(world.auth.login, {"user": "admin", "password": "wrong"})
    return raises(world.auth.login, {"user": "admin", "password": "admin"})


def secrets_stay_hidden(world: Grafana, clock: Clock) -> bool:
    world.datasources.create(1, {"name": "T", "uid": "t", "type": "tempo", "secureJsonData": {"token": "hush"}})
    return "hush" not in str(world.datasources.get(1, "t"))


def dead_source_is_an_error(world: Grafana, clock: Clock) -> bool:
    world.datasources.create(1, {"name": "T", "uid": "t", "type": "tempo", "url": "http://127.0.0.1:1"})
    query = {"datasource": {"uid": "t"}, "queryType": "traceql", "query": "{ }"}
    return asyncio.run(world.queries.request(1, {"queries": [query]}))[0] == 400


def evaluate(world: Grafana, **fields: Any) -> str:
    if not world.site.store.get("folder", 1, "f"):
        world.folders.create(1, {"uid": "f", "title": "F"}, "admin")
    asyncio.run(world.scheduler.evaluate(world.rules.upsert(1, fires(**fields), "api")))
    return str(world.scheduler.groups(1, {})["data"]["groups"][0]["rules"][0]["state"])


def alert_waits(world: Grafana, clock: Clock) -> bool:
    return evaluate(world, **{"for": "1m"}) == "pending"


def alert_resolves(world: Grafana, clock: Clock) -> bool:
    evaluate(world)
    calm = fires()["data"]
    calm[0]["model"]["expression"] = "1 > 2"
    return evaluate(world, data=calm) == "inactive"


def failed_webhook_comes_again(world: Grafana, clock: Clock) -> bool:
    settings = {"url": "http://127.0.0.1:1/"}
    world.notifications.put_contact(1, {"name": "hook", "type": "webhook", "settings": settings}, "api")
    world.notifications.put_policies(1, {"receiver": "hook", "group_wait": "0s", "group_interval": "1s"}, "api")
    evaluate(world)
    (note,) = world.alertmanager.due(clock.now)
    asyncio.run(world.scheduler._notify(note))
    clock.now += 2
    return len(world.alertmanager.due(clock.now)) == 1


def lost_database_shows(world: Grafana, clock: Clock) -> bool:
    world.site.store.close()
    return asyncio.run(world.health(Request("GET", "/", "", {}, b"", {}, NOBODY))).status == 503


CHECKS: dict[str, Callable[[Grafana, Clock], bool]] = {
    "lost_dashboard_write": stored_dashboard_is_found,
    "ignored_dashboard_version": stale_dashboard_is_refused,
    "provisioned_writable": provisioned_is_guarded,
    "viewer_can_write": viewer_is_refused,
    "token_never_expires": token_expires,
    "no_lockout": sixth_login_is_refused,
    "secrets_readable": secrets_stay_hidden,
    "silent_datasource_down": dead_source_is_an_error,
    "pending_skipped": alert_waits,
    "alert_never_resolves": alert_resolves,
    "webhook_dropped": failed_webhook_comes_again,
    "health_hides_database": lost_database_shows,
}


def test_every_defect_has_its_check() -> None:
    assert set(CHECKS) == set(KNOWN)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_defect_is_seen_and_its_absence_too(name: str) -> None:
    clock = Clock()
    assert CHECKS[name](make(clock=clock), clock)
    clock = Clock()
    assert not CHECKS[name](make(name, clock=clock), clock)
