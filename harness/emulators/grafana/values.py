"""What expressions work on: numbers and series with labels, read from frames and written to frames."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import MULTI, NUMERIC, Column, Frame

Number = float | None


@dataclass(frozen=True)
class Value:
    """A series of (epoch ms, number), or a single number when `points` has one entry without a time."""

    labels: dict[str, str]
    points: tuple[tuple[int | None, Number], ...]

    @property
    def single(self) -> bool:
        """Whether this is a number and no series."""
        return len(self.points) == 1 and self.points[0][0] is None

    @property
    def number(self) -> Number:
        """The number itself."""
        return self.points[0][1]


def number(value: Number, labels: dict[str, str] | None = None) -> Value:
    """A single number."""
    return Value(labels or {}, ((None, value),))


def values_of(frames: list[Frame]) -> list[Value]:
    """Every numeric column of the frames, as a series where there is a time; text columns of a table become labels."""
    found: list[Value] = []
    for frame in frames:
        times = next((c for c in frame.columns if c.kind == "time"), None)
        for column in (c for c in frame.columns if c.kind in {"number", "boolean"}):
            cells = [None if v is None else float(v) for v in column.values]
            if times is not None:
                rows = [(t, v) for t, v in zip(times.values, cells, strict=True) if t is not None]
                found.append(Value(column.labels or {}, tuple(rows)))
                continue
            texts = [c for c in frame.columns if c.kind == "string"]
            for row, cell in enumerate(cells):
                labels = (column.labels or {}) | {c.name: str(c.values[row]) for c in texts}
                found.append(number(cell, labels))
    return found


def frames_of(values: list[Value], ref: str) -> list[Frame]:
    """The answer's frames, one per value, the number column named by the refId."""
    frames = []
    for value in values:
        column = Column(ref, "float64", [v for _, v in value.points], value.labels or None, nullable=True)
        times = Column("Time", "time.Time", [t for t, _ in value.points], nullable=True)
        single = value.single
        frames.append(Frame("", [column] if single else [times, column], dict(NUMERIC if single else MULTI)))
    return frames
