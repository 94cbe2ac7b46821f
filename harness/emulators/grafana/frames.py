"""Data frames: Grafana's columnar answer, and its JSON."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KINDS = {"time.Time": "time", "float64": "number", "int64": "number", "string": "string", "bool": "boolean"}
"""Go type of a column -> the schema's `type`; anything else is `other`."""
MULTI = {"type": "timeseries-multi", "typeVersion": [0, 0]}
NUMERIC = {"type": "numeric-multi", "typeVersion": [0, 1]}


@dataclass
class Column:
    """One field. Times are epoch milliseconds, missing values None."""

    name: str
    go: str
    values: list[Any]
    labels: dict[str, str] | None = None
    nullable: bool = False
    config: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The schema's type."""
        return KINDS.get(self.go, "other")

    def schema(self) -> dict[str, Any]:
        """This column's entry in schema.fields."""
        info: dict[str, Any] = {"frame": self.go} | ({"nullable": True} if self.nullable else {})
        extra = {"labels": self.labels} if self.labels else {}
        extra |= {"config": self.config} if self.config else {}
        return {"name": self.name, "type": self.kind, "typeInfo": info} | extra

    def entities(self) -> dict[str, list[int]]:
        """Where the values are that JSON has no word for."""
        tests: dict[str, Callable[[float], bool]] = {
            "NaN": math.isnan,
            "Inf": lambda v: v == math.inf,
            "NegInf": lambda v: v == -math.inf,
        }
        rows = [(i, v) for i, v in enumerate(self.values) if isinstance(v, float)]
        return {name: hits for name, test in tests.items() if (hits := [i for i, v in rows if test(v)])}


@dataclass
class Frame:
    """Columns of one length under a name."""

    name: str = ""
    columns: list[Column] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)

    def wire(self, ref: str) -> dict[str, Any]:
        """The frame as `POST /api/ds/query` answers it; `ref` "" for a nested one."""
        head: dict[str, Any] = ({"name": self.name} if self.name else {}) | ({"refId": ref} if ref else {})
        head |= {"meta": self.meta} if self.meta else {}
        values = [
            [None if isinstance(v, float) and not math.isfinite(v) else v for v in c.values] for c in self.columns
        ]
        entities = [column.entities() or None for column in self.columns]
        rare = {"entities": entities} if any(entities) else {}
        return {"schema": head | {"fields": [c.schema() for c in self.columns]}, "data": {"values": values} | rare}


@dataclass
class Answer:
    """What one query of a request came to. `status` is the inner one, of Grafana's backend."""

    frames: list[Frame] = field(default_factory=list)
    error: str = ""
    source: str = "plugin"
    status: int = 200

    def wire(self, ref: str) -> dict[str, Any]:
        """The entry under results."""
        frames = [frame.wire(ref) for frame in self.frames]
        if not self.error:
            return {"status": self.status, "frames": frames}
        return {"error": self.error, "errorSource": self.source, "status": self.status, "frames": frames}


@dataclass(frozen=True)
class Span:
    """The time range and resolution a query is asked with, in epoch milliseconds."""

    start: int
    end: int
    step: int = 1000
    points: int = 100
