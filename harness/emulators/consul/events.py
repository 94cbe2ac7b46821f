"""User events: fire-and-forget messages in a ring of 256, never on disk. Source: the event page of the HTTP API."""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .agent import Agent
from .errors import ConsulError
from .rows import new_id
from .store import Store

RING = 256
SIZE_LIMIT = 512
ENCODING_OVERHEAD = 100
"""What the envelope adds to the payload; 400 bytes pass and 512 do not on a real server."""

_REGEXP_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "unterminated character set": "missing closing ]",
        "unterminated subpattern": "missing closing )",
        "nothing to repeat": "missing argument to repetition operator",
    }
)


class Events:
    """The last 256 events."""

    def __init__(self, store: Store, agent: Agent) -> None:
        self._store, self._agent = store, agent
        self._ring: deque[dict[str, Any]] = deque(maxlen=RING)
        self._clock = 1

    def fire(self, name: str, payload: bytes, node: str = "", service: str = "", tag: str = "") -> dict[str, Any]:
        """Fire one event; it as the API answers it (logical time still 0). Raises ConsulError."""
        if tag and not service:
            raise ConsulError("Cannot provide tag filter without service filter")
        for kind, pattern in (("node", node), ("service", service), ("tag", tag)):
            _verify(kind, pattern)
        encoded = base64.b64encode(payload).decode() or None
        event: dict[str, Any] = {"ID": new_id(), "Name": name, "Payload": encoded, "NodeFilter": node}
        event |= {"ServiceFilter": service, "TagFilter": tag, "Version": 1, "LTime": 0}
        if len(payload) + len(name) + len(node) + len(service) + len(tag) + ENCODING_OVERHEAD > SIZE_LIMIT:
            cause = f"user event exceeds configured limit of {SIZE_LIMIT} bytes before encoding"
            raise ConsulError(f'1 error occurred:\n\t* error broadcasting event to segment "": {cause}\n\n')
        self._clock += 1
        if self._meant(node, service, tag):
            self._ring.append({**event, "LTime": self._clock})
            self._store.on_change("events")
        return event

    def _meant(self, node: str, service: str, tag: str) -> bool:
        """Whether the filters choose this agent: its name, and one of its services with one of its tags."""
        fits = [s for s in self._agent.services.values() if re.search(service, s.service)]
        tagged = [s for s in fits if not tag or any(re.search(tag, own) for own in s.tags)]
        return bool(re.search(node, self._agent.node)) and (not service or bool(tagged))

    def listed(self, name: str = "") -> tuple[int, list[dict[str, Any]]]:
        """(index, events of that name, oldest first). The index is made of the newest id, not a counter."""
        found = [event for event in self._ring if not name or event["Name"] == name]
        if not found:
            return 1, []
        bits = found[-1]["ID"].replace("-", "")
        return int(bits[:16], 16) ^ int(bits[16:], 16), found


def _verify(kind: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        cause = next((go for python, go in _REGEXP_ERRORS.items() if python in str(error)), str(error))
        at = pattern[error.pos or 0 :][:1] if "repetition" in cause else pattern
        raise ConsulError(f"Invalid {kind} filter: error parsing regexp: {cause}: `{at}`") from None
