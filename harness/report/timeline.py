"""An experiment as a picture: operations per second and latency over time, the fault's window, who led when. As SVG.

Two panels over one axis rather than two axes over one panel. Colours are classes of the page's style sheet, so that the
picture follows light, dark and paper; shape and words say the same without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.report.experiments import ExperimentReport
from harness.report.markup import Markup, tag

WIDTH, LEFT, RIGHT = 760, 52, 12
LABEL_ROW = 14
RATE_HEIGHT, LATENCY_HEIGHT, GAP, AXIS = 90, 40, 22, 18
BUCKET = 0.25
"""Seconds of one point, as `harness.experiments.measure` makes them."""
STEPS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120)
MOST_TICKS = 12

Steps = Sequence[tuple[float, float]]
"""Points of a line that keeps its value for one bucket."""


class Panel:
    """A part of the picture from `top`, `height` high, that values from zero to `most` are drawn in."""

    def __init__(self, top: float, height: float, values: Iterable[float], seconds: float) -> None:
        self.top, self.height, self.most = top, height, max([*values, 1e-9])
        self._scale = (WIDTH - LEFT - RIGHT) / max(seconds, BUCKET)

    @property
    def bottom(self) -> float:
        """Where zero is."""
        return self.top + self.height

    def x(self, at: float) -> float:
        """Where a moment is."""
        return round(LEFT + at * self._scale, 1)

    def y(self, value: float) -> float:
        """Where a value is."""
        return round(self.bottom - value / self.most * self.height, 1)

    def area(self, points: Steps, floor: Mapping[float, float], class_: str) -> Markup:
        """A filled step line; `floor` is what each point stands on."""
        parts = []
        for at, value in points:
            if value > 0:
                low, high = floor.get(at, 0.0), floor.get(at, 0.0) + value
                parts.append(f"M{self.x(at)} {self.y(low)}V{self.y(high)}H{self.x(at + BUCKET)}V{self.y(low)}Z")
        return tag("path", d="".join(parts), class_=class_)

    def line(self, points: Steps, class_: str) -> Markup:
        """A step line, broken where there is no value."""
        parts, end = [], None
        for at, value in points:
            parts.append(f"{'L' if end == at else 'M'}{self.x(at)} {self.y(value)}H{self.x(at + BUCKET)}")
            end = at + BUCKET
        return tag("path", d="".join(parts), class_=class_)

    def frame(self, title: str, unit: str) -> Markup:
        """Its base line, its highest value and what it shows."""
        return tag(
            "g",
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=self.bottom, y2=self.bottom, class_="axis"),
            _text(LEFT - 4, self.top + 8, f"{self.most:.0f}", "end"),
            _text(LEFT - 4, self.bottom, "0", "end"),
            _text(LEFT + 2, self.top - 6, f"{title}, {unit}", "start"),
        )


def timeline(one: ExperimentReport) -> Markup:
    """The picture; without points there is none to draw, and it says so."""
    if not one.points:
        return tag("p", "no operations were recorded", class_="quiet")
    leaders = _first_sights(one.changes)
    top = LABEL_ROW * (2 + len(leaders)) + GAP
    rates = Panel(top, RATE_HEIGHT, (point["ok"] + point["errors"] for point in one.points), one.ended)
    late = Panel(rates.bottom + GAP, LATENCY_HEIGHT, (point["p95_ms"] for point in one.points), one.ended)
    height = late.bottom + AXIS
    return tag(
        "svg",
        tag("title", f"{one.name}: operations per second and latency over {one.ended:.1f} s"),
        _fault(one, rates, late),
        rates.frame("operations", "per second"),
        rates.area(_points(one, "ok"), {}, "ok"),
        rates.area(_points(one, "errors"), dict(_points(one, "ok")), "errors"),
        late.frame("p95 of acknowledged operations", "ms"),
        late.line([point for point in _points(one, "p95_ms") if point[1] > 0], "latency"),
        _leaders(leaders, rates, late),
        _seconds(late, one.ended),
        viewBox=f"0 0 {WIDTH} {height:g}", class_="timeline", role="img",
    )  # fmt: skip


def _points(one: ExperimentReport, name: str) -> list[tuple[float, float]]:
    return [(point["at"], point[name]) for point in one.points]


def _fault(one: ExperimentReport, rates: Panel, late: Panel) -> list[Markup]:
    window = one.fault_window
    if window is None:
        return [_text(LEFT, LABEL_ROW, "no fault: a control", "start")]
    left, right = rates.x(window[0]), rates.x(window[1])
    band = tag("rect", x=left, y=LABEL_ROW + 4, width=max(1.0, round(right - left, 1)),
               height=late.bottom - LABEL_ROW - 4, class_="fault")  # fmt: skip
    words = f"fault {window[0]:.2f} s to {window[1]:.2f} s"
    return [band, _label(left, LABEL_ROW, words)]


def _first_sights(changes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first observer's word of each new leader, and of there being none; not who led from the start."""
    told: set[str] = set()
    spoken: set[str] = set()
    found = []
    for change in changes:
        if change["after"] not in told and change["seen_by"] in spoken:
            found.append(change)
        spoken.add(change["seen_by"])
        told.add(change["after"])
    return found


def _leaders(found: Sequence[Mapping[str, Any]], rates: Panel, late: Panel) -> list[Markup]:
    marks = []
    for row, change in enumerate(found):
        x, y = rates.x(change["at"]), LABEL_ROW * (row + 2)
        words = f"{change['role']}: {change['after'] or 'nobody'} ({change['at']:.2f} s, says {change['seen_by']})"
        marks += [tag("line", x1=x, x2=x, y1=y + 3, y2=late.bottom, class_="leader"), _label(x, y, words)]
    return marks


def _seconds(panel: Panel, ended: float) -> list[Markup]:
    step = next((step for step in STEPS if ended / step <= MOST_TICKS), STEPS[-1])
    moments = [number * step for number in range(int(ended / step) + 1)]
    return [_text(panel.x(at), panel.bottom + 13, f"{at:g} s", "middle") for at in moments]


def _label(x: float, y: float, words: str) -> Markup:
    """Beside a mark, on the side where there is room."""
    return _text(x, y, words, "start" if x < WIDTH / 2 else "end")


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return tag("text", words, x=round(x, 1), y=round(y, 1), text_anchor=anchor)
