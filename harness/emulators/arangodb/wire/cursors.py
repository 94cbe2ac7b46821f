"""/_api/cursor, /_api/explain and /_api/query: everything that runs or looks at AQL"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Limits
from harness.emulators.arangodb.aql.query import Answer, execute, explain, inspect
from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.cursors import Cursor
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
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


@dataclass(frozen=True)
class _Query:
    """The body of a request about a query."""

    text: str
    bind: dict[str, Any]
    options: dict[str, Any]
    body: dict[str, Any]

    def limits(self, call: Call) -> Limits:
        """What the request asks for, as far as it is a number, else the server's own."""
        given = {"memoryLimit": self.body.get("memoryLimit"), **self.options}
        defaults = call.server.options
        asked = {name: value for name, value in given.items() if is_number(value) and value >= 0}
        return Limits(
            max_runtime=asked.get("maxRuntime") or defaults.max_runtime,
            memory=asked.get("memoryLimit") or defaults.memory_limit,
            max_warnings=asked.get("maxWarningCount", 10),
            fail_on_warning=bool(self.options.get("failOnWarning")),
        )


def _read(call: Call) -> _Query:
    body = call.json() if call.content else {"query": ""}
    if not isinstance(body, dict) or not body:
        raise ArangoError(600, "expecting non-empty object with attribute 'query'")
    text, bind, options = body.get("query"), body.get("bindVars") or {}, body.get("options") or {}
    if not isinstance(text, str) or not text:
        raise ArangoError(1502)
    if not isinstance(bind, dict) or not isinstance(options, dict):
        raise ArangoError(400, "expecting object for <bindVars> and <options>")
    for name in ("profile", "allPlans"):
        if options.get(name):
            raise NotEmulatedError(f"query option {name}")
    return _Query(text, bind, options, body)


def _context(call: Call, trx: Transaction, limits: Limits, pause: Callable[[float], None]) -> Context:
    server, database = call.server, call.database
    graph = lambda name: server.graphs.get(database, name)  # noqa: E731
    return Context(database, trx, server.documents, call.authorize, graph, limits, pause)


async def _create(call: Call) -> Reply:
    query = _read(call)
    body, options = query.body, query.options
    batch, ttl = body.get("batchSize", 1000), body.get("ttl", 30)
    if not is_number(batch) or batch < 1 or not is_number(ttl):
        raise ArangoError(10, "expecting positive numbers for 'batchSize' and 'ttl'")
    if options.get("stream") and body.get("count"):
        raise ArangoError(10, "cannot use 'count' option for a streaming query")

    def work() -> Reply:
        answer = _run(call, query)
        facts = {**({"count": len(answer.rows)} if body.get("count") else {}), "extra": answer.extra, "cached": False}
        retry = bool(options.get("allowRetry"))
        cursor = Cursor(call.database.name, answer.rows, facts, int(batch), float(ttl), retry)
        return ok(201, **call.server.cursors.open(cursor))

    return await call.in_thread(work)  # type: ignore[no-any-return]


def _run(call: Call, query: _Query) -> Answer:
    stream = call.stream
    with call.work() as trx:
        ctx = _context(call, trx, query.limits(call), _pauser(call))
        with call.server.queries.running(ctx, call.user, query.text, query.bind):
            if stream:
                stream.busy = True
            try:
                return execute(ctx, query.text, query.bind, full_count=bool(query.options.get("fullCount")))
            finally:
                if stream:
                    call.server.streams.touch(stream)


def _next(call: Call) -> Reply:
    return ok(**call.server.cursors.next(call.values["id"], call.database.name, call.values.get("batch", "")))


def _close(call: Call) -> Reply:
    call.server.cursors.close(call.values["id"], call.database.name)
    return ok(202, id=call.values["id"])


def _wrong_put(_call: Call) -> Reply:
    raise ArangoError(400, "expecting POST /_api/cursor/<cursor-id>")


def _plan(call: Call) -> Reply:
    began, query = time.perf_counter(), _read(call)
    trx = call.server.catalog.store.begin()
    try:
        ctx = _context(call, trx, Limits(), lambda _seconds: None)
        made = explain(ctx, query.text, query.bind)
    finally:
        trx.abort()
    stats = {"rulesSkipped": 0, "plansCreated": 1, "peakMemoryUsage": 0, "executionTime": time.perf_counter() - began}
    stats["rulesExecuted"] = len(made["rules"])
    return ok(plan=made, cacheable=True, warnings=ctx.warnings, stats=stats)


def _kill(call: Call) -> Reply:
    call.server.queries.kill(call.values["id"])
    return ok()


ROUTES: Routes = {
    "POST /_api/cursor": _create,
    "PUT /_api/cursor": _wrong_put,
    "POST /_api/cursor/{id}": _next,
    "PUT /_api/cursor/{id}": _next,
    "POST /_api/cursor/{id}/{batch}": _next,
    "DELETE /_api/cursor/{id}": _close,
    "POST /_api/explain": _plan,
    "POST /_api/query": lambda call: ok(**inspect(_read(call).text)),
    "GET /_api/query/current": lambda call: Reply(200, call.server.queries.current(call.database.name)),
    "DELETE /_api/query/{id}": _kill,
}
