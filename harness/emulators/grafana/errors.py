"""Grafana's five shapes of an error body, kept apart because clients and tests read them differently.

A `GrafanaError` is an answer in the making: the number and the body, nothing of the transport.
"""

from __future__ import annotations

import secrets
from typing import Any


class GrafanaError(Exception):
    """An answer that is not a success. `body` None means an empty body."""

    def __init__(self, status: int, body: dict[str, Any] | None) -> None:
        super().__init__(f"{status} {(body or {}).get('message', '')}")
        self.status = status
        self.body = body

    @property
    def message(self) -> str:
        """The body's message, "" for an empty body."""
        return str((self.body or {}).get("message", ""))


def plain(status: int, message: str) -> GrafanaError:
    """The oldest shape: only a message."""
    return GrafanaError(status, {"message": message})


def public(status: int, message_id: str, message: str) -> GrafanaError:
    """The errutil shape: a stable messageId beside the text."""
    body = {"message": message, "messageId": message_id, "statusCode": status, "traceID": ""}
    return GrafanaError(status, body)


def dashboard_error(status: int, message: str, state: str = "") -> GrafanaError:
    """The dashboard and folder shape: `status` is a word and absent when the error has none."""
    return GrafanaError(status, {"message": message} | ({"status": state} if state else {}))


def denied(permission: str) -> GrafanaError:
    """RBAC's refusal; the accessErrorId is new each time."""
    text = f"You'll need additional permissions to perform this action. Permissions needed: {permission}"
    number = f"ACE{secrets.randbelow(10**10):010d}"
    return GrafanaError(403, {"accessErrorId": number, "message": text, "title": "Access denied"})


def unauthorized(message_id: str = "auth.unauthorized", message: str = "Unauthorized") -> GrafanaError:
    """401 with the extra field that only this shape has."""
    body = {"extra": None, "message": message, "messageId": message_id, "statusCode": 401, "traceID": ""}
    return GrafanaError(401, body)


def not_emulated(operation: str) -> GrafanaError:
    """What this emulator does not do. Never a false success."""
    return plain(501, f"not emulated: {operation}")
