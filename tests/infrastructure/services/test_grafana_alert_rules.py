"""Alert rules, their groups and contact points as stored objects. What they do: test_grafana_alerting.py.

Document: "Alerting provisioning HTTP API".
"""

from __future__ import annotations

from typing import Any

from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

RULES, POINTS = "/api/v1/provisioning", "/api/v1/provisioning/contact-points"


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def paused(name: str, folder: str) -> dict[str, Any]:
    """A rule that would always hold, if it were evaluated."""
    model = {"refId": "A", "type": "math", "expression": "2 + 3 > 1"}
    data = [{"refId": "A", "datasourceUid": "__expr__", "relativeTimeRange": {"from": 600, "to": 0}, "model": model}]
    head = {"title": name, "orgID": 1, "folderUID": folder, "ruleGroup": "group", "condition": "A", "data": data}
    return {**head, "for": "0s", "noDataState": "NoData", "execErrState": "Error", "isPaused": True}


def put_group(grafana: ServiceSession, folder: str, rules: list[dict[str, Any]], interval: int) -> Any:
    """The answer to writing the whole group; `interval` in seconds."""
    body = {"title": "group", "folderUid": folder, "interval": interval, "rules": rules}
    return grafana.put(f"{RULES}/folder/{folder}/rule-groups/group", json=body)


def test_a_rule_that_could_not_be_evaluated_is_refused(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Alerting provisioning": 400 for a condition that is no query, an interval beside the tick, an unknown folder,
    no query at all; nothing is stored."""
    folder = namespace.of("grafana")
    good = paused("r", folder)
    for body, said in (
        ({**good, "condition": "Z"}, "condition"),
        ({**good, "data": []}, ""),
        ({**good, "title": ""}, "title"),
        ({**good, "folderUID": "no-such-folder"}, "folder"),
        ({**good, "noDataState": "Maybe"}, ""),
    ):
        answer = grafana.post(f"{RULES}/alert-rules", json=body)
        assert answer.status_code == 400, f"{said}: {answer.status_code} {answer.text}"
        assert said in answer.json()["message"].lower()
    assert put_group(grafana, folder, [good], interval=7).status_code == 400
    assert grafana.get(f"{RULES}/folder/{folder}/rule-groups/group").status_code == 404, "something was stored"


def test_a_group_is_written_as_a_whole(grafana: ServiceSession, namespace: Namespace) -> None:
    """`PUT .../rule-groups/:group`: what is not in the new group is deleted, what is keeps its uid; a deleted rule is
    404, deleting it again 204."""
    folder = namespace.of("grafana")
    done(put_group(grafana, folder, [paused(name, folder) for name in ("a", "b")], 60))
    path = f"{RULES}/folder/{folder}/rule-groups/group"
    before = done(grafana.get(path))
    uids = {one["title"]: one["uid"] for one in before["rules"]}
    assert (before["interval"], set(uids)) == (60, {"a", "b"})
    kept = [{**one, "labels": {"new": "yes"}} for one in before["rules"] if one["title"] == "a"]
    done(put_group(grafana, folder, kept, 120))
    after = done(grafana.get(path))
    assert after["interval"] == 120
    assert [(one["uid"], one["labels"]) for one in after["rules"]] == [(uids["a"], {"new": "yes"})]
    gone = f"{RULES}/alert-rules/{uids['b']}"
    assert (grafana.get(gone).status_code, grafana.delete(gone).status_code) == (404, 204)


def test_a_folder_with_rules_is_not_deleted_by_mistake(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Folder", delete: 400 while it holds alert rules, unless `forceDeleteRules=true`; then the rules are gone."""
    folder = namespace.of("grafana")
    made = done(grafana.post(f"{RULES}/alert-rules", json=paused("r", folder)), 201)
    assert grafana.delete(f"/api/folders/{folder}").status_code == 400
    assert done(grafana.get(f"{RULES}/alert-rules/{made['uid']}"))["folderUID"] == folder
    done(grafana.delete(f"/api/folders/{folder}", params={"forceDeleteRules": "true"}))
    assert grafana.get(f"{RULES}/alert-rules/{made['uid']}").status_code == 404


def test_a_contact_point_keeps_its_password_to_itself(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Contact points": secrets read back `[REDACTED]`, and an update that sends this back keeps them."""
    name, secret = namespace.name, f"s3cret-{namespace.name}"
    settings = {"url": "http://127.0.0.1:1/", "username": "u", "password": secret}
    uid = done(grafana.post(POINTS, json={"name": name, "type": "webhook", "settings": settings}), 202)["uid"]
    listed = grafana.get(POINTS, params={"name": name})
    (point,) = done(listed)
    assert secret not in listed.text
    assert (point["uid"], point["settings"]["username"], point["settings"]["password"]) == (uid, "u", "[REDACTED]")
    point["settings"]["url"] = "http://127.0.0.1:2/"
    done(grafana.put(f"{POINTS}/{uid}", json=point), 202)
    (changed,) = done(grafana.get(POINTS, params={"name": name}))
    assert changed["settings"]["url"] == "http://127.0.0.1:2/"
    assert changed["settings"]["password"] == "[REDACTED]"
    done(grafana.delete(f"{POINTS}/{uid}"), 202)
    assert done(grafana.get(POINTS, params={"name": name})) == []
