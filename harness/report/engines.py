"""Several engines in one report: which stack ran on which, how many tests each saw, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import journal
from harness.journal import Event

if TYPE_CHECKING:
    from harness.report.read import ServiceReport


@dataclass(frozen=True)
class EngineReport:
    """One engine that was named: what answered there, the stack on it, and how many tests ended on it."""

    address: str
    stack: str = ""
    version: str = ""
    api: str = ""
    os: str = ""
    architecture: str = ""
    tests: int = 0

    @classmethod
    def of(cls, told: Mapping[str, str], stack: str = "", tests: int = 0) -> EngineReport:
        """From what the engine told of itself."""
        names = ("address", "version", "api", "os", "architecture")
        return cls(**{name: told.get(name, "") for name in names}, stack=told.get("stack", stack), tests=tests)

    def __str__(self) -> str:
        return f"engine {self.address}: {self.what}; stack {self.stack}"

    @property
    def what(self) -> str:
        """Its version and its machine's platform."""
        return f"docker {self.version} (API {self.api}, {self.os}, {self.architecture})"


def beginnings(events: Iterable[Event]) -> list[Event]:
    """The events with which the stacks of a run began; of several engines in the order in which they were named, which
    is that of the stacks' ids, whichever was first."""
    began = [event for event in events if event.type == journal.RUN_STARTED]
    if any("engine" not in event.data for event in began):
        return began
    return sorted(began, key=lambda event: (len(event["run"]), event["run"]))


def engines(events: Iterable[Event]) -> tuple[EngineReport, ...]:
    """The engines of a journal, as they were named; none when none was."""
    seen = list(events)
    began = [event.data["engine"] for event in beginnings(seen) if "engine" in event.data]
    ended = [event.data.get("engine", "") for event in seen if event.type == journal.TEST_FINISHED]
    return tuple(EngineReport.of(told, tests=ended.count(told["address"])) for told in began)


def lines(found: Iterable[EngineReport], services: Iterable[ServiceReport]) -> list[str]:
    """What a person is told of the engines at the end, without colours."""
    each = list(found)
    told = [f"{one}; {one.tests} tests" for one in each]
    return [*told, *(f"different: {text}" for text in differences(each, services))]


def differences(found: Iterable[EngineReport], services: Iterable[ServiceReport] = ()) -> list[str]:
    """In what the engines of one run differ, a sentence each: a test's result then depends on where it ran."""
    versions = {one.address: f"docker {one.version}" for one in found}
    platforms = {one.address: f"{one.os}, {one.architecture}" for one in found}
    told = [("engines", versions), ("platforms", platforms)]
    answers: dict[str, dict[str, str]] = {}
    for service in services:
        if service.ready and service.engine:
            answers.setdefault(service.name, {})[service.engine] = f"{service.source} {service.version}".strip()
    told += answers.items()
    return [f"{name} differ: {_by_engine(values)}" for name, values in told if len(set(values.values())) > 1]


def _by_engine(values: Mapping[str, str]) -> str:
    return "; ".join(f"{value} on {address}" for address, value in values.items())
