"""Captured exchanges of the real Tempo 3.0.3, played against the emulator: equal answers, or a reason why not."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.emulators.tempo import http_otlp, http_query
from tests.unit.emulators.tempo.tempo_replay import CAPTURES, Exchange, Rig, comparable, make_rig, play, read

NOT_REPLAYED = {
    "otlp_json_bad": "the decoder's excerpt is compared by its beginning, in a test of its own",
    "status_version": "the version ends in +emu; see test_versions_are_marked",
    "buildinfo": "the version ends in +emu; see test_versions_are_marked",
    "part_before": "the raw material of part_search, part_v1 and part_v2",
    "trace_v2_pb": "holds inspectedBytes in binary; see test_v2_protobuf",
    "late_byid": "two pushes; see test_late_spans_stay_apart",
}
NEVER_COPIED = {
    "queue_full_*": "a full job queue needs more load than one process of Python can ask for",
    "search_pb": "search results as protobuf: 501, no client of the harness asks for them",
    "qr_compare": "compare(): 501",
    "livestore_ring, partition_ring, backendscheduler, memberlist, status_usage": "operators' pages: 501",
    "tags_v1*, tagvals_v1*": "the first version of the tag API: 501, every client asks for the second",
    "status_endpoints": "a table of routes, most of them not emulated: 501",
    "trace_v1_llm, trace_v2_llm": "traces flattened for language models: 501, no client of the harness asks for them",
    "status, status_config": "values are the capture's own; the tree is compared in test_tempo_store.py",
    "status_overrides*, mt_overrides": "501; the limits themselves are tested",
    "metrics_initial, metrics_full": "names are tested in test_tempo_store.py, values are the machine's",
    "mt_http_json_few, _rate, _toolarge, _badtrace, _badtenant": "five times the same base64-id error, 10 kB each",
}
"""Captures that are not in the folder beside this file."""

QUERY_API = (
    r"(search_|trace_|tags_|tagvals_|qr_|qi_|ready|root|nope|api_nope|echo|flush|distributor_ring"
    r"|usage_metrics|status_services|status_runtime)"
)
MAIN = sorted(
    path.stem
    for path in CAPTURES.glob("*.http")
    if re.match(QUERY_API, path.stem)
)  # fmt: skip
OTLP = sorted(path.stem for path in CAPTURES.glob("otlp_*.http"))
TENANTS = sorted(path.stem for path in CAPTURES.glob("mt_*.http"))
TENANTS_WITH_LIMITS = sorted(path.stem for path in CAPTURES.glob("mt2_*.http"))
BY_CONTENT = ["lz_get", "lz_get_trim", "lz_search", "s64_get", "s64_search", "up_get", "rich_live", "rich_wal",
              "rich_block", "dup_byid", "dup_search", "endbefore_byid", "endbefore_search", "noroot_search",
              "shared_byid", "part_search", "part_v1", "part_v2"]  # fmt: skip


def check(rig: Rig, exchange: Exchange) -> None:
    """Play an exchange at its time and compare."""
    rig.now[0] = exchange.at
    app = http_otlp.app if exchange.target.startswith("/v1/") else http_query.app
    got = play(app(rig.instance), exchange.method, exchange.target, exchange.headers, exchange.body)
    assert comparable(got) == comparable(exchange.answer)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """The store as it was when the queries were captured: one trace of three spans."""
    pushed = read("otlp_http_json_ok")
    rig = make_rig("config-single-binary.yaml", tmp_path_factory.mktemp("data"), pushed.at)
    rig.push(json.loads(pushed.body))
    rig.at(pushed.at + 1.1)
    return rig


def by_name(names: list[str]) -> list[str]:
    """The captures to replay."""
    return [name for name in names if name not in NOT_REPLAYED]


@pytest.mark.parametrize("name", by_name(MAIN))
def test_query_api(checkout: Rig, name: str) -> None:
    check(checkout, read(name))


@pytest.mark.parametrize("name", by_name(OTLP))
def test_otlp_receiver(tmp_path: Path, name: str) -> None:
    exchange = read(name)
    rig = make_rig("config-single-binary.yaml", tmp_path, exchange.at)
    rig.now[0] = exchange.at
    path = exchange.target
    got = play(http_otlp.app(rig.instance), exchange.method, path, exchange.headers, exchange.body)
    assert comparable(got) == comparable(exchange.answer)


def test_malformed_json_is_refused_in_the_decoders_words(tmp_path: Path) -> None:
    exchange = read("otlp_json_bad")
    rig = make_rig("config-single-binary.yaml", tmp_path, exchange.at)
    got, expected = rig.otlp(exchange.body), exchange.answer
    assert got.status == expected.status
    assert json.loads(got.body)["message"][:50] == json.loads(expected.body)["message"][:50]


# -- tenants


def entry_as_push(entry: dict[str, Any]) -> dict[str, Any]:
    """A search result turned back into the trace it came from (one service, one name)."""
    spans = [
        {
            "traceId": entry["traceID"].rjust(32, "0"), "spanId": span["spanID"], "kind": 2,
            "name": span.get("name", entry.get("rootTraceName", "")),
            "parentSpanId": "" if "rootTraceName" in entry else "ff" * 8,
            "startTimeUnixNano": span["startTimeUnixNano"],
            "endTimeUnixNano": str(int(span["startTimeUnixNano"]) + int(span["durationNanos"])),
        }
        for span in entry["spanSet"]["spans"]
    ]  # fmt: skip
    service = {"key": "service.name", "value": {"stringValue": next(iter(entry["serviceStats"]))}}
    return {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [{"spans": spans}]}]}


def tenant_rig(tmp_path: Path, overrides: str) -> Rig:
    """A multitenant store with the tenants' overrides file."""
    path = tmp_path / "overrides.yaml"
    path.write_text(overrides)
    config = (CAPTURES / "config-multitenant.yaml").read_text()
    settled = config.replace("per_tenant_override_config: /data", f"per_tenant_override_config: {path}")
    made = tmp_path / "config.yaml"
    made.write_text(settled)
    return make_rig(str(made), tmp_path, read("mt_http_pb_few").at - 5)


ONLY_RATES = """overrides:
  tiny: {ingestion: {rate_limit_bytes: 500, burst_size_bytes: 500}}
  noretry: {ingestion: {rate_limit_bytes: 500, burst_size_bytes: 500}}
  fewtraces: {ingestion: {max_traces_per_user: 3}}
  toolarge: {global: {max_bytes_per_trace: 600}}
"""
"""What the captures' overrides must have been: each tenant's block replaces the defaults, zero rate included."""


@pytest.mark.parametrize("name", TENANTS)
def test_tenants(tmp_path: Path, name: str) -> None:
    rig = tenant_rig(tmp_path, ONLY_RATES)
    for entry in json.loads(read("mt_search_a").answer.body)["traces"]:
        rig.push(entry_as_push(entry), {"X-Scope-OrgID": "a"})
    rig.at(rig.now[0] + 1.1)
    check(rig, read(name))


@pytest.mark.parametrize("name", TENANTS_WITH_LIMITS)
def test_tenants_with_limits(tmp_path: Path, name: str) -> None:
    exchange = read(name)
    rig = tenant_rig(tmp_path, (CAPTURES / "overrides-example.yaml").read_text())
    rig.at(read("mt2_http_json_rate").at)
    for entry in json.loads(read("mt2_few_search").answer.body)["traces"]:
        rig.push(entry_as_push(entry), {"X-Scope-OrgID": "fewtraces"})
    rig.at(exchange.at if exchange.at > rig.now[0] + 1 else rig.now[0] + 1.1)
    check(rig, exchange)


# -- traces pushed for one capture each


def as_push(body: bytes) -> dict[str, Any]:
    """A trace-by-id answer turned back into the push: base64 ids become hex."""
    answer = json.loads(body)
    batches = answer.get("batches") or answer["trace"]["resourceSpans"]
    for batch in batches:
        for scoped in batch["scopeSpans"]:
            for span in scoped["spans"]:
                for holder in (span, *span.get("links", ())):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in holder:
                            holder[key] = base64.b64decode(holder[key]).hex()
    return {"resourceSpans": batches}


def material(name: str) -> tuple[dict[str, Any], float]:
    """What was pushed before a capture, and when."""
    kind = name.partition("_")[0]
    requests = {"lz": "otlp_leading_zero", "s64": "otlp_64", "up": "otlp_upper"}
    if kind in requests:
        exchange = read(requests[kind])
        return json.loads(exchange.body), exchange.at - 0.9
    answers = {"rich": "rich_live", "dup": "dup_byid", "endbefore": "endbefore_byid", "shared": "shared_byid",
               "part": "part_before"}  # fmt: skip
    if kind == "noroot":
        entry = json.loads(read("noroot_search").answer.body)["traces"][0]
        data = entry_as_push(entry)
    else:
        data = as_push(read(answers[kind]).answer.body)
    if kind == "shared":
        client, server = (batch["scopeSpans"][0]["spans"][0] for batch in data["resourceSpans"])
        server["spanId"] = client["spanId"]
        del server["parentSpanId"]
    first = data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    return data, int(first["startTimeUnixNano"]) / 1e9


@pytest.mark.parametrize("name", BY_CONTENT)
def test_trace_content(tmp_path: Path, name: str) -> None:
    exchange = read(name)
    data, pushed = material(name)
    if name.startswith("part"):
        rig = tenant_rig(
            tmp_path,
            (CAPTURES / "overrides-example.yaml").read_text().replace("bytes_per_trace: 300", "bytes_per_trace: 9000"),
        )
        rig.at(pushed)
        rig.push(data, {"X-Scope-OrgID": "parttest"})
        (tmp_path / "overrides.yaml").write_text((CAPTURES / "overrides-example.yaml").read_text())
    else:
        rig = make_rig("config-single-binary.yaml", tmp_path, pushed)
        rig.push(data)
    if name not in {"rich_live", "s64_search"}:  # these two were asked before the trace was cut
        rig.at(pushed + 1.1)
    if name == "rich_block":
        for seconds in range(2, 9):
            rig.at(pushed + seconds)
        assert rig.instance.counters.value("tempo_live_store_blocks_completed_total") == 1
    rig.now[0] = max(rig.now[0], exchange.at)
    rig.instance.overrides.tick(rig.now[0])
    got = rig.query(exchange.target, exchange.headers)
    if name == "part_v1":
        uuid = re.compile(rb"\([0-9a-f]{8}-[0-9a-f-]{27}\)")
        assert uuid.sub(b"()", got.body) == uuid.sub(b"()", exchange.answer.body)
        assert got.status == 422
        return
    assert comparable(got) == comparable(exchange.answer)


def test_late_spans_stay_apart(tmp_path: Path) -> None:
    late = as_push(read("late_byid").answer.body)
    early = {"resourceSpans": late["resourceSpans"][:1]}
    rig = make_rig("config-single-binary.yaml", tmp_path, read("dup_byid").at - 3)
    rig.push(early)
    rig.at(rig.now[0] + 3)
    rig.push({"resourceSpans": late["resourceSpans"][1:]})
    rig.at(read("late_byid").at)
    exchange = read("late_byid")
    assert comparable(rig.query(exchange.target)) == comparable(exchange.answer)


def test_v2_protobuf(checkout: Rig) -> None:
    exchange = read("trace_v2_pb")
    got, expected = checkout.query(exchange.target, exchange.headers), exchange.answer
    assert got.headers["content-type"] == expected.headers["content-type"]
    metrics = b"\x12"  # the field after the trace
    assert got.body[: got.body.rindex(metrics)] == expected.body[: expected.body.rindex(metrics)]


# -- bookkeeping


def test_versions_are_marked(checkout: Rig) -> None:
    got, expected = checkout.query("/api/status/buildinfo"), read("buildinfo").answer
    assert json.loads(got.body) == json.loads(expected.body) | {"version": "v3.0.3+emu"}
    text = checkout.query("/status/version").body.decode()
    assert text.replace("+emu", "") == read("status_version").answer.body.decode()
    assert "+emu" in text


def test_every_copied_capture_is_replayed_or_has_a_reason(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    copied = {path.stem for path in CAPTURES.glob("*.http")}
    played = {*MAIN, *OTLP, *TENANTS, *TENANTS_WITH_LIMITS, *BY_CONTENT}
    record_testsuite_property("exchanges", -3)  # this test, and two that play nothing
    record_testsuite_property("listed", len(NOT_REPLAYED))
    assert copied - played - set(NOT_REPLAYED) == set()
    assert all(NEVER_COPIED.values())
