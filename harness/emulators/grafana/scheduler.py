"""Evaluates alert rules on the wall clock's tick, hands what fires to the Alertmanager, delivers its notifications."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from harness.emulators.http_client import Unreachable

from . import webhook
from .alertmanager import Alertmanager, Notification
from .errors import GrafanaError
from .frames import Answer, Span
from .instances import FIRING, Instance, Instances, exponent, outcomes
from .query import Queries
from .rules import Rules
from .site import Site
from .times import ZERO_TIME, iso, seconds_of

FLUSH_SECONDS = 0.1
log = logging.getLogger("ngalert")


@dataclass
class Status:
    """How a rule's last evaluation went."""

    at: float = 0.0
    took: float = 0.0
    health: str = "unknown"
    error: str = ""


class Scheduler:
    """One per Grafana. `counts` holds what /metrics shows."""

    def __init__(self, site: Site, rules: Rules, queries: Queries, instances: Instances, manager: Alertmanager) -> None:
        self._site, self._rules, self._queries = site, rules, queries
        self._instances, self._manager = instances, manager
        self._statuses: dict[tuple[int, str], Status] = {}
        self._versions: dict[tuple[int, str], str] = {}
        self._running: dict[tuple[int, str], asyncio.Task[None]] = {}
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Tick for ever, aligned to the clock as Grafana's ticker is."""
        base = self._site.settings.base_tick
        if not self._site.settings.on("unified_alerting.execute_alerts"):
            await asyncio.Event().wait()
        while True:
            await asyncio.sleep(base - self._site.clock() % base)
            self.tick(round(self._site.clock() / base))

    async def deliver(self) -> None:
        """Send what the Alertmanager finds due, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            notes = self._manager.due(self._site.clock())
            await asyncio.gather(*(self._notify(note) for note in notes))

    def tick(self, number: int) -> list[asyncio.Task[None]]:
        """Start the evaluations of this tick; a rule still busy with its last one misses this one."""
        rules = [rule for rule in self._site.store.all("rule") if not rule["isPaused"]]
        present = {(rule["orgID"], rule["uid"]): rule for rule in rules}
        self._forget(present)
        started = []
        for key, rule in present.items():
            every = max(
                int(
                    self._rules.interval(rule["orgID"], rule["folderUID"], rule["ruleGroup"])
                    / self._site.settings.base_tick
                ),
                1,
            )
            jitter = not self._site.settings.on("unified_alerting.disable_jitter")
            offset = zlib.crc32(f"{rule['folderUID']}/{rule['ruleGroup']}".encode()) % every if jitter else 0
            if number % every != offset:
                continue
            if key in self._running and not self._running[key].done():
                self.counts["missed"] += 1
                continue
            self._running[key] = asyncio.ensure_future(self.evaluate(rule))
            started.append(self._running[key])
        return started

    def _forget(self, present: dict[tuple[int, str], dict[str, Any]]) -> None:
        """A rule that is gone, paused or changed starts anew, and what it fired is resolved."""
        for key, version in list(self._versions.items()):
            rule = present.get(key)
            if rule is None or rule["updated"] != version:
                now = self._site.clock()
                self._manager.post(self._instances.forget(*key, now), rule or {}, now)
                self._statuses.pop(key, None)
                del self._versions[key]
        self._versions |= {key: rule["updated"] for key, rule in present.items()}

    async def evaluate(self, rule: dict[str, Any]) -> None:
        """One evaluation with its retries, and what follows from it."""
        started, key = self._site.clock(), (rule["orgID"], rule["uid"])
        answers = await self._attempts(rule)
        folder = self._site.store.get("folder", rule["orgID"], rule["folderUID"])
        if self._versions.get(key, rule["updated"]) != rule["updated"] or folder is None:
            return  # changed or deleted while it was evaluated
        found, now = outcomes(rule, answers), self._site.clock()
        error = next((answer.error for answer in answers.values() if answer.error), "")
        health = {"Error": "error", "NoData": "nodata"}.get(found[0].result, "ok")
        self._statuses[key] = Status(started, now - started, health, error)
        self._manager.post(self._instances.apply(rule, found, folder["title"], now), rule, now)
        self.counts["evaluations"] += 1
        self.counts["failures"] += bool(error)

    async def _attempts(self, rule: dict[str, Any]) -> dict[str, Answer]:
        settings = self._site.settings
        delay, most = (
            settings.seconds(f"unified_alerting.{key}") for key in ("initial_retry_delay", "max_retry_delay")
        )
        last = settings.number("unified_alerting.max_attempts")
        for attempt in range(1, last + 1):
            answers = await self._ask(rule)
            if attempt == last or not any(answer.error for answer in answers.values()):
                break
            await asyncio.sleep(delay)
            delay = min(delay * 2, most)
        return answers

    async def _ask(self, rule: dict[str, Any]) -> dict[str, Answer]:
        now = int(self._site.clock() * 1000)
        try:
            async with asyncio.timeout(self._site.settings.seconds("unified_alerting.evaluation_timeout")):
                return await self._queries.run(rule["orgID"], [_asked(one, now) for one in rule["data"]])
        except (ValueError, TypeError, KeyError) as error:
            return {rule["condition"]: Answer(error=f"failed to execute query: {error}", status=500)}
        except TimeoutError:
            return {rule["condition"]: Answer(error="context deadline exceeded", status=504)}
        except GrafanaError as error:
            return {
                rule["data"][0]["refId"]: Answer(error=f"failed to build query: {error.message}", status=error.status)
            }

    async def _notify(self, note: Notification) -> None:
        notifications, sent = self._manager.integrations(note), True
        for point in notifications:
            body = webhook.payload(note, point, self._site.settings.root_url)
            if body is None:
                continue
            self.counts["notifications"] += 1
            if "webhook_dropped" in self._site.defects:
                continue
            try:
                delivered = await webhook.send(point, body)
            except Unreachable as error:
                delivered = False
                log.warning("failed to send webhook to %s: %s", point["name"], error)
            self.counts["notifications_failed"] += not delivered
            sent = sent and delivered
        if sent:
            self._manager.delivered(note, self._site.clock())

    # -- what the Prometheus-style API shows

    def groups(self, org: int, query: dict[str, str]) -> dict[str, Any]:
        """GET /api/prometheus/grafana/api/v1/rules."""
        grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for rule in self._rules.all(org):
            place = (rule["folderUID"], rule["ruleGroup"])
            if query.get("folder_uid", place[0]) == place[0] and query.get("rule_group", place[1]) == place[1]:
                grouped.setdefault(place, []).append(rule)
        shown, totals = [], Counter[str]()
        for (folder, name), rules in grouped.items():
            rows = [self._rule(rule) for rule in rules]
            rows = [row for row in rows if query.get("state", row["state"]) == row["state"]]
            counts = Counter(row["state"] for row in rows)
            title = (self._site.store.get("folder", org, folder) or {"title": ""})["title"]
            body = {"name": name, "file": title, "folderUid": folder, "rules": rows, "totals": dict(counts)}
            body |= {
                "interval": self._rules.interval(org, folder, name),
                "evaluationTime": sum(r["evaluationTime"] for r in rows),
            }
            shown += [body | {"lastEvaluation": max(r["lastEvaluation"] for r in rows)}] if rows else []
            totals += counts
        return {"status": "success", "data": {"groups": shown} | ({"totals": dict(totals)} if shown else {})}

    def _rule(self, rule: dict[str, Any]) -> dict[str, Any]:
        key = (rule["orgID"], rule["uid"])
        status, alerts = self._statuses.get(key, Status()), self._instances.of(*key)
        states = {one.state for one in alerts}
        state = "firing" if states & (FIRING - {"Recovering"}) else "pending" if "Pending" in states else "inactive"
        state = "recovering" if state == "inactive" and "Recovering" in states else state
        body: dict[str, Any] = {
            "state": state,
            "name": rule["title"],
            "uid": rule["uid"],
            "folderUid": rule["folderUID"],
        }
        body |= {"query": json.dumps([q.get("model") for q in rule["data"]]), "duration": seconds_of(rule["for"])}
        body |= {
            "keepFiringFor": seconds_of(rule["keep_firing_for"]),
            "annotations": rule["annotations"],
            "labels": rule["labels"],
        }
        totals = dict(Counter(one.state.lower() for one in alerts))
        body |= {"alerts": [_alert(one) for one in alerts], "totals": totals, "totalsFiltered": totals}
        body |= {
            "health": status.health,
            "type": "alerting",
            "isPaused": rule["isPaused"],
            "evaluationTime": status.took,
        }
        body |= {"lastEvaluation": iso(status.at, 6) if status.at else ZERO_TIME}
        return body | ({"lastError": status.error} if status.error else {})


def _asked(one: dict[str, Any], now: int) -> tuple[dict[str, Any], Span]:
    """A rule's query as the query engine takes it; `now` in epoch milliseconds."""
    window = one.get("relativeTimeRange") or {"from": 600, "to": 0}
    model = dict(one.get("model") or {}) | {"refId": one["refId"], "datasource": {"uid": one.get("datasourceUid")}}
    start, end = (now - int(window.get(key) or 0) * 1000 for key in ("from", "to"))
    return model, Span(start, end, int(model.get("intervalMs") or 1000), int(model.get("maxDataPoints") or 43200))


def _alert(one: Instance) -> dict[str, Any]:
    body = {"labels": one.labels, "annotations": one.annotations, "state": one.shown}
    return body | {"activeAt": iso(one.starts, 6) if one.starts else ZERO_TIME, "value": exponent(one.value)}
