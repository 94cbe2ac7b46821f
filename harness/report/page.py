"""report.html: the whole run on one page that needs no other file, for a screen, a mail or paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.report.engines import differences
from harness.report.experiments import ExperimentReport
from harness.report.markup import Child, Markup, raw, tag
from harness.report.read import BAD, RunReport, ServiceReport, TestReport
from harness.report.rows import COUNTED, counts, rows
from harness.report.summary import not_verified
from harness.report.terminal import fidelity_line
from harness.report.timeline import timeline
from harness.report.verdict import RunVerdict, judge

FILE_NAME = "report.html"
STYLE = Path(__file__).with_name("page.css")
COLOURS = {"failed": "bad", "blocked": "warn"}
NUMBERS = {
    "rto_seconds": "RTO, s",
    "detection_seconds": "detection, s",
    "failover_seconds": "failover, s",
    "recovery_seconds": "recovery, s",
    "lost": "lost (RPO)",
    "lost_seconds": "in, s",
}


def write(report: RunReport, directory: Path) -> Path:
    """Write the file and return its path."""
    path = directory / FILE_NAME
    path.write_text(render(report), encoding="utf-8")
    return path


def render(report: RunReport) -> str:
    """The page."""
    verdict = judge(report)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{_word(verdict)}: run {report.run}"),
        tag("style", raw(STYLE.read_text(encoding="utf-8"))),
    )
    body = tag("main", _head(report, verdict), _red(report), *_engines(report), _services(report), _layers(report),
               _measured(report), _experiments(report), _list("Not verified", not_verified(report)),
               _list("Left behind", report.left_behind))  # fmt: skip
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


def _word(verdict: RunVerdict) -> str:
    return "red" if verdict.exit_code else "green"


def _head(report: RunReport, verdict: RunVerdict) -> Markup:
    counted = ", ".join(f"{count} {name}" for name, count in counts(report.tests).items())
    began = datetime.fromtimestamp(report.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    fidelity = fidelity_line(report.emulated, len(report.names), report.runtime, report.reason, report.unproven)
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items() if version)
    return tag(
        "div",
        tag("h1", f"{_word(verdict).capitalize()}: {counted}"),
        [tag("p", tag("span", "Cause: ", class_="bad"), verdict.cause)] if verdict.cause else [],
        tag("p", fidelity),
        tag("p", f"run {report.run}, {began}, {report.finished - report.started:.1f} s, seed {report.seed}, "
                 f"exit code {verdict.exit_code}, {versions}", class_="quiet"),
        class_=f"verdict {_word(verdict)}",
    )  # fmt: skip


def _red(report: RunReport) -> list[Markup]:
    """Every red test and session with what it said."""
    red = [test for test in report.tests if test.outcome in BAD]
    if not red and not report.problems:
        return []
    details = [
        tag("details", tag("summary", tag("code", test.id), f": {test.reason}"), tag("pre", test.detail))
        for test in red
    ]
    return [tag("h2", "Causes"), *details, *(tag("pre", problem) for problem in report.problems)]


def _engines(report: RunReport) -> list[list[Markup]]:
    rows: list[list[Child]] = [[one.address, one.what, one.stack, str(one.tests)] for one in report.engines]
    if not rows:
        return []
    table = [tag("h2", "Engines"), _table(("engine", "answers", "stack", "#tests"), rows)]
    return [table, _list("Different", differences(report.engines, report.services))]


def _services(report: RunReport) -> list[Markup]:
    rows = [_service(service, report.tests) for service in report.services]
    columns = ("service", "answers", "version", "pin", "#ready", *(f"#{name}" for name in COUNTED))
    return [tag("h2", "Services"), _table(columns, rows)]


def _service(service: ServiceReport, tests: Iterable[TestReport]) -> list[Child]:
    state = "blocked" if service.blocked else "failed"
    ready = f"{service.seconds:.2f} s" if service.ready else tag("span", state, class_="bad")
    source = service.source if service.verified else tag("span", str(service.source), class_="warn")
    mine = [test for test in tests if service.name in test.uses and test.engine == service.engine]
    return [service.place, source, service.version or "-", service.pin, ready, *_numbers(counts(mine))]


def _layers(report: RunReport) -> list[Markup]:
    columns = ("subject", *(f"#{name}" for name in COUNTED), "#seconds", "reasons")
    found = []
    for layer in dict.fromkeys(test.layer for test in report.tests):
        lines = [
            [row.subject, *_numbers(row.counts), f"{row.seconds:.2f}", "; ".join(row.reasons)]
            for row in rows(report, layer)
        ]
        found += [tag("h2", f"Layer: {layer}"), _table(columns, lines)]
    return found


def _numbers(counted: Mapping[str, int]) -> list[Child]:
    return [tag("span", str(count), class_=COLOURS[name]) if count and name in COLOURS else str(count)
            for name, count in counted.items()]  # fmt: skip


def _measured(report: RunReport) -> list[Markup]:
    rows: list[list[Child]] = [
        [test.id, ", ".join(f"{name} {value}" for name, value in test.properties.items())]
        for test in report.tests
        if test.properties
    ]
    return [tag("h2", "Measured by tests"), _table(("test", "figures"), rows)] if rows else []


def _experiments(report: RunReport) -> list[Markup]:
    if not report.experiments:
        return []
    columns = ("experiment", "verdict", *(f"#{words}" for words in NUMBERS.values()))
    rows: list[list[Child]] = [
        [tag("a", one.name, href=f"#e{number}"), _verdict(one), *map(one.number, NUMBERS)]
        for number, one in enumerate(report.experiments)
    ]
    legend = tag("p", *(tag("span", tag("i", style=f"background: var(--{colour})"), words) for colour, words in (
        ("ok", "acknowledged"), ("errors", "failed or unknown"), ("fault", "fault on"))), class_="legend")  # fmt: skip
    cards = [_experiment(number, one) for number, one in enumerate(report.experiments)]
    return [tag("h2", "Experiments"), _table(columns, rows), legend, *cards]


def _verdict(one: ExperimentReport) -> Markup:
    """A control ends invalid, as it must: whether it did is what its test says."""
    words = str(one.verdict) if one.verdict == "valid" or not one.as_expected else f"{one.verdict}, as it must be"
    return tag("span", words, class_="good" if one.as_expected else "bad")


def _experiment(number: int, one: ExperimentReport) -> Markup:
    findings = [f"{found['judge']}: {found['verdict']}: {found['summary']}" for found in one.findings]
    history = tag("a", one.history, href=one.history)
    said = {"cause": one.cause, "witness": one.witness, "test": one.test, "history": history}
    return tag(
        "section",
        tag("h3", f"{one.name}: ", _verdict(one), f" ({one.ending})"),
        timeline(one),
        *(tag("p", tag("span", f"{name}: ", class_="quiet"), words) for name, words in said.items() if words),
        tag("ul", [tag("li", words) for words in findings]),
        class_="experiment",
        id=f"e{number}",
    )


def _list(title: str, items: Sequence[str]) -> list[Markup]:
    return [tag("h2", title), tag("ul", [tag("li", item) for item in items])] if items else []


def _table(columns: Iterable[str], rows: Iterable[Iterable[Child]]) -> Markup:
    """A `#` in front of a column's name says that it holds numbers."""
    named = list(columns)
    classes = [{"class_": "number"} if name.startswith("#") else {} for name in named]
    head = tag("tr", [tag("th", name.removeprefix("#"), **more) for name, more in zip(named, classes, strict=True)])
    body = [tag("tr", [tag("td", cell, **more) for cell, more in zip(row, classes, strict=True)]) for row in rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="wide")
