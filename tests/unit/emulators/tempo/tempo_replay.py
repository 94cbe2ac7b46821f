"""Reading captured exchanges of the real server, playing them against the ASGI applications, comparing answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from harness.emulators.runner import Defects
from harness.emulators.tempo import http_otlp, http_query, settings
from harness.emulators.tempo.defects import DEFECTS
from harness.emulators.tempo.instance import Instance

CAPTURES = Path(__file__).parent / "captures"
COMPARED = ("content-type", "vary", "retry-after", "x-content-type-options")
VOLATILE = frozenset({"inspectedBytes", "exemplars"})


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Exchange:
    """One captured request with the answer of the real server, `at` Unix seconds."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    answer: Answer
    at: float


def _head(raw: bytes) -> tuple[list[str], bytes]:
    head, _, body = raw.partition(b"\n\n")
    return head.decode().split("\n"), body


def _headers(lines: list[str]) -> dict[str, str]:
    return {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}


def read(name: str) -> Exchange:
    """The capture of that name."""
    raw = (CAPTURES / f"{name}.http").read_bytes()
    split = re.search(rb"\n--- (\d+) ", raw)
    assert split, name
    lines, body = _head(raw[: split.start()])
    answered, answer_body = _head(raw[split.start() + 1 :])
    headers = _headers(answered[1:])
    method, _, target = lines[0].partition(" ")
    length = int(headers.get("content-length", len(answer_body)))
    answer = Answer(int(split[1]), headers, answer_body[:length])
    at = parsedate_to_datetime(headers["date"]).timestamp() + 0.95
    return Exchange(
        method, target, _headers([line for line in lines[1:] if line]), body.removesuffix(b"\n"), answer, at
    )


Asgi = Callable[..., Any]


def play(app: Asgi, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """Send one request through an ASGI application."""
    path, _, query = target.partition("?")
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    received = {key.decode().lower(): value.decode() for key, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], received, b"".join(message.get("body", b"") for message in sent[1:]))


def normal(value: Any, key: str = "") -> Any:
    """JSON without volatile numbers and without the orders Tempo leaves to chance."""
    if isinstance(value, dict):
        return {name: normal(item, name) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        items = [normal(item) for item in value]
        chance = key in {"attributes", "scopes", "tagValues"}
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if chance else items
    # The real server adds floats up in another order.
    return float(f"{value:.12g}") if isinstance(value, float) else value


def comparable(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """What two answers must share."""
    headers = {name: answer.headers[name] for name in COMPARED if name in answer.headers}
    is_json = "json" in headers.get("content-type", "") or "llm" in headers.get("content-type", "")
    body: Any = normal(json.loads(answer.body)) if is_json else answer.body
    return answer.status, headers, body


@dataclass
class Rig:
    """An instance on a clock of its own, with its two HTTP applications."""

    instance: Instance
    now: list[float]

    def at(self, moment: float) -> None:
        """Set the clock and run due timers."""
        self.now[0] = moment
        self.instance.tick()

    def query(self, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """A request to port 3200."""
        return play(http_query.app(self.instance), method, target, headers)

    def otlp(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """A push to port 4318, JSON unless told."""
        sent = {"Content-Type": "application/json"} | (headers or {})
        return play(http_otlp.app(self.instance), "POST", "/v1/traces", sent, body)

    def push(self, data: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """Push OTLP/JSON and insist on success."""
        answer = self.otlp(json.dumps(data).encode(), headers)
        assert answer.status == 200, answer


def make_rig(config: str, data: Path, now: float, *defects: str) -> Rig:
    """A rig from a captured configuration, its paths moved under `data`."""
    text = (CAPTURES / config).read_text().replace("/data", str(data))
    clock = [now]
    instance = Instance(settings.parse(text), Defects(DEFECTS, frozenset(defects)), lambda: clock[0])
    instance.open()
    instance.starting.clear()
    return Rig(instance, clock)
