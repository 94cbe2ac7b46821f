"""/_api/database"""

from __future__ import annotations

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _create(call: Call) -> Reply:
    """The database, and its users, who get rw on it."""
    call.need_system()
    body, users = call.object(), call.server.users
    name, given = body.get("name"), body.get("users") or [{"username": call.user}]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise ArangoError(10, "invalid 'users' attribute")
    call.server.catalog.create_database(name if isinstance(name, str) else "")
    for item in given:
        user = str(item.get("username") or item.get("user") or "")
        if not users.known(user):
            users.create(user, item)
        users.grant(user, str(name), "rw")
    return ok(201, result=True)


def _listing(call: Call) -> Reply:
    if call.database.name != SYSTEM:
        raise ArangoError(1230)
    return ok(result=sorted(call.server.catalog.databases))


def _accessible(call: Call) -> Reply:
    names = sorted(call.server.catalog.databases)
    return ok(result=[name for name in names if call.server.users.right(call.user, name) != "none"])


def _current(call: Call) -> Reply:
    database = call.database
    facts = {"id": database.id, "name": database.name, "isSystem": database.name == SYSTEM, "path": "none"}
    return ok(result=facts)


def _drop(call: Call) -> Reply:
    call.need_system()
    call.server.catalog.drop_database(call.values["name"])
    return ok(result=True)


ROUTES: Routes = {
    "POST /_api/database": _create,
    "GET /_api/database": _listing,
    "GET /_api/database/user": _accessible,
    "GET /_api/database/current": _current,
    "DELETE /_api/database/{name}": _drop,
}
