"""Where alerts go: contact points, the tree of notification policies, mute timings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from .errors import not_emulated, plain, public
from .site import Site
from .store import new_uid
from .times import seconds_of

SECRETS = ("password", "authorization_credentials")
DEFAULT_POLICY = {"receiver": "empty", "group_by": ["grafana_folder", "alertname"]}
"""What a new organization has: a receiver without integrations."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Notifications:
    """One Alertmanager configuration per organization."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    # -- contact points

    def contact_points(self, org: int, name: str = "") -> list[dict[str, Any]]:
        """GET /contact-points, secrets redacted."""
        found = [point for point in self._store.all("contact", org) if name in {"", point["name"]}]
        return [point | {"settings": _redacted(point["settings"])} for point in found]

    def integrations(self, org: int, receiver: str) -> list[dict[str, Any]]:
        """The contact points of one receiver, with their secrets."""
        return [point for point in self._store.all("contact", org) if point["name"] == receiver]

    def put_contact(self, org: int, body: dict[str, Any], provenance: str, uid: str = "") -> dict[str, Any]:
        """POST (202, the contact point) or PUT with `uid` (202, a message). Raises 400, 404."""
        old = self._store.get("contact", org, uid) if uid else None
        if uid and not old:
            raise plain(404, "contact point not found")
        settings, kind = dict(body.get("settings") or {}), str(body.get("type") or "")
        if kind != "webhook":
            raise (
                not_emulated(f"contact points of type {kind!r}")
                if kind
                else plain(400, "type should not be an empty string")
            )
        if not body.get("name") or not re.match(r"https?://", str(settings.get("url") or "")):
            raise plain(400, "invalid object specification: required field 'url' or 'name' is not specified")
        _check_settings(settings)
        kept = {k: old["settings"].get(k) for k in SECRETS if settings.get(k) == "[REDACTED]"} if old else {}
        point = {"uid": uid or str(body.get("uid") or new_uid()), "name": body["name"], "type": kind}
        point |= {"settings": settings | kept, "disableResolveMessage": bool(body.get("disableResolveMessage"))}
        self._store.put("contact", org, point["uid"], point | {"provenance": provenance})
        shown = point | {"settings": _redacted(settings), "provenance": provenance}
        return {"message": "contactpoint updated"} if uid else shown

    def delete_contact(self, org: int, uid: str) -> dict[str, Any]:
        """DELETE (202). Raises 409 when a policy still names it."""
        point = self._store.get("contact", org, uid)
        if (
            point
            and point["name"] in _receivers(self.policies(org))
            and len(self.integrations(org, point["name"])) == 1
        ):
            raise public(
                409, "alerting.notifications.contact-points.referenced", "Contact point is currently referenced"
            )
        self._store.delete("contact", org, uid)
        return {"message": "contactpoint deleted"}

    # -- policies

    def policies(self, org: int) -> dict[str, Any]:
        """GET /policies: the tree."""
        return self._store.get("policies", org, "") or dict(DEFAULT_POLICY)

    def put_policies(self, org: int, tree: dict[str, Any], provenance: str) -> dict[str, Any]:
        """PUT /policies (202). Raises 400 for a receiver or mute timing that does not exist."""
        _check_tree(tree)
        known = {point["name"] for point in self._store.all("contact", org)} | {"empty"}
        for name in _receivers(tree):
            if name not in known:
                text = f"receiver '{name}' does not exist" if name else "root route must specify a default receiver"
                raise plain(400, f"invalid object specification: {text}")
        timings = {timing["name"] for timing in self.timings(org)}
        missing = sorted(_mute_names(tree) - timings)
        if missing:
            raise plain(400, f"invalid object specification: mute time interval '{missing[0]}' does not exist")
        self._store.put("policies", org, "", tree | {"provenance": provenance})
        return {"message": "policies updated"}

    def reset_policies(self, org: int) -> dict[str, Any]:
        """DELETE /policies (202): back to the default tree."""
        self._store.delete("policies", org, "")
        return self.policies(org)

    # -- mute timings

    def timings(self, org: int) -> list[dict[str, Any]]:
        """GET /mute-timings."""
        return self._store.all("timing", org)

    def timing(self, org: int, name: str) -> dict[str, Any]:
        """GET /mute-timings/{name}. Raises 404."""
        found = self._store.get("timing", org, name)
        if not found:
            raise public(404, "alerting.notifications.mute-timings.notFound", f"Time interval {name!r} not found")
        return found

    def put_timing(self, org: int, body: dict[str, Any], provenance: str, name: str = "") -> dict[str, Any]:
        """POST (201) or PUT with `name` (202). Raises 400 for a taken name, 404, 501 for fields not emulated."""
        key = name or str(body.get("name") or "")
        if name:
            self.timing(org, name)
        elif not key or self._store.get("timing", org, key):
            raise public(
                400, "alerting.notifications.mute-timings.nameExists", "Time interval with this name already exists"
            )
        for interval in body.get("time_intervals") or []:
            unknown = set(interval) - {"times", "weekdays"}
            if unknown:
                raise not_emulated(f"mute timings by {', '.join(sorted(unknown))}")
            try:
                _covers(interval, datetime.fromtimestamp(self._site.clock(), UTC))
            except (ValueError, KeyError, TypeError) as error:
                raise plain(400, f"invalid time interval: {error}") from error
        timing = {"name": key, "time_intervals": body.get("time_intervals") or [], "provenance": provenance}
        return self._store.put("timing", org, key, timing)

    def delete_timing(self, org: int, name: str) -> None:
        """DELETE (204). Raises 409 when a policy uses it."""
        if name in _mute_names(self.policies(org)):
            raise public(409, "alerting.notifications.mute-timings.intervalInUse", "Time interval is in use")
        self._store.delete("timing", org, name)

    def muted(self, org: int, names: list[str], now: float) -> bool:
        """Whether one of the timings covers this moment (UTC)."""
        at = datetime.fromtimestamp(now, UTC)
        found = [t for t in self.timings(org) if t["name"] in names]
        return any(_covers(interval, at) for timing in found for interval in timing["time_intervals"])


def _covers(interval: dict[str, Any], at: datetime) -> bool:
    clock, days = at.strftime("%H:%M"), interval.get("weekdays") or []
    times = interval.get("times") or [{"start_time": "00:00", "end_time": "24:00"}]
    today = not days or any(_has_day(str(span), at.weekday()) for span in days)
    return today and any(span["start_time"] <= clock < span["end_time"] for span in times)


def _has_day(span: str, day: int) -> bool:
    first, _, last = span.lower().partition(":")
    return WEEKDAYS.index(first) <= day <= WEEKDAYS.index(last or first)


def _check_settings(settings: dict[str, Any]) -> None:
    """Refuse what would change a payload in ways this emulator does not follow."""
    templated = [key for key in ("url", "title", "message") if "{{" in str(settings.get(key) or "")]
    unknown = [key for key in ("payload", "hmacConfig", "tlsConfig", "http_config") if settings.get(key)]
    if not str(settings.get("maxAlerts") or 0).isdigit():
        raise plain(400, "invalid object specification: maxAlerts is not a number")
    if templated or unknown:
        raise not_emulated(f"webhook settings {', '.join(templated + unknown)}")


def _check_tree(tree: dict[str, Any]) -> None:
    for node in _walk(tree):
        try:
            for key in ("group_wait", "group_interval", "repeat_interval"):
                seconds_of(node.get(key) or "0s")
        except ValueError as error:
            raise plain(400, f"invalid object specification: {error}") from error
        check_matchers(node.get("object_matchers") or [])
        if set(node) & {"matchers", "match", "match_re"}:
            raise not_emulated("matchers other than object_matchers")


def check_matchers(matchers: list[Any]) -> None:
    """Raises 400 unless each is `[name, operator, value]` with a pattern that compiles."""
    for one in matchers:
        try:
            _, kind, value = one
            {"=", "!=", "=~", "!~"}.remove(kind)
            re.compile(value)
        except (ValueError, TypeError, KeyError, re.error) as error:
            raise plain(400, f"invalid object specification: matcher {one!r}: {error}") from error


def _redacted(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {key: "[REDACTED]" for key in SECRETS if settings.get(key)}


def _walk(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree, *(node for child in tree.get("routes") or [] for node in _walk(child))]


def _receivers(tree: dict[str, Any]) -> set[str]:
    return {str(tree.get("receiver") or "")} | {node["receiver"] for node in _walk(tree) if node.get("receiver")}


def _mute_names(tree: dict[str, Any]) -> set[str]:
    return {name for node in _walk(tree) for name in node.get("mute_time_intervals") or []}
