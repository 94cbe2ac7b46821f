"""Every TraceQL query whose answer the real 3.0.3 gave, run against the emulator's state: the answers are equal.

Compared without order where Tempo has none (attributes, traces) and floats to twelve digits: the real server sums
spans in another order.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.emulators import otlp_json
from harness.emulators.tempo.gotext import dumps
from harness.emulators.tempo.results import matched_entry
from harness.emulators.tempo.series import Aggregation, Window
from harness.emulators.tempo.spans import TraceRow, store_form
from harness.emulators.tempo.traceql.check import parse_query
from harness.emulators.tempo.traceql.evaluate import Evaluator
from harness.emulators.tempo.traceql.parser import TraceQLError

CAPTURES = Path(__file__).parent / "captures"
ORACLE: dict[str, Any] = json.loads((CAPTURES / "traceql_semantics.json").read_text())
SECOND = 10**9


@pytest.fixture(scope="module")
def rows() -> list[TraceRow]:
    """The oracle's data set as stored."""
    found = []
    for data in json.loads((CAPTURES / "traceql_dataset.json").read_text()):
        request = ExportTraceServiceRequest()
        otlp_json.decode(json.dumps(data).encode(), request)
        row = TraceRow(request.resource_spans[0].scope_spans[0].spans[0].trace_id)
        for resource in request.resource_spans:
            store_form(resource)
            row.add(resource)
        found.append(row)
    return found


def attributes(pairs: list[dict[str, Any]] | None) -> list[str]:
    """Attributes without their order."""
    return sorted(dumps(pair) for pair in pairs or [])


def shown_set(one: dict[str, Any], spans: dict[str, dict[str, Any]]) -> tuple[Any, ...]:
    """A spanset in comparable form."""
    shown = {
        name: (span.get("name"), span["durationNanos"], attributes(span.get("attributes")))
        for name, span in spans.items()
    }
    return one["matched"], attributes(one.get("attributes")), shown


@pytest.mark.parametrize("case", ORACLE["search"], ids=lambda case: case["q"])
def test_search_answers_as_the_real_one(case: dict[str, Any], rows: list[TraceRow]) -> None:
    if case["status"] != 200:
        with pytest.raises(TraceQLError) as refused:
            parse_query(case["q"])
        assert f"invalid TraceQL query: {refused.value}" == case["error"]
        return
    evaluator = Evaluator(parse_query(case["q"]))
    got: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        sets = evaluator.run(row)
        if sets:
            entry = matched_entry(row, sets, evaluator, 10)
            got[entry["rootTraceName"]] = [
                shown_set(one, {span["spanID"]: span for span in one["spans"]}) for one in entry["spanSets"]
            ]
    expected = {name: [shown_set(one, one["spans"]) for one in sets] for name, sets in case["traces"].items()}
    assert got == expected


@pytest.mark.parametrize("case", ORACLE["metrics"], ids=lambda case: case["q"])
def test_metrics_answer_as_the_real_one(case: dict[str, Any], rows: list[TraceRow]) -> None:
    if case["status"] != 200:
        with pytest.raises(TraceQLError) as refused:
            parse_query(case["q"])
        assert str(refused.value) == case["error"]
        return
    base = ORACLE["base_unix_s"] * SECOND
    window = Window.aligned(base - 60 * SECOND, base + 60 * SECOND, 30 * SECOND)
    aggregation = Aggregation(Evaluator(parse_query(case["q"])), window, 100, 30)
    for row in rows:
        aggregation.add(row, window.first - window.step, window.last)
    got = {
        dumps({label["key"]: label["value"] for label in one["labels"]}): one["samples"]
        for one in aggregation.results()
    }
    assert set(got) == {dumps(one["labels"]) for one in case["series"]}
    for one in case["series"]:
        samples = got[dumps(one["labels"])]
        values = [sample["value"] for sample in samples if "value" in sample]
        assert len(samples) == one["n"]
        assert all(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(values, one["values"], strict=True))
