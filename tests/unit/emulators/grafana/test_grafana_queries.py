from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest

from harness.emulators.grafana.errors import GrafanaError
from harness.emulators.grafana.expressions import run
from harness.emulators.grafana.frames import Column, Frame, Span
from harness.emulators.grafana.grafana import Grafana
from harness.emulators.grafana.testdata import run as scenario
from harness.emulators.grafana.values import Value, number, values_of
from tests.unit.emulators.grafana.grafana_rig import make, refused, serving

SPAN = Span(1_700_000_000_000, 1_700_000_010_000)
TEMPO_ANSWER = b"""{"traces":[
{"traceID":"aa","rootServiceName":"old","startTimeUnixNano":"1700000001000000000","durationMs":5},
{"traceID":"bb","rootServiceName":"new","rootTraceName":"GET /","startTimeUnixNano":"1700000002000000000",
"spanSets":[{"spans":[{"spanID":"01","startTimeUnixNano":"1700000002000000000","durationNanos":"7",
"attributes":[{"key":"http.path","value":{"stringValue":"/x"}}]}],"matched":1}]}],"metrics":{}}"""


@pytest.fixture
def world() -> Grafana:
    made = make(GF_DATAPROXY_TIMEOUT="1")
    made.datasources.create(1, {"name": "TestData", "uid": "td", "type": "grafana-testdata-datasource"})
    return made


def ask(world: Grafana, *queries: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    defaults = {"datasource": {"uid": "td"}}
    body = {"queries": [defaults | query for query in queries], "from": str(SPAN.start), "to": str(SPAN.end)}
    status, answer = asyncio.run(world.queries.request(1, body))
    return status, answer["results"]


# -- frames and TestData


def test_frame_json_marks_what_json_cannot_say() -> None:
    column = Column("v", "float64", [1.0, math.nan, math.inf, None], {"a": "b"}, nullable=True)
    wire = Frame("x", [column], {"type": "m"}).wire("A")
    info = {"frame": "float64", "nullable": True}
    field = {"name": "v", "type": "number", "typeInfo": info, "labels": {"a": "b"}}
    assert wire["schema"] == {"name": "x", "refId": "A", "meta": {"type": "m"}, "fields": [field]}
    assert wire["data"] == {"values": [[1.0, None, None, None]], "entities": [{"NaN": [1], "Inf": [2]}]}


def test_csv_content_finds_types_times_and_labels() -> None:
    text = "time,count,ratio{env=prod},ok,name\n1700000000000,1,1.5,true,a\n1700000001000,,2,false,b"
    answer = scenario({"scenarioId": "csv_content", "csvContent": text, "alias": "T"}, SPAN)
    assert answer
    columns = {column.name: column for column in answer.frames[0].columns}
    assert {name: column.go for name, column in columns.items()} == {
        "time": "time.Time", "count": "int64", "ratio": "float64", "ok": "bool", "name": "string",
    }  # fmt: skip
    assert columns["time"].values == [1_700_000_000_000, 1_700_000_001_000]
    assert (columns["count"].values, columns["ratio"].labels) == ([1, None], {"env": "prod"})
    assert columns["ok"].values == [True, False]
    stamped = scenario({"scenarioId": "csv_content", "csvContent": "Time\n2023-11-14T22:13:20Z"}, SPAN)
    assert stamped
    assert stamped.frames[0].columns[0].values == [1_700_000_000_000]


@pytest.mark.parametrize("text", ["", "a,b\n1"])
def test_csv_that_cannot_be_read_has_no_answer(text: str) -> None:
    assert scenario({"scenarioId": "csv_content", "csvContent": text}, SPAN) is None


def test_csv_metric_values_spread_over_the_range() -> None:
    answer = scenario({"refId": "A", "scenarioId": "csv_metric_values", "stringInput": "1,20, 90"}, SPAN)
    assert answer
    times, values = answer.frames[0].columns
    assert times.values == [1_700_000_000_000, 1_700_000_005_000, 1_700_000_010_000]
    assert (values.name, values.values) == ("A-series", [1, 20, 90])


def test_pulse_depends_on_absolute_time_only() -> None:
    wave = {"timeStep": 2, "onCount": 1, "onValue": 5, "offCount": 1, "offValue": "1.5"}
    query = {"refId": "A", "scenarioId": "predictable_pulse", "pulseWave": wave}
    first, shifted = scenario(query, SPAN), scenario(query, Span(SPAN.start + 4000, SPAN.end + 4000))
    assert first
    assert shifted
    times, values = first.frames[0].columns
    assert (times.name, values.name, times.values[0]) == ("Time", "Value", SPAN.start)
    assert values.values == [5.0, 1.5, 5.0, 1.5, 5.0]
    assert shifted.frames[0].columns[1].values == values.values


def test_random_walk_is_the_same_for_the_same_range() -> None:
    query = {"refId": "A", "scenarioId": "random_walk", "seriesCount": 2, "min": 0, "max": 3, "startValue": 2}
    first, again = scenario(query, SPAN), scenario(query, SPAN)
    assert first
    assert first == again
    assert [len(frame.columns[1].values) for frame in first.frames] == [10, 10]
    assert first.frames[0].meta["custom"] == {"customStat": 10}
    assert all(0 <= v <= 3 for v in first.frames[0].columns[1].values)


def test_error_scenarios(world: Grafana) -> None:
    failing = {"scenarioId": "error_with_source", "errorSource": "downstream"}
    status, results = ask(world, failing, {"scenarioId": "no_data_points", "refId": "B"})
    assert (status, results["A"]["status"], results["A"]["error"]) == (400, 500, "error")
    assert results["A"]["errorSource"] == "downstream"
    assert "B" not in results
    assert refused(ask, world, {"scenarioId": "slow_query"}).message == "not emulated: TestData scenario 'slow_query'"


def test_request_level_errors(world: Grafana) -> None:
    def message(queries: Any) -> str:
        with pytest.raises(GrafanaError) as caught:
            asyncio.run(world.queries.request(1, {"queries": queries}))
        return str((caught.value.body or {}).get("messageId") or caught.value.message)

    assert message([]) == "query.noQueries"
    assert message([{"refId": "A"}]) == "query.invalidDatasourceId"
    assert message([{"refId": "A", "datasource": {"uid": ["td"]}}]) == "query.invalidDatasourceId"
    assert message([{"datasource": {"uid": "td"}}, {"datasource": {"uid": "td"}}]) == "query.duplicateRefId"
    assert message([{"datasource": {"uid": "absent"}}]) == "Data source not found"


# -- expressions


def calc(text: str, **inputs: list[Value]) -> list[float | None]:
    answer = run({"refId": "X", "type": "math", "expression": text}, inputs)
    return [value.number for value in values_of(answer.frames)]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("2 + 3 > 1", 1.0),
        ("1 + 2 * 3 ** 2", 19.0),
        ("-(4 - 1) % 2", -1.0),
        ("!0 && 2 || 0", 1.0),
        ("1 / 0", math.inf),
        ("1e3 != 1000", 0.0),
    ],
)
def test_math(text: str, result: float | None) -> None:
    assert calc(text) == [result]


@pytest.mark.parametrize("text", ["", "1 +", "1 2", "(1", "1 ; 2", ")"])
def test_math_that_does_not_parse(text: str) -> None:
    error = refused(calc, text)
    assert (error.status, error.body and error.body["messageId"]) == (400, "sse.parseError")


def test_math_joins_by_labels() -> None:
    left = [number(1, {"a": "x"}), number(2, {"a": "y"})]
    right = [number(10, {"a": "x", "b": "z"})]
    assert calc("$A + $B", A=left, B=right) == [11.0]
    assert calc("${A} * 2", A=left) == [2.0, 4.0]
    series = [Value({}, ((1, 1.0), (2, None), (3, 3.0)))]
    answer = run({"refId": "X", "type": "math", "expression": "$A + $A"}, {"A": series})
    assert values_of(answer.frames)[0].points == ((1, 2.0), (2, None), (3, 6.0))


@pytest.mark.parametrize(
    ("reducer", "mode", "result"),
    [
        ("last", "", 4.0),
        ("mean", "dropNN", 3.0),
        ("sum", "replaceNN", 6.0),
        ("count", "", 3.0),
        ("median", "dropNN", 3.0),
    ],
)
def test_reduce(reducer: str, mode: str, result: float) -> None:
    series = [Value({"a": "x"}, ((1, 2.0), (2, None), (3, 4.0)))]
    query = {"refId": "B", "type": "reduce", "expression": "A", "reducer": reducer, "settings": {"mode": mode}}
    answer = run(query, {"A": series})
    assert values_of(answer.frames) == [number(result, {"a": "x"})]
    assert answer.frames[0].meta == {"type": "numeric-multi", "typeVersion": [0, 1]}


def test_reduce_of_a_gap_is_not_a_number() -> None:
    query = {"refId": "B", "type": "reduce", "expression": "A", "reducer": "max"}
    assert math.isnan(values_of(run(query, {"A": [Value({}, ((1, 2.0), (2, None)))]}).frames)[0].number or 0)


@pytest.mark.parametrize(
    ("kind", "params", "result"),
    [("gt", [1], 1.0), ("lte", [1], 0.0), ("within_range", [0, 5], 1.0), ("outside_range", [0, 5], 0.0)],
)
def test_threshold(kind: str, params: list[float], result: float) -> None:
    query = {
        "refId": "C",
        "type": "threshold",
        "expression": "B",
        "conditions": [{"evaluator": {"type": kind, "params": params}}],
    }
    assert values_of(run(query, {"B": [number(2)]}).frames)[0].number == result


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"type": "math", "expression": "abs(-1)"}, "math function 'abs'"),
        ({"type": "resample", "expression": "A"}, "expression type 'resample'"),
    ],
)
def test_other_expressions_are_not_emulated(query: dict[str, Any], named: str) -> None:
    error = refused(run, {"refId": "C"} | query, {})
    assert (error.status, error.message) == (501, f"not emulated: {named}")


def test_expressions_over_queries(world: Grafana) -> None:
    expression = {"datasource": {"uid": "__expr__", "type": "__expr__"}}
    status, results = ask(
        world,
        expression | {"refId": "C", "type": "math", "expression": "$B > 40"},
        expression | {"refId": "B", "type": "reduce", "expression": "A", "reducer": "mean"},
        {"refId": "A", "scenarioId": "csv_metric_values", "stringInput": "10,90", "hide": True},
    )
    assert (status, sorted(results)) == (200, ["B", "C"])
    assert [results[ref]["frames"][0]["data"]["values"] for ref in "BC"] == [[[50.0]], [[1.0]]]
    failing = {"refId": "A", "scenarioId": "error_with_source"}
    status, results = ask(world, failing, expression | {"refId": "B", "type": "math", "expression": "$A + 1"})
    assert "[sse.dependencyError] did not execute expression [B]" in results["B"]["error"]
    assert refused(ask, world, expression | {"type": "sql"}).status == 501
    circle = [expression | {"refId": a, "type": "math", "expression": f"${b}"} for a, b in ("AB", "BA")]
    assert refused(ask, world, *circle).status == 400


# -- Tempo


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def test_tempo_search_trace_and_metrics(world: Grafana) -> None:
    with serving() as tempo:
        world.datasources.create(1, {"name": "Tempo", "uid": "tempo", "type": "tempo", "url": tempo.url})
        here = {"datasource": {"uid": "tempo"}, "queryType": "traceql"}
        tempo.answers["/api/search"] = (200, "application/json", TEMPO_ANSWER)
        status, results = ask(world, here | {"query": "{ }", "limit": 5})
        values = results["A"]["frames"][0]["data"]["values"]
        assert (status, values[0], values[4]) == (200, ["bb", "aa"], [None, 5])
        assert values[5][0][0]["schema"]["fields"][4]["name"] == "http.path"
        assert tempo.calls[0][1] == "/api/search?q=%7B+%7D&limit=5&spss=3&start=1700000000&end=1700000010"

        sample = {"labels": [attribute("s", "x")], "samples": [{"timestampMs": "5", "value": 2.5}]}
        series = json.dumps({"series": [sample]}).encode()
        tempo.answers["/api/metrics/query_range"] = (200, "application/json", series)
        frame = ask(world, here | {"query": "{ } | rate()"})[1]["A"]["frames"][0]
        assert (frame["data"]["values"], frame["schema"]["fields"][1]["labels"]) == ([[5], [2.5]], {"s": '"x"'})

        times = {"startTimeUnixNano": "1000000", "endTimeUnixNano": "3000000"}
        span = {"traceId": "qrvM3e7/ABEiM0RVZneImQ==", "spanId": "AQIDBAUGBwg=", "name": "op"} | times
        resource = {"attributes": [attribute("service.name", "api")]}
        trace = json.dumps(
            {"trace": {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}}
        ).encode()
        tempo.answers["/api/v2/traces/aabb"] = (200, "application/json", trace)
        columns = ask(world, here | {"queryType": "traceId", "query": "aabb"})[1]["A"]["frames"][0]["data"]["values"]
        assert (columns[0], columns[1], columns[4], columns[7]) == (
            ["aabbccddeeff00112233445566778899"],
            ["0102030405060708"],
            ["api"],
            [2.0],
        )


def test_tempo_failures_are_downstream(world: Grafana) -> None:
    here = {"datasource": {"uid": "tempo"}, "queryType": "traceql", "query": "{ }"}
    with serving() as tempo:
        world.datasources.create(1, {"name": "Tempo", "uid": "tempo", "type": "tempo", "url": tempo.url})
        tempo.answers["/api/search"] = (429, "text/plain", b"job queue full")
        result = ask(world, here)[1]["A"]
        assert result["error"] == "failed to execute search query Status: 429 Body: job queue full"
        assert (
            ask(world, here | {"queryType": "traceId", "query": "ab"})[1]["A"]["error"] == "trace with id ab not found"
        )
        assert ask(world, here | {"queryType": "traceId", "query": "x!"})[1]["A"]["error"] == "invalid trace id"
        assert "unsupported query type: 'x'" in ask(world, here | {"queryType": "x"})[1]["A"]["error"]
        tempo.answers["/api/search"] = (200, "application/json", b"not json")
        assert ask(world, here)[1]["A"]["status"] == 500
        tempo.delay = 1.5
        assert ask(world, here)[1]["A"]["status"] == 504
    status, results = ask(world, here)
    assert (status, results["A"]["status"], results["A"]["errorSource"]) == (400, 502, "downstream")
    assert "connect: connection refused" in results["A"]["error"]
