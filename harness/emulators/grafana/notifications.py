"""Where alerts go: contact points, the tree of notification policies."""

from __future__ import annotations

import re
from typing import Any

from harness.emulators import regexps

from .errors import not_emulated, plain, public
from .site import Site
from .store import new_uid
from .times import seconds_of

SECRETS = ("password", "authorization_credentials")
DEFAULT_POLICY = {"receiver": "empty", "group_by": ["grafana_folder", "alertname"]}
"""What a new organization has: a receiver without integrations."""


def stamp(provenance: str) -> dict[str, str]:
    """The provenance as the API shows it: no word where there is none."""
    return {"provenance": provenance} if provenance else {}


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
        point |= stamp(provenance)
        self._store.put("contact", org, point["uid"], point)
        shown = point | {"settings": _redacted(settings)}
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
        """PUT /policies (202). Raises 400 for a receiver that does not exist, 501 for mute timings."""
        _check_tree(tree)
        known = {point["name"] for point in self._store.all("contact", org)} | {"empty"}
        for name in _receivers(tree):
            if name not in known:
                text = f"receiver '{name}' does not exist" if name else "root route must specify a default receiver"
                raise plain(400, f"invalid object specification: {text}")
        tree.pop("provenance", None)
        self._store.put("policies", org, "", tree | stamp(provenance))
        return {"message": "policies updated"}


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
        if node.get("mute_time_intervals") or node.get("active_time_intervals"):
            raise not_emulated("mute timings")


def check_matchers(matchers: list[Any]) -> None:
    """Raises 400 unless each is `[name, operator, value]` with a pattern that compiles."""
    for one in matchers:
        try:
            _check_matcher(*one)
        except (ValueError, TypeError) as error:
            raise plain(400, f"invalid object specification: matcher {one!r}: {error}") from error


def _check_matcher(_name: Any, kind: Any, value: Any) -> None:
    if kind not in ("=", "!=", "=~", "!~") or not isinstance(value, str):
        raise ValueError("expected a name, an operator and a text")
    if kind in ("=~", "!~"):
        regexps.check(value)


def _redacted(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {key: "[REDACTED]" for key in SECRETS if settings.get(key)}


def _walk(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree, *(node for child in tree.get("routes") or [] for node in _walk(child))]


def _receivers(tree: dict[str, Any]) -> set[str]:
    return {str(tree.get("receiver") or "")} | {node["receiver"] for node in _walk(tree) if node.get("receiver")}
