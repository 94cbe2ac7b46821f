"""From settings, a compose file and what is known of kinds to a `StackPlan`: pure, nothing is started or asked.

What needs asking (does the engine answer, is there a binary) is handed in as answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.config.compose import ComposeFile
from harness.credentials import certificates, random_secret
from harness.errors import FidelityError, PlanError
from harness.model import Endpoint, Fidelity, LinkPlan, RuntimeName, ServicePlan, Source, StackPlan
from harness.services import SERVICES, kind_named, kind_of_image
from harness.services.base import Binary, Kind

REAL = "real"
NO_KIND = "none"
"""In `x-harness`: the image is one that we know, and the service is not what it usually is."""
SHELLS = frozenset({"sh", "bash", "ash", "dumb-init", "tini", "env"})


@dataclass(frozen=True)
class Choice:
    """The runtime of a run, and the words that say why."""

    runtime: RuntimeName
    reason: str


def variables_for_run(environment: Mapping[str, str], text: str = "") -> dict[str, str]:
    """What interpolates a compose file: the user's environment, and a random value for each secret not set there.

    Certificates are drawn only where the file's `text` wants one: that takes a moment.
    """
    drawn = {name: random_secret().reveal() for kind in SERVICES for name in kind.secret_variables}
    if "${TLS_CERTIFICATE" in text and "TLS_CERTIFICATE" not in environment:
        drawn |= certificates(kind.name.replace("_", "-") for kind in SERVICES)
    return {**drawn, **environment}


def bind_kinds(compose: ComposeFile) -> dict[str, ServicePlan]:
    """Give each service its kind: the one named by `x-harness`, else the one its image belongs to, else none.

    An image runs as its kind only when its own program is started, and not to come to an end.
    """
    return {name: replace(service, kind=_kind_of(service)) for name, service in compose.services.items()}


def _kind_of(service: ServicePlan) -> str | None:
    if service.kind:
        return None if service.kind == NO_KIND else kind_named(service.kind).name
    kind = kind_of_image(service.image)
    return kind.name if kind and not service.one_shot and _starts(kind, service.entrypoint) else None


def _starts(kind: Kind, entrypoint: tuple[str, ...]) -> bool:
    """Whether this entrypoint starts the kind's program; a shell or a script may."""
    if not entrypoint:
        return True
    name = entrypoint[0].rpartition("/")[2]
    own = {program.rpartition("/")[2] for program in (*kind.programs, *kind.facts.entrypoint)}
    return name in own | SHELLS or name.endswith(".sh")


def waves(services: Mapping[str, ServicePlan]) -> tuple[tuple[str, ...], ...]:
    """Start order: everything in a wave needs only earlier waves. Raises PlanError naming a cycle."""
    placed: list[tuple[str, ...]] = []
    done: set[str] = set()
    while len(done) < len(services):
        ready = tuple(
            name for name, service in services.items() if name not in done and done.issuperset(service.depends_on)
        )
        if not ready:
            raise PlanError(f"depends_on goes in a circle: {_circle(services, done)}", "remove one of them")
        placed.append(ready)
        done.update(ready)
    return tuple(placed)


def _circle(services: Mapping[str, ServicePlan], done: set[str]) -> str:
    seen: list[str] = []
    name = next(item for item in services if item not in done)
    while name not in seen:
        seen.append(name)
        name = next(needed for needed in services[name].depends_on if needed not in done)
    return " -> ".join([*seen[seen.index(name) :], name])


def process_fidelity(service: ServicePlan, binary: Binary | None) -> Fidelity:
    """What answers for a service on the process runtime."""
    if binary:
        return Fidelity(Source.BINARY, binary.version, service.pin, str(binary.path), _unproven(service))
    return Fidelity(Source.EMULATOR, "", service.pin, "", _unproven(service))


def _unproven(service: ServicePlan) -> bool:
    return bool(service.kind) and kind_named(str(service.kind)).emulator_unproven


def make_plan(
    compose: ComposeFile,
    choice: Choice,
    binaries: Mapping[str, Binary | None],
    required: Iterable[str] = (),
    ready_timeout: float = 60.0,
    images: Mapping[str, tuple[str, ...]] | None = None,
) -> StackPlan:
    """The plan of a stack. `binaries` answers, by service, which real server was found (process runtime only).

    Raises PlanError for a cycle or a service that the runtime cannot run, FidelityError when `required` names
    `real` or a service for which only an emulator can be had.
    """
    services = bind_kinds(compose)
    fidelity = {name: _fidelity(service, choice, binaries.get(name)) for name, service in services.items()}
    _require(required, services, fidelity)
    return StackPlan(compose.name, services, waves(services), choice.runtime, fidelity, ready_timeout, images or {})


def _fidelity(service: ServicePlan, choice: Choice, binary: Binary | None) -> Fidelity:
    if choice.runtime is not RuntimeName.PROCESS:
        source = Source.EMULATOR if service.stand_in else Source.IMAGE
        return Fidelity(source, "", service.pin, service.image, _unproven(service))
    if service.kind is None:
        known = ", ".join(kind.name for kind in SERVICES)
        raise PlanError(
            f"{service.origin}: service {service.name}: image {service.image!r} is of no kind that runs as a process "
            f"(known: {known})",
            "use the docker runtime, or bind it with `x-harness: {kind: ...}`",
        )
    return process_fidelity(service, binary)


def still_required(required: Iterable[str], services: Mapping[str, ServicePlan]) -> tuple[str, ...]:
    """What must be real of a stack that has only some of a run's services: the others are not missing from it."""
    known = {REAL, *services, *(service.kind for service in services.values())}
    return tuple(name for name in required if name in known)


def _require(required: Iterable[str], services: Mapping[str, ServicePlan], fidelity: Mapping[str, Fidelity]) -> None:
    for wanted in required:
        names = [name for name, service in services.items() if wanted in {REAL, name, service.kind}]
        if not names:
            raise FidelityError(f"--require-fidelity {wanted}: no such service or kind; known: {', '.join(services)}")
        missing = [name for name in names if not fidelity[name].verified]
        if missing:
            raise FidelityError(
                f"--require-fidelity {wanted}: only an emulator is here for {', '.join(missing)}",
                "install the real server and put it on PATH or name it with --binaries, or use --runtime docker",
            )


def plan_of_target(
    target: str, kinds: Mapping[str, str], needs: Mapping[str, Iterable[str]] | None = None
) -> StackPlan:
    """The plan of an environment that runs already: services by name with their kinds and what they need; nothing is
    to be started, so they are in one wave."""
    known = {name: dict.fromkeys((needs or {}).get(name, ()), "service_started") for name in kinds}
    services = {
        name: ServicePlan(name, "", kind, origin=target, depends_on=known[name]) for name, kind in kinds.items()
    }
    fidelity = {name: Fidelity(Source.LIVE) for name in services}
    return StackPlan(target, services, (tuple(services),), RuntimeName.EXTERNAL, fidelity)


def rewrite(value: str, addresses: Mapping[str, Mapping[str, Endpoint]], ports: Mapping[str, Mapping[int, str]]) -> str:
    """`value` with every `service:port` of the stack replaced by the leased address of that port; also `service port`,
    as Redis' configuration writes it.

    `ports` gives, by service, which port name a container's port number has. What is not a known service at a known
    port stays as it is.
    """

    def leased(match: re.Match[str]) -> str:
        service, between, number = match.group(1), match.group(2), int(match.group(3))
        found = addresses[service].get(ports[service].get(number, ""))
        return f"{found.host}{between}{found.port}" if found else match.group(0)

    if not ports:
        return value
    names = "|".join(sorted(map(re.escape, ports), key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])({names})(:| +)(\d+)(?![\d.])", leased, value)


def rewrite_service(
    service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], ports: Mapping[str, Mapping[int, str]]
) -> ServicePlan:
    """The service with the addresses of others replaced wherever a compose file may name them: `environment`,
    `command`, and the text of inline `configs`."""

    def leased(value: str) -> str:
        return rewrite(value, addresses, ports)

    return replace(
        service,
        command=tuple(map(leased, service.command)),
        environment={key: leased(value) for key, value in service.environment.items()},
        mounts=tuple(
            replace(mount, source=leased(mount.source)) if mount.kind == "content" else mount
            for mount in service.mounts
        ),
    )


def only(plan: StackPlan, names: Iterable[str], links: Iterable[LinkPlan] = ()) -> StackPlan:
    """The plan of these services and whatever they depend on, with links. Raises PlanError for one it does not have."""
    wanted = list(names)
    for name in wanted:
        if name not in plan.services:
            raise PlanError(f"no service {name!r} in {plan.project}: expected one of {', '.join(plan.services)}")
        wanted += [needed for needed in plan.services[name].depends_on if needed not in wanted]
    kept = {name: service for name, service in plan.services.items() if name in wanted}
    for link in (made := tuple(links)):
        for name in (link.target, *link.sources):
            if name not in kept:
                raise PlanError(f"link {link.name}: no service {name!r} is started: expected one of {', '.join(kept)}")
    fidelity = {name: plan.fidelity[name] for name in kept}
    images = {image: places for image, places in plan.images.items() if image in {one.image for one in kept.values()}}
    return replace(plan, services=kept, waves=waves(kept), fidelity=fidelity, images=images, links=made)
