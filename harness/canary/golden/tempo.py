"""Tempo: traces of known ids, found by id after the upgrade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.canary.golden.base import Golden
from harness.ports import Handle
from harness.services.http_session import IsolatedSession
from harness.services.tempo import one_span

TRACES = 20
HEADERS = {"Accept": "application/json"}


class Tempo(Golden):
    """What the write-ahead log and the blocks carry from one version to the next."""

    kind: ClassVar[str] = "tempo"

    def plant(self, client: Any, handle: Handle) -> list[str]:
        """A trace counts as acknowledged when it was accepted and is found: acceptance alone promises little."""
        url = f"{handle.endpoint('otlp_http').url}/v1/traces"
        with IsolatedSession() as session:
            for trace in _names():
                session.post(url, json=one_span(trace, "golden"), headers=dict(client.headers)).raise_for_status()
        return self.kept(client)

    def kept(self, client: Any) -> list[str]:
        """Asked one by one."""
        return [trace for trace in _names() if _names_of_spans(client, trace) == ["ready"]]

    def ask(self, client: Any) -> Mapping[str, Any]:
        """What of a trace no version may change: its spans, and the answer for an unknown and for a bad id."""
        return {
            "spans of the first trace": _names_of_spans(client, _names()[0]),
            "status for an unknown trace": client.get("/api/v2/traces/" + "0" * 31 + "1", headers=HEADERS).status_code,
            "status for a bad id": client.get("/api/v2/traces/zz", headers=HEADERS).status_code,
        }


def _names() -> list[str]:
    return [f"601de0{number:026x}" for number in range(1, TRACES + 1)]


def _names_of_spans(client: Any, trace: str) -> list[str]:
    answer = client.get(f"/api/v2/traces/{trace}", headers=HEADERS)
    if answer.status_code != 200:
        return []
    batches = answer.json()["trace"].get("resourceSpans") or []
    return [span["name"] for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"]]
