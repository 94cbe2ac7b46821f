"""Live traces, the log, blocks and the backend on a clock of the test's own; and every seeded defect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from harness.emulators.tempo.defects import DEFECTS
from tests.unit.emulators.tempo.tempo_replay import CAPTURES, Rig, make_rig

T0 = 1_800_000_000.25
FAST = "config-fast-retention.yaml"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def spans(*names: str, trace: str = TRACE, at: float = T0, service: str = "shop", **fields: Any) -> dict[str, Any]:
    """OTLP/JSON of a trace: the first name is the root, the others its children."""
    made = [
        {
            "traceId": trace, "spanId": f"{number:016x}", "name": name, "kind": 2,
            "parentSpanId": "" if number == 1 else f"{1:016x}",
            "startTimeUnixNano": str(int(at * 1e9)), "endTimeUnixNano": str(int(at * 1e9) + 10**8), **fields,
        }
        for number, name in enumerate(names, 1)
    ]  # fmt: skip
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": made}]}]}


def by_id(rig: Rig, trace: str = TRACE) -> list[str]:
    """Names of the spans read by id, none when unknown."""
    answer = rig.query(f"/api/traces/{trace}")
    batches = json.loads(answer.body)["batches"] if answer.status == 200 else []
    return [span["name"] for batch in batches for scoped in batch["scopeSpans"] for span in scoped.get("spans", ())]


def found(rig: Rig, query: str = "%7B%7D", more: str = "", headers: dict[str, str] | None = None) -> list[str]:
    """Root names of the traces a search finds."""
    answer = rig.query(f"/api/search?q={query}{more}", headers)
    assert answer.status == 200, answer
    return [trace["rootTraceName"] for trace in json.loads(answer.body)["traces"]]


def run_until(rig: Rig, moment: float, step: float = 0.2) -> None:
    """Let time pass."""
    while rig.now[0] < moment:
        rig.at(min(rig.now[0] + step, moment))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make_rig(FAST, tmp_path, T0)


def test_live_is_read_by_id_at_once_and_searched_after_the_cut(rig: Rig) -> None:
    rig.push(spans("root", "child"))
    assert by_id(rig) == ["root", "child"]
    assert found(rig) == []
    run_until(rig, T0 + 1)
    assert found(rig) == ["root"]


def test_a_trace_that_never_rests_is_cut_after_its_longest_life(rig: Rig) -> None:
    for tenth in range(14):  # idle limit 100 ms is never reached, life limit 500 ms is
        rig.push(spans(f"span{tenth}"))
        rig.at(T0 + tenth * 0.08)
    assert found(rig) != []


def test_a_span_of_the_future_is_found_when_the_clock_gets_there(rig: Rig) -> None:
    rig.push(spans("later", at=T0 + 3))
    run_until(rig, T0 + 2)
    assert by_id(rig) == ["later"]
    assert found(rig) == []
    run_until(rig, T0 + 4)
    window = f"&start={int(T0)}&end={int(T0) + 60}"
    assert found(rig, more=window) == ["later"]


def test_old_spans_are_read_by_id_and_not_searched(rig: Rig) -> None:
    rig.push(spans("old", at=T0 - 1800))
    run_until(rig, T0 + 1)
    assert by_id(rig) == ["old"]
    assert found(rig) == []


def test_a_kill_loses_live_traces_and_nothing_else(tmp_path: Path) -> None:
    before = make_rig(FAST, tmp_path, T0)
    before.push(spans("kept"))
    run_until(before, T0 + 0.5)
    before.push(spans("lost", trace="f" * 32))
    after = make_rig(FAST, tmp_path, T0 + 0.75)  # the first is gone without a word
    assert by_id(after) == ["kept"]
    assert by_id(after, "f" * 32) == []
    run_until(after, T0 + 1)
    assert found(after) == ["kept"]


def test_a_graceful_stop_loses_nothing(tmp_path: Path) -> None:
    before = make_rig(FAST, tmp_path, T0)
    before.push(spans("kept"))
    before.instance.stop()
    assert by_id(make_rig(FAST, tmp_path, T0 + 1)) == ["kept"]


def test_a_torn_frame_and_a_log_without_meta_are_dropped(tmp_path: Path) -> None:
    before = make_rig(FAST, tmp_path, T0)
    before.push(spans("kept"))
    run_until(before, T0 + 0.5)
    (log,) = (tmp_path / "live-store/traces").glob("*vParquet4")
    with (log / "data").open("ab") as data:
        data.write(b"\x00\x00\x01\x00torn")
    orphan = log.with_name("11111111-1111-1111-1111-111111111111+single-tenant+vParquet4")
    orphan.mkdir()
    after = make_rig(FAST, tmp_path, T0 + 1)
    assert by_id(after) == ["kept"]
    assert not orphan.exists()


def test_retention_follows_the_real_timeline(rig: Rig, tmp_path: Path) -> None:
    """The capture retention.txt: block at ~1 s, live copy gone at 4-5, marked at 10-11, by id gone at 12-13."""
    rig.push(spans("root"))
    run_until(rig, T0 + 2.6)
    assert len(list((tmp_path / "blocks").glob("*/*/meta.json"))) == 1
    run_until(rig, T0 + 7)
    assert list((tmp_path / "live-store/traces/blocks").glob("*/*")) == []
    assert by_id(rig) == ["root"]
    assert found(rig) == []  # recent data only, and the live store has let go
    assert found(rig, more=f"&start={int(T0) - 5}&end={int(T0) + 7}") == ["root"]
    run_until(rig, T0 + 11.9)
    assert len(list((tmp_path / "blocks").glob("*/*/meta.compacted.json"))) == 1
    assert found(rig, more=f"&start={int(T0) - 5}&end={int(T0) + 7}") == []
    run_until(rig, T0 + 15.5)
    assert by_id(rig) == []
    assert rig.instance.counters.value("tempodb_retention_marked_for_deletion_total") == 1
    run_until(rig, T0 + 17)
    assert rig.instance.counters.value("tempodb_retention_deleted_total") == 1
    assert list((tmp_path / "blocks").glob("*/*")) == []


def test_a_restart_with_finished_blocks_keeps_them(tmp_path: Path) -> None:
    before = make_rig(FAST, tmp_path, T0)
    before.push(spans("root"))
    run_until(before, T0 + 2.6)
    assert by_id(make_rig(FAST, tmp_path, T0 + 2.8)) == ["root"]


def test_spans_of_one_trace_in_two_blocks_are_one_result(tmp_path: Path) -> None:
    rig = make_rig("config-single-binary.yaml", tmp_path, T0)
    rig.push(spans("root", "child"))
    run_until(rig, T0 + 7, 1.0)  # its block is finished
    rig.push(spans("x", "late", at=T0 + 7) | {})
    run_until(rig, T0 + 9, 1.0)
    assert len(rig.instance.store.searchable("single-tenant")) == 2
    (trace,) = json.loads(rig.query("/api/search?q=%7B%7D").body)["traces"]
    assert trace["spanSet"]["matched"] == 2
    assert trace["serviceStats"] == {"shop": {"spanCount": 2}}  # nothing is added up: combineSearchResults
    assert trace["durationMs"] == 100


def test_the_limit_takes_the_first_found_unless_the_newest_are_asked_for(tmp_path: Path) -> None:
    rig = make_rig("config-single-binary.yaml", tmp_path, T0)
    for number in (3, 1, 4, 0, 2):
        rig.push(spans(f"n{number}", trace=f"{number + 1:032x}", at=T0 - number))
    run_until(rig, T0 + 2, 1.0)
    assert found(rig, more="&limit=2") == ["n1", "n3"]
    assert found(rig, "%7B%7D%20with%20(most_recent%3Dtrue)", "&limit=2") == ["n0", "n1"]


def test_counters(rig: Rig) -> None:
    rig.push(spans("root", "child"))
    run_until(rig, T0 + 3)
    page = rig.query("/metrics").body.decode().splitlines()
    names = {line.partition("{")[0].partition(" ")[0] for line in page if not line.startswith("#")}
    real = set((CAPTURES / "metric_names.txt").read_text().split())
    assert names <= real | {"tempo_receiver_accepted_spans", "tempo_query_frontend_queries_total"}
    for line in (
        'tempo_distributor_spans_received_total{tenant="single-tenant"} 2',
        'tempo_receiver_accepted_spans{receiver="otlp/otlp_receiver",transport="http"} 2',
        'tempo_live_store_traces_created_total{tenant="single-tenant"} 1',
        'tempo_live_store_live_traces{tenant="single-tenant"} 0',
        "tempo_live_store_ready 1",
        "tempo_live_store_blocks_completed_total 1",
        "tempo_live_store_local_blocks_flushed_total 1",
        'tempodb_blocklist_length{tenant="single-tenant"} 1',
    ):
        assert line in page


def test_long_attributes_are_truncated(rig: Rig) -> None:
    rig.push(spans("root", attributes=[{"key": "long", "value": {"stringValue": "x" * 5000}}]))
    body = rig.query(f"/api/traces/{TRACE}").body
    assert b"x" * 2048 in body
    assert b"x" * 2049 not in body
    assert rig.instance.counters.value("tempo_distributor_attributes_truncated_total", scope="span") == 1


def test_one_zero_trace_id_costs_the_whole_request(rig: Rig) -> None:
    mixed = spans("good")
    mixed["resourceSpans"] += spans("bad", trace="0" * 32)["resourceSpans"]
    assert rig.otlp(json.dumps(mixed).encode()).status == 400
    assert by_id(rig) == []
    assert rig.instance.counters.value(
        "tempo_discarded_spans_total", reason="invalid_trace_id", tenant="single-tenant"
    ) == 2  # fmt: skip


def test_a_body_past_twenty_mebibytes_is_refused(rig: Rig) -> None:
    answer = rig.otlp(b" " * (20 * 2**20 + 1))
    assert (answer.status, json.loads(answer.body)["message"]) == (400, "http: request body too large")
    assert rig.otlp(b"{}").status == 200


def test_not_emulated_says_so(rig: Rig) -> None:
    for target, named in (
        ("/api/mcp", "GET /api/mcp"),
        ("/querier/api/search", "GET /querier/api/search"),
        ("/status/overrides/anyone", "GET /status/overrides/anyone"),
        ("/api/metrics/query_range?q=%7B%7D%7Ccompare(%7B%7D)", "compare()"),
    ):
        answer = rig.query(target)
        assert (answer.status, answer.body.decode()) == (501, f"not emulated: {named}\n")


def test_representations_that_are_not_emulated_say_so(rig: Rig) -> None:
    rig.push(spans("root"))
    for accept, target in (
        ("application/protobuf", "/api/search?q=%7B%7D"),
        ("application/vnd.grafana.llm", f"/api/traces/{TRACE}"),
        ("application/vnd.grafana.llm", f"/api/v2/traces/{TRACE}"),
    ):
        answer = rig.query(target, {"Accept": accept})
        assert (answer.status, answer.body[:13]) == (501, b"not emulated:")


# -- defects


def defective(tmp_path: Path, name: str, config: str = FAST) -> Rig:
    return make_rig(config, tmp_path, T0, name)


def test_every_defect_has_a_test() -> None:
    written = Path(__file__).read_text()
    assert [name for name in DEFECTS if f'tmp_path, "{name}"' not in written] == []


def test_defect_dropped_span(tmp_path: Path) -> None:
    rig = defective(tmp_path, "dropped-span")
    rig.push(spans("root", "child"))
    assert by_id(rig) == ["root"]


def test_defect_duplicate_span(tmp_path: Path) -> None:
    rig = defective(tmp_path, "duplicate-span")
    rig.push(spans("root"))
    assert by_id(rig) == ["root", "root"]


def test_defect_half_rejected(tmp_path: Path) -> None:
    rig = defective(tmp_path, "half-rejected")
    mixed = spans("good")
    mixed["resourceSpans"] += spans("bad", trace="0" * 32)["resourceSpans"]
    rig.push(mixed)
    assert by_id(rig) == ["good"]


def test_defect_live_not_by_id(tmp_path: Path) -> None:
    rig = defective(tmp_path, "live-not-by-id")
    rig.push(spans("root"))
    assert by_id(rig) == []
    run_until(rig, T0 + 1)
    assert by_id(rig) == ["root"]


def test_defect_wal_not_written(tmp_path: Path) -> None:
    rig = defective(tmp_path, "wal-not-written")
    rig.push(spans("root"))
    run_until(rig, T0 + 0.8)
    assert found(rig) == ["root"]
    assert by_id(make_rig(FAST, tmp_path, T0 + 1)) == []


def test_defect_sigterm_loses_live(tmp_path: Path) -> None:
    rig = defective(tmp_path, "sigterm-loses-live")
    rig.push(spans("root"))
    rig.instance.stop()
    assert by_id(make_rig(FAST, tmp_path, T0 + 1)) == []


def test_defect_stuck_flush(tmp_path: Path) -> None:
    rig = defective(tmp_path, "stuck-flush")
    rig.push(spans("root"))
    run_until(rig, T0 + 3)
    assert found(rig) == []


def test_defect_wrong_tenant(tmp_path: Path) -> None:
    rig = defective(tmp_path, "wrong-tenant", "config-multitenant.yaml")
    rig.push(spans("mine"), {"X-Scope-OrgID": "a"})
    run_until(rig, T0 + 3, 1.0)
    assert found(rig, headers={"X-Scope-OrgID": "b"}) == ["mine"]
    right = make_rig("config-multitenant.yaml", tmp_path / "right", T0)
    right.push(spans("mine"), {"X-Scope-OrgID": "a"})
    run_until(right, T0 + 3, 1.0)
    assert found(right, headers={"X-Scope-OrgID": "b"}) == []


def test_defect_limit_ignored(tmp_path: Path) -> None:
    big = spans("x" * 1000)
    for names, status in (((), 429), (("limit-ignored",), 200)):
        text = (CAPTURES / FAST).read_text() + "overrides: {defaults: {ingestion: {burst_size_bytes: 500}}}\n"
        made = tmp_path / "config.yaml"
        made.write_text(text.replace("/data", str(tmp_path / str(status))))
        assert make_rig(str(made), tmp_path, T0, *names).otlp(json.dumps(big).encode()).status == status
    assert defective(tmp_path, "limit-ignored").instance.ready()[0] == 200


def test_defect_retention_never(tmp_path: Path) -> None:
    rig = defective(tmp_path, "retention-never")
    rig.push(spans("root"))
    run_until(rig, T0 + 20)
    assert by_id(rig) == ["root"]


def test_defect_unanchored_regex(tmp_path: Path) -> None:
    rig = defective(tmp_path, "unanchored-regex")
    rig.push(spans("root"))
    run_until(rig, T0 + 0.8)
    assert found(rig, "%7B%20name%20%3D~%20%22oo%22%20%7D") == ["root"]


def test_defect_by_id_truncated(tmp_path: Path) -> None:
    rig = defective(tmp_path, "by-id-truncated")
    both = spans("one")
    both["resourceSpans"] += spans("two", service="db")["resourceSpans"]
    rig.push(both)
    assert by_id(rig) == ["one"]


def test_defect_rate_off_by_step(tmp_path: Path) -> None:
    rig = defective(tmp_path, "rate-off-by-step")
    rig.push(spans("root"))
    run_until(rig, T0 + 0.8)
    target = f"/api/metrics/query_range?q=%7B%7D%7Crate()&start={int(T0) - 60}&end={int(T0) + 60}&step=60s"
    (series,) = json.loads(rig.query(target).body)["series"]
    assert [sample["value"] for sample in series["samples"] if "value" in sample] == [1]


# -- limits and mixed requests


def limited(tmp_path: Path, defaults: str) -> Rig:
    """A store whose tenants have these default limits."""
    made = tmp_path / "config.yaml"
    made.write_text((CAPTURES / FAST).read_text() + f"overrides: {{defaults: {defaults}}}\n")
    return make_rig(str(made), tmp_path, T0)


def test_a_request_of_several_traces_is_taken_apart(rig: Rig) -> None:
    mixed = spans("a", "a-child")
    first = mixed["resourceSpans"][0]["scopeSpans"][0]["spans"]
    first += spans("b", trace="b" * 32)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    mixed["resourceSpans"] += spans("b-db", trace="b" * 32, service="db")["resourceSpans"]
    rig.push(mixed)
    assert by_id(rig) == ["a", "a-child"]
    assert by_id(rig, "b" * 32) == ["b", "b-db"]


def test_a_trace_that_grows_too_large_is_dropped_and_the_client_not_told(tmp_path: Path) -> None:
    rig = limited(tmp_path, "{global: {max_bytes_per_trace: 200}}")
    rig.push(spans("fits"))
    rig.push(spans("x" * 150))
    assert by_id(rig) == ["fits"]
    labels = {"reason": "trace_too_large", "tenant": "single-tenant"}
    assert rig.instance.counters.value("tempo_discarded_spans_total", **labels) == 1


def test_too_many_live_traces_are_dropped_and_the_client_not_told(tmp_path: Path) -> None:
    rig = limited(tmp_path, "{ingestion: {max_traces_per_user: 2}}")
    for number in range(1, 4):
        rig.push(spans("root", trace=f"{number:032x}"))
    assert [by_id(rig, f"{number:032x}") for number in range(1, 4)] == [["root"], ["root"], []]
    labels = {"reason": "live_traces_exceeded", "tenant": "single-tenant"}
    assert rig.instance.counters.value("tempo_discarded_spans_total", **labels) == 1


# -- pages and parameters

INNER = "rpc error: code = Code(400) desc = "
HALF = "error parsing date range: only one of start and end provided: must provide both or neither"


def test_status_pages(rig: Rig) -> None:
    whole = rig.query("/status").body.decode()
    for section in ("version", "services", "runtime_config", "config"):
        assert f"GET /status/{section}\n" in whole
    shown = yaml.safe_load(rig.query("/status/config").body.decode().partition("---\n")[2])
    real = yaml.safe_load((CAPTURES / "status_config.yaml").read_text())
    assert set(shown) == set(real)
    assert shown["live_store"]["max_trace_idle"] == "100ms"
    assert rig.query("/status/nosuch").status == 404


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ("start=2027-01-15T07:00:00Z&end=2027-01-15T08:00:00Z&step=60", 200, ""),
        ("start=1799999990.5&end=1800000000000000000&step=1m", 200, ""),
        ("since=soon", 400, f"{INNER}could not parse 'since' parameter: not a valid duration string: \"soon\""),
        ("since=-1h", 400, f"{INNER}could not parse 'since' parameter: not a valid"),
        ("start=x", 400, f"{INNER}could not parse 'start' parameter: strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("step=x", 400, f'{INNER}cannot parse "x" to a valid duration'),
        ("step=1d", 400, f'{INNER}cannot parse "1d" to a valid duration'),
        ("start=0&end=1800000000&step=10000000", 400, "start required"),
        ("step=0", 400, "step of 0s is too small, minimum step for given range is 360ms"),
        ("step=1ns", 400, "step of 1ns is too small, minimum step for given range is 360ms"),
        ("step=1e2", 200, ""),
        ("start=20&end=10", 400, "end must be greater than start"),
    ],
)
def test_metrics_parameters(rig: Rig, parameters: str, status: int, text: str) -> None:
    answer = rig.query(f"/api/metrics/query_range?q=%7B%7D%7Crate()&{parameters}")
    assert answer.status == status
    assert answer.body.decode().startswith(text)


def test_what_a_metrics_query_means_is_checked_after_its_text(rig: Rig) -> None:
    def refusal(query: str, path: str = "query_range") -> str:
        answer = rig.query(f"/api/metrics/{path}?since=10m&q={quote(query)}")
        assert answer.status == 400
        return answer.body.decode()

    assert refusal("{} | rate() by (name) | topk(0)") == "compiling query: limit must be greater than 0"
    assert refusal('{ name =~ "(" } | rate()') == "compiling query: invalid regex: `(`"
    assert refusal('{ name =~ "a(?=b)" } | rate()') == "compiling query: invalid regex: `a(?=b)`"
    assert refusal("").startswith("parse error")
    assert refusal("", "query").startswith("compiling query: parse error")
    assert refusal("{ .a = 99999999999999999999 }").endswith(
        'col 8: strconv.Atoi: parsing "99999999999999999999": value out of range'
    )
    assert rig.query("/api/metrics/query_range?query=%7B%7D%7Crate()").status == 200
    assert "series" not in json.loads(rig.query("/api/metrics/query?q=%7B%7D%7Crate()by(name)").body)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("search?end=5", 400, HALF),
        ("search?minDuration=1s&maxDuration=10ms", 400, "invalid maxDuration: must be greater than minDuration"),
        ("search?tags=a%3Db%3Dc", 400, "invalid tags: unexpected '=' at pos 4"),
        ("search?tags=%22a", 400, "invalid tags: unexpected '\"' at pos 1"),
        ("search?tags=a%3D%22b", 400, "invalid tags: unterminated quoted value at pos 5"),
        ("search?tags=a%3D1%20a%3D2", 400, "invalid tags: tag a has been set twice"),
        ("v2/search/tags?start=5", 400, HALF),
        (
            "v2/search/tags?start=5&end=1",
            400,
            "range specified by start and end exceeds 168h0m0s. received start=5 end=1",
        ),
        ("v2/search/tag/nope.x/values?end=5", 400, HALF),
        ("v2/search/tag/status/values?limit=x", 200, ""),
        ("v2/search/tag//values", 404, "404 page not found"),
        ("v2/search/tags?limit=-1", 200, ""),
        ("traces/1?mode=nope", 400, "invalid value for mode nope"),
        ("traces/1?mode=blocks", 501, "not emulated"),
        ("traces/1?start=5", 404, ""),
        ("traces/1?start=x", 400, 'invalid start: strconv.ParseInt: parsing "x": invalid syntax'),
        ("traces/1?start=5&end=1", 400, "http parameter start must be before end. received start=5 end=1"),
    ],
)
def test_parameters_as_the_real_server_takes_them(rig: Rig, target: str, status: int, text: str) -> None:
    answer = rig.query(f"/api/{target}")
    assert answer.status == status
    assert answer.body.decode().startswith(text)


def test_tags_are_texts_and_some_are_no_attributes(rig: Rig) -> None:
    attributes = [{"key": "n", "value": {"intValue": "7"}}, {"key": "a", "value": {"stringValue": "x y"}}]
    rig.push(spans("root", attributes=attributes, status={"code": 2}))
    run_until(rig, T0 + 0.8)

    def hits(tags: str) -> int:
        return len(json.loads(rig.query(f"/api/search?tags={quote(tags)}").body)["traces"])

    assert [hits(tags) for tags in ('a="x y"', "name=root", "status.code=error", "root.name=root")] == [1, 1, 1, 1]
    assert [hits(tags) for tags in ("n=7", "x", "status.code=ok", "root.name=other")] == [0, 0, 0, 0]


def test_comments_are_no_part_of_a_query(rig: Rig) -> None:
    rig.push(spans("root"))
    run_until(rig, T0 + 0.8)
    assert found(rig, quote('/* a */ { name /* b\n* */ = "root" } // c')) == ["root"]


def test_an_expression_that_cannot_run_is_a_server_error(rig: Rig) -> None:
    rig.push(spans("root", attributes=[{"key": "a", "value": {"intValue": "1"}}]))
    run_until(rig, T0 + 0.8)
    assert rig.query("/api/search?q=%7B%20!.a%20%7D").status == 500
    assert found(rig) == ["root"]


def test_numbers_beyond_the_enums_do_no_harm(rig: Rig) -> None:
    rig.push(spans("odd") | {})
    rig.push(spans("root", trace="c" * 32, kind=77, status={"code": 9}))
    run_until(rig, T0 + 0.8)
    assert b'"kind":77' in rig.query(f"/api/traces/{'c' * 32}").body
    assert sorted(found(rig)) == ["odd", "root"]
    assert found(rig, "%7B%20status%20%3D%20unset%20%7D") == ["odd"]


def test_what_breaks_the_decoder_is_refused_and_forgotten(rig: Rig) -> None:
    deep = '{"resourceSpans":' + "[" * 100_000
    surrogate = json.dumps(spans("x")).replace('"x"', '"\\ud800"')
    for body in (deep, surrogate, '{"resourceSpans":[{"scopeSpans":{}}]}'):
        assert rig.otlp(body.encode()).status == 400
    rig.push(spans("fine"))
    assert by_id(rig) == ["fine"]
