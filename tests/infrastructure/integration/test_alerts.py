"""The error rate of spans, from the service's own traces to somebody's webhook."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.probes.webhook import listening
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment

TICK = 10
"""Seconds between two looks of Grafana's scheduler: the floor of this test."""
PROVISIONING = "/api/v1/provisioning"
MOST = 0.25
"""The share of requests that may fail."""


def error_rate(title: str, folder: str, service: str) -> dict[str, Any]:
    """A rule that holds while more than `MOST` of a service's requests of the last minutes are errors."""
    served = f'resource.service.name = "{service}" && kind = server'
    summed: dict[str, Any] = {"type": "reduce", "reducer": "sum", "settings": {"mode": "dropNN"}}
    queries = [
        ("tempo", {"refId": "Failed", "queryType": "traceql", "query": f"{{ {served} && status = error }} | rate()"}),
        ("tempo", {"refId": "All", "queryType": "traceql", "query": f"{{ {served} }} | rate()"}),
        ("__expr__", {"refId": "F", "expression": "Failed", **summed}),
        ("__expr__", {"refId": "A", "expression": "All", **summed}),
        ("__expr__", {"refId": "Rate", "type": "math", "expression": f"$F / $A > {MOST}"}),
    ]
    data = [
        {"refId": model["refId"], "datasourceUid": uid, "relativeTimeRange": {"from": 120, "to": 0}, "model": model}
        for uid, model in queries
    ]
    told = {"receiver": folder, "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s",
            "repeat_interval": "1h"}  # fmt: skip
    head = {"title": title, "orgID": 1, "folderUID": folder, "ruleGroup": "rates", "condition": "Rate", "data": data}
    return {**head, "for": "0s", "noDataState": "OK", "execErrState": "Error", "labels": {"service": service},
            "notification_settings": told}  # fmt: skip


@contextmanager
def watched(grafana: ServiceSession, folder: str, url: str, services: list[str]) -> Iterator[None]:
    """One rule for each service, told to this webhook; both are removed in the end."""
    body = {"name": folder, "type": "webhook", "settings": {"url": url}}
    point = grafana.post(f"{PROVISIONING}/contact-points", json=body)
    assert point.status_code == 202, point.text
    group = f"{PROVISIONING}/folder/{folder}/rule-groups/rates"
    try:
        rules = [error_rate(f"errors of {service}", folder, service) for service in services]
        made = grafana.put(group, json={"title": "rates", "folderUid": folder, "interval": TICK, "rules": rules})
        assert made.status_code == 200, made.text
        yield
    finally:
        grafana.delete(group)
        grafana.delete(f"{PROVISIONING}/contact-points/{point.json()['uid']}")


def rules_of(grafana: ServiceSession, folder: str) -> dict[str, Any]:
    """The rules as they were evaluated last, by the service that they are about."""
    groups = grafana.get("/api/prometheus/grafana/api/v1/rules", params={"folder_uid": folder}).json()["data"]["groups"]
    return {one["labels"]["service"]: one for group in groups for one in group["rules"]}


def judged(grafana: ServiceSession, folder: str, service: str) -> tuple[str, str]:
    """State and health of the rule about a service, once it was evaluated."""

    def ask() -> tuple[str, str]:
        one = rules_of(grafana, folder)[service]
        if one["health"] == "unknown":
            raise NotYet("not evaluated yet")
        return one["state"], one["health"]

    return poll(ask, Deadline.after(TICK + 5), f"the rule about {service}")


@pytest.mark.slow
def test_an_alert_on_the_span_error_rate_reaches_a_webhook(
    stack: RemoteStack,
    deployment: Deployment,
    caller: Caller,
    grafana: ServiceSession,
    namespace: Namespace,
    tempo: ServiceSession,
    key: str,
) -> None:
    """Requests that fail make error spans, these make TraceQL metrics, and their share makes the alert that is told;
    the same rule over a service that is well is evaluated too, and stays silent.

    Source: Tempo, "TraceQL metrics", `rate`; Grafana, "Alert rule evaluation", "Webhook notifier".
    """
    folder = namespace.of("grafana")
    bad, good = deployment.service("bad"), deployment.service("good")
    one, other = deployment.start("bad", "good")
    for instance in (one, other):
        assert caller.call("PUT", f"{instance.url}/items/{instance.name}", "no number").status == 200
    over = threading.Event()

    def keep_calling() -> None:
        while not over.wait(0.05):
            with suppress(OSError):
                caller.call("POST", f"{one.url}/counts/{one.name}?unlocked")  # fails: its item is no number
                caller.call("GET", f"{other.url}/items/{other.name}")

    calling = threading.Thread(target=keep_calling)
    with listening(stack) as hook, watched(grafana, folder, hook.url, [bad, good]):
        calling.start()
        try:

            def told() -> dict[str, Any]:
                if not hook.got:
                    states = {name: (one["state"], one["health"]) for name, one in rules_of(grafana, folder).items()}
                    raise NotYet(f"nothing at the webhook; rules {states}")
                first: dict[str, Any] = hook.got[0][1]["alerts"][0]
                return first

            # Real Grafana looks for new contact points once a minute; the emulator at once.
            patience = 3 * TICK + (65 if stack["grafana"].fidelity.verified else 0)
            alert = poll(told, Deadline.after(patience), "the alert at the webhook")
        finally:
            over.set()
            calling.join()
        assert (alert["status"], alert["labels"]["service"]) == ("firing", bad)
        assert alert["values"]["Rate"] == 1
        assert judged(grafana, folder, good) == ("inactive", "ok")
        assert {one["labels"]["service"] for _, body in hook.got for one in body["alerts"]} == {bad}
