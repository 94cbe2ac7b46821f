"""Annotations: marks on the time axis, of one panel or of the organization."""

from __future__ import annotations

from typing import Any

from .errors import denied, plain
from .inputs import whole
from .site import Site


class Annotations:
    """Annotations by numeric id, per organization. Times are epoch milliseconds."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    def create(self, org: int, body: dict[str, Any], who: tuple[int, str]) -> dict[str, Any]:
        """POST /api/annotations; `who` is the author's id and login. Raises 400 without a text."""
        if not body.get("text"):
            raise plain(400, "Failed to save annotation")
        now, number = int(self._site.clock() * 1000), self._store.next_id("annotation")
        start = int(body.get("time") or now)
        board = self._store.get("dashboard", org, str(body.get("dashboardUID") or ""))
        note: dict[str, Any] = {"id": number, "alertId": 0, "alertName": "", "newState": "", "prevState": ""}
        note |= {"dashboardId": board["id"] if board else 0, "dashboardUID": board["uid"] if board else ""}
        note |= {
            "panelId": int(body.get("panelId") or 0),
            "userId": who[0],
            "login": who[1],
            "email": "",
            "avatarUrl": "",
        }
        note |= {"created": now, "updated": now, "time": start, "timeEnd": int(body.get("timeEnd") or start)}
        note |= {"text": str(body["text"]), "tags": list(body.get("tags") or []), "data": body.get("data") or {}}
        self._store.put("annotation", org, str(number), note)
        return {"message": "Annotation added", "id": number}

    def change(self, org: int, number: str, body: dict[str, Any], whole: bool) -> dict[str, Any]:
        """PUT (`whole`) or PATCH. An unknown id is refused as a missing permission, as since 13."""
        note = self.get(org, number)
        if whole and not body.get("text"):
            raise plain(400, "Failed to update annotation")
        keys = ("text", "tags", "time", "timeEnd", "data")
        note |= {key: body[key] for key in keys if key in body} | {"updated": int(self._site.clock() * 1000)}
        if "time" in body and "timeEnd" not in body:
            note["timeEnd"] = max(note["timeEnd"], note["time"])
        self._store.put("annotation", org, number, note)
        return {"message": "Annotation updated" if whole else "Annotation patched"}

    def get(self, org: int, number: str) -> dict[str, Any]:
        """GET /{id}."""
        note = self._store.get("annotation", org, number)
        if not note:
            raise denied("annotations:read")
        return note

    def delete(self, org: int, number: str) -> dict[str, Any]:
        """DELETE /{id}."""
        if not self._store.delete("annotation", org, number):
            raise denied("annotations:delete")
        return {"message": "Annotation deleted"}

    def find(self, org: int, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """GET /api/annotations: what touches [from, to], newest first. Alerts' own state history is not kept here."""
        one = {key: values[0] for key, values in query.items()}
        start, end = whole(one, "from", 0), whole(one, "to", 0) or 2**62
        wanted, any_of = set(query.get("tags", [])), one.get("matchAny") == "true"
        notes = [n for n in self._store.all("annotation", org) if n["time"] <= end and n["timeEnd"] >= start]
        if wanted:
            notes = [n for n in notes if (wanted & set(n["tags"]) if any_of else wanted <= set(n["tags"]))]
        for key in ("dashboardUID", "dashboardId", "panelId", "userId", "alertId"):
            notes = [n for n in notes if one.get(key, "0") in {"0", str(n[key])}]
        if one.get("type") == "alert":
            notes = []
        return sorted(notes, key=lambda n: (-n["timeEnd"], -n["time"], -n["id"]))[: whole(one, "limit", 0) or 100]
