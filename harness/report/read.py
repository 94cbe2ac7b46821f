"""From a journal to a `RunReport`: pure, so that every report tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import journal
from harness.journal import Event
from harness.model import Outcome
from harness.report.engines import EngineReport, beginnings, engines
from harness.report.experiments import ExperimentReport, experiments

BAD = (Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True)
class TestReport:
    """One test: its pytest id, layer, the services it uses, how it ended, and why. `properties` are the figures that
    it recorded itself (`record_property`)."""

    id: str
    layer: str
    uses: tuple[str, ...]
    outcome: Outcome
    seconds: float
    reason: str = ""
    detail: str = ""
    at: float = 0.0
    engine: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceReport:
    """One service: whether it became ready, in how many seconds, and what answered; on which engine, when one was
    named."""

    name: str
    kind: str | None
    source: str
    version: str
    pin: str
    ready: bool
    seconds: float = 0.0
    cause: str = ""
    blocked: bool = False
    emulator_unproven: bool = False
    engine: str = ""

    @property
    def place(self) -> str:
        """Its name, and the engine that was named for it."""
        return f"{self.name} on {self.engine}" if self.engine else self.name

    @property
    def unproven(self) -> bool:
        """Whether an emulator answered that was never compared with a real server."""
        return self.emulator_unproven and not self.verified

    @property
    def verified(self) -> bool:
        """Whether a pass says anything about the real service."""
        return self.source != "emulator"


@dataclass(frozen=True)
class RunReport:
    """A whole run. `layers` keeps the order in which they ran. With several `engines`, `services` has each service once
    for each of them."""

    run: str
    seed: int
    runtime: str
    reason: str
    started: float
    finished: float
    services: tuple[ServiceReport, ...] = ()
    tests: tuple[TestReport, ...] = ()
    layers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    experiments: tuple[ExperimentReport, ...] = ()
    smoke: dict[str, Any] | None = None
    engines: tuple[EngineReport, ...] = ()

    def count(self, outcome: Outcome) -> int:
        """How many tests ended so."""
        return sum(test.outcome is outcome for test in self.tests)

    @property
    def emulated(self) -> tuple[str, ...]:
        """The services that an emulator stood in for, on any engine."""
        return tuple(dict.fromkeys(service.name for service in self.services if not service.verified))

    @property
    def names(self) -> tuple[str, ...]:
        """The services by name, each once."""
        return tuple(dict.fromkeys(service.name for service in self.services))

    @property
    def unproven(self) -> tuple[str, ...]:
        """Those of them whose emulator was never compared with a real server."""
        return tuple(dict.fromkeys(service.name for service in self.services if service.unproven))

    @property
    def executed(self) -> int:
        """How many tests really ran."""
        return sum(test.outcome in (Outcome.PASSED, *BAD) for test in self.tests)


def summarise(events: Iterable[Event]) -> RunReport:
    """Read a journal. What it does not tell (a run killed before it began) stays empty."""
    seen = list(events)
    data: dict[str, Any] = dict(next((event.data for event in beginnings(seen)), {}))
    tests = _tests(seen)
    return RunReport(
        run=data.get("run", ""),
        seed=data.get("seed", 0),
        runtime=data.get("runtime", ""),
        reason=data.get("reason", ""),
        started=seen[0].at if seen else 0.0,
        finished=seen[-1].at if seen else 0.0,
        services=_services(seen, data.get("services", {})),
        tests=tests,
        layers=tuple(dict.fromkeys(event["name"] for event in seen if event.type == journal.LAYER_STARTED)),
        problems=tuple(event["detail"] for event in seen if event.type == journal.SESSION_ERROR),
        lost=tuple(event["detail"] for event in seen if event.type == journal.ENGINE_LOST),
        left_behind=tuple(item for event in seen if event.type == journal.LEFT_BEHIND for item in event["what"]),
        smoke=next((dict(event.data) for event in reversed(seen) if event.type == journal.SMOKE_JUDGED), None),
        versions={"harness": data.get("version", ""), "python": data.get("python", "")},
        experiments=experiments(seen, {test.id: test.outcome for test in tests}),
        engines=engines(seen),
    )


def _services(events: list[Event], planned: dict[str, Any]) -> tuple[ServiceReport, ...]:
    found = {
        (event.data.get("engine", ""), event["service"]): _service(event)
        for event in events
        if event.type in (journal.SERVICE_READY, journal.SERVICE_FAILED)
    }
    places = dict.fromkeys([*(one.address for one in engines(events)), *(engine for engine, _ in found)])
    return tuple(found[engine, name] for name in planned for engine in places if (engine, name) in found)


def _service(event: Event) -> ServiceReport:
    fidelity = event["fidelity"]
    return ServiceReport(
        name=event["service"],
        kind=event["kind"],
        source=fidelity["source"],
        version=fidelity["version"],
        pin=fidelity["pin"],
        ready=event.type == journal.SERVICE_READY,
        seconds=event.data.get("seconds", 0.0),
        cause=event.data.get("cause", ""),
        blocked=event.data.get("state") == "blocked",
        emulator_unproven=fidelity.get("emulator_unproven", False),
        engine=event.data.get("engine", ""),
    )


def _tests(events: list[Event]) -> tuple[TestReport, ...]:
    """The last outcome of each test, in the order in which tests first ended."""
    found: dict[str, TestReport] = {}
    for event in events:
        if event.type == journal.TEST_FINISHED:
            found[event["test"]] = TestReport(
                id=event["test"],
                layer=event["layer"],
                uses=tuple(event["uses"]),
                outcome=Outcome(event["outcome"]),
                seconds=event["seconds"],
                reason=event["reason"],
                detail=event["detail"],
                at=event.at,
                engine=event.data.get("engine", ""),
                properties=event.data.get("properties", {}),
            )
    return tuple(found.values())
