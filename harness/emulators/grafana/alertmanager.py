"""The embedded Alertmanager: grouping, waiting, repeating, silencing. It decides what is to be sent; it sends nothing.

Follows Alertmanager's dispatcher: a group is flushed `group_wait` after its first alert, then every `group_interval`,
and a flush notifies when something changed since the last delivery or `repeat_interval` has passed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.regexps import fits

from .errors import plain
from .instances import Instance
from .notifications import Notifications, check_matchers
from .site import Site
from .times import ZERO_TIME, from_iso, iso, seconds_of

_FNV_OFFSET, _FNV_PRIME = 14695981039346656037, 1099511628211


def fingerprint(labels: dict[str, str]) -> str:
    """Prometheus' FNV-1a over the sorted labels, 16 hex digits."""
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in (*name.encode(), 255, *text.encode(), 255):
            value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


@dataclass
class Alert:
    """One alert as the Alertmanager holds it. `ends` 0 while it fires; times in seconds."""

    org: int
    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    rule: str
    ends: float = 0.0
    updated: float = 0.0
    values: dict[str, float | None] = field(default_factory=dict)
    value_string: str = ""

    @property
    def id(self) -> str:
        """The fingerprint of its labels."""
        return fingerprint(self.labels)


@dataclass
class Group:
    """Alerts that go out together, and what was delivered last."""

    org: int
    key: str
    route: dict[str, Any]
    labels: dict[str, str]
    due: float
    alerts: dict[str, Alert] = field(default_factory=dict)
    sent_firing: set[str] = field(default_factory=set)
    sent_resolved: set[str] = field(default_factory=set)
    sent_at: float | None = None


@dataclass(frozen=True)
class Notification:
    """What one flush wants to tell one receiver."""

    group: Group
    alerts: list[Alert]

    @property
    def firing(self) -> list[Alert]:
        """Those that still fire."""
        return [alert for alert in self.alerts if not alert.ends]

    @property
    def resolved(self) -> list[Alert]:
        """Those that ended."""
        return [alert for alert in self.alerts if alert.ends]


def matches(matchers: list[Any], labels: dict[str, str]) -> bool:
    """Whether all `[name, operator, value]` matchers hold; a missing label is an empty one."""
    tests = {"=": lambda a, b: a == b, "!=": lambda a, b: a != b}
    tests |= {"=~": lambda a, b: fits(b, a), "!~": lambda a, b: not fits(b, a)}
    return all(tests[op](labels.get(name, ""), value) for name, op, value in matchers)


def routes(tree: dict[str, Any], labels: dict[str, str], above: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The deepest policies that take an alert, with what they inherit; `key` is the path of matchers."""
    if above and not matches(tree.get("object_matchers") or [], labels):
        return []
    text = ",".join(f'{name}{op}"{value}"' for name, op, value in tree.get("object_matchers") or [])
    inherited = {k: v for k, v in (above or {}).items() if k not in {"continue", "routes"}}
    here = inherited | {k: v for k, v in tree.items() if v not in (None, "", [])}
    here["key"] = f"{above['key']}/{{{text}}}" if above else "{}"
    found: list[dict[str, Any]] = []
    for child in tree.get("routes") or []:
        taken = routes(child, labels, here)
        found += taken
        if taken and not child.get("continue"):
            break
    return found or [here]


class Alertmanager:
    """Alerts and silences of all organizations. Alerts live in memory: a restart posts them again."""

    def __init__(self, site: Site, notifications: Notifications) -> None:
        self._site, self._notifications = site, notifications
        self._groups: dict[tuple[int, str], Group] = {}
        self._alerts: dict[tuple[int, str], Alert] = {}

    def post(self, instances: list[Instance], rule: dict[str, Any], now: float) -> None:
        """Take alerts from the scheduler: firing, or resolved when `ends` is set."""
        kept = now - self._site.settings.seconds("unified_alerting.resolved_alert_retention")
        self._alerts = {key: alert for key, alert in self._alerts.items() if not 0 < alert.ends < kept}
        for one in instances:
            labels = dict(one.labels)
            if one.state in {"NoData", "Error"}:
                labels |= {"rulename": labels["alertname"], "alertname": f"Datasource{one.state}"}
            self._take(one, labels, rule, now)

    def _take(self, one: Instance, labels: dict[str, str], rule: dict[str, Any], now: float) -> None:
        key = (one.org, fingerprint(labels))
        alert = self._alerts.get(key)
        if alert is None or (alert.ends and not one.ends):
            alert = Alert(one.org, labels, one.annotations, one.starts or now, one.rule)
        alert.ends, alert.updated, alert.values, alert.value_string = one.ends, now, one.values, one.value_string
        self._alerts[key] = alert
        settings = rule.get("notification_settings")
        tree = self._notifications.policies(one.org)
        direct = {k: v for k, v in tree.items() if k != "routes"} | {"key": "{}"}
        for route in [direct | settings] if settings else routes(tree, labels):
            self._group(route, alert, now)

    def _group(self, route: dict[str, Any], alert: Alert, now: float) -> None:
        by = route.get("group_by") or []
        labels = {k: v for k, v in alert.labels.items() if "..." in by or k in by}
        text = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()))
        key = f"{route['key']}:{{{text}}}"
        group = self._groups.get((alert.org, key + route["receiver"]))
        if group is None:
            wait = seconds_of(route.get("group_wait") or "30s")
            group = self._groups[alert.org, key + route["receiver"]] = Group(alert.org, key, route, labels, now + wait)
        group.route = route
        group.alerts[alert.id] = alert

    def due(self, now: float) -> list[Notification]:
        """The notifications whose time has come; each is asked about once and comes again if not `delivered`."""
        found = []
        for group in list(self._groups.values()):
            if now < group.due:
                continue
            group.due = now + seconds_of(group.route.get("group_interval") or "5m")
            note = Notification(group, [a for a in group.alerts.values() if not self._silences_of(a, now)])
            if self._needed(note, now):
                found.append(note)
            elif not note.firing and not group.sent_firing:
                self._sweep(group)
        return found

    def _needed(self, note: Notification, now: float) -> bool:
        group, firing = note.group, {a.id for a in note.firing}
        resolved = {a.id for a in note.resolved} & (group.sent_firing | group.sent_resolved)
        if not firing and not group.sent_firing:
            return False
        if not firing <= group.sent_firing or (not firing and group.sent_firing and resolved):
            return True
        if not resolved <= group.sent_resolved:
            return True
        repeat = seconds_of(group.route.get("repeat_interval") or "4h")
        return bool(firing) and group.sent_at is not None and now - group.sent_at >= repeat

    def integrations(self, note: Notification) -> list[dict[str, Any]]:
        """The contact points of the notification's receiver."""
        return self._notifications.integrations(note.group.org, note.group.route["receiver"])

    def delivered(self, note: Notification, now: float) -> None:
        """Remember what the receiver knows now; what is resolved leaves the group."""
        group = note.group
        group.sent_firing, group.sent_resolved = {a.id for a in note.firing}, {a.id for a in note.resolved}
        group.sent_at = now
        self._sweep(group)

    def _sweep(self, group: Group) -> None:
        for alert in [a for a in group.alerts.values() if a.ends]:
            del group.alerts[alert.id]
        if not group.alerts:
            for key in [k for k, g in self._groups.items() if g is group]:
                del self._groups[key]

    # -- the API v2

    def alerts(self, org: int) -> list[dict[str, Any]]:
        """GET /api/v2/alerts: what fires."""
        now = self._site.clock()
        return [self._shown(a, now) for (owner, _), a in self._alerts.items() if owner == org and not a.ends]

    def _shown(self, alert: Alert, now: float) -> dict[str, Any]:
        silenced = self._silences_of(alert, now)
        receivers = [{"name": r["receiver"]} for r in routes(self._notifications.policies(alert.org), alert.labels)]
        body: dict[str, Any] = {"labels": alert.labels, "annotations": alert.annotations, "fingerprint": alert.id}
        body |= {"startsAt": iso(alert.starts, 3), "endsAt": iso(now + 240, 3), "updatedAt": iso(alert.updated, 3)}
        body |= {
            "generatorURL": f"{self._site.settings.root_url}alerting/grafana/{alert.rule}/view",
            "receivers": receivers,
        }
        state = {"state": "suppressed" if silenced else "active", "silencedBy": silenced, "inhibitedBy": []}
        return body | {"status": state}

    def silence(self, org: int, body: dict[str, Any]) -> dict[str, Any]:
        """POST /api/v2/silences (202). Raises 400 for no matchers or an end before the start."""
        try:
            starts, ends = from_iso(str(body.get("startsAt"))), from_iso(str(body.get("endsAt")))
        except ValueError as error:
            raise plain(400, f"bad request data: {error}") from error
        if not body.get("matchers") or ends <= max(starts, self._site.clock()):
            raise plain(
                400, "unable to upsert silence: invalid silence: no matchers, or an end that is not in the future"
            )
        check_matchers([_matcher(one) for one in body["matchers"]])
        number = str(body.get("id") or uuid.uuid4())
        keys = ("matchers", "startsAt", "endsAt", "createdBy", "comment")
        silence = {key: body.get(key) or "" for key in keys} | {"id": number, "updatedAt": iso(self._site.clock(), 3)}
        self._site.store.put("silence", org, number, silence)
        return {"silenceID": number}

    def silences(self, org: int) -> list[dict[str, Any]]:
        """GET /api/v2/silences: all of them, each with its state."""
        now = self._site.clock()
        return [s | {"status": {"state": _silence_state(s, now)}} for s in self._site.store.all("silence", org)]

    def silence_of(self, org: int, number: str) -> dict[str, Any]:
        """GET /api/v2/silence/{id}. Raises 404."""
        for silence in self.silences(org):
            if silence["id"] == number:
                return silence
        raise plain(404, "silence not found")

    def expire(self, org: int, number: str) -> dict[str, Any]:
        """DELETE /api/v2/silence/{id}: it ends now. Raises 404."""
        silence = self.silence_of(org, number)
        self._site.store.put("silence", org, number, silence | {"endsAt": iso(self._site.clock(), 3)})
        return {"message": "silence deleted"}

    def _silences_of(self, alert: Alert, now: float) -> list[str]:
        active = [s for s in self._site.store.all("silence", alert.org) if _silence_state(s, now) == "active"]
        return [s["id"] for s in active if matches([_matcher(m) for m in s["matchers"]], alert.labels)]


def _matcher(body: dict[str, Any]) -> list[str]:
    negate = "" if body.get("isEqual", True) else "!"
    operator = {(False, ""): "=", (False, "!"): "!=", (True, ""): "=~", (True, "!"): "!~"}[
        bool(body.get("isRegex")), negate
    ]
    return [str(body.get("name")), operator, str(body.get("value"))]


def _silence_state(silence: dict[str, Any], now: float) -> str:
    if now < from_iso(silence["startsAt"]):
        return "pending"
    return "active" if now < from_iso(silence["endsAt"]) else "expired"


def ends_at(alert: Alert) -> str:
    """The end as a notification writes it: Go's zero time while it fires."""
    return iso(alert.ends, 3) if alert.ends else ZERO_TIME
