"""Panels show what their source holds: `POST /api/ds/query` over TestData and expressions, and under many viewers.

Documents: HTTP API "Data source", query a data source; "TestData data source"; "Write expression queries".
"""

from __future__ import annotations

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.services.http_session import ServiceSession

TESTDATA = {"type": "grafana-testdata-datasource", "uid": "testdata"}
EXPRESSION = {"type": "__expr__", "uid": "__expr__"}
NOON = 1_700_000_400_000
"""A moment in the past, in milliseconds: TestData's predictable scenarios depend on the range alone."""
VIEWERS = 8
P95 = 1.0
"""Seconds that nineteen of twenty panels are answered in when eight people look at once."""


def ask(grafana: ServiceSession, *queries: dict[str, Any], start: int | str = "now-15m", end: int | str = "now") -> Any:
    """The answer to these queries over a time range."""
    return grafana.post("/api/ds/query", json={"queries": list(queries), "from": str(start), "to": str(end)})


def results(answer: Any, status: int = 200) -> Any:
    """Results by refId of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:300]}"
    return answer.json()["results"]


def table(text: str, ref: str = "A", **more: Any) -> dict[str, Any]:
    """A query for the rows of a CSV text."""
    return {"refId": ref, "datasource": TESTDATA, "scenarioId": "csv_content", "csvContent": text, **more}


def numbers(text: str, ref: str = "A") -> dict[str, Any]:
    """A query for a series of these numbers, spread over the range."""
    return {"refId": ref, "datasource": TESTDATA, "scenarioId": "csv_metric_values", "stringInput": text}


def expression(ref: str, kind: str, of: str, **more: Any) -> dict[str, Any]:
    """A server side expression."""
    return {"refId": ref, "datasource": EXPRESSION, "type": kind, "expression": of, **more}


def number(result: Any) -> Any:
    """The one value of a result that is a single number."""
    assert [len(frame["data"]["values"]) for frame in result["frames"]] == [1], result
    return result["frames"][0]["data"]["values"][0][0]


def by_label(result: Any, label: str) -> dict[str, list[Any]]:
    """The values of each frame's last field, by one of its labels."""
    found = {}
    for frame in result["frames"]:
        labels = frame["schema"]["fields"][-1].get("labels") or {}
        found[labels.get(label, "")] = frame["data"]["values"][-1]
    return found


def test_a_table_has_the_rows_and_types_of_its_source(grafana: ServiceSession) -> None:
    """TestData "CSV content": a column is a number, a boolean, a time or a text; an empty cell is null."""
    text = "time,host,load,up\n1700000000000,a,0.5,true\n1700000060000,b,,false\n"
    (frame,) = results(ask(grafana, table(text, alias="hosts")))["A"]["frames"]
    fields = [(one["name"], one["type"]) for one in frame["schema"]["fields"]]
    assert fields == [("time", "time"), ("host", "string"), ("load", "number"), ("up", "boolean")]
    assert (frame["schema"]["name"], frame["schema"]["refId"]) == ("hosts", "A")
    assert frame["data"]["values"] == [[1700000000000, 1700000060000], ["a", "b"], [0.5, None], [True, False]]


def test_a_series_holds_what_the_range_holds(grafana: ServiceSession) -> None:
    """TestData "Predictable Pulse": a value follows from its absolute time, so that overlapping ranges agree and
    nothing outside of the range is shown."""
    wave = {"timeStep": 60, "onCount": 2, "onValue": 9, "offCount": 3, "offValue": 1}
    query = {"refId": "A", "datasource": TESTDATA, "scenarioId": "predictable_pulse", "pulseWave": wave}

    def points(start: int, end: int) -> dict[int, float]:
        (frame,) = results(ask(grafana, query, start=start, end=end))["A"]["frames"]
        return dict(zip(*frame["data"]["values"], strict=True))

    hour, part = points(NOON, NOON + 3_600_000), points(NOON + 600_000, NOON + 1_200_000)
    assert hour == {t: 9 if t % 300_000 < 120_000 else 1 for t in range(NOON, NOON + 3_600_000, 60_000)}
    assert part == {t: v for t, v in hour.items() if NOON + 600_000 <= t < NOON + 1_200_000}


def test_a_random_walk_has_a_point_an_interval_and_keeps_its_bounds(grafana: ServiceSession) -> None:
    """TestData "Random Walk": what a dashboard shows before it has data; only its shape is known."""
    walk = {"refId": "A", "datasource": TESTDATA, "scenarioId": "random_walk", "seriesCount": 2, "min": 0, "max": 5}
    query = walk | {"startValue": 2, "intervalMs": 60_000, "maxDataPoints": 100}
    frames = results(ask(grafana, query, start=NOON, end=NOON + 1_800_000))["A"]["frames"]
    assert len(frames) == 2
    for times, values in (frame["data"]["values"] for frame in frames):
        assert times == list(range(NOON, NOON + 1_800_000, 60_000))
        assert all(0 <= value <= 5 for value in values)


def test_the_provisioned_dashboard_shows_data_in_every_panel(grafana: ServiceSession) -> None:
    """What a viewer's browser asks for: every target of every panel is answered without an error; the fixed table
    row by row, the pulse with its two values, the traces by their columns."""
    board = grafana.get("/api/dashboards/uid/platform-overview").json()["dashboard"]
    shown = {}
    for panel in board["panels"]:
        found = results(ask(grafana, *panel["targets"], start=board["time"]["from"], end=board["time"]["to"]))
        assert set(found) == {target["refId"] for target in panel["targets"]}, panel["title"]
        assert not [one["error"] for one in found.values() if one.get("error")], panel["title"]
        shown[panel["title"]] = found["A"]["frames"][0]
    header, *rows = csv.reader(board["panels"][0]["targets"][0]["csvContent"].splitlines())
    assert [one["name"] for one in shown["Components"]["schema"]["fields"]] == header
    cells = zip(*shown["Components"]["data"]["values"], strict=True)
    assert [[str(cell) for cell in row] for row in cells] == rows
    assert set(shown["Pulse"]["data"]["values"][1]) == {1, 2}
    assert shown["Recent traces"]["schema"]["fields"][0]["name"] == "traceID"


def test_one_failing_query_takes_no_other_with_it(grafana: ServiceSession) -> None:
    """400 as soon as one refId fails, with the error under that refId and the data of the others beside it; who
    depends on the failed one fails with it."""
    broken = {"refId": "B", "datasource": TESTDATA, "scenarioId": "error_with_source", "errorSource": "downstream"}
    found = results(
        ask(grafana, table("a\n1"), broken, expression("C", "math", "$B + 1"), expression("D", "math", "1 + 1")), 400
    )
    assert found["A"]["frames"][0]["data"]["values"] == [[1]]
    assert (found["B"]["errorSource"], bool(found["B"]["error"])) == ("downstream", True)
    assert "[B]" in found["C"]["error"]
    assert number(found["D"]) == 2


@pytest.mark.parametrize(
    ("queries", "status", "said"),
    [
        ([], 400, "No queries found"),
        ([table("a\n1"), table("a\n2")], 400, "same RefId"),
        ([{"refId": "A", "scenarioId": "csv_content"}], 400, "valid data source identifier"),
        ([{"refId": "A", "datasource": {"uid": "no-such-source"}}], 404, "Data source not found"),
    ],
    ids=["none", "same-ref", "no-source", "unknown-source"],
)
def test_a_request_that_cannot_be_asked_is_refused_with_the_cause(
    grafana: ServiceSession, queries: list[dict[str, Any]], status: int, said: str
) -> None:
    """`query.noQueries`, `query.duplicateRefId`, `query.invalidDatasourceId`, `Data source not found`."""
    answer = ask(grafana, *queries)
    assert (answer.status_code, said in answer.text) == (status, True), f"{answer.status_code} {answer.text}"


def test_reductions_are_those_of_the_numbers(grafana: ServiceSession) -> None:
    """ "Reduce": every reducer over 4, 1, 3, 2; what is missing counts as no number unless the mode drops it."""
    reducers = {"last": 2, "mean": 2.5, "sum": 10, "min": 1, "max": 4, "count": 4, "median": 2.5}
    asked = [expression(f"R{name}", "reduce", "A", reducer=name) for name in reducers]
    found = results(ask(grafana, numbers("4,1,3,2"), *asked))
    assert {name: number(found[f"R{name}"]) for name in reducers} == reducers
    modes: dict[str, dict[str, Any]] = {
        "strict": {},
        "drop": {"mode": "dropNN"},
        "replace": {"mode": "replaceNN", "replaceWithValue": 10},
    }
    asked = [expression(name, "reduce", "A", reducer="sum", settings=settings) for name, settings in modes.items()]
    gaps = results(ask(grafana, numbers("1,null,3"), *asked))
    assert {name: number(gaps[name]) for name in modes} == {"strict": None, "drop": 4, "replace": 14}


def test_thresholds_compare_as_they_are_named(grafana: ServiceSession) -> None:
    """ "Threshold": 1 where it holds, else 0; a range excludes its ends."""
    cases: dict[str, tuple[str, list[float], int]] = {
        "above": ("gt", [4], 1),
        "notAbove": ("gt", [5], 0),
        "below": ("lt", [6], 1),
        "notBelow": ("lt", [5], 0),
        "inside": ("within_range", [4, 6], 1),
        "onTheEnd": ("within_range", [5, 6], 0),
        "outside": ("outside_range", [6, 9], 1),
        "notOutside": ("outside_range", [4, 6], 0),
    }
    asked = [
        expression(ref, "threshold", "B", conditions=[{"evaluator": {"type": kind, "params": params}}])
        for ref, (kind, params, _) in cases.items()
    ]
    found = results(ask(grafana, numbers("1,5"), expression("B", "reduce", "A", reducer="last"), *asked))
    assert {ref: number(found[ref]) for ref in cases} == {ref: wanted for ref, (_, _, wanted) in cases.items()}


def test_expressions_work_per_series_and_keep_its_labels(grafana: ServiceSession) -> None:
    """ "Math": operands are joined by their labels; a chain query -> reduce -> math -> threshold judges each series."""
    text = "time,load{host=a},load{host=b}\n1700000000000,1,10\n1700000060000,3,30\n"
    high = {"evaluator": {"type": "gt", "params": [10]}}
    found = results(
        ask(
            grafana,
            table(text),
            expression("B", "reduce", "A", reducer="mean"),
            expression("C", "math", "$A * 2 - 1"),
            expression("D", "math", "$B + $B ** 2 / 10"),
            expression("E", "threshold", "D", conditions=[high]),
        )
    )
    assert by_label(found["B"], "host") == {"a": [2], "b": [20]}
    assert by_label(found["C"], "host") == {"a": [1, 5], "b": [19, 59]}
    assert by_label(found["D"], "host") == {"a": [2.4], "b": [60]}
    assert by_label(found["E"], "host") == {"a": [0], "b": [1]}


def test_a_hidden_query_is_computed_and_not_shown(grafana: ServiceSession) -> None:
    """`hide` of a panel's target: others may build on it, its own data stays out of the answer."""
    found = results(ask(grafana, {**numbers("1,2,4"), "hide": True}, expression("B", "reduce", "A", reducer="max")))
    assert set(found) == {"B"}
    assert number(found["B"]) == 4


def test_many_viewers_get_their_own_data_in_time(grafana: ServiceSession) -> None:
    """Visualisation under load: eight viewers ask for twelve panels each; every answer is the asker's own, and the
    slow tail stays below its budget."""

    def view(viewer: int) -> list[float]:
        took = []
        for panel in range(12):
            began, mine = time.perf_counter(), viewer * 100 + panel
            found = results(ask(grafana, table(f"id\n{mine}"), numbers(f"1,{mine}", "B")))
            took.append(time.perf_counter() - began)
            assert found["A"]["frames"][0]["data"]["values"] == [[mine]]
            assert found["B"]["frames"][0]["data"]["values"][1] == [1, mine]
        return took

    with ThreadPoolExecutor(VIEWERS) as pool:
        took = sorted(seconds for one in pool.map(view, range(VIEWERS)) for seconds in one)
    slow = took[int(len(took) * 0.95)]
    assert slow < P95, f"p95 {slow:.2f} s of {len(took)} panels, slowest {took[-1]:.2f} s"
