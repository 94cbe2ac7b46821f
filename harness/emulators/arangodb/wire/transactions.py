"""/_api/transaction: stream transactions"""

from __future__ import annotations

from harness.emulators.arangodb.aql.values import is_number
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def begin(call: Call) -> Reply:
    """POST /_api/transaction/begin"""
    body = call.object()
    timeout = body.get("lockTimeout", 900)
    if not is_number(timeout) or timeout < 0:
        raise ArangoError(10, "<lockTimeout> needs to be positive")
    call.lock_timeout = timeout or float("inf")
    wanted = body.get("collections")
    if isinstance(wanted, dict):
        for mode, names in wanted.items():
            for name in [names] if isinstance(names, str) else names or []:
                call.need_collection(call.database.find(str(name)), "ro" if mode == "read" else "rw")
    stream = call.server.streams.begin(call.database, call.user, body)
    return ok(201, result=stream.facts())


def listing(call: Call) -> Reply:
    """GET /_api/transaction"""
    return Reply(200, {"transactions": call.server.streams.running(call.user)})


def read(call: Call) -> Reply:
    """GET /_api/transaction/{id}"""
    return ok(result=call.server.streams.get(call.values["id"], call.database.name).facts())


def commit(call: Call) -> Reply:
    """PUT /_api/transaction/{id}"""
    return ok(result=call.server.streams.finish(call.values["id"], call.database.name, "committed").facts())


def abort(call: Call) -> Reply:
    """DELETE /_api/transaction/{id}"""
    return ok(result=call.server.streams.finish(call.values["id"], call.database.name, "aborted").facts())


def javascript(_call: Call) -> Reply:
    """POST /_api/transaction"""
    raise NotEmulatedError("JavaScript transactions")


ROUTES: Routes = {
    "POST /_api/transaction/begin": begin,
    "GET /_api/transaction": listing,
    "GET /_api/transaction/{id}": read,
    "PUT /_api/transaction/{id}": commit,
    "DELETE /_api/transaction/{id}": abort,
    "POST /_api/transaction": javascript,
}
