from __future__ import annotations

from typing import Any

import pytest

from harness.emulators.grafana.dashboards import search
from harness.emulators.grafana.grafana import Grafana
from tests.unit.emulators.grafana.grafana_rig import Clock, fires, make, refused


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Grafana:
    return make(clock=clock)


def board(**fields: Any) -> dict[str, Any]:
    return {"dashboard": {"uid": "b", "title": "Board", "id": None} | fields}


# -- data sources


def test_data_source_life(world: Grafana) -> None:
    sources = world.datasources
    body = {
        "name": "T",
        "type": "tempo",
        "url": "http://x:1",
        "isDefault": True,
        "secureJsonData": {"basicAuthPassword": "p"},
    }
    made = sources.create(1, body | {"uid": "t"})
    assert made["message"] == "Datasource added"
    assert sources.get(1, "t")["secureJsonFields"] == {"basicAuthPassword": True}
    assert "secureJsonData" not in sources.get(1, "t")
    assert refused(sources.create, 1, body).message == "data source with the same name already exists"
    assert refused(sources.create, 1, body | {"name": "U", "uid": "t"}).message.endswith("same uid already exists")
    assert sources.update(1, "t", body | {"version": 1, "url": "http://y:1"})["datasource"]["version"] == 2
    assert refused(sources.update, 1, "t", body | {"version": 1}).status == 409
    sources.create(1, {"name": "D", "type": "tempo", "isDefault": True})
    assert not sources.get(1, "t")["isDefault"]
    assert [one["name"] for one in sources.all(1)] == ["D", "T"]
    assert sources.delete(1, "t")["message"] == "Data source deleted"
    assert refused(sources.get, 1, "t").message == "Data source not found"
    assert sources.delete_by_name(1, "D")["id"] == 2
    assert refused(sources.delete_by_name, 1, "D").status == 404


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"name": "x", "type": "t", "url": "ht tp://"}, {"name": "x", "type": "t", "uid": "a b"}]
)
def test_bad_data_sources(world: Grafana, body: dict[str, Any]) -> None:
    assert refused(world.datasources.create, 1, body).status == 400


def test_read_only_data_source(world: Grafana) -> None:
    world.datasources.create(1, {"name": "P", "type": "tempo", "uid": "p"}, True)
    assert refused(world.datasources.delete, 1, "p").message == "Cannot delete read-only data source"
    assert refused(world.datasources.update, 1, "p", {"name": "P", "type": "tempo"}).status == 403


# -- folders and dashboards


def test_folder_life(world: Grafana) -> None:
    folders = world.folders
    made = folders.create(1, {"uid": "f", "title": "My Folder"}, "admin")
    assert made["url"] == "/dashboards/f/f/my-folder"
    again = refused(folders.create, 1, {"uid": "f", "title": "Other"}, "admin")
    assert (again.status, again.body) == (
        412,
        {"status": "version-mismatch", "message": "the folder has been changed by someone else"},
    )
    assert refused(folders.create, 1, {"title": " "}, "admin").message == "folder title cannot be empty"
    child = folders.create(1, {"uid": "c", "title": "Child", "parentUid": "f"}, "admin")
    assert [parent["uid"] for parent in child["parents"]] == ["f"]
    assert [one["uid"] for one in folders.all(1, {})] == ["f"]
    assert [one["uid"] for one in folders.all(1, {"parentUid": "f"})] == ["c"]
    assert refused(folders.update, 1, "f", {"title": "New", "version": 7}, "admin").status == 412
    assert folders.update(1, "f", {"title": "New", "version": 1}, "admin")["version"] == 2
    world.dashboards.save(1, board() | {"folderUid": "c"}, "admin")
    assert folders.delete(1, "f", False)["message"] == "Folder New deleted"
    assert refused(world.dashboards.stored, 1, "b").status == 404
    assert refused(folders.get, 1, "c").body == {"status": "not-found", "message": "folder not found"}


def test_folder_with_rules_needs_force(world: Grafana) -> None:
    world.folders.create(1, {"uid": "f", "title": "F"}, "admin")
    world.rules.create(1, fires(), "api")
    assert refused(world.folders.delete, 1, "f", False).status == 400
    world.folders.delete(1, "f", True)
    assert world.rules.all(1) == []


def test_dashboard_versions_conflict_and_restore(world: Grafana) -> None:
    boards = world.dashboards
    assert boards.save(1, board(tags=["x"]), "admin")["version"] == 1
    assert refused(boards.save, 1, board(), "admin").status == 412
    assert boards.save(1, board(version=1, title="Two") | {"message": "m"}, "ann")["version"] == 2
    stale = refused(boards.save, 1, board(version=1), "admin")
    assert (stale.status, stale.body and stale.body["status"]) == (412, "version-mismatch")
    assert boards.save(1, board(version=1, title="Three") | {"overwrite": True}, "admin")["version"] == 3
    history = boards.versions(1, "b", {})["versions"]
    assert [(v["version"], v["message"], v["createdBy"]) for v in history] == [
        (3, "", "admin"),
        (2, "m", "ann"),
        (1, "", "admin"),
    ]
    assert boards.restore(1, "b", {"version": 1}, "admin")["version"] == 4
    assert boards.get(1, "b", True)["dashboard"]["title"] == "Board"
    assert refused(boards.version, 1, "b", "9").status == 404
    assert boards.delete(1, "b")["message"] == "Dashboard Board deleted"
    assert world.site.store.all("version") == []


def test_old_versions_are_dropped() -> None:
    boards = make(GF_DASHBOARDS_VERSIONS_TO_KEEP="2").dashboards
    for _ in range(4):
        boards.save(1, board() | {"overwrite": True}, "admin")
    assert [v["version"] for v in boards.versions(1, "b", {})["versions"]] == [4, 3]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "bad request data"),
        (board(title=""), 400, "Dashboard title cannot be empty"),
        (board(uid="a b"), 400, "uid contains illegal characters"),
        (board(uid="x" * 41), 400, "uid too long, max 40 characters"),
        (board(id=99), 404, "Dashboard not found"),
        (board() | {"folderUid": "absent"}, 400, "folder not found"),
    ],
)
def test_bad_dashboards(world: Grafana, body: dict[str, Any], status: int, text: str) -> None:
    error = refused(world.dashboards.save, 1, body, "admin")
    assert (error.status, error.message) == (status, text)


def test_search_by_type_tag_folder_and_title(world: Grafana) -> None:
    world.folders.create(1, {"uid": "f", "title": "Folder"}, "admin")
    world.dashboards.save(1, board(tags=["x", "y"]) | {"folderUid": "f"}, "admin")
    world.dashboards.save(1, board(uid="c", title="Other"), "admin")

    def uids(**query: str) -> list[str]:
        return [hit["uid"] for hit in search(world.site, 1, {name: value.split("+") for name, value in query.items()})]

    assert uids() == ["f", "b", "c"]
    assert uids(type="dash-db") == ["b", "c"]
    assert uids(type="dash-folder") == ["f"]
    assert uids(tag="x+y") == ["b"]
    assert uids(tag="z") == []
    assert uids(query="oth") == ["c"]
    assert uids(folderUIDs="f") == ["b"]
    assert uids(dashboardUIDs="c,b", limit="1", page="2") == ["c"]
    assert uids(limit="0", page="0") == ["f", "b", "c"]
    assert len(world.folders.all(1, {"limit": "0", "page": "0"})) == 1
    assert len(world.dashboards.versions(1, "b", {"limit": "0"})["versions"]) == 1


# -- annotations


def test_annotation_life(world: Grafana, clock: Clock) -> None:
    notes = world.annotations
    assert refused(notes.create, 1, {"time": 1}, (1, "admin")).status == 400
    first = str(notes.create(1, {"text": "one", "time": 1000, "tags": ["a", "b"]}, (1, "admin"))["id"])
    notes.create(1, {"text": "two", "time": 2000, "timeEnd": 9000, "tags": ["b"]}, (1, "admin"))
    assert notes.get(1, first)["timeEnd"] == 1000
    assert [n["text"] for n in notes.find(1, {})] == ["two", "one"]
    assert [n["text"] for n in notes.find(1, {"from": ["5000"], "to": ["6000"]})] == ["two"]
    assert [n["text"] for n in notes.find(1, {"tags": ["a", "b"]})] == ["one"]
    assert len(notes.find(1, {"tags": ["a", "b"], "matchAny": ["true"]})) == 2
    assert notes.find(1, {"type": ["alert"]}) == []
    assert (notes.find(1, {"dashboardId": ["5"]}), notes.find(1, {"userId": ["2"]})) == ([], [])
    assert len(notes.find(1, {"dashboardId": ["0"], "userId": ["1"], "limit": ["0"]})) == 2
    assert notes.change(1, first, {"text": "uno"}, False) == {"message": "Annotation patched"}
    assert notes.get(1, first)["tags"] == ["a", "b"]
    assert refused(notes.change, 1, first, {"tags": []}, True).status == 400
    notes.delete(1, first)
    assert refused(notes.delete, 1, first).status == 403


# -- alert rules and where they go


def test_rule_validation_and_groups(world: Grafana) -> None:
    world.folders.create(1, {"uid": "f", "title": "F"}, "admin")
    rules = world.rules
    assert rules.create(1, fires("one"), "api")["for"] == "0s"
    assert refused(rules.create, 1, fires("one", title="x"), "api").status == 409
    assert refused(rules.create, 1, fires("two", title="Title one"), "api").status == 409
    wrong = {"condition": "Z", "title": "", "data": [], "noDataState": "?", "for": "soon", "folderUID": "no"}
    for key, value in wrong.items():
        assert refused(rules.create, 1, fires("two") | {key: value}, "api").status == 400
    assert refused(rules.get, 1, "absent").body is None
    assert refused(rules.put_group, 1, "f", "g", {"interval": 15}, "api").status == 400
    group = rules.put_group(1, "f", "g", {"interval": 20, "rules": [fires("two")]}, "api")
    assert [rule["uid"] for rule in group["rules"]] == ["two"]
    assert rules.group(1, "f", "g")["interval"] == 20
    rules.delete_group(1, "f", "g", "api")
    assert refused(rules.group, 1, "f", "g").status == 404


def test_rules_from_files_are_guarded(world: Grafana) -> None:
    world.folders.create(1, {"uid": "f", "title": "F"}, "admin")
    made = world.rules.create(1, fires(), "file")
    assert refused(world.rules.delete, 1, "always", "api").message == "cannot change provenance from 'file' to 'api'"
    assert world.rules.upsert(1, fires(), "file") == made  # unchanged: not even a new time


def test_contact_points_hide_their_secrets(world: Grafana) -> None:
    told = world.notifications
    settings = {"url": "http://x/", "password": "p"}
    made = told.put_contact(1, {"name": "hook", "type": "webhook", "settings": settings}, "api")
    assert made["settings"]["password"] == "[REDACTED]"
    told.put_contact(1, {"name": "hook", "type": "webhook", "settings": made["settings"]}, "api", made["uid"])
    assert told.integrations(1, "hook")[0]["settings"]["password"] == "p"
    assert refused(told.put_contact, 1, {"name": "m", "type": "email", "settings": {}}, "api").status == 501
    assert refused(told.put_contact, 1, {"name": "m", "type": "webhook", "settings": {}}, "api").status == 400
    assert (
        refused(
            told.put_contact, 1, {"name": "m", "type": "webhook", "settings": settings | {"title": "{{ x }}"}}, "api"
        ).status
        == 501
    )
    told.put_policies(1, {"receiver": "hook"}, "api")
    assert refused(told.delete_contact, 1, made["uid"]).status == 409
    assert refused(told.put_policies, 1, {"receiver": "absent"}, "api").status == 400
    assert refused(told.put_policies, 1, {"receiver": "hook", "mute_time_intervals": ["night"]}, "api").status == 501
    told.put_policies(1, {"receiver": "empty"}, "api")
    assert told.policies(1)["provenance"] == "api"
    told.delete_contact(1, made["uid"])
    assert told.contact_points(1) == []


def test_what_nobody_provisioned_has_no_provenance(world: Grafana) -> None:
    world.folders.create(1, {"uid": "f", "title": "F"}, "admin")
    told, point = world.notifications, {"name": "hook", "type": "webhook", "settings": {"url": "http://x/"}}
    made = told.put_contact(1, point, "")
    told.put_policies(1, {"receiver": "hook", "provenance": "api"}, "")
    for shown in (made, told.contact_points(1)[0], told.policies(1), world.rules.create(1, fires(), "")):
        assert "provenance" not in shown
    assert world.rules.update(1, "always", fires(), "api")["provenance"] == "api"
    assert "provenance" not in world.rules.update(1, "always", fires(), "")


@pytest.mark.parametrize(
    "tree",
    [
        {"group_wait": "soon"},
        {"routes": [{"object_matchers": [["a", "~", "b"]]}]},
        {"routes": [{"object_matchers": [["a", "=~", "("]]}]},
        {"routes": [{"object_matchers": [["a"]]}]},
    ],
)
def test_policies_that_could_not_be_followed_are_refused(world: Grafana, tree: dict[str, Any]) -> None:
    assert refused(world.notifications.put_policies, 1, {"receiver": "empty"} | tree, "api").status == 400


def test_other_bad_alerting_input(world: Grafana) -> None:
    told = world.notifications
    assert refused(told.put_policies, 1, {"receiver": "empty", "matchers": ["a=b"]}, "api").status == 501
    many = {"name": "m", "type": "webhook", "settings": {"url": "http://x/", "maxAlerts": "many"}}
    assert refused(told.put_contact, 1, many, "api").status == 400
