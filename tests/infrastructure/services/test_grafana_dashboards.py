"""Dashboards, folders and annotations. Documents: HTTP API "Dashboard", "Dashboard versions", "Folder",
"Folder/dashboard search", "Annotations"; "Provision Grafana", dashboards."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

FILES = sorted((Path(__file__).parents[3] / "compose/config/grafana/dashboards").glob("*.json"))
INDEX = 15
"""Seconds: the search index may be `[search] index_update_interval`, 10 s, behind."""


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json()


def refused(answer: Any) -> tuple[int, str]:
    """Status and message of an answer."""
    return answer.status_code, str(answer.json().get("message"))


def board(uid: str, **more: Any) -> dict[str, Any]:
    """A dashboard with one text panel."""
    panel = {"id": 1, "type": "text", "title": "T", "gridPos": {"h": 4, "w": 6, "x": 0, "y": 0}, "options": {}}
    return {"uid": uid, "title": f"Board {uid}", "schemaVersion": 42, "panels": [panel], "tags": [], **more}


def save(grafana: ServiceSession, folder: str, model: dict[str, Any], **more: Any) -> Any:
    """The answer to saving a dashboard."""
    return grafana.post("/api/dashboards/db", json={"dashboard": model, "folderUid": folder, **more})


def read(grafana: ServiceSession, uid: str) -> Any:
    """A dashboard with its meta data."""
    return done(grafana.get(f"/api/dashboards/uid/{uid}"))


def test_a_dashboard_is_read_back_as_it_was_saved(grafana: ServiceSession, namespace: Namespace) -> None:
    """`POST /api/dashboards/db`, `GET /api/dashboards/uid/:uid`: the model, its folder, its url, its version; gone
    after `DELETE`."""
    folder, model = namespace.of("grafana"), board(namespace.name, tags=["one"], refresh="30s")
    saved = done(save(grafana, folder, model))
    assert (saved["status"], saved["version"], saved["uid"]) == ("success", 1, namespace.name)
    found = read(grafana, namespace.name)
    assert {key: found["dashboard"][key] for key in model} == model
    meta = {key: found["meta"][key] for key in ("folderUid", "folderTitle", "url", "version", "provisioned")}
    assert meta == {
        "folderUid": folder,
        "folderTitle": namespace.name,
        "url": saved["url"],
        "version": 1,
        "provisioned": False,
    }
    assert done(grafana.delete(f"/api/dashboards/uid/{namespace.name}"))["title"] == model["title"]
    assert grafana.get(f"/api/dashboards/uid/{namespace.name}").status_code == 404


def test_every_version_is_kept_and_an_old_one_can_be_restored(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Dashboard versions": newest first with their messages; a restore is a new version with the old content."""
    folder, uid = namespace.of("grafana"), namespace.name
    for number, word in enumerate(("first", "second", "third")):
        model = board(uid, title=f"{uid} {word}", version=number)
        assert done(save(grafana, folder, model, message=word))["version"] == number + 1
    kept = done(grafana.get(f"/api/dashboards/uid/{uid}/versions"))["versions"]
    assert [(one["version"], one["message"]) for one in kept] == [(3, "third"), (2, "second"), (1, "first")]
    assert done(grafana.get(f"/api/dashboards/uid/{uid}/versions/2"))["data"]["title"] == f"{uid} second"
    assert done(grafana.post(f"/api/dashboards/uid/{uid}/restore", json={"version": 1}))["version"] == 4
    assert read(grafana, uid)["dashboard"]["title"] == f"{uid} first"
    assert grafana.get(f"/api/dashboards/uid/{uid}/versions/9").status_code == 404


def test_a_save_over_a_newer_version_is_refused(grafana: ServiceSession, namespace: Namespace) -> None:
    """412 `version-mismatch` "if someone else has saved"; nothing is written. `overwrite` says that it is meant."""
    folder, uid = namespace.of("grafana"), namespace.name
    done(save(grafana, folder, board(uid)))
    done(save(grafana, folder, board(uid, title="mine", version=1)))
    late = save(grafana, folder, board(uid, title="theirs", version=1))
    assert (late.status_code, late.json()["status"]) == (412, "version-mismatch")
    assert read(grafana, uid)["dashboard"]["title"] == "mine"
    assert done(save(grafana, folder, board(uid, title="theirs", version=1), overwrite=True))["version"] == 3
    assert read(grafana, uid)["dashboard"]["title"] == "theirs"


def test_of_those_who_save_at_once_one_wins(grafana: ServiceSession, namespace: Namespace) -> None:
    """The version check and the write are one step: of several saves from the same version one is taken."""
    folder, uid = namespace.of("grafana"), namespace.name
    done(save(grafana, folder, board(uid)))

    def write(word: str) -> int:
        return int(save(grafana, folder, board(uid, title=word, version=1)).status_code)

    words = [f"writer {number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(write, words))
    assert codes.count(200) == 1, codes
    found = read(grafana, uid)["dashboard"]
    assert (found["title"], found["version"]) == (words[codes.index(200)], 2)


def test_what_is_no_dashboard_is_refused(grafana: ServiceSession, namespace: Namespace) -> None:
    """`POST /api/dashboards/db`: 400 for no title, a bad uid, an unknown folder; none of them leaves anything."""
    folder, uid = namespace.of("grafana"), namespace.name
    for model, where, said in (
        (board(uid, title=""), folder, "title cannot be empty"),
        (board(f"{uid}/x"), folder, "uid contains illegal characters"),
        (board(uid + "x" * 40), folder, "uid too long"),
        (board(uid), f"{folder}-none", "folder not found"),
    ):
        answer = save(grafana, where, model)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["message"]
    assert grafana.get(f"/api/dashboards/uid/{uid}").status_code == 404


def test_a_dashboard_is_found_by_title_tag_and_folder_until_it_is_deleted(
    grafana: ServiceSession, namespace: Namespace
) -> None:
    """ "Folder/dashboard search": `query`, `tag`, `folderUIDs` and `type` each narrow it down."""
    folder, uid = namespace.of("grafana"), namespace.name
    done(save(grafana, folder, board(uid, tags=[uid, "red"])))
    done(save(grafana, folder, board(f"{uid}-b", tags=[uid, "blue"])))

    def found(expected: set[str], **query: Any) -> None:
        hits = {one["uid"] for one in done(grafana.get("/api/search", params={"type": "dash-db", **query}))}
        if hits != expected:
            raise NotYet(f"{query}: {sorted(hits)}, expected {sorted(expected)}")

    deadline = Deadline.after(INDEX)
    for expected, query in (
        ({uid, f"{uid}-b"}, {"folderUIDs": folder}),
        ({uid, f"{uid}-b"}, {"tag": uid}),
        ({uid}, {"tag": [uid, "red"]}),
        ({f"{uid}-b"}, {"query": f"Board {uid}-b"}),
        (set(), {"folderUIDs": folder, "tag": "green"}),
    ):
        poll(lambda e=expected, q=query: found(e, **q), deadline, "the search to find it")  # type: ignore[misc]
    done(grafana.delete(f"/api/dashboards/uid/{uid}"))
    poll(lambda: found({f"{uid}-b"}, folderUIDs=folder), Deadline.after(INDEX), "the search to forget it")


def test_a_folder_takes_what_it_holds_with_it(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Folder": folders nest by `parentUid`; deleting one deletes its folders and dashboards, and no others."""
    top, inner, deep = namespace.of("grafana"), f"{namespace.name}-in", f"{namespace.name}-deep"
    made = done(grafana.post("/api/folders", json={"uid": inner, "title": "In", "parentUid": top}))
    assert [one["uid"] for one in done(grafana.get("/api/folders", params={"parentUid": top}))] == [inner]
    assert (made["parentUid"], [one["uid"] for one in made["parents"]]) == (top, [top])
    done(save(grafana, top, board(namespace.name)))
    done(save(grafana, inner, board(deep)))
    done(grafana.delete(f"/api/folders/{inner}"))
    assert grafana.get(f"/api/dashboards/uid/{deep}").status_code == 404
    assert grafana.get(f"/api/folders/{inner}").status_code == 404
    assert read(grafana, namespace.name)["meta"]["folderUid"] == top


def test_a_folder_is_renamed_from_its_newest_version_only(grafana: ServiceSession, namespace: Namespace) -> None:
    """`PUT /api/folders/:uid`: 412 for a stale `version`; `POST` with a taken uid is a conflict as well."""
    path = f"/api/folders/{namespace.of('grafana')}"
    version = done(grafana.get(path))["version"]
    done(grafana.put(path, json={"title": f"{namespace.name} new", "version": version}))
    assert grafana.put(path, json={"title": "late", "version": version}).status_code == 412
    assert done(grafana.get(path))["title"] == f"{namespace.name} new"
    again = grafana.post("/api/folders", json={"uid": namespace.name, "title": "again"})
    assert again.status_code in {409, 412}, f"{again.status_code}: 409 before Grafana 12, 412 since"
    assert done(grafana.get(path))["title"] == f"{namespace.name} new"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_from_a_file_is_as_the_file_says(grafana: ServiceSession, file: Path) -> None:
    """ "Provision Grafana", dashboards: the model of the file, in the provider's folder, marked `provisioned`."""
    wanted = json.loads(file.read_text())
    found = read(grafana, wanted["uid"])
    for key in sorted(set(wanted) - {"id", "version"}):
        assert found["dashboard"][key] == wanted[key], key
    meta = found["meta"]
    assert (meta["provisioned"], meta["provisionedExternalId"]) == (True, file.name)
    assert (meta["folderUid"], meta["folderTitle"]) == ("platform", "Platform")


def test_a_dashboard_from_a_file_cannot_be_changed_by_the_api(grafana: ServiceSession, namespace: Namespace) -> None:
    """`allowUiUpdates: false`: neither saved, overwritten nor deleted, whoever asks."""
    uid = "platform-overview"
    before = read(grafana, uid)
    model = {**before["dashboard"], "title": f"taken by {namespace.name}"}
    for force in (False, True):
        said = "Cannot save provisioned dashboard"
        assert refused(save(grafana, "platform", model, overwrite=force)) == (400, said), "it could be saved"
    said = "provisioned dashboard cannot be deleted"
    assert refused(grafana.delete(f"/api/dashboards/uid/{uid}")) == (400, said), "it could be deleted"
    assert read(grafana, uid)["dashboard"] == before["dashboard"]


def test_an_annotation_is_found_by_its_tags_and_its_time(grafana: ServiceSession, namespace: Namespace) -> None:
    """ "Annotations": a region is found by any window that touches it; `tags` must all match, `matchAny` one."""
    now, tag = int(time.time() * 1000), namespace.name
    region = {"time": now - 60_000, "timeEnd": now - 30_000, "tags": [tag, "deploy"], "text": "v1 rolled out"}
    number = done(grafana.post("/api/annotations", json=region))["id"]

    def found(**query: Any) -> list[int]:
        return [one["id"] for one in done(grafana.get("/api/annotations", params={"tags": tag, **query}))]

    assert found(**{"from": now - 90_000, "to": now}) == [number]
    assert found(**{"from": now - 40_000, "to": now}) == [number], "a region that reaches into the window"
    assert found(**{"from": now - 20_000, "to": now}) == []
    assert found(**{"from": now - 90_000, "to": now - 70_000}) == []
    assert found(tags=[tag, "other"]) == []
    assert found(tags=[tag, "other"], matchAny="true") == [number]
    done(grafana.patch(f"/api/annotations/{number}", json={"text": "v1 rolled back"}))
    kept = done(grafana.get(f"/api/annotations/{number}"))
    assert (kept["text"], kept["tags"], kept["timeEnd"]) == ("v1 rolled back", [tag, "deploy"], now - 30_000)
    replaced = {**region, "text": "v2 rolled out", "tags": [tag]}
    done(grafana.put(f"/api/annotations/{number}", json=replaced))
    kept = done(grafana.get(f"/api/annotations/{number}"))
    assert (kept["text"], kept["tags"]) == ("v2 rolled out", [tag]), "what the new one does not have was kept"
    done(grafana.delete(f"/api/annotations/{number}"))
    assert found() == []


def test_an_annotation_of_a_panel_is_that_panels_alone(grafana: ServiceSession, namespace: Namespace) -> None:
    """`dashboardUID` and `panelId`: found by them, not by another panel. Without a text there is none."""
    uid = namespace.name
    done(save(grafana, namespace.of("grafana"), board(uid)))
    note = {"dashboardUID": uid, "panelId": 1, "time": int(time.time() * 1000), "text": "spike", "tags": [uid]}
    number = done(grafana.post("/api/annotations", json=note))["id"]
    for panel, expected in ((1, [number]), (2, [])):
        hits = done(grafana.get(f"/api/annotations?dashboardUID={uid}&panelId={panel}"))
        assert [one["id"] for one in hits] == expected, f"panel {panel}"
    empty = grafana.post("/api/annotations", json={**note, "text": ""})
    assert empty.status_code in {400, 500}, f"{empty.status_code}: 500 in older versions"
    assert len(done(grafana.get("/api/annotations", params={"tags": uid}))) == 1
    done(grafana.delete(f"/api/annotations/{number}"))
