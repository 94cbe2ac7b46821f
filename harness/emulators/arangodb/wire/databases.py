"""/_api/database"""

from __future__ import annotations

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def create(call: Call) -> Reply:
    """POST /_api/database: the database, and its users, who get rw on it."""
    call.need_system()
    body = call.object()
    name, given = body.get("name"), body.get("users")
    if given is not None and not (isinstance(given, list) and all(isinstance(item, dict) for item in given)):
        raise ArangoError(10, "invalid 'users' attribute")
    call.server.catalog.create_database(name if isinstance(name, str) else "")
    users = call.server.users
    wanted = given or [{"username": call.user}]
    for item in wanted:
        user = str(item.get("username") or item.get("user") or "")
        if not users.known(user):
            users.create(user, item.get("passwd", item.get("password")), item.get("active", True), item.get("extra"))
        users.grant(user, str(name), "", "rw")
    return ok(201, result=True)


def listing(call: Call) -> Reply:
    """GET /_api/database"""
    if call.database.name != SYSTEM:
        raise ArangoError(1230)
    return ok(result=sorted(call.server.catalog.databases))


def accessible(call: Call) -> Reply:
    """GET /_api/database/user"""
    names = sorted(call.server.catalog.databases)
    if call.server.auth.required:
        names = [name for name in names if call.server.users.database_right(call.user, name) != "none"]
    return ok(result=names)


def current(call: Call) -> Reply:
    """GET /_api/database/current"""
    database = call.database
    facts = {"id": database.id, "name": database.name, "isSystem": database.name == SYSTEM, "path": "none"}
    return ok(result=facts)


def drop(call: Call) -> Reply:
    """DELETE /_api/database/{name}"""
    call.need_system()
    call.server.catalog.drop_database(call.values["name"])
    return ok(result=True)


ROUTES: Routes = {
    "POST /_api/database": create,
    "GET /_api/database": listing,
    "GET /_api/database/user": accessible,
    "GET /_api/database/current": current,
    "DELETE /_api/database/{name}": drop,
}
