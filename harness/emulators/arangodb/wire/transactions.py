"""/_api/transaction: stream transactions"""

from __future__ import annotations

from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.streams import declared
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _begin(call: Call) -> Reply:
    body = call.object()
    timeout = body.get("lockTimeout", 900)
    if not is_number(timeout) or timeout < 0:
        raise ArangoError(10, "<lockTimeout> needs to be positive")
    call.lock_timeout = timeout or float("inf")
    for mode in ("read", "write", "exclusive"):
        for name in declared(body, mode):
            call.authorize(call.database.find(name), mode != "read")
    return ok(201, result=call.server.streams.begin(call.database, call.user, body).facts())


def _read(call: Call) -> Reply:
    return ok(result=call.server.streams.get(call.values["id"], call.database.name).facts())


def _finish(call: Call) -> Reply:
    status = "committed" if call.method == "PUT" else "aborted"
    return ok(result=call.server.streams.finish(call.values["id"], call.database.name, status).facts())


ROUTES: Routes = {
    "POST /_api/transaction/begin": _begin,
    "GET /_api/transaction": lambda call: Reply(
        200, {"transactions": call.server.streams.running(call.user, call.database.name)}
    ),
    "GET /_api/transaction/{id}": _read,
    "PUT /_api/transaction/{id}": _finish,
    "DELETE /_api/transaction/{id}": _finish,
}
