"""JUnit XML, as Jenkins, GitLab and the like read it: a suite per layer, blocked tests as skipped with their cause."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.model import UNPROVEN, Outcome
from harness.report.read import RunReport, ServiceReport, TestReport

FILE_NAME = "junit.xml"
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def write(report: RunReport, directory: Path) -> Path:
    """Write the file and return its path."""
    root = ET.Element("testsuites", name="infra-harness", tests=str(len(report.tests)))
    for layer in dict.fromkeys(test.layer for test in report.tests):
        root.append(_suite(report, layer))
    ET.indent(root)
    path = directory / FILE_NAME
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _suite(report: RunReport, layer: str) -> ET.Element:
    tests = [test for test in report.tests if test.layer == layer]
    suite = ET.Element(
        "testsuite",
        name=layer,
        tests=str(len(tests)),
        failures=str(sum(test.outcome is Outcome.FAILED for test in tests)),
        errors=str(sum(test.outcome is Outcome.ERROR for test in tests)),
        skipped=str(sum(test.outcome in (Outcome.SKIPPED, Outcome.BLOCKED) for test in tests)),
        time=f"{sum(test.seconds for test in tests):.3f}",
        timestamp=datetime.fromtimestamp(report.started, UTC).isoformat(timespec="seconds"),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    suite.extend(_case(test) for test in tests)
    return suite


def _properties(report: RunReport) -> dict[str, str]:
    about = {"run": report.run, "seed": str(report.seed), "runtime": report.runtime}
    return {**about, **{f"service.{item.place}": _answered(item) for item in report.services}}


def _answered(service: ServiceReport) -> str:
    return f"{service.source} {service.version}{', ' + UNPROVEN if service.unproven else ''}"


def _case(test: TestReport) -> ET.Element:
    path, _, name = test.id.partition("::")
    classname = path.removesuffix(".py").replace("/", ".")
    case = ET.Element("testcase", classname=_clean(classname), name=_clean(name or test.id), time=f"{test.seconds:.3f}")
    if test.properties:
        recorded = ET.SubElement(case, "properties")
        for key, value in test.properties.items():
            ET.SubElement(recorded, "property", name=_clean(key), value=_clean(str(value)))
    tag = {
        Outcome.FAILED: "failure",
        Outcome.ERROR: "error",
        Outcome.SKIPPED: "skipped",
        Outcome.BLOCKED: "skipped",
    }.get(test.outcome)
    if tag:
        child = ET.SubElement(case, tag, message=_clean(test.reason))
        child.text = _clean(test.detail) or None
    return case


def _clean(text: str) -> str:
    """Text without the characters that XML 1.0 cannot carry."""
    return _NOT_XML.sub("?", text)
