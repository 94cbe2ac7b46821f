"""summary.json: the run in one small file, for pipelines and for trends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.model import UNPROVEN, Outcome
from harness.report import experiments
from harness.report.engines import EngineReport, differences
from harness.report.read import RunReport, ServiceReport
from harness.report.verdict import judge

FILE_NAME = "summary.json"


def as_data(report: RunReport) -> dict[str, Any]:
    """The summary as JSON values. `counts` has every outcome, zero included."""
    verdict = judge(report)
    return {
        "run": report.run,
        "seed": report.seed,
        "runtime": {"name": report.runtime, "reason": report.reason},
        "started": report.started,
        "seconds": round(report.finished - report.started, 3),
        "exit_code": verdict.exit_code,
        "cause": verdict.cause,
        "emulated": list(report.emulated),
        "unproven": list(report.unproven),
        "not_verified": not_verified(report),
        "counts": {"total": len(report.tests), **{str(outcome): report.count(outcome) for outcome in Outcome}},
        "services": {service.name: _service(service, report) for service in _once(report.services)},
        "layers": {layer: _layer(report, layer) for layer in report.layers},
        "measured": {test.id: dict(test.properties) for test in report.tests if test.properties},
        "experiments": [experiments.as_data(one) for one in report.experiments],
        "left_behind": list(report.left_behind),
        "versions": report.versions,
        **({"smoke": report.smoke} if report.smoke else {}),
        **({"engines": [_engine(engine, report) for engine in report.engines]} if report.engines else {}),
        **({"different": differences(report.engines, report.services)} if report.engines else {}),
    }


def _once(services: Iterable[ServiceReport]) -> list[ServiceReport]:
    """Each service once: of several engines the one where it did not become ready, else the first."""
    found: dict[str, ServiceReport] = {}
    for service in services:
        if service.name not in found or (found[service.name].ready and not service.ready):
            found[service.name] = service
    return list(found.values())


def _engine(engine: EngineReport, report: RunReport) -> dict[str, Any]:
    mine = [service for service in report.services if service.engine == engine.address]
    tests = tuple(test for test in report.tests if test.engine == engine.address)
    here = replace(report, tests=tests)
    return {**asdict(engine), "services": {service.name: _service(service, here) for service in mine}}


def not_verified(report: RunReport) -> list[str]:
    """What this run says nothing about, in words: emulated services, tests that did not run, with their reason."""
    emulated = [
        f"{one.place}: an emulator answered, not the real service{'; it is ' + UNPROVEN if one.unproven else ''}"
        for one in report.services
        if not one.verified
    ]
    idle = [
        f"{test.id}: {test.outcome}: {test.reason}"
        for test in report.tests
        if test.outcome in (Outcome.SKIPPED, Outcome.BLOCKED)
    ]
    return emulated + idle


def _service(service: ServiceReport, report: RunReport) -> dict[str, Any]:
    tests = [test for test in report.tests if service.name in test.uses]
    return {
        "kind": service.kind,
        "fidelity": service.source,
        "version": service.version,
        "pin": service.pin,
        "verified": service.verified,
        "unproven": service.unproven,
        "ready": service.ready,
        "seconds_to_ready": service.seconds,
        "cause": service.cause,
        "tests": {str(outcome): sum(test.outcome is outcome for test in tests) for outcome in Outcome},
    }


def _layer(report: RunReport, layer: str) -> dict[str, int]:
    tests = [test for test in report.tests if test.layer == layer]
    return {str(outcome): sum(test.outcome is outcome for test in tests) for outcome in Outcome}


def write(report: RunReport, directory: Path) -> Path:
    """Write the file and return its path."""
    path = directory / FILE_NAME
    path.write_text(json.dumps(as_data(report), indent=2) + "\n", encoding="utf-8")
    return path
