"""The state of each alert instance (Normal, Pending, Alerting, Recovering, NoData, Error) and its changes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from .frames import Answer
from .site import Site
from .times import seconds_of
from .values import Value, values_of

FIRING = frozenset({"Alerting", "Recovering", "NoData", "Error"})


@dataclass
class Instance:
    """One label set of one rule. Times are seconds since the epoch; `ends` is set when it resolves."""

    rule: str
    org: int
    labels: dict[str, str]
    annotations: dict[str, str]
    state: str = "Normal"
    reason: str = ""
    starts: float = 0.0
    ends: float = 0.0
    seen: float = 0.0
    missed: int = 0
    values: dict[str, float | None] = field(default_factory=dict)
    value: float | None = None

    @property
    def shown(self) -> str:
        """The state with its reason, as the API writes it."""
        return f"{self.state} ({self.reason})" if self.reason else self.state

    @property
    def value_string(self) -> str:
        """Grafana's `[ var='B' labels={} value=22 ]`."""
        hidden = {
            k: v for k, v in self.labels.items() if k not in {"alertname", "grafana_folder"} and not k.startswith("__")
        }
        labels = ", ".join(f"{k}={v}" for k, v in sorted(hidden.items()))
        rows = sorted(self.values.items())
        return ", ".join(
            f"[ var='{ref}' labels={{{labels}}} value={'null' if v is None else f'{v:g}'} ]" for ref, v in rows
        )


def exponent(value: float | None) -> str:
    """Go's shortest %e: 1e+00, 2.5e-03."""
    if value is None or not math.isfinite(value):
        return "" if value is None else str(value)
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    scale = int(power) + len(text) - 1 if value else 0
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' * sign}{mantissa}e{'+' if scale >= 0 else '-'}{abs(scale):02d}"


@dataclass(frozen=True)
class Outcome:
    """What one evaluation says about one label set: Normal, Alerting, NoData or Error."""

    result: str
    labels: dict[str, str]
    value: float | None = None
    values: dict[str, float | None] = field(default_factory=dict)


def outcomes(rule: dict[str, Any], answers: dict[str, Answer]) -> list[Outcome]:
    """Read the condition: zero is Normal, anything else Alerting, nothing NoData, an error Error."""
    failed = next((ref for ref, answer in answers.items() if answer.error), None)
    if failed:
        uid = next((q.get("datasourceUid", "") for q in rule["data"] if q["refId"] == failed), "")
        return [Outcome("Error", {"datasource_uid": uid, "ref_id": failed})]
    singles = {ref: [v for v in values_of(a.frames) if v.single] for ref, a in answers.items()}
    found = singles.get(rule["condition"], [])
    if not found:
        uids = ",".join(sorted({q.get("datasourceUid", "") for q in rule["data"]} - {"__expr__"}))
        return [Outcome("NoData", {"datasource_uid": uids, "ref_id": rule["condition"]})]
    return [_outcome(value, singles) for value in found]


def _outcome(value: Value, singles: dict[str, list[Value]]) -> Outcome:
    near = {ref: v.number for ref, vs in singles.items() for v in vs if v.labels.items() <= value.labels.items()}
    result = "NoData" if value.number is None else "Alerting" if value.number else "Normal"
    return Outcome(result, value.labels, value.number, near)


class Instances:
    """Every instance of every rule, kept in the database so that a restart does not forget what fires."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._all: dict[tuple[int, str], dict[str, Instance]] = {}
        for body in site.store.all("instance"):
            self._of(body["org"], body["rule"])[_key(body["labels"])] = Instance(**body)

    def of(self, org: int, rule: str) -> list[Instance]:
        """The instances of one rule."""
        return list(self._of(org, rule).values())

    def forget(self, org: int, rule: str, now: float) -> list[Instance]:
        """Drop a rule that was deleted, paused or changed; what fired is returned as resolved."""
        gone = self._all.pop((org, rule), {})
        for key, one in gone.items():
            self._site.store.delete("instance", org, rule + key)
            one.ends = now
        return [one for one in gone.values() if one.state in FIRING]

    def apply(self, rule: dict[str, Any], found: list[Outcome], folder: str, now: float) -> list[Instance]:
        """Take over one evaluation. Returns what fires or has just resolved, for the Alertmanager."""
        org, uid = rule["orgID"], rule["uid"]
        states, told = self._of(org, uid), []
        fixed = {"alertname": rule["title"], "grafana_folder": folder, "__alert_rule_uid__": uid}
        for outcome in found:
            labels = outcome.labels | rule["labels"] | fixed | {"__alert_rule_namespace_uid__": rule["folderUID"]}
            one = states.setdefault(_key(labels), Instance(uid, org, labels, dict(rule["annotations"])))
            one.seen, one.missed, one.value, one.values = now, 0, outcome.value, outcome.values
            told += self._step(one, rule, outcome.result, now)
        told += self._stale(rule, states, now)
        with self._site.store.atomic():
            for key, one in states.items():
                self._site.store.put("instance", org, uid + key, asdict(one))
        return told

    def _step(self, one: Instance, rule: dict[str, Any], result: str, now: float) -> list[Instance]:
        was = one.state
        target, reason = result, ""
        if result in {"NoData", "Error"}:
            wish = rule["noDataState" if result == "NoData" else "execErrState"]
            target = {"OK": "Normal", "KeepLast": was if was in {"Alerting", "Pending"} else "Normal"}.get(wish, wish)
            reason = "" if target == result else f"{result}{', KeepLast' if wish == 'KeepLast' else ''}"
        if target == "Normal" and was in FIRING and "alert_never_resolves" in self._site.defects:
            target = was
        self._move(one, rule, target, now)
        one.reason = reason
        resolved = was in FIRING and one.state not in FIRING
        one.ends = now if resolved else 0.0
        return [one] if resolved or one.state in FIRING else []

    def _move(self, one: Instance, rule: dict[str, Any], target: str, now: float) -> None:
        wait = 0.0 if "pending_skipped" in self._site.defects else seconds_of(rule["for"])
        keep = seconds_of(rule["keep_firing_for"])
        if target in {"Alerting", "Pending"} and one.state == "Pending":
            target = "Alerting" if now - one.starts >= wait else "Pending"
        elif target == "Alerting" and one.state not in {"Alerting", "Recovering"} and wait > 0:
            target = "Pending"
        elif target == "Normal" and keep > 0 and one.state in {"Alerting", "Recovering"}:
            since = one.starts if one.state == "Recovering" else now
            target = "Recovering" if now - since < keep else "Normal"
        if target != one.state:
            one.state, one.starts = target, now

    def _stale(self, rule: dict[str, Any], states: dict[str, Instance], now: float) -> list[Instance]:
        told = []
        for key, one in list(states.items()):
            one.missed += one.seen < now
            if one.missed < rule["missingSeriesEvalsToResolve"]:
                continue
            del states[key]
            self._site.store.delete("instance", one.org, one.rule + key)
            if one.state in FIRING:
                one.ends, one.reason = now, "MissingSeries"
                told.append(one)
        return told

    def _of(self, org: int, rule: str) -> dict[str, Instance]:
        return self._all.setdefault((org, rule), {})


def _key(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)
