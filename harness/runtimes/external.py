"""The external runtime: services that run already and are not ours, named in a TOML file. Nothing here can harm them.

Its handles have no lifecycle: kill, stop and pause are absent from the type, not refused at run time.

    [services.redis]
    kind = "redis"                                    # when the name does not say it
    endpoints.redis = "rediss://cache.internal:6380"
    credentials.password_file = "/run/secrets/redis"  # or password_env = "NAME", or password_command = ["pass", "x"]
    headers.X-Api-Key_env = "GATEWAY_KEY"             # sent with every HTTP request; read like a credential
    tls.ca = "/etc/ssl/internal-ca.pem"               # verification is always on; this adds a private authority
    options.database = "orders"                       # what is no secret: which, the kind says
    needs = ["consul"]                                # other services of the file that it cannot do without
"""

from __future__ import annotations

import os
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.credentials import Secret
from harness.errors import UsageError
from harness.model import Endpoint, Fidelity, Source
from harness.services import SERVICES, kind_named
from harness.services.base import ENCRYPTED, HEADER, Kind

COMMAND_TIMEOUT = 10.0
"""Seconds that a command which prints a secret may take."""
KEYS = frozenset({"kind", "endpoints", "credentials", "headers", "tls", "needs", "options"})


@dataclass(frozen=True)
class ExternalHandle:
    """A service of somebody else. It is a `Handle` and nothing more."""

    name: str
    kind: str
    endpoints: Mapping[str, Endpoint]
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    fidelity: Fidelity = field(default_factory=lambda: Fidelity(Source.LIVE))
    cause: str = ""
    ready_after: float = 0.0
    needs: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def endpoint(self, name: str = "") -> Endpoint:
        """One address; the kind's first when no name is given. Raises UsageError naming those that are given."""
        wanted = name or kind_named(self.kind).ports[0].name
        if wanted not in self.endpoints:
            known = ", ".join(self.endpoints) or "(none)"
            raise UsageError(f"{self.name}: no endpoint {wanted!r} in the target file; given: {known}")
        return self.endpoints[wanted]


class ExternalStack(Mapping[str, ExternalHandle]):
    """The services of a target file by name."""

    def __init__(self, handles: Mapping[str, ExternalHandle]) -> None:
        self._handles = dict(handles)

    def __getitem__(self, name: str) -> ExternalHandle:
        return self._handles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handles)

    def __len__(self) -> int:
        return len(self._handles)

    def of_kind(self, kind: str) -> ExternalHandle | None:
        """The first service of a kind, None when the file has none."""
        return next((handle for handle in self.values() if handle.kind == kind), None)


def asked(handle: ExternalHandle) -> ExternalHandle:
    """The handle with the version that its service tells, or with the cause why it does not work."""
    started = time.monotonic()
    kind = kind_named(handle.kind)
    try:
        version = kind.ready(handle)
    except Exception as error:  # whatever it is, it is this service's trouble, and the others are asked all the same
        return replace(handle, cause=f"{type(error).__name__}: {error}")
    took = time.monotonic() - started
    source = Source.EMULATOR if version.endswith("+emu") else Source.LIVE
    fidelity = replace(handle.fidelity, source=source, version=version, emulator_unproven=kind.emulator_unproven)
    return replace(handle, fidelity=fidelity, ready_after=took)


def told(handle: ExternalHandle, answer: Mapping[str, Any]) -> ExternalHandle:
    """The handle with what it answered when it was asked: the data of the journal's event."""
    fidelity = {**answer["fidelity"], "source": Source(answer["fidelity"]["source"])}
    cause, after = str(answer.get("cause", "")), float(answer.get("seconds", 0.0))
    return replace(handle, fidelity=Fidelity(**fidelity), cause=cause, ready_after=after)


def read(file: Path, environment: Mapping[str, str] | None = None) -> ExternalStack:
    """Read a target file. Raises UsageError naming file, service and key; secrets are fetched now, never shown."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"target {file}: {reason}", "see docs/external.md") from error
    for key in data.keys() - {"services"}:
        raise UsageError(f"target {file}: unknown key {key!r}: expected services.<name>")
    services = data.get("services") or {}
    if not isinstance(services, dict) or not services:
        raise UsageError(f"target {file}: expected at least one [services.<name>]")
    reader = _Reader(file, environment if environment is not None else os.environ, frozenset(services))
    return ExternalStack({name: reader.handle(name, entry) for name, entry in services.items()})


class _Reader:
    """Reads entries; holds the file's name for messages."""

    def __init__(self, file: Path, environment: Mapping[str, str], services: frozenset[str]) -> None:
        self._file, self._environment, self._services = file, environment, services

    def fail(self, service: str, message: str) -> UsageError:
        return UsageError(f"target {self._file}: services.{service}: {message}", "see docs/external.md")

    def handle(self, name: str, entry: Any) -> ExternalHandle:
        if not isinstance(entry, dict):
            raise self.fail(name, "expected a table")
        for key in entry.keys() - KEYS:
            raise self.fail(name, f"unknown key {key!r}: expected {', '.join(sorted(KEYS))}")
        kind = self.kind(name, entry.get("kind", name))
        authority = self.authority(name, self.table(name, entry, "tls"))
        endpoints = self.table(name, entry, "endpoints")
        if not endpoints:
            raise self.fail(name, f'expected endpoints, such as endpoints.{kind.ports[0].name} = "..."')
        found = {key: self.endpoint(name, kind, key, text, authority) for key, text in endpoints.items()}
        credentials = self.secrets(name, "credentials", self.table(name, entry, "credentials"))
        headers = self.secrets(name, "headers", self.table(name, entry, "headers"))
        credentials |= {HEADER + header: value for header, value in headers.items()}
        needs, options = self.needs(name, entry.get("needs", [])), self.options(name, kind, entry)
        return ExternalHandle(name, kind.name, found, credentials, needs=needs, options=options)

    def table(self, service: str, entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = entry.get(key, {})
        if not isinstance(found, dict):
            raise self.fail(service, f"{key}: expected a table, such as {key}.NAME = ...")
        return found

    def needs(self, service: str, wanted: Any) -> tuple[str, ...]:
        others = self._services - {service}
        if not isinstance(wanted, list) or not others.issuperset(map(str, wanted)):
            raise self.fail(service, f"needs = {wanted!r}: expected a list of {', '.join(sorted(others)) or '(none)'}")
        return tuple(map(str, wanted))

    def options(self, service: str, kind: Kind, entry: Mapping[str, Any]) -> dict[str, str]:
        given = self.table(service, entry, "options")
        for key, value in given.items():
            if key not in kind.options or not isinstance(value, str) or not value:
                known = ", ".join(kind.options) or "(none)"
                raise self.fail(service, f"options.{key} = {value!r}: expected a text for one of {known}")
        return dict(given)

    def kind(self, service: str, wanted: str) -> Kind:
        for kind in SERVICES:
            if wanted in (kind.name, kind.name.replace("_", "-")):
                return kind
        raise self.fail(
            service, f"unknown kind {wanted!r}: expected one of {', '.join(kind.name for kind in SERVICES)}"
        )

    def authority(self, service: str, tls: Mapping[str, Any]) -> str:
        for key in tls.keys() - {"ca"}:
            raise self.fail(service, f"tls.{key}: unknown key: expected ca; verification cannot be switched off")
        path = str(tls.get("ca", ""))
        if path and not Path(path).is_file():
            raise self.fail(service, f"tls.ca = {path!r}: no such file")
        return path

    def endpoint(self, service: str, kind: Kind, key: str, text: Any, authority: str) -> Endpoint:
        known = {port.name: port for port in kind.ports}
        if key not in known:
            raise self.fail(service, f"endpoints.{key}: expected one of {', '.join(known)}")
        try:
            parts = urlsplit(str(text))
            port = parts.port
        except ValueError as error:
            raise self.fail(service, f"endpoints.{key}: {error}") from error
        more = parts.password or parts.username or parts.path.strip("/") or parts.query or parts.fragment
        if not parts.scheme or not parts.hostname or more:
            raise self.fail(service, f"endpoints.{key}: expected SCHEME://HOST[:PORT] without credentials or path")
        usual = known[key].scheme
        schemes = [scheme for scheme in (usual, ENCRYPTED.get(usual)) if scheme]
        if parts.scheme not in schemes:
            raise self.fail(service, f"endpoints.{key}: scheme {parts.scheme!r}: expected {' or '.join(schemes)}")
        port = port or _default_port(parts.scheme, known[key].number)
        return Endpoint(key, parts.hostname, port, parts.scheme, authority)

    def secrets(self, service: str, table: str, entry: Mapping[str, Any]) -> dict[str, Secret]:
        return dict(self.secret(service, table, key, value) for key, value in entry.items())

    def secret(self, service: str, table: str, key: str, value: Any) -> tuple[str, Secret]:
        for ending, fetch in SOURCES.items():
            if key.endswith(ending) and key != ending:
                try:
                    found = fetch(value, self._environment)
                except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
                    raise self.fail(service, f"{table}.{key}: {_why(error)}") from error
                if not found or len(found.splitlines()) > 1:
                    raise self.fail(service, f"{table}.{key}: expected one line, found {len(found.splitlines())}")
                return key.removesuffix(ending), Secret(found)
        raise self.fail(service, f"{table}.{key}: a secret is never written here: expected "
                                 f"{key}_file, {key}_env or {key}_command")  # fmt: skip


def _default_port(scheme: str, usual: int) -> int:
    return {"https": 443, "http": 80}.get(scheme, usual)


def _from_file(value: Any, environment: Mapping[str, str]) -> str:
    del environment
    return Path(str(value)).expanduser().read_text(encoding="utf-8").strip()


def _from_environment(value: Any, environment: Mapping[str, str]) -> str:
    return environment[str(value)]


def _from_command(value: Any, environment: Mapping[str, str]) -> str:
    if not isinstance(value, list) or not value:
        raise ValueError("expected a list: the program and its arguments")
    done = subprocess.run(
        [str(word) for word in value],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=True,
        env=dict(environment),
    )
    return done.stdout.strip()


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"variable {error.args[0]} is not set"
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command ended with exit code {error.returncode}"
    return getattr(error, "strerror", None) or str(error)


SOURCES: Mapping[str, Callable[[Any, Mapping[str, str]], str]] = {
    "_file": _from_file,
    "_env": _from_environment,
    "_command": _from_command,
}
"""Where a secret may come from, by the ending of its key."""
