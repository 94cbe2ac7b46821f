"""/_api/user: accounts and rights"""

from __future__ import annotations

from typing import Any

from harness.emulators.arangodb.catalog import SYSTEM
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.users import User
from harness.emulators.arangodb.wire.call import Call, Reply, Routes, ok


def _user(call: Call, *, own: bool = False) -> str:
    """The name in the path. Only an administrator, or (`own`) the user itself, may go on: ArangoError 11, 1004."""
    name, users = call.values.get("user", ""), call.server.users
    may = users.right(call.user, SYSTEM) == "rw" or (own and call.user == name)
    if call.server.auth.required and not may:
        raise ArangoError(11)
    if call.server.read_only and call.method != "GET":
        raise ArangoError(1004)
    return name


def _shown(user: User, status: int = 200) -> Reply:
    return ok(status, **user.facts())


def _create(call: Call) -> Reply:
    _user(call)
    body = call.object()
    return _shown(call.server.users.create(body.get("user"), body), 201)


def _listing(call: Call) -> Reply:
    _user(call)
    return ok(result=[user.facts() for user in call.server.users.all()])


def _change(call: Call) -> Reply:
    change = call.server.users.replace if call.method == "PUT" else call.server.users.change
    return _shown(change(_user(call, own=True), call.object()))


def _remove(call: Call) -> Reply:
    call.server.users.remove(_user(call))
    return ok(202)


def _rights(call: Call) -> Reply:
    """The databases a user may see; with `full` what was set for every database and collection."""
    user = call.server.users.get(_user(call, own=True))
    databases = call.server.catalog.databases
    if not call.flag("full"):
        found = {name: user.right(name) for name in (*databases, "*")}
        return ok(result={name: right for name, right in found.items() if right != "none"})
    result: dict[str, Any] = {"*": {"permission": user.rights.get("*", "none")}}
    for name, database in databases.items():
        listed = [*(item.name for item in database.collections.values() if not item.is_system), "*"]
        collections = {item: user.rights.get(f"{name}/{item}", "undefined") for item in listed}
        result[name] = {"permission": user.rights.get(name, "undefined"), "collections": collections}
    return ok(result=result)


def _right(call: Call) -> Reply:
    user = call.server.users.get(_user(call, own=True))
    return ok(result=user.right(call.values["database"], call.values.get("collection", "")))


def _grant(call: Call) -> Reply:
    """PUT sets a right on a database or collection that exists (or `*`), DELETE takes it back."""
    name, database, collection = _user(call), call.values["database"], call.values.get("collection", "")
    what = f"{database}/{collection}" if collection else database
    if call.method == "DELETE":
        call.server.users.grant(name, what, None)
        return ok(202)
    if database != "*" and collection not in ("", "*"):
        call.server.catalog.database(database).find(collection)
    right = call.object().get("grant") or ""
    call.server.users.grant(name, what, right)
    return Reply(200, {"error": False, "code": 200, what: right})


ROUTES: Routes = {
    "POST /_api/user": _create,
    "GET /_api/user": _listing,
    "GET /_api/user/{user}": lambda call: _shown(call.server.users.get(_user(call, own=True))),
    "PUT /_api/user/{user}": _change,
    "PATCH /_api/user/{user}": _change,
    "DELETE /_api/user/{user}": _remove,
    "GET /_api/user/{user}/database": _rights,
    "GET /_api/user/{user}/database/{database}": _right,
    "GET /_api/user/{user}/database/{database}/{collection}": _right,
    "PUT /_api/user/{user}/database/{database}": _grant,
    "PUT /_api/user/{user}/database/{database}/{collection}": _grant,
    "DELETE /_api/user/{user}/database/{database}": _grant,
    "DELETE /_api/user/{user}/database/{database}/{collection}": _grant,
}
