"""One page that needs no other file: what is on it, and that nothing a test prints becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import journal
from harness.journal import Event
from harness.report import page
from harness.report.files import write_all
from harness.report.markup import VOID, raw, tag
from harness.report.read import RunReport, summarise
from harness.report.timeline import timeline
from tests.unit.rigs.report_rig import ended, experiment, started


def report(*events: Event) -> RunReport:
    return summarise([started("redis"), *events])


class Reader(HTMLParser):
    """Reads a page: its words, its classes, what it loads; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.classes: set[str] = set()
        self.names: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.classes |= set((dict(attrs).get("class") or "").split())

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read(*events: Event) -> Reader:
    return Reader(page.render(report(*events)))


def test_the_verdict_the_cause_and_each_red_test_come_first() -> None:
    found = read(ended("test_a"), ended("test_b", "failed", reason="<b>no</b>"))
    places = [found.text.index(words) for words in ("Red: 1 passed, 1 failed", "test_b: <b>no</b>", "Services")]
    assert places == sorted(places)
    assert "detail of <b>no</b>" in found.text
    assert {"red", "bad"} <= found.classes
    assert "b" not in found.names


def test_a_green_page_has_no_causes() -> None:
    found = read(ended("test_a"))
    assert "Green: 1 passed, 0 failed" in found.text
    assert "Causes" not in found.text
    assert "svg" not in found.names


def test_what_was_not_verified_and_left_behind_is_on_it() -> None:
    left = Event(journal.LEFT_BEHIND, 104.0, {"what": ["process 1"]})
    found = read(ended("test_a", "skipped", reason="no engine"), left)
    assert "tests/services/test_redis.py::test_a: skipped: no engine" in found.text
    assert "process 1" in found.text


def test_an_experiment_has_its_numbers_its_picture_and_what_was_found() -> None:
    found = read(
        ended("test_a", layer="failover"), experiment("redis-killed"), experiment("no-apply", verdict="invalid")
    )
    assert {"svg", "path"} <= found.names
    for words in ("2.25", "5 operations failed", "set-full: valid: 0 of 9 lost", "invalid, as it must be"):
        assert words in found.text


def test_figures_that_tests_recorded_are_on_it() -> None:
    assert "p99_ms 9.0" in read(ended("test_a", properties={"p99_ms": 9.0})).text


def test_it_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    made = report(ended("test_a", layer="failover"), experiment("redis-killed"))
    paths = write_all(made, tmp_path)
    assert [path.name for path in paths] == ["junit.xml", "summary.json", "report.html"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|src=|@import|url\(", text)
    assert {"script", "link", "img", "iframe"} & Reader(text).names == set()


def test_an_empty_journal_is_a_page_too() -> None:
    assert "no test was executed" in Reader(page.render(summarise([]))).text


# -- the picture ----------------------------------------------------------------------------------------------------


def picture(**more: Any) -> Reader:
    return Reader(timeline(report(experiment("redis-killed", **more)).experiments[0]))


def test_the_picture_tells_fault_window_and_each_new_leader_once() -> None:
    found = picture()
    assert "fault 1.00 s to 3.50 s" in found.text
    assert found.text.count("primary: nobody (2.00 s, says s1)") == 1
    assert found.text.count("primary: b (3.00 s, says s1)") == 1
    assert "primary: a" not in found.text
    assert {"ok", "errors", "latency", "fault", "leader"} <= found.classes


def test_without_a_fault_it_says_that_this_is_a_control() -> None:
    found = picture(phases=[{"name": "observe", "began": 0.0, "ended": 5.0}])
    assert "no fault: a control" in found.text
    assert "fault" not in found.classes


def test_a_fault_without_an_undo_lasts_to_the_end() -> None:
    assert "fault 1.00 s to 3.25 s" in picture(phases=[{"name": "fault", "began": 1.0, "ended": 1.2}]).text


def test_without_operations_there_is_nothing_to_draw() -> None:
    assert "no operations were recorded" in picture(points=[]).text


@pytest.mark.parametrize(("ended", "last"), [(2.0, "2 s"), (12.0, "12 s"), (151.0, "140 s")])
def test_the_axis_has_few_and_round_moments(ended: float, last: str) -> None:
    found = picture(phases=[{"name": "observe", "began": 0.0, "ended": ended}], points=[
        {"at": 0.0, "ok": 1.0, "errors": 0.0, "p95_ms": 1.0}])  # fmt: skip
    moments = [words for words in found.words if re.fullmatch(r"[\d.]+ s", words)]
    assert moments[-1] == last
    assert len(moments) <= 13


# -- markup ---------------------------------------------------------------------------------------------------------


def test_elements_nest_and_names_of_attributes_are_turned() -> None:
    made = tag("p", "a<", [tag("b", "&"), "c"], class_="x", text_anchor="end", width=2.5)
    assert made == '<p class="x" text-anchor="end" width="2.5">a&lt;<b>&amp;</b>c</p>'
    assert tag("line", x1=1) == '<line x1="1"/>'
    assert tag("style", raw("a > b")) == "<style>a > b</style>"


@given(st.text(), st.text())
def test_no_text_becomes_markup(inside: str, value: str) -> None:
    found = tag("p", inside, title=value)
    assert len(re.findall("<", found)) == 2
    assert VOID.isdisjoint({"p"})
    assert found.count('"') == 2
