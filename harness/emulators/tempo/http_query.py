"""The HTTP API on 3200: a route table over search, tags, traces, metrics queries and status pages."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from harness.emulators.bodies import Receive
from harness.emulators.runner import note
from harness.emulators.tempo import query_range, search, status_pages, tags, trace_json
from harness.emulators.tempo.gotext import dumps
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.limits import NoTenantError, TenantError, tenants
from harness.emulators.tempo.traceql.evaluate import EvaluationError
from harness.emulators.tempo.traceql.parser import NotEmulatedError
from harness.emulators.tempo.wire import NOT_FOUND, Request, Response, Scope, Send, request_of, respond, text

Handler = Callable[[Instance, Request], Response]
QueryHandler = Callable[[Instance, Request, list[str]], Response]

JSON, PROTOBUF = "application/json", "application/protobuf"
PARTIAL = b"\x18\x01"
"""Field 3 of Tempo's TraceByIDResponse, `status`, as PartialStatus_PARTIAL."""
VARINT_END = 0x80


def _json(value: Any) -> Response:
    return Response(200, dumps(value).encode(), JSON, varies=True)


# -- trace by id


def _trace_id(path: str) -> bytes:
    name = path.rpartition("/")[2]
    wrong = re.search(r"[^0-9a-fA-F]", name)
    if wrong:
        where = f"invalid character '{wrong[0]}' at position {wrong.start() + 1}"
        raise search.BadRequest(f"trace IDs can only contain hex characters: {where}")
    if len(name) > 32:
        raise search.BadRequest("trace IDs can't be larger than 128 bits")
    return bytes.fromhex(name.rjust(32, "0"))


def _check_parameters(parameters: Mapping[str, str]) -> None:
    """What reading by id makes of its parameters: it answers from everywhere, whatever the range."""
    mode = parameters.get("mode") or "all"
    if mode in {"ingesters", "blocks", "external"}:
        raise NotEmulatedError(f"reading by id in mode {mode}")
    if mode != "all":
        raise search.BadRequest(f"invalid value for mode {mode}")
    given = {name: parameters[name] for name in ("start", "end") if parameters.get(name)}
    for name, moment in given.items():
        if not re.fullmatch(r"[+-]?\d+", moment):
            raise search.BadRequest(f'invalid {name}: strconv.ParseInt: parsing "{moment}": invalid syntax')
    start, end = (int(given.get(name, 0)) for name in ("start", "end"))
    if start and end and end <= start:
        raise search.BadRequest(f"http parameter start must be before end. received start={start} end={end}")


def _found(instance: Instance, request: Request, names: list[str]) -> tuple[TracesData, str, int]:
    """The trace, the place its first part lies in, and the limit it exceeds (0: none)."""
    trace_id = _trace_id(request.path)
    _check_parameters(request.parameters)
    data, place, limit = TracesData(), "", 0
    for name in names:
        batches, where = instance.find(name, trace_id)
        place = place or where
        limit = max(limit, instance.overrides.limits(name).max_trace_bytes)
        data.resource_spans.extend(trace_json.separate_shared_ids(batches))
    return data, place, limit if data.ByteSize() > limit else 0


def _accepts_protobuf(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    if accept == "application/vnd.grafana.llm":
        raise NotEmulatedError(f"traces as {accept}")
    return accept == PROTOBUF


def trace_v1(instance: Instance, request: Request, names: list[str]) -> Response:
    """`/api/traces/{id}`."""
    data, place, over = _found(instance, request, names)
    if not data.resource_spans:
        return Response(404, b"", varies=True)
    if over:
        return text(422, "error querying live-stores in Querier.FindTraceByID: rpc error: code = Unknown desc = error "
                         f"searching for trace: processing complete block ({place}): trace exceeds max size "
                         f"(max bytes: {over})\n", varies=True)  # fmt: skip
    if _accepts_protobuf(request):
        return Response(200, data.SerializeToString(), PROTOBUF, varies=True)
    return _json({"batches": trace_json.resource_spans(data.resource_spans)})


def trace_v2(instance: Instance, request: Request, names: list[str]) -> Response:
    """`/api/v2/traces/{id}`: unknown traces are empty, too large ones partial."""
    data, _, over = _found(instance, request, names)
    size = data.ByteSize()
    message = f"Trace exceeds maximum size of {over} bytes, a partial trace is returned" if over else ""
    if _accepts_protobuf(request):
        body = _field(1, data.SerializeToString()) + _field(2, b"\x08" + _varint(size) if size else b"")
        return Response(200, body + (PARTIAL + _field(4, message.encode()) if over else b""), PROTOBUF, varies=True)
    trace = {"resourceSpans": trace_json.resource_spans(data.resource_spans)} if size else {}
    metrics = {"inspectedBytes": str(size)} if size else {}
    return _json({"trace": trace, "metrics": metrics} | ({"status": "PARTIAL", "message": message} if over else {}))


def _field(number: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field. Tempo's own messages have no Python classes."""
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    encoded = b""
    while number >= VARINT_END:
        encoded += bytes([number & 0x7F | VARINT_END])
        number >>= 7
    return encoded + bytes([number])


# -- queries


def _search(instance: Instance, request: Request, names: list[str]) -> Response:
    if request.headers.get("accept") == PROTOBUF:
        raise NotEmulatedError("search results as protobuf")
    return _json(search.search(instance, names, search.parse_request(request.parameters, instance.settings)))


def _tags(instance: Instance, request: Request, names: list[str]) -> Response:
    return _json(tags.tag_names(instance, names, request.parameters))


def _tag_values(instance: Instance, request: Request, names: list[str]) -> Response:
    name = request.path.partition("/search/tag/")[2].removesuffix("/values")
    return _json(tags.tag_values(instance, names, name, request.parameters))


def _metrics_query(instance: Instance, request: Request, names: list[str]) -> Response:
    instant = request.path.endswith("/query")
    return _json(query_range.query(instance, names, request.parameters, instant=instant))


QUERIES: tuple[tuple[str, str, str, QueryHandler], ...] = (
    (r"/api/traces/[^/]+", "api_traces_traceid", "traces", trace_v1),
    (r"/api/v2/traces/[^/]+", "api_v2_traces_traceid", "traces", trace_v2),
    (r"/api/search", "api_search", "search", _search),
    (r"/api/v2/search/tags", "api_v2_search_tags", "metadata", _tags),
    (r"/api/v2/search/tag/.+/values", "api_v2_search_tag_tagname_values", "metadata", _tag_values),
    (r"/api/metrics/query_range", "api_metrics_query_range", "metrics", _metrics_query),
    (r"/api/metrics/query", "api_metrics_query", "metrics", _metrics_query),
)
"""Routes that read traces: path, route label, operation label, handler. Methods are not checked, as in Tempo."""


def _query(instance: Instance, request: Request, handler: QueryHandler) -> Response:
    """Run a query handler; every refusal becomes Tempo's answer to it."""
    try:
        enabled = instance.settings.multitenancy
        names = tenants(request.headers.get("x-scope-orgid"), enabled=enabled, several=True)
        return handler(instance, request, names)
    except NoTenantError as error:
        return text(401, f"{error}\n")
    except (search.BadRequest, TenantError) as error:
        return text(400, str(error), varies=True)
    except EvaluationError as error:
        return text(500, str(error), varies=True)


def _count(instance: Instance, request: Request, status: int, route: str, operation: str, seconds: float) -> None:
    labels = {"method": request.method, "route": route, "status_code": str(status), "ws": "false"}
    instance.counters.add("tempo_request_duration_seconds_count", 1, **labels)
    instance.counters.add("tempo_request_duration_seconds_sum", seconds, **labels)
    tenant = request.headers.get("x-scope-orgid") if instance.settings.multitenancy else None
    instance.counters.add("tempo_query_frontend_queries_total", op=operation, result="completed",
                          tenant=tenant or "single-tenant")  # fmt: skip


# -- the rest


def _metrics(instance: Instance, _: Request) -> Response:
    instance.counters.set("tempo_live_store_ready", float(instance.ready()[0] == 200))
    for name in instance.store.tenants():
        instance.counters.set("tempo_live_store_live_traces", instance.store.live_traces(name), tenant=name)
    return Response(200, instance.counters.page().encode(), "text/plain; version=0.0.4; charset=utf-8")


PAGES: dict[str, Handler] = {
    "/ready": lambda instance, _: text(*instance.ready()),
    "/metrics": _metrics,
    "/api/echo": lambda _, __: text(200, "echo\n"),
    "/api/status/buildinfo": status_pages.buildinfo,
    "/status": status_pages.status,
}
LEFT_OUT = re.compile(
    r"/api/mcp|/api/search/tags|/api/search/tag/.+/values|/live-store/.+|/memberlist|/partition-ring|/querier/.+|/debug/.+|/static/.*"
    r"|/status/(overrides.*|backendscheduler|endpoints|usage-stats)"
)
"""What the real server has and this one answers 501 to."""


def dispatch(instance: Instance, request: Request) -> Response:
    """The answer to any request on this port."""
    try:
        return _route(instance, request)
    except NotEmulatedError as error:
        return text(501, f"not emulated: {error}\n")


def _route(instance: Instance, request: Request) -> Response:
    for pattern, route, operation, handler in QUERIES:
        if re.fullmatch(pattern, request.path):
            note("tempo", f"GET {pattern}")
            began = time.perf_counter()
            response = _query(instance, request, handler)
            _count(instance, request, response.status, route, operation, time.perf_counter() - began)
            return response
    if LEFT_OUT.fullmatch(request.path):
        raise NotEmulatedError(f"{request.method} {request.path}")
    if request.path in PAGES:
        note("tempo", f"GET {request.path}")
        return PAGES[request.path](instance, request)
    if not request.path.startswith("/status/"):
        return NOT_FOUND
    note("tempo", "GET /status/{page}")
    return status_pages.status(instance, request)


def app(instance: Instance) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - bodies are not read
        request = request_of(scope)
        await respond(send, dispatch(instance, request), request)

    return application
