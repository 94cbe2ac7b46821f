from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.emulators.grafana.grafana import Grafana
from harness.emulators.grafana.provisioning import interpolate
from harness.emulators.runner import ConfigError
from tests.unit.emulators.grafana.grafana_rig import REPOSITORY, fires, make, refused

CONFIG = REPOSITORY / "compose/config/grafana"


class Files:
    """A provisioning directory under a temporary path, and a Grafana that reads it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.world = make(GF_PATHS_PROVISIONING=str(root), WHERE="http://there:1", DASHBOARDS=str(root / "json"))
        (root / "json").mkdir()
        provider = {"name": "p", "folder": "Folder", "folderUid": "folder", "options": {"path": "$DASHBOARDS"}}
        self.write("dashboards", {"providers": [provider]})

    def write(self, kind: str, body: dict[str, Any] | str) -> None:
        (self.root / kind).mkdir(exist_ok=True)
        (self.root / kind / "a.yaml").write_text(body if isinstance(body, str) else json.dumps(body))

    def board(self, name: str, text: str) -> None:
        (self.root / "json" / f"{name}.json").write_text(text)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_interpolation(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s\n")
    body = {"$X": ["$X", "${X}-$__env{X}", "$$X", f"$__file{{{tmp_path}/secret}}", "$UNSET.", 5, "{$${__tags}}"]}
    assert interpolate(body, {"X": "v"}) == {"$X": ["v", "v-v", "$X", "s", ".", 5, "{${__tags}}"]}


def test_data_sources_from_files(files: Files) -> None:
    source = {"name": "T", "uid": "t", "type": "tempo", "url": "${WHERE}", "editable": False}
    files.write("datasources", {"datasources": [source]})
    files.world.provisioning.start()
    stored = files.world.datasources.get(1, "t")
    assert (stored["url"], stored["readOnly"]) == ("http://there:1", True)
    assert refused(files.world.datasources.delete, 1, "t").status == 403
    files.write("datasources", {"datasources": [source | {"url": "http://new:1"}]})
    assert files.world.provisioning.reload("datasources") == {"message": "Datasources config reloaded"}
    assert files.world.datasources.get(1, "t")["url"] == "http://new:1"
    files.write("datasources", {"deleteDatasources": [{"name": "T", "orgId": 1}]})
    assert refused(files.world.provisioning.reload, "datasources").status == 500  # said in the log: not emulated
    assert len(files.world.datasources.all(1)) == 1


def test_prune_drops_what_no_file_names_any_more(files: Files) -> None:
    pair = [{"name": name, "uid": name.lower(), "type": "tempo"} for name in ("A", "B")]
    files.write("datasources", {"prune": True, "datasources": pair})
    files.world.provisioning.start()
    files.world.datasources.create(1, {"name": "Mine", "uid": "mine", "type": "tempo"})
    files.write("datasources", {"prune": True, "datasources": pair[:1]})
    files.world.provisioning.reload("datasources")
    assert [one["name"] for one in files.world.datasources.all(1)] == ["A", "Mine"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("datasources", "datasources: ["),
        ("datasources", {"datasources": [{"name": n, "type": "tempo", "isDefault": True} for n in "ab"]}),
        ("datasources", {"datasources": [{"type": "tempo"}]}),
        ("alerting", {"policies": [{"receiver": "absent"}]}),
        ("alerting", {"groups": [{"name": "g", "folder": "F", "interval": "7s", "rules": []}]}),
        ("alerting", {"groups": [{"name": "g", "folder": "F", "interval": "10s", "rules": [{"title": "no uid"}]}]}),
    ],
)
def test_broken_files_end_the_start_and_fail_a_reload(files: Files, kind: str, body: dict[str, Any] | str) -> None:
    files.write(kind, body)
    with pytest.raises(ConfigError, match=r"(Datasource|Alerting) provisioning error"):
        files.world.provisioning.start()
    assert refused(files.world.provisioning.reload, kind).status == 500


def test_dashboards_follow_their_files(files: Files) -> None:
    files.board("b", '{"uid":"b","title":"One","id":7}')
    files.board("broken", "{")
    files.world.provisioning.start()
    boards = files.world.dashboards
    found = boards.get(1, "b", True)
    assert (found["meta"]["provisioned"], found["meta"]["provisionedExternalId"]) == (True, "b.json")
    assert (found["meta"]["folderUid"], found["meta"]["folderTitle"], found["dashboard"]["version"]) == (
        "folder",
        "Folder",
        1,
    )
    change = {"dashboard": found["dashboard"] | {"title": "Mine"}, "overwrite": True}
    assert refused(boards.save, 1, change, "admin").message == "Cannot save provisioned dashboard"
    assert refused(boards.delete, 1, "b").message == "provisioned dashboard cannot be deleted"
    files.world.provisioning.reload("dashboards")
    assert boards.get(1, "b", True)["meta"]["version"] == 1
    files.board("b", '{"uid":"b","title":"Two"}')
    files.world.provisioning.reload("dashboards")
    assert boards.get(1, "b", True)["dashboard"]["title"] == "Two"
    (files.root / "json" / "b.json").unlink()
    files.world.provisioning.reload("dashboards")
    assert refused(boards.stored, 1, "b").status == 404


def test_alerting_from_files(files: Files) -> None:
    receiver = {"uid": "h", "type": "webhook", "settings": {"url": "http://127.0.0.1:1/"}}
    rule = {key: value for key, value in fires().items() if key not in {"folderUID", "ruleGroup", "orgID"}}
    rule |= {"dashboardUid": "b", "panelId": 3}
    body: dict[str, Any] = {
        "contactPoints": [{"orgId": 1, "name": "hook", "receivers": [receiver]}],
        "policies": [{"orgId": 1, "receiver": "hook"}],
        "muteTimes": [],
        "groups": [{"orgId": 1, "name": "g", "folder": "Alerts", "interval": "10s", "rules": [rule]}],
    }
    files.write("alerting", body)
    files.world.provisioning.start()
    files.world.provisioning.reload("alerting")
    stored = files.world.rules.get(1, "always")
    assert (stored["provenance"], stored["annotations"]["__panelId__"]) == ("file", "3")
    assert files.world.rules.group(1, stored["folderUID"], "g")["interval"] == 10
    assert files.world.notifications.policies(1)["receiver"] == "hook"
    files.write("alerting", {})
    files.world.provisioning.reload("alerting")
    assert len(files.world.rules.all(1)) == 1


# -- the files that the stack ships


@pytest.fixture(scope="module")
def shipped() -> Grafana:
    world = make(
        GF_PATHS_PROVISIONING=str(CONFIG / "provisioning"),
        DASHBOARDS_PATH=str(CONFIG / "dashboards"),
        TEMPO_URL="http://tempo:3200",
    )
    world.provisioning.start()
    return world


def test_shipped_data_sources(shipped: Grafana) -> None:
    found = {one["uid"]: one for one in shipped.datasources.all(1)}
    assert {uid: (one["url"], one["readOnly"]) for uid, one in found.items()} == {
        "testdata": ("", True), "tempo": ("http://tempo:3200", True),
    }  # fmt: skip
    assert found["testdata"]["isDefault"]


def test_shipped_alerting_calls_nobody(shipped: Grafana) -> None:
    assert (shipped.rules.all(1), shipped.notifications.contact_points(1)) == ([], [])
    assert shipped.notifications.policies(1)["receiver"] == "empty"


@pytest.mark.parametrize("path", sorted((CONFIG / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_shipped_dashboards_are_sound(shipped: Grafana, path: Path) -> None:
    model = json.loads(path.read_text())
    panels, sources = model["panels"], {one["uid"] for one in shipped.datasources.all(1)}
    assert (model["id"], model["schemaVersion"] >= 39) == (None, True)
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= sources
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
    meta = shipped.dashboards.get(1, model["uid"], True)["meta"]
    assert (meta["provisioned"], meta["folderTitle"]) == (True, "Platform")
