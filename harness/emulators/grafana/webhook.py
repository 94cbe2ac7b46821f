"""The webhook contact point: its JSON payload and the request that carries it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

from harness.emulators.http_client import fetch

from .alertmanager import Alert, Notification, ends_at
from .times import iso

Labels = dict[str, str]


def payload(note: Notification, point: dict[str, Any], root_url: str) -> dict[str, Any] | None:
    """The message for one contact point; None when it wants no resolved alerts and nothing fires."""
    alerts = note.firing if point.get("disableResolveMessage") else note.alerts
    if not alerts:
        return None
    limit = int(point["settings"].get("maxAlerts") or 0) or len(alerts)
    shown = [_alert(alert, root_url) for alert in alerts[:limit]]
    firing = [one for one in shown if one["status"] == "firing"]
    status, org = ("firing" if firing else "resolved"), note.group.org
    groups, common = _public(note.group.labels), _common([one["labels"] for one in shown])
    body: dict[str, Any] = {"receiver": note.group.route["receiver"], "status": status, "alerts": shown}
    body |= {"groupLabels": groups, "commonLabels": common}
    body |= {"commonAnnotations": _common([one["annotations"] for one in shown]), "externalURL": root_url}
    body |= {"version": "1", "groupKey": note.group.key, "truncatedAlerts": len(alerts) - len(shown), "orgId": org}
    settings = point["settings"]
    title = settings.get("title") or _title(status, len(firing), len(shown) - len(firing), groups, common)
    return body | {
        "title": title,
        "state": "alerting" if firing else "ok",
        "message": settings.get("message") or _text(shown),
    }


async def send(point: dict[str, Any], body: dict[str, Any]) -> bool:
    """Deliver; whether the receiver answered 2xx. Raises Unreachable."""
    settings = point["settings"]
    headers = {"Content-Type": "application/json", "User-Agent": "Grafana"} | dict(settings.get("headers") or {})
    if settings.get("username"):
        pair = f"{settings['username']}:{settings.get('password', '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    elif settings.get("authorization_credentials"):
        scheme = settings.get("authorization_scheme") or "Bearer"
        headers["Authorization"] = f"{scheme} {settings['authorization_credentials']}"
    method = settings.get("httpMethod") or "POST"
    answer = await fetch(method, settings["url"], headers, json.dumps(body).encode())
    return answer.status // 100 == 2


def _alert(alert: Alert, root_url: str) -> dict[str, Any]:
    labels, status = _public(alert.labels), "resolved" if alert.ends else "firing"
    body: dict[str, Any] = {"status": status, "labels": labels, "annotations": _public(alert.annotations)}
    body |= {"startsAt": iso(alert.starts, 3), "endsAt": ends_at(alert), "fingerprint": alert.id, "orgId": alert.org}
    body |= {"generatorURL": f"{root_url}alerting/grafana/{alert.rule}/view?orgId={alert.org}", "ruleUID": alert.rule}
    matchers = [f"__alert_rule_uid__={alert.rule}"]
    matchers += [f"{k}={v}" for k, v in sorted(labels.items()) if k not in {"alertname", "grafana_folder"}]
    query = urlencode([("alertmanager", "grafana"), *(("matcher", m) for m in matchers), ("orgId", alert.org)])
    body |= {"silenceURL": f"{root_url}alerting/silence/new?{query}"} | _panel(alert, root_url)
    return body | {"values": alert.values or None, "valueString": alert.value_string}


def _panel(alert: Alert, root_url: str) -> dict[str, str]:
    board, panel = (alert.annotations.get(key, "") for key in ("__dashboardUid__", "__panelId__"))
    url = f"{root_url}d/{board}?from={int((alert.starts - 3600) * 1000)}&orgId={alert.org}" if board else ""
    return {"dashboardURL": url, "panelURL": f"{url}&viewPanel={panel}" if url and panel else ""}


def _public(labels: Labels) -> Labels:
    return {k: v for k, v in labels.items() if not (k.startswith("__") and k.endswith("__"))}


def _common(rows: list[Labels]) -> Labels:
    return {k: v for k, v in rows[0].items() if all(row.get(k) == v for row in rows)}


def _title(status: str, firing: int, resolved: int, groups: Labels, common: Labels) -> str:
    count = f":{firing}{f', RESOLVED:{resolved}' if resolved else ''}" if status == "firing" else ""
    rest = [v for k, v in sorted(common.items()) if k not in groups]
    tail = f"({' '.join(rest)})" if rest else ""
    return f"[{status.upper()}{count}] {' '.join(v for _, v in sorted(groups.items()))} {tail}"


def _text(alerts: list[dict[str, Any]]) -> str:
    parts = []
    for word, status in (("Firing", "firing"), ("Resolved", "resolved")):
        rows = [_paragraph(alert) for alert in alerts if alert["status"] == status]
        parts += [f"**{word}**\n" + "".join(rows)] if rows else []
    return "\n\n".join(parts)


def _paragraph(alert: dict[str, Any]) -> str:
    values = ", ".join(
        f"{ref}={value:g}" for ref, value in sorted((alert["values"] or {}).items()) if value is not None
    )
    lines = [
        "",
        f"Value: {values or '[no value]'}",
        "Labels:",
        *(f" - {k} = {v}" for k, v in sorted(alert["labels"].items())),
    ]
    lines += ["Annotations:", *(f" - {k} = {v}" for k, v in sorted(alert["annotations"].items()))]
    urls = (("Source", "generatorURL"), ("Silence", "silenceURL"), ("Dashboard", "dashboardURL"), ("Panel", "panelURL"))
    lines += [f"{word}: {alert[key]}" for word, key in urls if alert[key]]
    return "\n".join(lines) + "\n"
