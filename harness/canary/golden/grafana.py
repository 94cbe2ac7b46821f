"""Grafana: folders, dashboards with versions, an annotation: its database, migrated by the next version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.canary.golden.base import Golden
from harness.ports import Handle

BOARDS = 10
FOLDER = "golden"


class Grafana(Golden):
    """In a folder of its own."""

    kind: ClassVar[str] = "grafana"

    def plant(self, client: Any, handle: Handle) -> list[str]:
        """Each dashboard is saved twice, so that it has a history."""
        del handle
        client.post("/api/folders", json={"uid": FOLDER, "title": "Golden"}).raise_for_status()
        return [name for name in _names() if _save(client, name, "draft") and _save(client, name, f"Board {name}")]

    def kept(self, client: Any) -> list[str]:
        """Those with the last title they were given, at their second version."""
        found = ((name, _board(client, name)) for name in _names())
        return [name for name, board in found if (board.get("title"), board.get("version")) == (f"Board {name}", 2)]

    def ask(self, client: Any) -> Mapping[str, Any]:
        """The objects themselves; no server version is part of an answer."""
        found = client.get("/api/search", params={"folderUIDs": FOLDER, "type": "dash-db"}).json()
        return {
            "dashboards of the folder": sorted((one["uid"], one["title"]) for one in found),
            "panels of the first": _board(client, _names()[0]).get("panels"),
            "title of the folder": client.get(f"/api/folders/{FOLDER}").json().get("title"),
            "status for an unknown dashboard": client.get("/api/dashboards/uid/golden-none").status_code,
        }


def _names() -> list[str]:
    return [f"golden-{number:02}" for number in range(BOARDS)]


def _save(client: Any, uid: str, title: str) -> bool:
    panels = [{"id": 1, "type": "text", "title": "A", "gridPos": {"x": 0, "y": 0, "w": 6, "h": 4}}]
    board = {"uid": uid, "title": title, "panels": panels, "tags": ["golden"]}
    body = {"dashboard": board, "folderUid": FOLDER, "overwrite": True}
    return bool(client.post("/api/dashboards/db", json=body).status_code == 200)


def _board(client: Any, uid: str) -> dict[str, Any]:
    answer = client.get(f"/api/dashboards/uid/{uid}")
    board: dict[str, Any] = answer.json()["dashboard"] if answer.status_code == 200 else {}
    return board
