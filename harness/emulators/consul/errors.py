"""What a failed operation says on the wire: Consul answers a status and one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping


class ConsulError(Exception):
    """An operation Consul refuses. `status` is the HTTP status, the message is Consul's own sentence."""

    def __init__(self, text: str, status: int = 500, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


class PermissionDenied(ConsulError):
    """The token lacks a permission; `http` words it, because the wording changed between versions."""

    def __init__(self, resource: str, access: str, name: str = "", short: str = "") -> None:
        super().__init__("Permission denied" + (f": {short}" if short else ""), 403)
        self.resource, self.access, self.name = resource, access, name


def bad_request(text: str) -> ConsulError:
    """A 400 with Consul's words."""
    return ConsulError(text, 400)


def not_found(text: str) -> ConsulError:
    """A 404 with Consul's words."""
    return ConsulError(text, 404)


def not_emulated(operation: str) -> ConsulError:
    """The 501 that keeps the emulator honest: it names what was asked for."""
    return ConsulError(f"consul emulator: {operation} is not emulated", 501)
