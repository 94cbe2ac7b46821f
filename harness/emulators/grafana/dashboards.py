"""Dashboards with optimistic locking, kept versions, and the guard over those that came from files."""

from __future__ import annotations

from typing import Any

from .datasources import UID
from .errors import dashboard_error, plain
from .folders import Folders, slug
from .inputs import check_fields, page_of, whole
from .site import Site
from .store import new_uid
from .times import iso

_CHANGED = "The dashboard has been changed by someone else"


class Dashboards:
    """Dashboards by uid, per organization; a save makes version n+1."""

    def __init__(self, site: Site, folders: Folders) -> None:
        self._site, self._store, self._folders = site, site.store, folders

    def save(self, org: int, body: dict[str, Any], by: str, file: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST /api/dashboards/db. `file` is set when a provisioning file is the author. Raises 400, 404, 412."""
        model = body.get("dashboard")
        if not isinstance(model, dict):
            raise plain(400, "bad request data")
        check_fields({"tags": model.get("tags")})
        title, folder = str(model.get("title") or "").strip(), str(body.get("folderUid") or "")
        if not title:
            raise dashboard_error(400, "Dashboard title cannot be empty", "empty-name")
        if folder and not self._store.get("folder", org, folder):
            raise dashboard_error(400, "folder not found")
        old = self._existing(org, model)
        if old and not file:
            self._check_version(old, model, bool(body.get("overwrite")))
        uid = old["uid"] if old else str(model.get("uid") or new_uid())
        version, now = (old["version"] + 1 if old else 1), iso(self._site.clock())
        number = old["id"] if old else self._store.next_id("dashboard")
        entry: dict[str, Any] = {"id": number, "uid": uid, "title": title, "folderUid": folder, "version": version}
        entry |= {"model": model | {"id": number, "uid": uid, "version": version}, "updated": now, "updatedBy": by}
        entry |= {"created": old["created"] if old else now, "createdBy": old["createdBy"] if old else by}
        if "lost_dashboard_write" not in self._site.defects or file:
            self._write(org, entry | (file or {}), str(body.get("message") or ""), int(body.get("restoredFrom") or 0))
        head = {"id": number, "uid": uid, "url": f"/d/{uid}/{slug(title)}", "status": "success"}
        return head | {"version": version, "slug": slug(title), "folderUid": folder}

    def _existing(self, org: int, model: dict[str, Any]) -> dict[str, Any] | None:
        uid, number = str(model.get("uid") or ""), model.get("id")
        if uid and not UID.fullmatch(uid):
            text = "uid too long, max 40 characters" if len(uid) > 40 else "uid contains illegal characters"
            raise dashboard_error(400, text)
        old = self._store.get("dashboard", org, uid) if uid else None
        if number and not old:
            old = self._store.find("dashboard", org, "id", number)
            if not old:
                raise dashboard_error(404, "Dashboard not found", "not-found")
        return old

    def _check_version(self, old: dict[str, Any], model: dict[str, Any], overwrite: bool) -> None:
        self._guard(old, "Cannot save provisioned dashboard")
        if overwrite or "ignored_dashboard_version" in self._site.defects:
            return
        if not model.get("id") and not model.get("version"):
            raise dashboard_error(412, "A dashboard with the same uid already exists", "name-exists")
        if model.get("version") != old["version"]:
            raise dashboard_error(412, _CHANGED, "version-mismatch")

    def _guard(self, entry: dict[str, Any], text: str) -> None:
        held = entry.get("provider") and not entry.get("allowUiUpdates")
        if held and "provisioned_writable" not in self._site.defects:
            raise dashboard_error(400, text)

    def _write(self, org: int, entry: dict[str, Any], message: str, restored: int) -> None:
        uid, version = entry["uid"], entry["version"]
        kept = self._site.settings.number("dashboards.versions_to_keep")
        record = {"id": self._store.next_id("version"), "dashboardId": entry["id"], "uid": uid, "version": version}
        record |= {"parentVersion": version - 1, "restoredFrom": restored, "created": entry["updated"]}
        record |= {"createdBy": entry["updatedBy"], "message": message, "data": entry["model"]}
        with self._store.atomic():
            self._store.put("dashboard", org, uid, entry)
            self._store.put("version", org, f"{uid}/{version}", record)
            self._store.delete("version", org, f"{uid}/{version - kept}")

    def stored(self, org: int, uid: str) -> dict[str, Any]:
        """The entry behind a dashboard. Raises 404."""
        entry = self._store.get("dashboard", org, uid)
        if not entry:
            raise plain(404, "Dashboard not found")
        return entry

    def get(self, org: int, uid: str, may_edit: bool) -> dict[str, Any]:
        """GET /uid/{uid}: the model and what is known about it."""
        entry = self.stored(org, uid)
        folder = self._store.get("folder", org, entry["folderUid"]) or {"title": "Dashboards", "url": ""}
        meta: dict[str, Any] = {"type": "db", "slug": slug(entry["title"]), "expires": "0001-01-01T00:00:00Z"}
        meta |= dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), may_edit) | {"canStar": True}
        meta |= {key: entry[key] for key in ("created", "updated", "updatedBy", "createdBy", "version", "folderUid")}
        meta |= {"url": f"/d/{uid}/{meta['slug']}", "hasAcl": False, "isFolder": False, "publicDashboardEnabled": False}
        meta |= {"folderTitle": folder["title"], "folderUrl": folder["url"], "apiVersion": "v1"}
        held = bool(entry.get("provider")) and not entry.get("allowUiUpdates")
        meta |= {"provisioned": held, "provisionedExternalId": entry.get("externalId", "")}
        return {"dashboard": entry["model"], "meta": meta}

    def delete(self, org: int, uid: str, provisioning: bool = False) -> dict[str, Any]:
        """DELETE /uid/{uid} with its versions and annotations. Raises 400 for one from a file, 404."""
        entry = self.stored(org, uid)
        if not provisioning:
            self._guard(entry, "provisioned dashboard cannot be deleted")
        with self._store.atomic():
            self._store.delete("dashboard", org, uid)
            for record in self._versions(org, uid):
                self._store.delete("version", org, f"{uid}/{record['version']}")
            for note in self._store.all("annotation", org):
                if note["dashboardUID"] == uid:
                    self._store.delete("annotation", org, str(note["id"]))
        title = entry["title"]
        return {"title": title, "message": f"Dashboard {title} deleted", "uid": uid, "id": entry["id"]}

    def versions(self, org: int, uid: str, query: dict[str, str]) -> dict[str, Any]:
        """GET /uid/{uid}/versions, newest first; `start` counts versions to skip."""
        self.stored(org, uid)
        first = whole(query, "start", 0)
        newest = self._versions(org, uid)[::-1][first : first + (whole(query, "limit", 0) or 1000)]
        return {"continueToken": "", "versions": newest}

    def version(self, org: int, uid: str, number: str) -> dict[str, Any]:
        """GET /uid/{uid}/versions/{n}. Raises 404."""
        self.stored(org, uid)
        record = self._store.get("version", org, f"{uid}/{number}")
        if not record:
            raise plain(404, "Dashboard version not found")
        return record

    def restore(self, org: int, uid: str, body: dict[str, Any], by: str) -> dict[str, Any]:
        """POST /uid/{uid}/restore: an old version becomes a new one."""
        number = int(body.get("version") or 0)
        model = self.version(org, uid, str(number))["data"]
        note = {"message": f"Restored from version {number}", "restoredFrom": number, "overwrite": True}
        return self.save(org, {"dashboard": model, "folderUid": self.stored(org, uid)["folderUid"]} | note, by)

    def _versions(self, org: int, uid: str) -> list[dict[str, Any]]:
        return [record for record in self._store.all("version", org) if record["uid"] == uid]


def search(site: Site, org: int, query: dict[str, list[str]]) -> list[dict[str, Any]]:
    """GET /api/search over folders and dashboards, by title; the index is never behind, Grafana's is by up to 10 s."""
    folders = {body["uid"]: body for body in site.store.all("folder", org)}
    kind, text = query.get("type", [""])[0], query.get("query", [""])[0].lower()
    hits = (
        []
        if kind == "dash-db" or query.get("tag") or query.get("dashboardUIDs")
        else [_folder_hit(f) for f in folders.values()]
    )
    hits += [] if kind == "dash-folder" else [_hit(entry, folders) for entry in site.store.all("dashboard", org)]
    hits = [hit for hit in hits if text in hit["title"].lower() and set(query.get("tag", [])) <= set(hit["tags"])]
    for name, key in (("dashboardUIDs", "uid"), ("folderUIDs", "folderUid")):
        wanted = {uid for value in query.get(name, []) for uid in value.split(",")}
        hits = [hit for hit in hits if not wanted or (hit.get(key) or "general") in wanted]
    hits.sort(key=lambda hit: (hit["type"] != "dash-folder", hit["title"].lower()))
    return [hit | {"orgId": org} for hit in page_of(hits, query)[0]]


def _blank(body: dict[str, Any], kind: str) -> dict[str, Any]:
    name = slug(body["title"])
    head = {"id": body["id"], "uid": body["uid"], "title": body["title"], "uri": f"db/{name}", "slug": "", "type": kind}
    return head | {"tags": [], "isStarred": False, "sortMeta": 0, "isDeleted": False}


def _folder_hit(folder: dict[str, Any]) -> dict[str, Any]:
    parent = {"folderUid": folder["parentUid"]} if folder.get("parentUid") else {}
    return _blank(folder, "dash-folder") | {"url": folder["url"]} | parent


def _hit(entry: dict[str, Any], folders: dict[str, dict[str, Any]]) -> dict[str, Any]:
    hit = _blank(entry, "dash-db") | {
        "url": f"/d/{entry['uid']}/{slug(entry['title'])}",
        "tags": entry["model"].get("tags") or [],
    }
    folder = folders.get(entry["folderUid"])
    inside = {"folderUid": folder["uid"], "folderTitle": folder["title"], "folderUrl": folder["url"]} if folder else {}
    return hit | inside
