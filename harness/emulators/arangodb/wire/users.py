"""/_api/user: accounts and rights"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _need_admin(call: Call, own: str = "") -> None:
    is_admin = call.server.users.database_right(call.user, SYSTEM) == "rw"
    if call.server.auth.required and call.user != own and not is_admin:
        raise ArangoError(11)
    if call.server.read_only and call.method != "GET":
        raise ArangoError(1004)


def create(call: Call) -> Reply:
    """POST /_api/user"""
    _need_admin(call)
    body = call.object()
    user = call.server.users.create(body.get("user"), body.get("passwd"), body.get("active", True), body.get("extra"))
    return ok(201, **user.facts())


def listing(call: Call) -> Reply:
    """GET /_api/user"""
    _need_admin(call)
    return ok(result=[user.facts() for user in call.server.users.all()])


def read(call: Call) -> Reply:
    """GET /_api/user/{user}"""
    _need_admin(call, call.values["user"])
    return ok(**call.server.users.get(call.values["user"]).facts())


def change(call: Call) -> Reply:
    """PATCH and PUT /_api/user/{user}"""
    _need_admin(call, call.values["user"])
    user = call.server.users.change(call.values["user"], call.object(), replace=call.method == "PUT")
    return ok(**user.facts())


def remove(call: Call) -> Reply:
    """DELETE /_api/user/{user}"""
    _need_admin(call)
    call.server.users.remove(call.values["user"])
    return ok(202)


def rights(call: Call) -> Reply:
    """GET /_api/user/{user}/database"""
    name = call.values["user"]
    _need_admin(call, name)
    users = call.server.users
    user = users.get(name)
    if not call.flag("full"):
        found = {db: users.database_right(name, db) for db in call.server.catalog.databases}
        shown = {db: right for db, right in found.items() if right != "none"}
        return ok(result=shown | ({"*": user.databases["*"]} if "*" in user.databases else {}))
    result: dict[str, Any] = {}
    for database in call.server.catalog.databases.values():
        listed = [*sorted(item for item in database.collections if not item.startswith("_")), "*"]
        collections = {item: user.collections.get(f"{database.name}/{item}", "undefined") for item in listed}
        permission = user.databases.get(database.name, "undefined")
        result[database.name] = {"permission": permission, "collections": collections}
    result["*"] = {"permission": user.databases.get("*", "none")}
    return ok(result=result)


def right(call: Call) -> Reply:
    """GET /_api/user/{user}/database/{database}[/{collection}]"""
    name, database, collection = call.values["user"], call.values["database"], call.values.get("collection")
    _need_admin(call, name)
    call.server.users.get(name)
    if collection:
        return ok(result=call.server.users.collection_right(name, database, collection))
    return ok(result=call.server.users.database_right(name, database))


def grant(call: Call) -> Reply:
    """PUT /_api/user/{user}/database/{database}[/{collection}]"""
    _need_admin(call)
    database, collection = call.values["database"], call.values.get("collection", "")
    given = call.object().get("grant")
    if database != "*":
        found = call.server.catalog.database(database)
        if collection not in ("", "*"):
            found.find(collection)
    call.server.users.grant(call.values["user"], database, collection, given)
    shown: dict[str, Any] = {f"{database}/{collection}" if collection else database: given}
    return ok(**shown)


def revoke(call: Call) -> Reply:
    """DELETE /_api/user/{user}/database/{database}[/{collection}]"""
    _need_admin(call)
    call.server.users.revoke(call.values["user"], call.values["database"], call.values.get("collection", ""))
    return ok(202)


ROUTES: Routes = {
    "POST /_api/user": create,
    "GET /_api/user": listing,
    "GET /_api/user/{user}": read,
    "PUT /_api/user/{user}": change,
    "PATCH /_api/user/{user}": change,
    "DELETE /_api/user/{user}": remove,
    "GET /_api/user/{user}/database": rights,
    "GET /_api/user/{user}/database/{database}": right,
    "GET /_api/user/{user}/database/{database}/{collection}": right,
    "PUT /_api/user/{user}/database/{database}": grant,
    "PUT /_api/user/{user}/database/{database}/{collection}": grant,
    "DELETE /_api/user/{user}/database/{database}": revoke,
    "DELETE /_api/user/{user}/database/{database}/{collection}": revoke,
}
