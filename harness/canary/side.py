"""The two sides of a comparison: the stack as its files have it, and the same with one service in another version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import app
from harness.config.settings import Settings
from harness.errors import FidelityError, HarnessError, LeftBehind, PlanError, ServiceError, UsageError
from harness.model import RuntimeName, Source, StackPlan
from harness.runtimes.images import parse

ORIGIN = "canary"


@dataclass(frozen=True)
class Asked:
    """`redis=8.2`: a service, and a tag, an image, or a program of this machine."""

    service: str
    version: str

    @classmethod
    def read(cls, text: str) -> Asked:
        """Raises UsageError for anything else."""
        service, equals, version = text.partition("=")
        if not (service and equals and version):
            raise UsageError(f"canary {text!r}: expected SERVICE=VERSION", "for example `harness canary redis=8.2`")
        return cls(service, version)


@dataclass(frozen=True)
class Side:
    """One side: its name in reports, its settings, its plan and the flags that make `harness test` run it."""

    name: str
    settings: Settings
    plan: StackPlan
    flags: tuple[str, ...] = ()

    def version(self, service: str) -> str:
        """What is to answer."""
        fidelity = self.plan.fidelity[service]
        return f"{fidelity.source} {fidelity.version or self.plan.services[service].image}"


class SideFailed(ServiceError):
    """A side's server, or the run on it, did not do what it had to."""

    is_candidate = False

    @classmethod
    def of(cls, side: Side, told: str) -> SideFailed:
        """The failure of a side, in words."""
        failure = cls(f"{side.name}: {told}", "see the logs below the report's directory")
        failure.is_candidate = bool(side.flags)
        return failure


@contextmanager
def blaming(side: Side) -> Iterator[None]:
    """Whatever goes wrong inside is this side's doing: SideFailed, with the cause. What stays behind stays told."""
    try:
        yield
    except (LeftBehind, SideFailed):
        raise
    except HarnessError as error:
        raise SideFailed.of(side, error.message) from error
    except Exception as error:  # each client library has errors of its own
        raise SideFailed.of(side, f"{type(error).__name__}: {error}") from error


def sides(settings: Settings, asked: Asked, allow_emulators: bool = False) -> tuple[Side, Side]:
    """Pin and candidate. Raises PlanError, UsageError, or FidelityError when an emulator would answer for either."""
    pin_plan, _ = app.plan_for(settings)
    if asked.service not in pin_plan.services:
        raise PlanError(f"no service {asked.service!r}: expected one of {', '.join(pin_plan.services)}")
    replaced = _replaced(pin_plan, asked)
    name, value = replaced
    merged = (*(item for item in settings[name] if not item.startswith(f"{value.partition('=')[0]}=")), value)
    candidate_settings = settings.with_value(name, merged, ORIGIN)
    candidate_plan, _ = app.plan_for(candidate_settings)
    found = Side("pin", settings, pin_plan), Side("candidate", candidate_settings, candidate_plan, (f"--{name}", value))
    for side in found:
        if side.plan.fidelity[asked.service].source is Source.EMULATOR and not allow_emulators:
            raise FidelityError(
                f"{asked.service}: an emulator would answer on the {side.name}'s side, which has no version to judge",
                "name a real server: an image on the docker runtime, or a program (redis=/opt/redis-8.2/redis-server)",
            )
    return found


def _replaced(plan: StackPlan, asked: Asked) -> tuple[str, str]:
    """The option that makes the candidate, and its value."""
    service = plan.services[asked.service]
    if plan.runtime is RuntimeName.DOCKER:
        whole = "/" in asked.version or ":" in asked.version
        image = asked.version if whole else _retagged(service.image, asked.version)
        return "images", f"{service.image.partition('@')[0]}={image}"
    if plan.runtime is RuntimeName.PROCESS and Path(asked.version).is_file():
        return "binaries", f"{service.kind}={Path(asked.version).absolute()}"
    raise UsageError(
        f"{asked.service}={asked.version}: no program of that name, and the {plan.runtime} runtime has no images",
        "run on docker (--runtime docker), or name a program: redis=/opt/redis-8.2/redis-server",
    )


def _retagged(image: str, tag: str) -> str:
    reference = parse(image)
    bare = image.partition("@")[0].removesuffix(f":{reference.tag}")
    return f"{bare}:{tag}"
