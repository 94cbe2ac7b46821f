"""Grafana on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

from typing import Any

import pytest

from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import folder, granted
from harness.smoke.grafana import PREFIX

pytestmark = pytest.mark.smoke


def test_its_database_is_well_and_its_dashboards_can_be_searched(smoke_corner: SmokeCorner) -> None:
    """`/api/health` and `/api/search` ("Other HTTP API", "Folder/Dashboard search")."""
    grafana = smoke_corner.read("grafana")
    assert granted(grafana, "/api/health").json()["database"] == "ok"
    found = granted(grafana, "/api/search?type=dash-db&limit=1")
    assert (found.status, isinstance(found.json(), list)) == (200, True)


def test_a_dashboard_is_read_back_and_gone_with_its_folder(smoke_corner: SmokeCorner) -> None:
    """A folder of this run's own ("Folder HTTP API"): the dashboard saved in it opens, and goes with it."""
    grafana, uid = smoke_corner.write("grafana"), f"{PREFIX}{smoke_corner.identity}"
    title = folder(smoke_corner.identity).rstrip("/")
    made = granted(grafana, "/api/folders", "POST", body={"uid": uid, "title": title})
    assert made.status == 200, made.text
    board: dict[str, Any] = {"id": None, "uid": uid, "title": title, "panels": [], "schemaVersion": 39}
    saved = granted(grafana, "/api/dashboards/db", "POST", body={"dashboard": board, "folderUid": uid})
    assert saved.status == 200, saved.text
    opened = granted(grafana, f"/api/dashboards/uid/{uid}").json()
    assert (opened["dashboard"]["title"], opened["meta"]["folderUid"]) == (title, uid)
    assert granted(grafana, f"/api/folders/{uid}?forceDeleteRules=true", "DELETE").status == 200
    assert granted(grafana, f"/api/dashboards/uid/{uid}").status == 404
