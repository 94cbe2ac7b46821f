"""What smoke asks of every kind, and how an answer that refuses is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from harness.errors import TargetDown, TargetError, TargetExpired, TargetForbidden, TargetMismatch
from harness.model import Endpoint
from harness.ports import Handle
from harness.probes.http import Answer, ask
from harness.probes.poll import NotYet
from harness.services import kind_named
from harness.services.base import HEADER
from harness.smoke.identity import ROOT

TIMEOUT = 5.0
"""Seconds that one question may take."""
UNAVAILABLE = frozenset({502, 503, 504})
REFUSALS = {
    "consul": ("ACL not found", "Permission denied", "ACL support"),
    "arangodb": ('"errorNum"',),
    "grafana": ('"messageId"', '"accessErrorId"'),
    "tempo": ("no org id",),
}
"""By kind, what only its own refusals say: another kind's words come from another service, not from a bad login."""


class Probe(ABC):
    """What smoke knows of one kind. Instances hold no state. All raise TargetError."""

    kind: ClassVar[str]
    what_it_writes: ClassVar[str]
    """For people: what a smoke run writes there, and how long it stays when it cannot be removed."""

    @abstractmethod
    def identify(self, handle: Handle) -> str:
        """The version that the service tells, empty when it tells none. Asks only, as whom the handle logs in."""

    @abstractmethod
    def permitted(self, handle: Handle, identity: str) -> None:
        """Ask whether this run may write what it has to, by a question that changes nothing."""

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        """The ids of the smoke runs that something is left of. Empty where nothing can be listed, or removed."""
        del handle
        return ()

    def remove(self, handle: Handle, identity: str) -> None:
        """Remove all that a smoke run wrote. Harmless when there is nothing."""
        del handle, identity


def call(
    handle: Handle, path: str, method: str = "GET", *, port: str = "http", body: Any = None, login: bool = True
) -> Answer:
    """One exchange over HTTP. Raises TargetDown, or TargetMismatch for what is no HTTP."""
    kind, endpoint = kind_named(handle.kind or ""), handle.endpoint(port)
    headers = kind.authorization(handle) if login else {}
    try:
        return ask(endpoint, path, method, body, headers, timeout=TIMEOUT)
    except NotYet as seen:
        raise mismatch(endpoint, kind.name, str(seen)) from seen
    except OSError as error:
        raise TargetDown(f"{endpoint.url}: {method} {path}: {error.strerror or error}", "is it overloaded?") from error


def open_call(handle: Handle, path: str, port: str = "http") -> Answer:
    """What the service tells everybody: asked without a login, and with it where a gateway's header is given.

    Raises TargetMismatch for a refusal by what stands there otherwise: the service itself does not refuse this.
    """
    answer = call(handle, path, port=port, login=False)
    if answer.status not in (401, 403):
        return answer
    if any(name.startswith(HEADER) for name in handle.credentials):
        return call(handle, path, port=port)
    raise mismatch(handle.endpoint(port), handle.kind or "", f"HTTP {answer.status} {answer.text.strip()}")


def granted(handle: Handle, path: str, method: str = "GET", *, port: str = "http", body: Any = None) -> Answer:
    """`call`, and raise what a refusal means: TargetExpired for the login, TargetForbidden for a permission."""
    answer = call(handle, path, method, port=port, body=body)
    return allowed(answer, handle, handle.endpoint(port), f"{method} {path.partition('?')[0]}")


def allowed(answer: Answer, handle: Handle, endpoint: Endpoint, operation: str) -> Answer:
    """The answer, unless it refuses."""
    said = answer.text.strip().replace("\n", " ")[:160]
    told = f"{endpoint.url}: {operation}: HTTP {answer.status} {said}"
    if answer.status in UNAVAILABLE:
        raise TargetDown(told, "what stands behind it does not answer")
    if answer.status not in (401, 403):
        return answer
    others = [kind for kind, words in REFUSALS.items() if kind != handle.kind and any(word in said for word in words)]
    if others:
        raise mismatch(endpoint, handle.kind or "", f"a refusal by {others[0]}: HTTP {answer.status} {said}")
    if answer.status == 401 or "ACL not found" in said:
        raise TargetExpired(told, "the token or password is missing, mistyped, expired or revoked")
    raise TargetForbidden(told, "grant the permission; docs/smoke.md has what each kind needs")


def mismatch(endpoint: Endpoint, kind: str, seen: str) -> TargetError:
    """Something else answers."""
    return TargetMismatch(f"{endpoint.url}: expected {kind}, found {seen[:200]}", "is it another service's port?")


def fields(answer: Answer, handle: Handle, endpoint: Endpoint, *names: str) -> dict[str, Any]:
    """A JSON object that has these fields. Raises TargetMismatch for anything else."""
    allowed(answer, handle, endpoint, "asked who it is")
    kind = handle.kind or ""
    try:
        found = answer.json()
    except NotYet as seen:
        raise mismatch(endpoint, kind, str(seen)) from seen
    if answer.status != 200 or not isinstance(found, dict) or not all(name in found for name in names):
        raise mismatch(endpoint, kind, f"HTTP {answer.status} {answer.text.strip()}")
    return found


def folder(identity: str) -> str:
    """`smoke/<id>/`."""
    return f"{ROOT}/{identity}/"
