"""Alert rules and their groups, as the provisioning API and provisioning files write them."""

from __future__ import annotations

from typing import Any

from .datasources import UID
from .errors import GrafanaError, plain, public
from .notifications import stamp
from .site import Site
from .store import new_uid
from .times import duration_text, iso, seconds_of

DEFAULT_INTERVAL_SECONDS = 60
_NO_DATA = frozenset({"NoData", "Alerting", "OK", "KeepLast"})
_EXEC_ERR = frozenset({"Error", "Alerting", "OK", "KeepLast"})


class Rules:
    """Rules by uid, per organization; the evaluation interval belongs to the group."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    def all(self, org: int) -> list[dict[str, Any]]:
        """GET /alert-rules."""
        return self._store.all("rule", org)

    def get(self, org: int, uid: str) -> dict[str, Any]:
        """GET /alert-rules/{uid}. Raises 404 with an empty body."""
        rule = self._store.get("rule", org, uid)
        if not rule:
            raise GrafanaError(404, None)
        return rule

    def create(self, org: int, body: dict[str, Any], provenance: str) -> dict[str, Any]:
        """POST /alert-rules (201). Raises 400 for an invalid rule, 409 for a taken uid or title."""
        uid = str(body.get("uid") or new_uid())
        if self._store.get("rule", org, uid):
            raise public(409, "alerting.alert-rule.conflict", f"alert rule with UID {uid!r} already exists")
        return self._write(org, uid, body, provenance, self._store.next_id("rule"))

    def update(self, org: int, uid: str, body: dict[str, Any], provenance: str) -> dict[str, Any]:
        """PUT /alert-rules/{uid}. Raises 404, and 409 when a file owns the rule."""
        old = self.get(org, uid)
        _check_provenance(old.get("provenance", ""), provenance)
        return self._write(org, uid, old | body, provenance, old["id"])

    def upsert(self, org: int, body: dict[str, Any], provenance: str) -> dict[str, Any]:
        """Create or update by uid, as files and group writes do."""
        known = bool(body.get("uid")) and self._store.get("rule", org, str(body["uid"])) is not None
        return self.update(org, str(body["uid"]), body, provenance) if known else self.create(org, body, provenance)

    def delete(self, org: int, uid: str, provenance: str) -> None:
        """DELETE /alert-rules/{uid} (204, also when absent). Raises 409 when a file owns the rule."""
        old = self._store.get("rule", org, uid)
        if old:
            _check_provenance(old.get("provenance", ""), provenance)
        self._store.delete("rule", org, uid)

    def interval(self, org: int, folder: str, group: str) -> int:
        """Seconds between two evaluations of the group."""
        body = self._store.get("rule_group", org, f"{folder}/{group}")
        return int(body["interval"]) if body else DEFAULT_INTERVAL_SECONDS

    def group(self, org: int, folder: str, group: str) -> dict[str, Any]:
        """GET /folder/{f}/rule-groups/{g}. Raises 404."""
        rules = self._in_group(org, folder, group)
        if not rules:
            raise GrafanaError(404, None)
        head = {"title": group, "folderUid": folder, "interval": self.interval(org, folder, group)}
        return head | {"rules": rules}

    def put_group(self, org: int, folder: str, group: str, body: dict[str, Any], provenance: str) -> dict[str, Any]:
        """PUT a whole group: rules that are not named in it are deleted. Raises 400."""
        with self._store.atomic():
            self.set_interval(org, folder, group, int(body.get("interval") or DEFAULT_INTERVAL_SECONDS))
            place = {"folderUID": folder, "ruleGroup": group}
            kept = {self.upsert(org, rule | place, provenance)["uid"] for rule in body.get("rules") or []}
            for rule in self._in_group(org, folder, group):
                if rule["uid"] not in kept:
                    self.delete(org, rule["uid"], provenance)
        head = {"title": group, "folderUid": folder, "interval": self.interval(org, folder, group)}
        return head | {"rules": self._in_group(org, folder, group)}

    def delete_group(self, org: int, folder: str, group: str, provenance: str) -> None:
        """DELETE a group (204). Raises 404."""
        for rule in self.group(org, folder, group)["rules"]:
            self.delete(org, rule["uid"], provenance)

    def set_interval(self, org: int, folder: str, group: str, seconds: int) -> None:
        """Raises 400 unless it is a positive multiple of the scheduler's tick."""
        base = int(self._site.settings.base_tick) or 1
        if seconds <= 0 or seconds % base:
            text = f"interval ({seconds}s) should be non-zero and divided exactly by scheduler interval: {base}"
            raise plain(400, f"invalid alert rule: {text}")
        self._store.put("rule_group", org, f"{folder}/{group}", {"interval": seconds})

    def _in_group(self, org: int, folder: str, group: str) -> list[dict[str, Any]]:
        return [r for r in self._store.all("rule", org) if (r["folderUID"], r["ruleGroup"]) == (folder, group)]

    def _write(self, org: int, uid: str, body: dict[str, Any], provenance: str, number: int) -> dict[str, Any]:
        rule = _normalized(body) | {"id": number, "uid": uid, "orgID": org} | stamp(provenance)
        if not UID.fullmatch(uid):
            raise plain(400, f"invalid alert rule: cannot create rule with UID '{uid}'")
        if not self._store.get("folder", org, rule["folderUID"]):
            raise plain(400, "invalid alert rule: folder does not exist")
        for other in self._store.all("rule", org):
            same = (other["folderUID"], other["title"]) == (rule["folderUID"], rule["title"])
            if same and other["uid"] != uid:
                raise public(
                    409, "alerting.alert-rule.conflict", "a conflicting alert rule is found: rule title is not unique"
                )
        old = self._store.get("rule", org, uid)
        if old and old == rule | {"updated": old["updated"]}:
            return old  # nothing changed: what fires keeps firing
        return self._store.put("rule", org, uid, rule | {"updated": iso(self._site.clock(), 6)})


def _check_provenance(stored: str, given: str) -> None:
    if stored == "file" and given != "file":
        raise public(409, "alerting.provenanceMismatch", f"cannot change provenance from '{stored}' to '{given}'")


def _normalized(body: dict[str, Any]) -> dict[str, Any]:
    data, title = body.get("data") or [], str(body.get("title") or "")
    rule: dict[str, Any] = {
        "title": title,
        "folderUID": str(body.get("folderUID") or ""),
        "ruleGroup": str(body.get("ruleGroup") or ""),
    }
    rule |= {"condition": str(body.get("condition") or ""), "data": data, "isPaused": bool(body.get("isPaused"))}
    rule |= {"noDataState": body.get("noDataState") or "NoData", "execErrState": body.get("execErrState") or "Error"}
    try:
        rule |= {key: duration_text(seconds_of(body.get(key) or "0s")) for key in ("for", "keep_firing_for")}
        refs = [one["refId"] for one in data]
    except (ValueError, KeyError, TypeError) as error:
        raise plain(400, f"invalid alert rule: {error}") from error
    rule |= {key: dict(body.get(key) or {}) for key in ("annotations", "labels")}
    rule |= {"notification_settings": body.get("notification_settings"), "record": None}
    rule |= {"missingSeriesEvalsToResolve": int(body.get("missingSeriesEvalsToResolve") or 2)}
    problems = {
        "title is empty": not title,
        "no queries or expressions are found": not data,
        "rule group name is empty": not rule["ruleGroup"],
        f"condition {rule['condition']} does not exist, must be one of {refs}": rule["condition"] not in refs,
        f"unknown no data state {rule['noDataState']!r}": rule["noDataState"] not in _NO_DATA,
        f"unknown execution error state {rule['execErrState']!r}": rule["execErrState"] not in _EXEC_ERR,
    }
    for text, wrong in problems.items():
        if wrong:
            raise plain(400, f"invalid alert rule: {text}")
    if body.get("record"):
        raise plain(501, "not emulated: recording rules")
    return rule
