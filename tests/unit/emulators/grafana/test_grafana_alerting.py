from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.emulators.grafana.alertmanager import Notification, fingerprint, matches, routes
from harness.emulators.grafana.grafana import Grafana
from harness.emulators.grafana.instances import Instance, Instances, exponent
from harness.emulators.grafana.times import iso
from harness.emulators.grafana.webhook import payload
from tests.unit.emulators.grafana.grafana_rig import START, Clock, fires, make, refused

HOOK = {"name": "hook", "type": "webhook", "settings": {"url": "http://127.0.0.1:1/"}}
FAST = {"receiver": "hook", "group_by": ["grafana_folder", "alertname"], "group_wait": "0s", "group_interval": "1s"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Grafana:
    return alerting(make(clock=clock))


def alerting(made: Grafana) -> Grafana:
    made.folders.create(1, {"uid": "f", "title": "Tests"}, "admin")
    made.datasources.create(1, {"name": "TestData", "uid": "td", "type": "grafana-testdata-datasource"})
    made.notifications.put_contact(1, HOOK, "api")
    made.notifications.put_policies(1, dict(FAST), "api")
    return made


def csv_rule(text: str, **fields: Any) -> dict[str, Any]:
    """A rule over what TestData answers: fires while the last value of `text` is above 10."""
    expression = {"datasource": {"uid": "__expr__", "type": "__expr__"}}
    reduce = expression | {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}
    evaluator = {"type": "gt", "params": [10]}
    threshold = expression | {
        "refId": "C",
        "type": "threshold",
        "expression": "B",
        "conditions": [{"evaluator": evaluator}],
    }
    model = {"scenarioId": "csv_metric_values", "stringInput": text}
    data: list[dict[str, Any]] = [{"refId": "A", "datasourceUid": "td", "model": model}]
    data += [{"refId": m["refId"], "datasourceUid": "__expr__", "model": m} for m in (reduce, threshold)]
    return fires("csv", condition="C", data=data) | fields


def evaluate(world: Grafana, rule: dict[str, Any]) -> dict[str, Any]:
    """Write the rule, evaluate it once and give its state in the API."""
    stored = world.rules.upsert(1, rule, "api")
    asyncio.run(world.scheduler.evaluate(stored))
    groups = world.scheduler.groups(1, {})["data"]["groups"]
    return next(r for g in groups for r in g["rules"] if r["uid"] == rule["uid"])


def told(world: Grafana, clock: Clock) -> list[dict[str, Any]]:
    """What goes out now, as payloads; all of it counts as delivered."""
    bodies = []
    for note in world.alertmanager.due(clock.now):
        bodies += [payload(note, point, "http://g/") or {} for point in world.alertmanager.integrations(note)]
        world.alertmanager.delivered(note, clock.now)
    return bodies


def test_a_constant_rule_fires_and_its_payload_is_grafanas(world: Grafana, clock: Clock) -> None:
    shown = evaluate(world, fires(labels={"team": "x"}))
    assert (shown["state"], shown["health"], shown["alerts"][0]["state"], shown["alerts"][0]["value"]) == (
        "firing",
        "ok",
        "Alerting",
        "1e+00",
    )
    (body,) = told(world, clock)
    labels = {"alertname": "Title always", "grafana_folder": "Tests", "team": "x"}
    assert (body["receiver"], body["status"], body["state"], body["version"], body["orgId"]) == (
        "hook",
        "firing",
        "alerting",
        "1",
        1,
    )
    assert body["title"] == "[FIRING:1] Title always Tests (x)"
    assert body["groupLabels"] == {"alertname": "Title always", "grafana_folder": "Tests"}
    assert body["commonLabels"] == labels
    assert body["groupKey"] == '{}:{alertname="Title always", grafana_folder="Tests"}'
    (alert,) = body["alerts"]
    assert (alert["labels"], alert["startsAt"], alert["endsAt"]) == (labels, iso(START, 3), "0001-01-01T00:00:00Z")
    assert (alert["values"], alert["valueString"]) == ({"A": 1.0}, "[ var='A' labels={team=x} value=1 ]")
    assert alert["generatorURL"] == "http://g/alerting/grafana/always/view?orgId=1"
    assert alert["silenceURL"].endswith("matcher=__alert_rule_uid__%3Dalways&matcher=team%3Dx&orgId=1")
    assert body["message"].startswith("**Firing**\n\nValue: A=1\nLabels:\n - alertname = Title always\n")
    assert told(world, clock) == []


def test_pending_then_firing_then_resolved(world: Grafana, clock: Clock) -> None:
    rule = csv_rule("50", **{"for": "20s"})
    assert evaluate(world, rule)["state"] == "pending"
    assert told(world, clock) == []
    clock.now += 10
    assert evaluate(world, rule)["state"] == "pending"
    clock.now += 10
    assert evaluate(world, rule)["state"] == "firing"
    (firing,) = told(world, clock)
    assert firing["alerts"][0]["values"] == {"B": 50.0, "C": 1.0}
    world.scheduler._versions.clear()
    clock.now += 10
    assert evaluate(world, rule | csv_rule("1", **{"for": "20s"}))["state"] == "inactive"
    (resolved,) = told(world, clock)
    assert (resolved["status"], resolved["state"]) == ("resolved", "ok")
    assert (resolved["alerts"][0]["startsAt"], resolved["alerts"][0]["endsAt"]) == (
        iso(START + 20, 3),
        iso(START + 30, 3),
    )
    clock.now += 10
    assert told(world, clock) == []
    assert world.alertmanager.alerts(1) == []


def test_keep_firing_for(world: Grafana, clock: Clock) -> None:
    evaluate(world, csv_rule("50", keep_firing_for="15s"))
    clock.now += 10
    assert evaluate(world, csv_rule("1", keep_firing_for="15s"))["state"] == "recovering"
    clock.now += 20
    assert evaluate(world, csv_rule("1", keep_firing_for="15s"))["state"] == "inactive"


@pytest.mark.parametrize(
    ("wish", "state", "shown"),
    [
        ("NoData", "firing", "NoData"),
        ("Alerting", "firing", "Alerting (NoData)"),
        ("OK", "inactive", "Normal (NoData)"),
    ],
)
def test_no_data(world: Grafana, wish: str, state: str, shown: str) -> None:
    found = evaluate(world, csv_rule("", noDataState=wish))
    assert (found["state"], found["health"], found["alerts"][0]["state"]) == (state, "nodata", shown)


def test_no_data_has_its_own_alert_name_and_ends(world: Grafana, clock: Clock) -> None:
    evaluate(world, csv_rule(""))
    labels = world.alertmanager.alerts(1)[0]["labels"]
    assert (labels["alertname"], labels["rulename"], labels["datasource_uid"]) == (
        "DatasourceNoData",
        "Title csv",
        "td",
    )
    for _ in range(2):
        clock.now += 10
        evaluate(world, csv_rule("1"))
    assert world.alertmanager.alerts(1) == []


def test_a_failing_query_is_tried_again_and_then_an_error() -> None:
    world = alerting(
        make(GF_UNIFIED_ALERTING_INITIAL_RETRY_DELAY="1ms", GF_UNIFIED_ALERTING_MAX_RETRY_DELAY="2ms"),
    )
    data = [{"refId": "A", "datasourceUid": "td", "model": {"scenarioId": "error_with_source"}}]
    found = evaluate(world, fires("bad", data=data))
    assert (found["state"], found["health"], found["alerts"][0]["state"]) == ("firing", "error", "Error")
    assert found["lastError"] == "error"
    assert world.alertmanager.alerts(1)[0]["labels"]["alertname"] == "DatasourceError"
    strange = [{"refId": "A", "datasourceUid": "td", "model": {"intervalMs": "often"}}]
    assert evaluate(world, fires("strange", data=strange))["health"] == "error"
    absent = [{"refId": "A", "datasourceUid": "absent", "model": {}}]
    assert "Data source not found" in evaluate(world, fires("worse", data=absent))["lastError"]


def test_tick_follows_interval_pause_and_change(world: Grafana, clock: Clock) -> None:
    async def ticked(number: int) -> int:
        started = world.scheduler.tick(number)
        await asyncio.gather(*started)
        return len(started)

    def run(number: int) -> int:
        return asyncio.run(ticked(number))

    world.rules.put_group(1, "f", "g", {"interval": 10, "rules": [fires()]}, "api")
    assert [run(1), run(2)] == [1, 1]
    assert [alert["labels"]["alertname"] for alert in world.alertmanager.alerts(1)] == ["Title always"]
    clock.now += 1
    world.rules.update(1, "always", {"isPaused": True}, "api")
    assert run(3) == 0
    assert world.alertmanager.alerts(1) == []
    clock.now += 1
    world.rules.put_group(1, "f", "g", {"interval": 60, "rules": [fires(isPaused=False)]}, "api")
    assert sum(run(number) for number in range(12)) == 2


def test_alert_states_survive_a_restart(world: Grafana, clock: Clock) -> None:
    evaluate(world, fires())
    again = Instances(world.site)
    assert [one.state for one in again.of(1, "always")] == ["Alerting"]


def test_a_series_that_stays_away_is_resolved(world: Grafana, clock: Clock) -> None:
    def rule(text: str) -> dict[str, Any]:
        data = [{"refId": "A", "datasourceUid": "td", "model": {"scenarioId": "csv_content", "csvContent": text}}]
        return fires("many", data=data)

    assert len(evaluate(world, rule("host,value\na,1\nb,1"))["alerts"]) == 2
    clock.now += 10
    evaluate(world, rule("host,value\na,1"))
    clock.now += 10
    assert [one["labels"]["host"] for one in evaluate(world, rule("host,value\na,1"))["alerts"]] == ["a"]
    assert [one["labels"]["host"] for one in world.alertmanager.alerts(1)] == ["a"]


# -- the Alertmanager


def test_routing_inherits_and_continues() -> None:
    tree = {"receiver": "root", "group_by": ["a"], "routes": [
        {"object_matchers": [["team", "=", "x"]], "continue": True, "group_wait": "1s"},
        {"object_matchers": [["team", "=~", "x|y"]], "receiver": "xy"},
        {"object_matchers": [["team", "!~", "z.*"]], "receiver": "rest"},
    ]}  # fmt: skip
    assert [(r["receiver"], r["key"]) for r in routes(tree, {"team": "x"})] == [
        ("root", '{}/{team="x"}'),
        ("xy", '{}/{team=~"x|y"}'),
    ]
    assert [r["receiver"] for r in routes(tree, {"team": "y"})] == ["xy"]
    assert [r["receiver"] for r in routes(tree, {"team": "zz"})] == ["root"]
    assert matches([["a", "!=", "b"]], {})


def test_fingerprint_is_stable() -> None:
    assert fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "1"})
    assert fingerprint({}) == "cbf29ce484222325"


def test_group_wait_interval_and_repeat(world: Grafana, clock: Clock) -> None:
    slow = FAST | {"group_wait": "5s", "group_interval": "10s", "repeat_interval": "60s"}
    world.notifications.put_policies(1, slow, "api")
    evaluate(world, fires())
    assert told(world, clock) == []
    clock.now += 5
    assert len(told(world, clock)) == 1
    clock.now += 30
    assert told(world, clock) == []
    clock.now += 31
    assert [body["status"] for body in told(world, clock)] == ["firing"]


def test_what_was_not_delivered_comes_again(world: Grafana, clock: Clock) -> None:
    evaluate(world, fires())
    assert len(world.alertmanager.due(clock.now)) == 1
    clock.now += 1
    assert len(world.alertmanager.due(clock.now)) == 1


def test_silences(world: Grafana, clock: Clock) -> None:
    manager = world.alertmanager
    matcher = {"name": "alertname", "value": "Title.*", "isRegex": True, "isEqual": True}
    body = {"matchers": [matcher], "startsAt": iso(START), "endsAt": iso(START + 60), "createdBy": "me", "comment": "c"}
    assert refused(manager.silence, 1, body | {"matchers": []}).status == 400
    assert refused(manager.silence, 1, body | {"endsAt": iso(START - 1)}).status == 400
    assert refused(manager.silence, 1, body | {"matchers": [matcher | {"value": "("}]}).status == 400
    assert manager.silence(1, body | {"matchers": [matcher | {"value": "(", "isRegex": False}]})
    number = manager.silence(1, body)["silenceID"]
    evaluate(world, fires())
    assert told(world, clock) == []
    status = manager.alerts(1)[0]["status"]
    assert (status["state"], status["silencedBy"]) == ("suppressed", [number])
    assert manager.silence_of(1, number)["status"] == {"state": "active"}
    manager.expire(1, number)
    clock.now += 1
    assert [one["status"]["state"] for one in manager.silences(1)] == ["active", "expired"]
    assert refused(manager.silence_of, 1, "absent").status == 404
    assert len(told(world, clock)) == 1
    assert refused(manager.expire, 1, "absent").status == 404


def test_resolved_messages_can_be_off(world: Grafana, clock: Clock) -> None:
    evaluate(world, csv_rule("50"))
    (note,) = world.alertmanager.due(clock.now)
    note.alerts[0].ends = clock.now
    assert payload(Notification(note.group, note.alerts), HOOK | {"disableResolveMessage": True}, "http://g/") is None


def test_a_rule_may_name_its_receiver(world: Grafana, clock: Clock) -> None:
    world.notifications.put_contact(1, HOOK | {"name": "direct"}, "api")
    evaluate(world, fires(notification_settings={"receiver": "direct", "group_wait": "0s"}))
    assert [body["receiver"] for body in told(world, clock)] == ["direct"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1e+00"), (120.0, "1.2e+02"), (0.0025, "2.5e-03"), (0.0, "0e+00"), (-7.5, "-7.5e+00"), (None, "")],
)
def test_exponents_as_go_writes_them(value: float | None, text: str) -> None:
    assert exponent(value) == text


def test_value_string_shows_what_is_missing() -> None:
    one = Instance("r", 1, {"alertname": "x", "host": "a"}, {}, values={"B": None, "A": 2.5})
    assert one.value_string == "[ var='A' labels={host=a} value=2.5 ], [ var='B' labels={host=a} value=null ]"
