"""Consul: a key below `smoke/<id>/`, held by a session whose end deletes it."""

from __future__ import annotations

from typing import ClassVar

from harness.errors import TargetDown, TargetForbidden
from harness.ports import Handle
from harness.smoke.base import Probe, allowed, call, fields, folder, granted, mismatch, open_call
from harness.smoke.identity import ROOT, TTL


class ConsulProbe(Probe):
    """Needs `agent:read`, `node:read`, `service:read`, `key:write` and `session:write`."""

    kind: ClassVar[str] = "consul"
    what_it_writes: ClassVar[str] = f"keys below {ROOT}/<id>/ that go with their session, {TTL} s at the latest"

    def identify(self, handle: Handle) -> str:
        """The leader is told to everybody; the version and the keys to those who may read them."""
        http = handle.endpoint("http")
        leader = allowed(open_call(handle, "/v1/status/leader"), handle, http, "GET /v1/status/leader")
        if leader.status != 200 or not leader.text.strip().startswith('"'):
            raise mismatch(http, self.kind, f"HTTP {leader.status} {leader.text.strip()}")
        if leader.text.strip() == '""':
            raise TargetDown(f"{http.url}: it has no leader", "is its cluster complete?")
        about = fields(granted(handle, "/v1/agent/self"), handle, http, "Config")
        self.leftovers(handle)
        return str(about["Config"].get("Version", ""))

    def permitted(self, handle: Handle, identity: str) -> None:
        """A compare-and-set against an index that a missing key cannot have: checked for rights, then refused."""
        path = f"/v1/kv/{folder(identity)}permitted?cas=1"
        if granted(handle, path, "PUT", body=b"").text.strip() != "false":
            raise TargetForbidden(f"{handle.endpoint('http').url}: a compare-and-set of a missing key was taken")

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        """The folders below `smoke/`."""
        answer = granted(handle, f"/v1/kv/{ROOT}/?keys&separator=/")
        if answer.status == 404:
            return ()
        return tuple(key.removeprefix(f"{ROOT}/").rstrip("/") for key in answer.json() if key.endswith("/"))

    def remove(self, handle: Handle, identity: str) -> None:
        """Delete the keys, and end the run's sessions."""
        granted(handle, f"/v1/kv/{folder(identity)}?recurse", "DELETE")
        for session in granted(handle, "/v1/session/list").json() or ():
            if session.get("Name") == f"{ROOT}/{identity}":
                call(handle, f"/v1/session/destroy/{session['ID']}", "PUT")
