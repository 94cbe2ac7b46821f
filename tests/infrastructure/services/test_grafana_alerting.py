"""Alert rules: what they see, what they tell, whom they tell it, and when they stop.

Documents: "Alerting provisioning HTTP API"; "Alert rule evaluation", "State and health of alerts"; "Webhook notifier";
"Manage silences". Rules are looked at every 10 s, when the clock's seconds are a multiple of it: one wait for that
moment serves all the rules of `stage`.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.probes.webhook import Webhook, listening
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

TICK = 10
"""Seconds between two looks of the scheduler, and the shortest interval of a group."""
RULES, POINTS = "/api/v1/provisioning", "/api/v1/provisioning/contact-points"
SILENCES = "/api/alertmanager/grafana/api/v2/silences"


def told(hook: Webhook, rule: str) -> list[dict[str, Any]]:
    """The messages about one rule, by its title."""
    return [body for _, body in hook.got if any(title(alert) == rule for alert in body["alerts"])]


def title(alert: dict[str, Any]) -> str:
    """The title of the rule that an alert is of; no data and errors rename the alert."""
    return str(alert["labels"].get("rulename") or alert["labels"]["alertname"])


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def patience(stack: RemoteStack) -> float:
    """Seconds within which a rule that holds is told: its tick, and Grafana's polling of what the provisioning API
    wrote (`alertmanager_config_poll_interval`, 60 s by default), which the emulator does without."""
    return TICK + (65 if stack["grafana"].fidelity.verified else 5)


def values(text: str) -> dict[str, Any]:
    """The query A of a rule: these numbers, spread over the last ten minutes. No text: no data."""
    return {"scenarioId": "csv_metric_values" if text else "no_data_points", "stringInput": text}


def rule(name: str, folder: str, model: dict[str, Any], source: str = "testdata", **more: Any) -> dict[str, Any]:
    """A rule that holds while the last value of the query is above 10."""
    evaluator = {"type": "gt", "params": [10]}
    chain = [
        (source, {"refId": "A", **model}),
        ("__expr__", {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}),
        ("__expr__", {"refId": "C", "type": "threshold", "expression": "B", "conditions": [{"evaluator": evaluator}]}),
    ]
    data = [
        {"refId": one["refId"], "datasourceUid": uid, "relativeTimeRange": {"from": 600, "to": 0}, "model": one}
        for uid, one in chain
    ]
    head = {"title": name, "orgID": 1, "folderUID": folder, "ruleGroup": "group", "condition": "C", "data": data}
    return {**head, "for": "0s", "noDataState": "NoData", "execErrState": "Error", **more}


def to(receiver: str) -> dict[str, Any]:
    """Straight to one contact point, at once: nobody else's policies are touched."""
    times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    return {"notification_settings": {"receiver": receiver, "group_by": ["grafana_folder", "alertname"], **times}}


def put_group(grafana: ServiceSession, folder: str, rules: list[dict[str, Any]], interval: int = TICK) -> Any:
    """The answer to writing the whole group."""
    body = {"title": "group", "folderUid": folder, "interval": interval, "rules": rules}
    return grafana.put(f"{RULES}/folder/{folder}/rule-groups/group", json=body)


def put_point(grafana: ServiceSession, name: str, url: str, **settings: Any) -> str:
    """Makes a webhook contact point and gives its uid."""
    body = {"name": name, "type": "webhook", "settings": {"url": url, **settings}}
    return str(done(grafana.post(POINTS, json=body), 202)["uid"])


def seen(grafana: ServiceSession, folder: str) -> dict[str, Any]:
    """The rules of a folder by title, as they were evaluated last."""
    groups = done(grafana.get("/api/prometheus/grafana/api/v1/rules", params={"folder_uid": folder}))["data"]["groups"]
    return {one["name"]: one for group in groups for one in group["rules"]}


def evaluated(grafana: ServiceSession, folder: str, name: str, within: float = TICK + 5) -> Any:
    """A rule after its first evaluation."""

    def looked_at() -> Any:
        one = seen(grafana, folder)[name]
        if one["health"] == "unknown" or one["lastEvaluation"].startswith("0001"):
            raise NotYet(f"state {one['state']}, health {one['health']}")
        return one

    return poll(looked_at, Deadline.after(within), f"the first evaluation of {name}")


def received(hook: Webhook, name: str, within: float, status: str = "firing") -> dict[str, Any]:
    """The first message about a rule with this status."""

    def arrived() -> dict[str, Any]:
        found = [body for body in told(hook, name) if body["status"] == status]
        if not found:
            raise NotYet(f"{len(hook.got)} messages: {[one['title'] for _, one in hook.got][-5:]}")
        return found[0]

    return poll(arrived, Deadline.after(within), f"{name} {status} at the receiver")


def silence(grafana: ServiceSession, **labels: str) -> str:
    """Silences the alerts with these labels for five minutes; gives the silence's id."""
    now = datetime.now(UTC)
    matchers = [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()]
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=5)).isoformat()}
    body = {"matchers": matchers, **times, "createdBy": "test", "comment": "test"}
    return str(done(grafana.post(SILENCES, json=body), 202)["silenceID"])


@dataclass(frozen=True)
class Stage:
    """Rules that were all written at once, so that one tick serves every test that looks at them."""

    name: str
    hook: Webhook
    stubborn: Webhook
    silence: str
    began: float
    patience: float


@pytest.fixture(scope="module")
def stage(stack: RemoteStack, grafana: ServiceSession) -> Iterator[Stage]:
    """One folder with one group of rules, two receivers, and a silence over one of the rules."""
    name = f"t-{secrets.token_hex(6)}"
    done(grafana.post("/api/folders", json={"uid": name, "title": name}))
    login = {"username": "grafana", "password": "hook-pass"}
    with listening(stack) as hook, listening(stack) as stubborn:
        stubborn.refuse = 1
        points = [put_point(grafana, name, hook.url, **login), put_point(grafana, f"{name}-b", stubborn.url)]
        quiet = silence(grafana, stage=name, quiet="yes")
        told = {"labels": {"stage": name}, **to(name)}
        hosts = {"scenarioId": "csv_content", "csvContent": "time,v{host=a},v{host=b}\n1700000000000,50,1\n"}
        high = values("1,50")
        rules = [
            rule("high", name, high, annotations={"summary": "too much"}, **told),
            rule("low", name, values("50,1"), **told),
            rule("each host", name, hosts, **told),
            rule("paused", name, high, isPaused=True, **told),
            rule("quiet", name, high, **{**told, "labels": {"stage": name, "quiet": "yes"}}),
            rule("refused once", name, high, **{**told, **to(f"{name}-b")}),
            rule("empty", name, values(""), **told),
            rule("empty is fine", name, values(""), noDataState="OK", **told),
            rule("empty is bad", name, values(""), noDataState="Alerting", **told),
            rule("broken", name, {}, "no-such-source", **told),
        ]
        done(put_group(grafana, name, rules))
        yield Stage(name, hook, stubborn, quiet, time.time(), patience(stack))
        done(grafana.delete(f"/api/folders/{name}", params={"forceDeleteRules": "true"}))
        for uid in points:
            done(grafana.delete(f"{POINTS}/{uid}"), 202)
        grafana.delete(f"{SILENCES.removesuffix('s')}/{quiet}")


def test_a_rule_that_holds_fires_and_its_contact_point_hears_of_it(grafana: ServiceSession, stage: Stage) -> None:
    """ "Webhook notifier", body: receiver, status, labels, annotations, the values at the time, where to look; sent
    with the contact point's login."""
    body = received(stage.hook, "high", stage.patience)
    (alert,) = body["alerts"]
    assert (body["receiver"], body["status"], body["orgId"]) == (stage.name, "firing", 1)
    assert {"alertname": "high", "grafana_folder": stage.name, "stage": stage.name} == alert["labels"]
    assert (alert["annotations"], alert["values"]) == ({"summary": "too much"}, {"B": 50, "C": 1})
    assert body["groupLabels"] == {"alertname": "high", "grafana_folder": stage.name}
    assert alert["endsAt"].startswith("0001-01-01"), "a firing alert has no end"
    starts = datetime.fromisoformat(alert["startsAt"]).timestamp()
    assert stage.began - 1 <= starts <= time.time() + 1
    uid = next(one["uid"] for one in seen(grafana, stage.name).values() if one["name"] == "high")
    assert f"alerting/grafana/{uid}/view" in alert["generatorURL"]
    headers = next(headers for headers, one in stage.hook.got if one is body)
    assert headers["authorization"] == "Basic " + base64.b64encode(b"grafana:hook-pass").decode()


def test_each_rule_is_judged_by_its_own_condition(grafana: ServiceSession, stage: Stage) -> None:
    """ "State of alert rules": one that does not hold stays normal and tells nobody; a paused one is not evaluated."""
    received(stage.hook, "high", stage.patience)
    low = evaluated(grafana, stage.name, "low")
    assert (low["state"], low["health"], [one["state"] for one in low["alerts"]]) == ("inactive", "ok", ["Normal"])
    rules = seen(grafana, stage.name)
    assert (rules["high"]["state"], rules["high"]["alerts"][0]["state"]) == ("firing", "Alerting")
    paused = rules["paused"]
    assert (paused["state"], paused["isPaused"], paused["alerts"]) == ("inactive", True, [])
    assert told(stage.hook, "low") == told(stage.hook, "paused") == []


def test_a_rule_over_many_series_fires_for_those_that_hold(grafana: ServiceSession, stage: Stage) -> None:
    """ "Multi-dimensional alert": an instance per label set; only that of the bad host is told."""
    body = received(stage.hook, "each host", stage.patience)
    assert [one["labels"]["host"] for one in body["alerts"]] == ["a"]
    shown = evaluated(grafana, stage.name, "each host")["alerts"]
    states = {one["labels"]["host"]: one["state"] for one in shown}
    assert states == {"a": "Alerting", "b": "Normal"}


@pytest.mark.parametrize(
    ("name", "state", "shown"),
    [
        ("empty", "firing", "NoData"),
        ("empty is fine", "inactive", "Normal (NoData)"),
        ("empty is bad", "firing", "Alerting (NoData)"),
    ],
)
def test_missing_data_is_what_the_rule_says_it_is(
    grafana: ServiceSession, stage: Stage, name: str, state: str, shown: str
) -> None:
    """ "No data state": an alert `DatasourceNoData` of its own, normal, or as bad as a value that is too high."""
    one = evaluated(grafana, stage.name, name)
    assert (one["state"], [alert["state"] for alert in one["alerts"]]) == (state, [shown])
    if name == "empty":
        assert one["health"] == "nodata"
        (alert,) = received(stage.hook, name, stage.patience)["alerts"]
        assert (alert["labels"]["alertname"], alert["labels"]["rulename"]) == ("DatasourceNoData", name)


def test_a_silence_holds_an_alert_back_and_its_end_lets_it_go(grafana: ServiceSession, stage: Stage) -> None:
    """ "Manage silences": the alert fires and is shown `suppressed`; nobody is told until the silence is over."""
    received(stage.hook, "high", stage.patience)

    def suppressed() -> Any:
        alerts = done(grafana.get("/api/alertmanager/grafana/api/v2/alerts"))
        mine = [one for one in alerts if one["labels"].get("stage") == stage.name]
        quiet = [one for one in mine if one["labels"].get("quiet")]
        if not quiet:
            raise NotYet(f"alerts {[one['labels']['alertname'] for one in mine]}")
        return quiet[0]["status"]

    status = poll(suppressed, Deadline.after(5), "the silenced alert in the Alertmanager")
    assert (status["state"], status["silencedBy"]) == ("suppressed", [stage.silence])
    assert evaluated(grafana, stage.name, "quiet")["state"] == "firing"
    assert told(stage.hook, "quiet") == []
    one = f"{SILENCES.removesuffix('s')}/{stage.silence}"
    assert done(grafana.get(one))["status"]["state"] == "active"
    done(grafana.delete(one))
    listed = {each["id"]: each["status"]["state"] for each in done(grafana.get(SILENCES))}
    assert listed[stage.silence] == "expired"
    assert received(stage.hook, "quiet", stage.patience)["status"] == "firing"


def test_a_message_that_was_refused_comes_again(stage: Stage) -> None:
    """A receiver that answers 503 has not been told, and Grafana tries again with the next look at the group."""
    received(stage.stubborn, "refused once", stage.patience)
    assert stage.stubborn.refuse < 0, "the first attempt was not refused"


@pytest.mark.slow
def test_a_rule_whose_source_fails_says_so(grafana: ServiceSession, stage: Stage) -> None:
    """ "Error state": after `max_attempts` the rule's health is `error` with the cause, and `DatasourceError` fires."""
    one = evaluated(grafana, stage.name, "broken", 2 * TICK + 5)
    assert (one["health"], one["state"], [alert["state"] for alert in one["alerts"]]) == ("error", "firing", ["Error"])
    assert "data source" in one["lastError"].lower()
    (alert,) = received(stage.hook, "broken", stage.patience)["alerts"]
    assert (alert["labels"]["alertname"], alert["labels"]["rulename"]) == ("DatasourceError", "broken")


def pulse(ticks: int) -> dict[str, Any]:
    """A query that is high from now until `ticks` looks of the scheduler have passed, then low for at least six."""
    now = int(time.time()) // TICK
    cycle = next(n for n in range(20, 120) if now % n + ticks + 6 < n)
    on = now % cycle + ticks + 1
    wave = {"timeStep": TICK, "onCount": on, "onValue": 50, "offCount": cycle - on, "offValue": 1}
    return {"scenarioId": "predictable_pulse", "pulseWave": wave}


@pytest.fixture
def point(grafana: ServiceSession, namespace: Namespace) -> Iterator[Callable[..., str]]:
    """Makes contact points; at the end removes the namespace's rules and then the points that these told."""
    made: list[str] = []

    def make(name: str, url: str) -> str:
        made.append(put_point(grafana, name, url))
        return made[-1]

    yield make
    grafana.delete(f"{RULES}/folder/{namespace.name}/rule-groups/group")
    for uid in made:
        done(grafana.delete(f"{POINTS}/{uid}"), 202)


@pytest.fixture
def branch(grafana: ServiceSession, point: Callable[..., str]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Adds a policy under the root, which is everybody's, and takes it away before the points go."""
    added: list[Any] = []

    def write(routes: list[Any], tree: Any) -> None:
        body = {key: value for key, value in tree.items() if key != "provenance"}
        done(grafana.put(f"{RULES}/policies", json={**body, "routes": routes}), 202)

    def add(policy: dict[str, Any]) -> None:
        tree = done(grafana.get(f"{RULES}/policies"))
        write([*(tree.get("routes") or []), policy], tree)
        added.append(policy["receiver"])

    yield add
    tree = done(grafana.get(f"{RULES}/policies"))
    write([one for one in tree.get("routes") or [] if one.get("receiver") not in added], tree)


@pytest.mark.slow
def test_an_alert_is_pending_then_fires_then_is_resolved(
    stack: RemoteStack, grafana: ServiceSession, namespace: Namespace, point: Callable[..., str]
) -> None:
    """ "Pending period": nobody is told before the condition has held for `for`; when it holds no more the same alert
    is told as resolved, with its end. The rule itself is never touched meanwhile."""
    folder, states = namespace.of("grafana"), [""]
    with listening(stack) as hook:
        point(namespace.name, hook.url)
        done(put_group(grafana, folder, [rule("wave", folder, pulse(2), **{"for": "5s"}, **to(namespace.name))]))

        def over() -> None:
            one = seen(grafana, folder)["wave"]
            if one["state"] != states[-1]:
                states.append(one["state"])
                assert not (one["state"] == "pending" and hook.got), "told while it was pending"
            if states[-2:] != ["firing", "inactive"]:
                raise NotYet(f"states {states[1:]}")

        poll(over, Deadline.after(6 * TICK), "pending, firing, inactive", interval=0.1)
        assert states[-3:] == ["pending", "firing", "inactive"], states
        (resolved,) = received(hook, "wave", patience(stack), "resolved")["alerts"]
        (firing,) = told(hook, "wave")[0]["alerts"]
        assert (firing["status"], resolved["status"]) == ("firing", "resolved")
        assert (firing["fingerprint"], firing["startsAt"]) == (resolved["fingerprint"], resolved["startsAt"])
        assert datetime.fromisoformat(resolved["endsAt"]) > datetime.fromisoformat(resolved["startsAt"])


@pytest.mark.slow
def test_a_policy_routes_by_label_to_its_contact_point(
    stack: RemoteStack,
    grafana: ServiceSession,
    namespace: Namespace,
    point: Callable[..., str],
    branch: Callable[[dict[str, Any]], None],
) -> None:
    """ "Notification policies": an alert goes to the policy whose matchers it has, grouped as the policy says, and
    not to its neighbour; a contact point that a policy names is not deleted."""
    folder, name = namespace.of("grafana"), namespace.name
    with listening(stack) as hook, listening(stack) as other:
        quick = {"group_by": ["team"], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
        uids = [point(name, hook.url), point(f"{name}-b", other.url)]
        for receiver in (name, f"{name}-b"):
            branch({"receiver": receiver, "object_matchers": [["team", "=", receiver]], **quick})
        assert grafana.delete(f"{POINTS}/{uids[0]}").status_code == 409
        rules = [rule(one, folder, values("50"), labels={"team": name}) for one in ("first", "second")]
        done(put_group(grafana, folder, rules))
        for one in ("first", "second"):
            body = received(hook, one, patience(stack))
            assert (body["receiver"], body["groupLabels"]) == (name, {"team": name})
        assert other.got == []
