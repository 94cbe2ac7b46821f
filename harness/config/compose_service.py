"""One entry of `services` as a service plan: every key that has a meaning, and errors that name file, line and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config import compose_schema as schema
from harness.config import compose_values as values
from harness.config import env_file
from harness.config.compose_mounts import MountReader
from harness.config.interpolation import interpolate
from harness.config.yaml_lines import Document, Place
from harness.errors import ComposeError
from harness.model import ContainerOptions, Health, Limits, Port, ServicePlan

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it names files and hosts
_PORTS = re.compile(r"(?:.*:)?([0-9]+)(?:-([0-9]+))?(?:/(tcp|udp))?")
MOST_PORTS = 100
"""How many ports one service may publish: each costs a leased address."""


@dataclass(frozen=True)
class Needs:
    """What a service needs of others: conditions by service, those it can do without, and links' aliases."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)


class ServiceReader:
    """Turns the merged data into plans. Holds the documents only to name places in errors."""

    def __init__(self, documents: list[Document], data: Any, base: Path, variables: Mapping[str, str]) -> None:
        self.documents, self.data, self.base, self.variables = documents, data, base, variables

    def entries(self) -> dict[str, Any]:
        """Every entry by name. Raises ComposeError when there is none."""
        entries = self.data.get("services") or {}
        if not entries:
            raise ComposeError(f"{self.documents[0].file}: no services", "add at least one under `services:`")
        return {str(name): entry for name, entry in entries.items()}

    def where(self, service: str, *place: str | int) -> str:
        """`file:line` of a part of a service, in the last file that has it."""
        full = ("services", service, *place)
        document = next((item for item in reversed(self.documents) if full[:3] in item.lines), None)
        document = document or next((item for item in self.documents if full[:2] in item.lines), self.documents[0])
        return document.where(full)

    def fail(self, service: str, place: Place, message: str) -> ComposeError:
        """An error that names file, line, service and key."""
        key = ".".join(str(part) for part in place) or "(entry)"
        return ComposeError(f"{self.where(service, *place)}: service {service}: {key}: {message}")

    def needs(self, name: str, entry: Any) -> Needs:
        """What a service needs of others."""
        parsed = self.parse(name, entry)
        linked = dict.fromkeys(parsed.links, "service_started")
        optional = values.optional_needs(entry.get("depends_on"))
        return Needs({**linked, **parsed.depends_on}, optional, parsed.links)

    def service(self, name: str, entry: Any) -> ServicePlan:
        """The plan of one service; `depends_on` is left to `needs`. Raises ComposeError."""
        parsed = self.parse(name, entry)
        if not parsed.image:
            raise self.no_image(name, entry)
        limits = parsed.deploy.resources.limits
        return ServicePlan(
            name=name,
            image=parsed.image,
            kind=parsed.x_harness.kind or None,
            pinned=self.pinned(name, parsed.image),
            tls=parsed.x_harness.tls,
            stand_in=parsed.x_harness.fidelity == "emulator",
            command=parsed.command,
            entrypoint=parsed.entrypoint,
            environment=self.environment(name, parsed),
            mounts=MountReader(self.data, self.base, self.variables, self.fail).mounts(name, parsed),
            ports=self.ports(name, parsed),
            health=_health(parsed.healthcheck),
            user=parsed.user,
            read_only=parsed.read_only,
            cap_add=tuple(parsed.cap_add),
            cap_drop=tuple(parsed.cap_drop),
            security_opt=tuple(parsed.security_opt),
            limits=Limits(
                parsed.mem_limit or limits.memory, parsed.cpus or limits.cpus, parsed.pids_limit or limits.pids
            ),
            stop_grace=parsed.stop_grace_period,
            hostname=parsed.hostname,
            options=replace(_options(parsed, entry), address=self.address(name, entry)),
            origin=self.where(name),
        )

    def no_image(self, name: str, entry: dict[str, Any]) -> ComposeError:
        """Why a service without an image cannot run."""
        if "build" not in entry:
            return self.fail(name, (), "expected `image`")
        return self.fail(
            name,
            ("build",),
            "the harness runs images and builds none: build it with `docker compose build`, and name the result under "
            "`image`, here or in an overlay",
        )

    def pinned(self, name: str, image: str) -> str:
        """The image that the first file names for a service: an overlay may replace it, the pin stays."""
        for document in self.documents:
            entry = (document.data.get("services") or {}).get(name)
            if isinstance(entry, dict) and entry.get("image"):
                return interpolate(str(entry["image"]), self.variables)
        return image

    def parse(self, name: str, entry: Any) -> schema.Service:
        """An entry with every key checked. Raises ComposeError."""
        if not _NAME.fullmatch(str(name)):
            raise self.fail(str(name), (), "expected a name of letters, digits, `.`, `_` and `-`")
        if not isinstance(entry, dict):
            raise self.fail(name, (), f"expected a mapping, found {type(entry).__name__}")
        kept = {
            str(key): value
            for key, value in entry.items()
            if key not in schema.WITHOUT_EFFECT
            and value is not None
            and (key == "x-harness" or not str(key).startswith("x-"))
        }
        try:
            return schema.Service.model_validate(kept)
        except ValidationError as error:
            raise self.explain(name, error) from error

    def explain(self, name: str, error: ValidationError) -> ComposeError:
        """The first of pydantic's errors in one sentence."""
        found = error.errors()
        first = max((item for item in found if item["loc"][0] == found[0]["loc"][0]), key=lambda item: len(item["loc"]))
        place = tuple(part for part in first["loc"] if isinstance(part, int) or not _is_form(part))
        if first["type"] == "extra_forbidden":
            why = schema.REFUSED.get(str(place[0])) if len(place) == 1 else None
            return self.fail(name, place, f"refused: {why}" if why else "unsupported key; see docs/compose.md")
        return self.fail(name, place, first["msg"].removeprefix("Value error, "))

    def environment(self, name: str, parsed: schema.Service) -> dict[str, str]:
        """Variables of `env_file`, then of `environment`; one without a value takes that of the run."""
        merged: dict[str, str] = {}
        files = [parsed.env_file] if isinstance(parsed.env_file, str) else parsed.env_file
        for item in files:
            entry = schema.EnvFile(path=item) if isinstance(item, str) else item
            merged.update(self.env_file(name, self.base / Path(entry.path).expanduser(), entry.required))
        for key, value in parsed.environment.items():
            if value is not None:
                merged[key] = value
            elif key in self.variables:
                merged[key] = self.variables[key]
        return merged

    def env_file(self, name: str, file: Path, required: bool) -> dict[str, str]:
        """The variables of one file."""
        if not file.is_file():
            if required:
                raise self.fail(name, ("env_file",), f"{file}: no such file")
            return {}
        return env_file.read(file, self.variables)

    def address(self, name: str, entry: dict[str, Any]) -> str:
        """The fixed address that the entry asks for, with its network's prefix."""
        try:
            return values.fixed_address(entry.get("networks"), self.data.get("networks"))
        except (ValueError, AttributeError) as error:
            raise self.fail(name, ("networks",), f"ipv4_address: {error}") from error

    def ports(self, name: str, parsed: schema.Service) -> tuple[Port, ...]:
        """Every port once. One that is published for both protocols counts as `udp`, which has a TCP side too."""
        found: dict[str, Port] = {}
        for index, item in enumerate(parsed.ports):
            for port in self.port(name, index, item):
                if port.scheme == "udp" or port.name not in found:
                    found[port.name] = port
        if len(found) > MOST_PORTS:
            raise self.fail(name, ("ports",), f"expected at most {MOST_PORTS} ports, found {len(found)}")
        return tuple(found.values())

    def port(self, name: str, index: int, item: str | int | schema.PublishedPort) -> list[Port]:
        """The ports of one entry, which may be a range."""
        text = f"{item.target}/{item.protocol}" if isinstance(item, schema.PublishedPort) else str(item)
        match = _PORTS.fullmatch(text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not match or not 0 < first <= last < 65536:
            raise self.fail(name, ("ports", index), f"expected [HOST:]CONTAINER[/tcp|/udp], found {item!r}")
        if last - first >= MOST_PORTS:
            raise self.fail(name, ("ports", index), f"expected at most {MOST_PORTS} ports, found {last - first + 1}")
        return [Port(str(number), number, match[3] or "tcp") for number in range(first, last + 1)]


def _is_form(part: str) -> bool:
    """Whether pydantic's location names one of several forms of a value (`str`, `VolumeMount`), not a key."""
    return part in {"str", "int"} or "[" in part or part[:1].isupper()


def _options(parsed: schema.Service, entry: dict[str, Any]) -> ContainerOptions:
    names = [*filter(None, [entry.get("container_name")]), *values.network_aliases(entry.get("networks"))]
    return ContainerOptions(
        working_dir=parsed.working_dir,
        domainname=parsed.domainname,
        init=parsed.init,
        shm_size=parsed.shm_size,
        stop_signal=parsed.stop_signal,
        sysctls={name: value or "" for name, value in parsed.sysctls.items()},
        extra_hosts=parsed.extra_hosts,
        ulimits=parsed.ulimits,
        dns=parsed.dns,
        dns_search=parsed.dns_search,
        group_add=parsed.group_add,
        aliases=tuple(dict.fromkeys(map(str, names))),
    )


def _health(check: schema.HealthCheck | None) -> Health | None:
    if check is None:
        return None
    test = () if check.disable or check.test[:1] == ("NONE",) else check.test
    return Health(test, check.interval, check.timeout, check.retries, check.start_period)
