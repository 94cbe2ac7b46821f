"""Folders: where dashboards and alert rules live."""

from __future__ import annotations

import re
from typing import Any

from .errors import dashboard_error, plain, public
from .inputs import page_of
from .site import Site
from .store import new_uid
from .times import iso

_CHANGED = "the folder has been changed by someone else"


def slug(title: str) -> str:
    """The last part of an object's url."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "-"


class Folders:
    """Folders by uid, per organization, nested by parentUid."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    def all(self, org: int, query: dict[str, str]) -> list[dict[str, Any]]:
        """GET /api/folders: those directly under `parentUid`, by title."""
        parent = query.get("parentUid", "")
        found = [body for body in self._store.all("folder", org) if body.get("parentUid", "") == parent]
        found.sort(key=lambda body: str(body["title"]))
        keys = ("id", "uid", "title", "parentUid", "managedBy")
        return [{key: body[key] for key in keys if body.get(key)} for body in page_of(found, query)[0]]

    def get(self, org: int, uid: str) -> dict[str, Any]:
        """GET /{uid}, with its parents from the top. Raises 404."""
        folder = self._store.get("folder", org, uid)
        if not folder:
            raise dashboard_error(404, "folder not found", "not-found")
        parents: list[dict[str, Any]] = []
        above = folder.get("parentUid")
        while above and (parent := self._store.get("folder", org, above)):
            parents.insert(0, parent)
            above = parent.get("parentUid")
        return folder | ({"parents": parents} if parents else {})

    def create(self, org: int, body: dict[str, Any], by: str, managed_by: str = "") -> dict[str, Any]:
        """POST /api/folders. Raises 400 for an empty title, 412 for a taken uid."""
        title, uid = str(body.get("title") or "").strip(), str(body.get("uid") or new_uid())
        if not title:
            raise dashboard_error(400, "folder title cannot be empty")
        if not re.fullmatch(r"[a-zA-Z0-9\-_]{1,40}", uid):
            raise dashboard_error(
                400, "uid too long, max 40 characters" if len(uid) > 40 else "uid contains illegal characters"
            )
        if self._store.get("folder", org, uid):
            raise dashboard_error(412, _CHANGED, "version-mismatch")
        parent = str(body.get("parentUid") or "")
        if parent:
            self.get(org, parent)
        number, now = self._store.next_id("dashboard"), iso(self._site.clock())
        folder: dict[str, Any] = {"id": number, "uid": uid, "orgId": org, "title": title, "hasAcl": False}
        folder |= {"url": f"/dashboards/f/{uid}/{slug(title)}", "created": now, "updated": now, "version": 1}
        folder |= {"createdBy": by, "updatedBy": by}
        folder |= dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), True)
        folder |= {k: v for k, v in (("parentUid", parent), ("managedBy", managed_by)) if v}
        self._store.put("folder", org, uid, folder)
        return self.get(org, uid)

    def update(self, org: int, uid: str, body: dict[str, Any], by: str) -> dict[str, Any]:
        """PUT /{uid}. Raises 412 for a stale version without overwrite."""
        folder = self.get(org, uid)
        folder.pop("parents", None)
        title = str(body.get("title") or "").strip()
        if not title:
            raise dashboard_error(400, "folder title cannot be empty")
        if not body.get("overwrite") and body.get("version") != folder["version"]:
            raise dashboard_error(412, _CHANGED, "version-mismatch")
        folder |= {"title": title, "url": f"/dashboards/f/{uid}/{slug(title)}", "version": folder["version"] + 1}
        self._store.put("folder", org, uid, folder | {"updated": iso(self._site.clock()), "updatedBy": by})
        return self.get(org, uid)

    def delete(self, org: int, uid: str, force_rules: bool) -> dict[str, Any]:
        """DELETE /{uid} with all it holds. Raises 400 when it holds alert rules and `forceDeleteRules` is not given."""
        folder, inside = self.get(org, uid), self._subtree(org, uid)
        rules = [rule for rule in self._store.all("rule", org) if rule["folderUID"] in inside]
        if rules and not force_rules:
            raise public(400, "folder.alertRulesExist", "folder is not empty: it contains alert rules")
        boards = [body for body in self._store.all("dashboard", org) if body["folderUid"] in inside]
        if any(body.get("provider") for body in boards):
            raise plain(400, "provisioned dashboard cannot be deleted")
        with self._store.atomic():
            for kind, found in (
                ("rule", [r["uid"] for r in rules]),
                ("dashboard", [b["uid"] for b in boards]),
                ("folder", inside),
            ):
                for one in found:
                    self._store.delete(kind, org, one)
        return {"message": f"Folder {folder['title']} deleted", "title": folder["title"], "id": folder["id"]}

    def by_title(self, org: int, title: str, uid: str = "") -> str:
        """The uid of the top folder with this title, made when missing: how provisioning files name folders."""
        found = self._store.get("folder", org, uid) if uid else self._store.find("folder", org, "title", title)
        return str(found["uid"] if found else self.create(org, {"title": title, "uid": uid}, "Grafana")["uid"])

    def _subtree(self, org: int, uid: str) -> list[str]:
        self.get(org, uid)
        inside, everything = [uid], self._store.all("folder", org)
        for parent in inside:  # grows while it is walked: each child brings its own children
            inside += [body["uid"] for body in everything if body.get("parentUid") == parent]
        return inside
