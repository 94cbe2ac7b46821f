"""Grafana: one folder, `smoke/<id>`, with one dashboard."""

from __future__ import annotations

from typing import ClassVar

from harness.errors import TargetDown, TargetForbidden
from harness.ports import Handle
from harness.smoke.base import Probe, call, fields, granted, open_call
from harness.smoke.identity import ROOT, is_id

PREFIX = f"{ROOT}-"
MANY = 1000
"""How many folders are looked at: as many as Grafana gives at once."""


class GrafanaProbe(Probe):
    """Needs a service account with the role Editor, Viewer with --read-only."""

    kind: ClassVar[str] = "grafana"
    what_it_writes: ClassVar[str] = (
        f"one folder {ROOT}/<id>; it stays until a later smoke run when it cannot be deleted"
    )

    def identify(self, handle: Handle) -> str:
        """Health is told to everybody, folders to who is logged in."""
        http = handle.endpoint("http")
        health = fields(open_call(handle, "/api/health"), handle, http, "database")
        if health["database"] != "ok":
            raise TargetDown(f"{http.url}: database {health['database']!r}", "see its log")
        self.leftovers(handle)
        return str(health.get("version", ""))

    def permitted(self, handle: Handle, identity: str) -> None:
        """A folder without a title, which is refused after the permission was checked."""
        body = {"uid": f"{PREFIX}{identity}", "title": ""}
        if granted(handle, "/api/folders", "POST", body=body).status == 200:
            self.remove(handle, identity)
            raise TargetForbidden(f"{handle.endpoint('http').url}: a folder without a title was taken")

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        """The folders of smoke runs."""
        answer = granted(handle, f"/api/folders?limit={MANY}")
        if answer.status != 200 or not isinstance(found := answer.json(), list):
            fields(answer, handle, handle.endpoint("http"), "folders")
            return ()
        ids = [item["uid"].removeprefix(PREFIX) for item in found if item["uid"].startswith(PREFIX)]
        return tuple(identity for identity in ids if is_id(identity))

    def remove(self, handle: Handle, identity: str) -> None:
        """Delete the folder with all that is in it."""
        call(handle, f"/api/folders/{PREFIX}{identity}?forceDeleteRules=true", "DELETE")
