"""/_api/cursor, /_api/explain and /_api/query: everything that runs or looks at AQL"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Limits
from harness.emulators.arangodb.aql.query import Answer, execute, explain, inspect
from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.cursors import Cursor
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.store import Transaction
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok

_SLICE_SECONDS = 0.005
_GAP_SECONDS = 0.0005


def _pauser(call: Call) -> Callable[[float], None]:
    """Lets go of the server's lock for a moment, at the latest every few milliseconds."""
    lock = call.server.lock
    slice_end = time.monotonic() + _SLICE_SECONDS

    def pause(seconds: float) -> None:
        nonlocal slice_end
        if seconds or time.monotonic() > slice_end:
            lock.release()
            time.sleep(seconds or _GAP_SECONDS)
            lock.acquire()
            slice_end = time.monotonic() + _SLICE_SECONDS

    return pause


def _context(call: Call, trx: Transaction, limits: Limits, pause: Callable[[float], None] | None = None) -> Context:
    def authorize(collection: Collection, write: bool) -> None:
        call.need_collection(collection, "rw" if write else "ro")

    server, database = call.server, call.database
    ctx = Context(
        database, trx, server.documents, authorize, lambda name: server.graphs.get(database, name), call.user, limits
    )
    stream = call.stream()
    if stream is not None:
        ctx.may_read, ctx.may_write = stream.may_read, stream.may_write
    if pause is not None:
        ctx.pause = pause
    return ctx


def _query(body: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if not isinstance(body, dict) or not body:
        raise ArangoError(600, "expecting non-empty object with attribute 'query'")
    text, bind, options = body.get("query"), body.get("bindVars") or {}, body.get("options") or {}
    if not isinstance(text, str) or not text:
        raise ArangoError(1502)
    if not isinstance(bind, dict) or not isinstance(options, dict):
        raise ArangoError(400, "expecting object for <bindVars> and <options>")
    return text, bind, options


def _limits(call: Call, body: dict[str, Any], options: dict[str, Any]) -> Limits:
    defaults = call.server.options
    return Limits(
        max_runtime=options.get("maxRuntime") or defaults.max_runtime,
        memory=body.get("memoryLimit") or options.get("memoryLimit") or defaults.memory_limit,
        max_warnings=options.get("maxWarningCount", 10),
        fail_on_warning=bool(options.get("failOnWarning")),
    )


async def create(call: Call) -> Reply:
    """POST /_api/cursor"""
    if not call.content:
        raise ArangoError(1502)
    body = call.json()
    text, bind, options = _query(body)
    batch, ttl = body.get("batchSize", 1000), body.get("ttl", 30)
    if not is_number(batch) or batch < 1 or not is_number(ttl):
        raise ArangoError(10, "expecting positive numbers for 'batchSize' and 'ttl'")
    if body.get("stream", options.get("stream")) and body.get("count"):
        raise ArangoError(10, "cannot use 'count' option for a streaming query")
    limits = _limits(call, body, options)

    def work() -> Reply:
        answer = _run(call, text, bind, options, limits)
        facts: dict[str, Any] = {"count": len(answer.rows)} if body.get("count") else {}
        facts |= {"extra": answer.extra, "cached": False}
        retry = bool(options.get("allowRetry"))
        cursor = Cursor("", call.database.name, answer.rows, facts, int(batch), float(ttl), retry)
        return ok(201, **call.server.cursors.open(cursor))

    return await call.in_thread(work)  # type: ignore[no-any-return]


def _run(call: Call, text: str, bind: dict[str, Any], options: dict[str, Any], limits: Limits) -> Answer:
    stream = call.stream()
    with call.work() as trx:
        ctx = _context(call, trx, limits, _pauser(call))
        running = call.server.queries.start(ctx, call.user, text, bind)
        if stream:
            stream.busy = True
        try:
            given = options.get("profile") or 0
            profile = int(given) if isinstance(given, int | float) else 0
            return execute(ctx, text, bind, full_count=bool(options.get("fullCount")), profile=profile)
        finally:
            call.server.queries.end(running)
            if stream:
                call.server.streams.touch(stream)


def next_batch(call: Call) -> Reply:
    """POST and PUT /_api/cursor/{id}"""
    return ok(**call.server.cursors.next(call.values["id"], call.database.name))


def batch(call: Call) -> Reply:
    """POST /_api/cursor/{id}/{batch}"""
    return ok(**call.server.cursors.batch(call.values["id"], call.database.name, call.values["batch"]))


def close(call: Call) -> Reply:
    """DELETE /_api/cursor/{id}"""
    call.server.cursors.close(call.values["id"], call.database.name)
    return ok(202, id=call.values["id"])


def wrong_put(_call: Call) -> Reply:
    """PUT /_api/cursor"""
    raise ArangoError(400, "expecting POST /_api/cursor/<cursor-id>")


def plan(call: Call) -> Reply:
    """POST /_api/explain"""
    text, bind, options = _query(call.json())
    began = time.perf_counter()
    trx = call.server.catalog.store.begin()
    try:
        ctx = _context(call, trx, Limits())
        made = explain(ctx, text, bind)
    finally:
        trx.abort()
    stats: dict[str, Any] = {"rulesExecuted": len(made["rules"]), "rulesSkipped": 0, "plansCreated": 1}
    stats |= {"peakMemoryUsage": 0, "executionTime": time.perf_counter() - began}
    shown: dict[str, Any] = {"plans": [made]} if options.get("allPlans") else {"plan": made, "cacheable": True}
    return ok(**shown, warnings=ctx.warnings, stats=stats)


def parse(call: Call) -> Reply:
    """POST /_api/query"""
    return ok(**inspect(_query(call.json())[0]))


def kill(call: Call) -> Reply:
    """DELETE /_api/query/{id}"""
    call.server.queries.kill(call.values["id"])
    return ok()


def clear_slow(call: Call) -> Reply:
    """DELETE /_api/query/slow"""
    call.server.queries.clear_slow()
    return ok()


def properties(call: Call) -> Reply:
    """GET and PUT /_api/query/properties"""
    if call.method == "PUT":
        known = call.server.queries.properties
        known.update((name, value) for name, value in call.object().items() if name in known)
    return ok(**call.server.queries.properties)


ROUTES: Routes = {
    "POST /_api/cursor": create,
    "PUT /_api/cursor": wrong_put,
    "POST /_api/cursor/{id}": next_batch,
    "PUT /_api/cursor/{id}": next_batch,
    "POST /_api/cursor/{id}/{batch}": batch,
    "DELETE /_api/cursor/{id}": close,
    "POST /_api/explain": plan,
    "POST /_api/query": parse,
    "GET /_api/query/current": lambda call: Reply(200, call.server.queries.current(call.database.name)),
    "GET /_api/query/slow": lambda call: Reply(200, call.server.queries.slow(call.database.name)),
    "DELETE /_api/query/slow": clear_slow,
    "GET /_api/query/properties": properties,
    "PUT /_api/query/properties": properties,
    "DELETE /_api/query/{id}": kill,
}
