"""Data sources: what Grafana knows of the servers it asks."""

from __future__ import annotations

import re
from typing import Any

from .errors import plain
from .site import Site
from .store import new_uid

UID = re.compile(r"[a-zA-Z0-9\-_]{1,40}")
"""What a uid may look like, for every kind of object."""
TYPE_NAMES = {"tempo": "Tempo", "grafana-testdata-datasource": "TestData", "prometheus": "Prometheus", "loki": "Loki"}
_TEXT = ("name", "type", "access", "url", "user", "database", "basicAuthUser")
_NOT_FOUND = "Data source not found"


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """A stored data source as the API shows it: secrets only as the names of those that are set."""
    fields = dict.fromkeys(body["secureJsonData"], True)
    return {key: value for key, value in body.items() if key not in {"secureJsonData", "fromFile"}} | {
        "secureJsonFields": fields
    }


class DataSources:
    """Data sources by uid and by name, per organization."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    def all(self, org: int) -> list[dict[str, Any]]:
        """GET /api/datasources, by name."""
        hidden = ("basicAuthUser", "withCredentials", "secureJsonFields", "version")
        rows = sorted(self._store.all("datasource", org), key=lambda body: str(body["name"]))
        return [
            {key: value for key, value in shown(body).items() if key not in hidden}
            | {
                "typeName": TYPE_NAMES.get(body["type"], body["type"]),
                "typeLogoUrl": f"/public/plugins/{body['type']}/logo.svg",
            }
            for body in rows
        ]

    def stored(self, org: int, uid: str) -> dict[str, Any]:
        """With its secrets, for those who call the upstream. Raises 404."""
        found = self._store.get("datasource", org, uid)
        if not found:
            raise plain(404, _NOT_FOUND)
        return found

    def get(self, org: int, uid: str) -> dict[str, Any]:
        """GET /uid/{uid}. Raises 404."""
        found = self.stored(org, uid)
        leak = {"jsonData": found["jsonData"] | found["secureJsonData"]}
        return shown(found) | (leak if "secrets_readable" in self._site.defects else {})

    def by_name(self, org: int, name: str) -> dict[str, Any]:
        """GET /name/{name}. Raises 404."""
        found = self._store.find("datasource", org, "name", name)
        if not found:
            raise plain(404, _NOT_FOUND)
        return shown(found)

    def default(self, org: int) -> dict[str, Any] | None:
        """The one that queries without a data source go to."""
        return self._store.find("datasource", org, "isDefault", True)

    def create(self, org: int, body: dict[str, Any], read_only: bool = False) -> dict[str, Any]:
        """POST /api/datasources. Raises 400 for a bad body, 409 for a taken name or uid."""
        _validate(body)
        uid = str(body.get("uid") or new_uid())
        if self._store.find("datasource", org, "name", body["name"]):
            raise plain(409, "data source with the same name already exists")
        if self._store.get("datasource", org, uid):
            raise plain(409, "data source with the same uid already exists")
        fixed = {"id": self._store.next_id("datasource"), "uid": uid, "orgId": org, "version": 1}
        made = self._write(org, _fields(body) | fixed | {"readOnly": read_only, "fromFile": False})
        return {"message": "Datasource added", "id": made["id"], "name": made["name"], "datasource": shown(made)}

    def update(self, org: int, uid: str, body: dict[str, Any], provisioning: bool = False) -> dict[str, Any]:
        """PUT /uid/{uid}. Raises 403 for one from a file, 409 for a stale version or a taken name."""
        old = self.stored(org, uid)
        if not provisioning:
            self._guard(old, "update")
        _validate(body)
        if body.get("version") and body["version"] < old["version"]:
            text = "Datasource has already been updated by someone else. Please reload and try again"
            raise plain(409, text)
        namesake = self._store.find("datasource", org, "name", body["name"])
        if namesake and namesake["uid"] != uid:
            raise plain(409, "data source with the same name already exists")
        new = _fields(body) | {key: old[key] for key in ("id", "uid", "orgId", "readOnly", "fromFile")}
        new["secureJsonData"] = old["secureJsonData"] | new["secureJsonData"]
        changed = self._write(org, new | {"version": old["version"] + 1})
        return {"message": "Datasource updated", "id": old["id"], "name": new["name"], "datasource": shown(changed)}

    def delete(self, org: int, uid: str, provisioning: bool = False) -> dict[str, Any]:
        """DELETE /uid/{uid}. Raises 403 for one from a file, 404."""
        old = self.stored(org, uid)
        if not provisioning:
            self._guard(old, "delete")
        self._store.delete("datasource", org, uid)
        return {"message": "Data source deleted", "id": old["id"]}

    def delete_by_name(self, org: int, name: str) -> dict[str, Any]:
        """DELETE /name/{name}."""
        return self.delete(org, self.by_name(org, name)["uid"])

    def _guard(self, old: dict[str, Any], verb: str) -> None:
        if old["readOnly"] and "provisioned_writable" not in self._site.defects:
            raise plain(403, f"Cannot {verb} read-only data source")

    def _write(self, org: int, body: dict[str, Any]) -> dict[str, Any]:
        with self._store.atomic():
            previous = self.default(org)
            if body["isDefault"] and previous and previous["uid"] != body["uid"]:
                self._store.put("datasource", org, previous["uid"], previous | {"isDefault": False})
            return self._store.put("datasource", org, body["uid"], body)


def _validate(body: dict[str, Any]) -> None:
    if not isinstance(body.get("name"), str) or not body["name"] or not body.get("type"):
        raise plain(400, "bad request data")
    if body.get("uid") and not UID.fullmatch(str(body["uid"])):
        raise plain(400, "Failed to add datasource: invalid UID")
    url = str(body.get("url") or "")
    if url and not re.match(r"https?://[^\s/]+", url if "://" in url else "http://" + url):
        raise plain(400, f"Validation error, invalid URL: {url!r}")


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    text = {key: str(body.get(key) or "") for key in _TEXT}
    flags = {key: bool(body.get(key)) for key in ("basicAuth", "isDefault", "withCredentials")}
    data = {key: dict(body.get(key) or {}) for key in ("jsonData", "secureJsonData")}
    return text | flags | data | {"access": text["access"] or "proxy"}
