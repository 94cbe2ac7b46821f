"""The Tempo data source: calls to the Tempo behind its url, turned into frames; its health and its tag resources."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from harness.emulators.http_client import Response, TimedOut, Unreachable

from .frames import MULTI, Answer, Column, Frame, Span

Fetch = Callable[..., Awaitable[Response]]
"""`fetch(method, path, headers)` against the data source's url, with its credentials."""
METRICS = re.compile(r"\|\s*(rate|count_over_time|(avg|sum|min|max|quantile|histogram)_over_time|compare)\s*\(")


async def health(fetch: Fetch) -> tuple[int, dict[str, Any]]:
    """GET /health: 200 OK or 400 ERROR, asked of Tempo's /api/echo."""
    try:
        answer = await fetch("GET", "/api/echo")
    except Unreachable as error:
        return 400, {"status": "ERROR", "message": str(error)}
    if answer.status != 200:
        return 400, {"status": "ERROR", "message": f"Tempo echo endpoint returned status {answer.status}"}
    return 200, {"status": "OK", "message": "Data source is working"}


async def resource(fetch: Fetch, path: str, query: dict[str, str]) -> tuple[int, str, bytes] | None:
    """/resources/tags and /resources/tag-values: (status, content type, body); None for a path that Tempo has not."""
    plain = "text/plain; charset=utf-8"
    if path == "tags":
        target = "/api/v2/search/tags"
    elif path == "tag-values":
        if not query.get("tag"):
            return 400, plain, b"Missing required 'tag' parameter"
        target = f"/api/v2/search/tag/{quote(query['tag'], safe='')}/values"
    else:
        return None
    rest = {name: value for name, value in query.items() if name != "tag"}
    try:
        answer = await fetch("GET", target + (f"?{urlencode(rest)}" if rest else ""))
    except Unreachable:
        return 502, plain, b"Failed to connect to Tempo"
    return answer.status, dict(answer.headers).get("content-type", plain), answer.body


async def run(fetch: Fetch, query: dict[str, Any], span: Span) -> Answer:
    """One query. A failure is this refId's own, of the downstream server."""
    kind, text, ref = str(query.get("queryType") or ""), str(query.get("query") or ""), query.get("refId", "")
    if kind not in {"traceql", "traceqlSearch", "traceId"}:
        return Answer(error=f"unsupported query type: '{kind}' for query with refID '{ref}'", status=500)
    if not text and kind != "traceqlSearch":
        return Answer(error="query is required", status=400)
    try:
        if kind == "traceId" or re.fullmatch(r"\s*[0-9a-fA-F]{16,32}\s*", text):
            return await _trace(fetch, text.strip())
        return await (_metrics if METRICS.search(text) else _search)(fetch, query, text or "{}", span)
    except TimedOut as error:
        return Answer(error=str(error), source="downstream", status=504)
    except Unreachable as error:
        return Answer(error=str(error), source="downstream", status=502)
    except (ValueError, KeyError, TypeError) as error:
        return Answer(error=f"failed to parse response: {error}", source="downstream", status=500)


def _failed(what: str, answer: Response) -> Answer:
    text = f"failed to {what} Status: {answer.status} Body: {answer.body.decode(errors='replace')}"
    return Answer(error=text, source="downstream", status=answer.status)


# -- search

_COLUMNS = (("traceID", "string"), ("startTime", "time.Time"), ("traceService", "string"), ("traceName", "string"))


async def _search(fetch: Fetch, query: dict[str, Any], text: str, span: Span) -> Answer:
    asked = {"q": text, "limit": query.get("limit") or 20, "spss": query.get("spss") or 3}
    asked |= {"start": span.start // 1000, "end": span.end // 1000}
    answer = await fetch("GET", "/api/search?" + urlencode(asked))
    if answer.status != 200:
        return _failed("execute search query", answer)
    traces = sorted(json.loads(answer.body).get("traces") or [], key=lambda t: -int(t.get("startTimeUnixNano", 0)))
    columns = [Column(name, go, []) for name, go in _COLUMNS]
    columns += [Column("traceDuration", "float64", [], nullable=True, config={"unit": "ms"})]
    columns += [Column("nested", "json.RawMessage", [])]
    for trace in traces:
        row: tuple[Any, ...] = (
            trace["traceID"],
            int(trace.get("startTimeUnixNano", 0)) // 1_000_000,
            trace.get("rootServiceName", ""),
        )
        row += (trace.get("rootTraceName", ""), trace.get("durationMs"), _spans(trace))
        for column, cell in zip(columns, row, strict=True):
            column.values.append(cell)
    return Answer([Frame("Traces", columns, {"preferredVisualisationType": "table", "uniqueRowIdFields": [0]})])


def _spans(trace: dict[str, Any]) -> list[dict[str, Any]]:
    spans = [s for one in trace.get("spanSets") or [trace.get("spanSet") or {}] for s in one.get("spans", [])]
    names = sorted({a["key"] for span in spans for a in span.get("attributes", [])})
    columns = [Column("traceIdHidden", "string", [trace["traceID"]] * len(spans), config={"custom": {"hidden": True}})]
    columns += [Column("spanID", "string", [s["spanID"] for s in spans])]
    columns += [Column("time", "time.Time", [int(s["startTimeUnixNano"]) // 1_000_000 for s in spans])]
    columns += [Column("name", "string", [s.get("name", "") for s in spans])]
    for name in names:
        columns.append(Column(name, "string", [_attribute(s, name) for s in spans], nullable=True))
    columns += [Column("duration", "float64", [float(s["durationNanos"]) for s in spans], config={"unit": "ns"})]
    return [Frame("Spans", columns, {"preferredVisualisationType": "table"}).wire("")]


def _attribute(span: dict[str, Any], name: str) -> str | None:
    found = [a["value"] for a in span.get("attributes", []) if a["key"] == name]
    return str(next(iter(found[0].values()))) if found else None


# -- TraceQL metrics


async def _metrics(fetch: Fetch, query: dict[str, Any], text: str, span: Span) -> Answer:
    instant = query.get("metricsQueryType") == "instant"
    asked = {"q": text, "start": span.start // 1000, "end": span.end // 1000}
    asked |= {"step": query["step"]} if query.get("step") and not instant else {}
    answer = await fetch("GET", f"/api/metrics/query{'' if instant else '_range'}?" + urlencode(asked))
    if answer.status != 200:
        return _failed("execute metrics query", answer)
    return Answer([_series(one, span, instant) for one in json.loads(answer.body).get("series") or []])


def _series(one: dict[str, Any], span: Span, instant: bool) -> Frame:
    """As the plugin's traceql package: texts are quoted in labels ("1" is not 1), and plain in a one-label name."""
    plain = {a["key"]: _plain(a["value"]) for a in one.get("labels") or []}
    labels = {
        a["key"]: f'"{plain[a["key"]]}"' if "stringValue" in a["value"] else plain[a["key"]]
        for a in one.get("labels") or []
    }
    if len(labels) == 1:
        name = next(iter(plain.values()))
    else:
        name = f"{{{', '.join(f'{k}={v}' for k, v in sorted(labels.items()))}}}" if labels else ""
    if instant:
        rows = [(span.end, float(one.get("value", 0)))]
    else:
        rows = [(int(s["timestampMs"]), float(s.get("value", 0))) for s in one.get("samples") or []]
    value = Column("value" if instant else name, "float64", [v for _, v in rows], labels, config={"displayName": name})
    kind = {"preferredVisualisationType": "table"} if instant else MULTI | {"preferredVisualisationType": "graph"}
    return Frame(name, [Column("time", "time.Time", [t for t, _ in rows]), value], dict(kind))


def _plain(value: dict[str, Any]) -> str:
    found = next(iter(value.values()), "")
    return str(found).lower() if isinstance(found, bool) else str(found)


# -- one trace


async def _trace(fetch: Fetch, trace_id: str) -> Answer:
    if not re.fullmatch(r"[0-9a-fA-F]{1,32}", trace_id):
        return Answer(error="invalid trace id", status=400)
    answer = await fetch("GET", f"/api/v2/traces/{trace_id}", {"Accept": "application/json"})
    if answer.status == 404:
        answer = await fetch("GET", f"/api/traces/{trace_id}", {"Accept": "application/json"})
    if answer.status == 404:
        return Answer(error=f"trace with id {trace_id} not found", source="downstream", status=404)
    if answer.status != 200:
        return _failed(f"get trace with id: {trace_id}", answer)
    body = json.loads(answer.body)
    trace = body.get("trace") or body
    rows = [row for batch in trace.get("resourceSpans") or trace.get("batches") or [] for row in _rows(batch)]
    if not rows:
        return Answer(error=f"trace with id {trace_id} not found", source="downstream", status=404)
    columns = [Column(name, go, [row[i] for row in rows]) for i, (name, go) in enumerate(_TRACE)]
    return Answer([Frame("Trace", columns, {"preferredVisualisationType": "trace"})])


_TRACE: tuple[tuple[str, str], ...] = (
    ("traceID", "string"),
    ("spanID", "string"),
    ("parentSpanID", "string"),
    ("operationName", "string"),
)
_TRACE += (("serviceName", "string"), ("kind", "string"), ("startTime", "float64"), ("duration", "float64"))
_TRACE += (("tags", "json.RawMessage"), ("serviceTags", "json.RawMessage"))


def _rows(batch: dict[str, Any]) -> list[tuple[Any, ...]]:
    resource_tags = _tags(batch.get("resource") or {})
    service = next((t["value"] for t in resource_tags if t["key"] == "service.name"), "")
    rows: list[tuple[Any, ...]] = []
    for scope in batch.get("scopeSpans") or []:
        for span in scope.get("spans") or []:
            start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            ids = tuple(_hex(span.get(key, "")) for key in ("traceId", "spanId", "parentSpanId"))
            kind = str(span.get("kind", "")).removeprefix("SPAN_KIND_").lower()
            times = (start / 1e6, (end - start) / 1e6)
            rows.append((*ids, span.get("name", ""), service, kind, *times, _tags(span), resource_tags))
    return rows


def _tags(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": a["key"], "value": next(iter(a["value"].values()), None)} for a in holder.get("attributes") or []]


def _hex(text: str) -> str:
    """Tempo's JSON writes ids in base64; hexadecimal ones pass."""
    return text if re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}|", text) else base64.b64decode(text).hex()
