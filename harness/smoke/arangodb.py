"""ArangoDB: one collection, `smoke_<id>`, in the database that the target file names."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import quote

from harness.errors import TargetDown, TargetForbidden
from harness.ports import Handle
from harness.services.base import user_of
from harness.smoke.base import Probe, call, fields, granted, open_call
from harness.smoke.identity import ROOT, is_id

PREFIX = f"{ROOT}_"


@runtime_checkable
class Optioned(Protocol):
    """A handle with options of its target file."""

    @property
    def options(self) -> Mapping[str, str]:
        """By name."""
        ...


class ArangoDBProbe(Probe):
    """Needs the right `rw` on the database."""

    kind: ClassVar[str] = "arangodb"
    what_it_writes: ClassVar[str] = (
        f"one collection {PREFIX}<id>; it stays until a later smoke run when it cannot be dropped"
    )

    def identify(self, handle: Handle) -> str:
        """Availability is told to everybody; the right on the database to the user; the version inside it."""
        http = handle.endpoint("http")
        mode = fields(open_call(handle, "/_admin/server/availability"), handle, http, "mode")
        if mode["mode"] not in ("default", "readonly"):
            raise TargetDown(f"{http.url}: mode {mode['mode']!r}", "wait until it has started")
        if right_of(handle) == "none":
            raise TargetForbidden(f"{http.url}: no right on the database {database_of(handle)}", "grant rw")
        about = fields(granted(handle, path_of(handle, "version")), handle, http, "server", "version")
        self.leftovers(handle)
        return str(about["version"])

    def permitted(self, handle: Handle, identity: str) -> None:
        """The user's right on the database."""
        del identity
        if (right := right_of(handle)) != "rw":
            where = f"{handle.endpoint('http').url}: the database {database_of(handle)}"
            raise TargetForbidden(f"{where}: right {right!r}, expected 'rw'", "grant it, or use --read-only")

    def leftovers(self, handle: Handle) -> tuple[str, ...]:
        """The collections of smoke runs."""
        answer = granted(handle, path_of(handle, "collection?excludeSystem=true"))
        found = fields(answer, handle, handle.endpoint("http"), "result")["result"]
        names = [item["name"].removeprefix(PREFIX) for item in found if item["name"].startswith(PREFIX)]
        return tuple(name for name in names if is_id(name))

    def remove(self, handle: Handle, identity: str) -> None:
        """Drop the collection."""
        call(handle, path_of(handle, f"collection/{PREFIX}{identity}"), "DELETE")


def database_of(handle: Handle) -> str:
    """The database to work in."""
    return handle.options.get("database", "_system") if isinstance(handle, Optioned) else "_system"


def path_of(handle: Handle, rest: str) -> str:
    """The path of an operation inside the database."""
    return f"/_db/{quote(database_of(handle), safe='')}/_api/{rest}"


def right_of(handle: Handle) -> str:
    """`rw`, `ro` or `none`. A user may always ask for his own; a token without a user is the superuser's."""
    user = _user(handle)
    if not user:
        return "rw"
    answer = granted(handle, f"/_api/user/{quote(user, safe='')}/database/{quote(database_of(handle), safe='')}")
    return str(fields(answer, handle, handle.endpoint("http"), "result")["result"])


def _user(handle: Handle) -> str:
    token = handle.credentials.get("token")
    if not token:
        return user_of(handle)
    payload = token.reveal().partition(".")[2].partition(".")[0]
    try:
        return str(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("preferred_username", ""))
    except ValueError:
        return ""  # no JSON Web Token: the server will say so
