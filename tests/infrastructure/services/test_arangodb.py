"""Access to ArangoDB: passwords, tokens, users, rights. Documents: HTTP API "Authentication" and "Users"."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import Answer, ask, expect
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")
Login = tuple[str, str]
PASSWORD = "s3cret-of-a-test"


@pytest.fixture
def root(stack: RemoteStack) -> Login:
    """The administrator."""
    return "root", stack["arangodb"].credentials["password"].reveal()


@pytest.fixture
def account(http: Endpoint, root: Login, namespace: Namespace) -> Iterator[Callable[[str], Login]]:
    """Makes users of this test: `account("ada")`. Users are the server's, so they carry the namespace's name."""
    made: list[str] = []

    def make(name: str) -> Login:
        made.append(f"{namespace.name}-{name}")
        body = {"user": made[-1], "passwd": PASSWORD, "extra": {"team": "platform"}}
        expect(201, http, "/_api/user", "POST", body=body, login=root)
        return made[-1], PASSWORD

    yield make
    for name in made:
        expect((202, 404), http, f"/_api/user/{name}", "DELETE", login=root)


@pytest.fixture
def home(http: Endpoint, namespace: Namespace) -> str:
    """The path of this test's database, with collections `spans` (one document) and `notes` (empty)."""
    database = namespace.of("arangodb")
    database.create_collection("spans").insert({"_key": "one", "value": 1})
    database.create_collection("notes")
    return f"/_db/{namespace.name}/_api"


def verdict(answer: Answer) -> tuple[int, int]:
    """Status and errorNum of an answer; 0 when it is no error."""
    body = answer.json() if answer.body else {}
    return answer.status, body.get("errorNum", 0) if isinstance(body, dict) else 0


def grant(http: Endpoint, root: Login, user: str, what: str, right: str) -> None:
    """Set a user's right on a database, or on `database/collection`."""
    expect(200, http, f"/_api/user/{user}/database/{what}", "PUT", body={"grant": right}, login=root)


def token(http: Endpoint, login: Login) -> str:
    """A session token."""
    body = {"username": login[0], "password": login[1]}
    return str(expect(200, http, "/_open/auth", "POST", body=body).json()["jwt"])


def bearer(value: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"bearer {value}"}


def encoded(part: Any) -> str:
    """One part of a JSON web token (RFC 7515, base64url without padding)."""
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decoded(part: str) -> Any:
    """What a part of a JSON web token says."""
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_only_the_right_password_opens_the_server(http: Endpoint, root: Login) -> None:
    """Authentication: every request but availability is asked for credentials; 401, errorNum 11 and a challenge."""
    assert ask(http, "/_admin/server/availability").status == 200, "a load balancer has no password"
    for login in (None, (root[0], "wrong"), (root[0], ""), ("nobody-of-that-name", root[1])):
        refused = ask(http, "/_api/version", login=login)
        assert verdict(refused) == (401, 11), login
        assert "www-authenticate" in refused.headers
    assert ask(http, "/_api/version", login=root).json()["server"] == "arango"


def test_a_token_stands_for_its_user_and_cannot_be_forged(
    http: Endpoint, account: Callable[[str], Login], root: Login, home: str, namespace: Namespace
) -> None:
    """Authentication, "JWT user tokens": HS256 over claims that name user, issuer and expiry; changed ones are void."""
    user = account("ada")
    grant(http, root, user[0], namespace.name, "ro")
    header, claims, signature = (genuine := token(http, user)).split(".")
    facts = decoded(claims)
    assert (facts["preferred_username"], facts["iss"], decoded(header)["alg"]) == (user[0], "arangodb", "HS256")
    assert 60 <= facts["exp"] - facts["iat"] <= 86_400, "it does not expire in a session's time"
    assert ask(http, f"{home}/document/spans/one", headers=bearer(genuine)).json()["value"] == 1
    as_root = encoded({**facts, "preferred_username": "root"})
    unsigned = f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{as_root}."
    for forged in (f"{header}.{as_root}.{signature}", unsigned, f"{header}.{claims}.{signature[::-1]}"):
        assert verdict(ask(http, f"{home}/document/spans/one", headers=bearer(forged))) == (401, 11), forged


def test_wrong_credentials_get_no_token(http: Endpoint, account: Callable[[str], Login]) -> None:
    """POST /_open/auth: 401 for a wrong password and for an unknown user alike, 400 for a body without them."""
    user, _ = account("ada")
    answers = [
        ask(http, "/_open/auth", "POST", body={"username": name, "password": "wrong"})
        for name in (user, "no-such-user")
    ]
    assert [verdict(answer) for answer in answers] == [(401, 401), (401, 401)]
    assert answers[0].json() == answers[1].json(), "the answer tells whether the user exists"
    assert ask(http, "/_open/auth", "POST", body={"username": user}).status == 400


def test_a_changed_password_shuts_the_old_one_out_at_once(
    http: Endpoint, account: Callable[[str], Login], root: Login
) -> None:
    """PATCH /_api/user/{user}: `passwd` replaces the password; `active: false` refuses every password."""
    user, old = account("ada")
    own = f"/_api/user/{user}/database"
    assert ask(http, own, login=(user, old)).status == 200
    changed = expect(200, http, f"/_api/user/{user}", "PATCH", body={"passwd": "new"}, login=(user, old)).json()
    assert changed["extra"] == {"team": "platform"}, "PATCH lost what it was not given"
    assert verdict(ask(http, own, login=(user, old))) == (401, 11)
    assert ask(http, own, login=(user, "new")).status == 200
    expect(200, http, f"/_api/user/{user}", "PATCH", body={"active": False}, login=root)
    assert verdict(ask(http, own, login=(user, "new"))) == (401, 11)


def test_a_user_exists_once_and_is_gone_when_removed(
    http: Endpoint, account: Callable[[str], Login], root: Login
) -> None:
    """/_api/user: 1702 for a second of the same name, 1703 for an unknown one; PUT replaces where PATCH keeps."""
    user, password = account("ada")
    again = ask(http, "/_api/user", "POST", body={"user": user, "passwd": "other"}, login=root)
    assert verdict(again) == (409, 1702)
    assert ask(http, f"/_api/user/{user}", login=(user, password)).json()["extra"] == {"team": "platform"}
    replaced = expect(200, http, f"/_api/user/{user}", "PUT", body={"passwd": PASSWORD}, login=root).json()
    assert (replaced["active"], replaced["extra"]) == (True, {})
    assert ask(http, f"/_api/user/{user}", "DELETE", login=root).status == 202
    assert verdict(ask(http, f"/_api/user/{user}", login=root)) == (404, 1703)
    assert ask(http, f"/_api/user/{user}", login=(user, password)).status == 401


def test_a_user_is_confined_to_granted_databases(
    http: Endpoint, account: Callable[[str], Login], root: Login, home: str, namespace: Namespace
) -> None:
    """Users, "Grant or revoke": without a right on a database it cannot be told from one that does not exist."""
    user = account("ada")
    assert verdict(ask(http, f"{home}/document/spans/one", login=user)) == (401, 11)
    grant(http, root, user[0], namespace.name, "rw")
    assert ask(http, f"/_api/user/{user[0]}/database", login=user).json()["result"] == {namespace.name: "rw"}
    assert ask(http, f"{home}/database/user", login=user).json()["result"] == [namespace.name]
    assert ask(http, f"{home}/document/spans", "POST", body={"_key": "two"}, login=user).status in (201, 202)
    assert ask(http, "/_db/_system/_api/collection", login=user).status == 401
    more = {"name": f"{namespace.name}-more"}
    assert ask(http, "/_api/database", "POST", body=more, login=user).status == 401, "no right on _system"
    assert ask(http, f"{home}/database", "POST", body=more, login=user).json()["errorNum"] == 1230


def test_a_reader_of_a_database_changes_nothing_in_it(
    http: Endpoint, account: Callable[[str], Login], root: Login, home: str, namespace: Namespace
) -> None:
    """Users, database right `ro`: documents can be read; writing one, by AQL too, or making a collection is 403."""
    user = account("ada")
    grant(http, root, user[0], namespace.name, "ro")
    assert ask(http, f"{home}/document/spans/one", login=user).json()["value"] == 1
    query = {"query": "INSERT {_key: 'three'} INTO spans"}
    tried = {
        "insert": ask(http, f"{home}/document/spans", "POST", body={"_key": "two"}, login=user),
        "remove": ask(http, f"{home}/document/spans/one", "DELETE", login=user),
        "query": ask(http, f"{home}/cursor", "POST", body=query, login=user),
        "create": ask(http, f"{home}/collection", "POST", body={"name": "more"}, login=user),
    }
    assert {name: answer.status for name, answer in tried.items()} == dict.fromkeys(tried, 403)
    assert ask(http, f"{home}/collection/spans/count", login=root).json()["count"] == 1


def test_a_collection_right_goes_before_the_databases(
    http: Endpoint, account: Callable[[str], Login], root: Login, home: str, namespace: Namespace
) -> None:
    """Users, collection level: `ro` or `none` on a collection narrows `rw` on its database, and only there."""
    user, spans = account("ada"), f"{namespace.name}/spans"
    grant(http, root, user[0], namespace.name, "rw")
    grant(http, root, user[0], spans, "ro")
    assert ask(http, f"{home}/document/spans/one", login=user).status == 200
    assert verdict(ask(http, f"{home}/document/spans", "POST", body={}, login=user)) == (403, 11)
    grant(http, root, user[0], spans, "none")
    assert verdict(ask(http, f"{home}/document/spans/one", login=user)) == (403, 11)
    read = {"query": "FOR note IN notes FOR span IN spans RETURN span"}
    assert ask(http, f"{home}/cursor", "POST", body=read, login=user).status == 403
    assert ask(http, f"{home}/document/notes", "POST", body={}, login=user).status in (201, 202)
    expect(202, http, f"/_api/user/{user[0]}/database/{spans}", "DELETE", login=root)
    assert ask(http, f"{home}/document/spans", "POST", body={}, login=user).status in (201, 202)


def test_a_revoked_right_ends_with_the_token_still_valid(
    http: Endpoint, account: Callable[[str], Login], root: Login, home: str, namespace: Namespace
) -> None:
    """Rights are looked up per request, not written into the token: revoking does not wait for its expiry."""
    user = account("ada")
    grant(http, root, user[0], namespace.name, "rw")
    headers = bearer(token(http, user))
    assert ask(http, f"{home}/document/spans", "POST", body={}, headers=headers).status in (201, 202)
    grant(http, root, user[0], namespace.name, "ro")
    assert ask(http, f"{home}/document/spans", "POST", body={}, headers=headers).status == 403
    expect(202, http, f"/_api/user/{user[0]}/database/{namespace.name}", "DELETE", login=root)
    assert ask(http, f"{home}/document/spans/one", headers=headers).status == 401


def test_what_cannot_be_done_is_named_by_number(http: Endpoint, root: Login, home: str, namespace: Namespace) -> None:
    """HTTP errors: `code` repeats the status, `errorNum` says what was wrong; clients decide by it."""
    asked = {
        "unknown path": ("GET", "/_api/no-such-thing", None, (404, 404)),
        "wrong method": ("PATCH", f"{home}/collection", {}, (405, 405)),
        "no JSON": ("POST", f"{home}/document/spans", b"{'", (400, 600)),
        "unknown database": ("GET", f"/_db/{namespace.name}-none/_api/version", None, (404, 1228)),
        "unknown collection": ("GET", f"{home}/collection/nothing", None, (404, 1203)),
        "second collection of a name": ("POST", f"{home}/collection", {"name": "spans"}, (409, 1207)),
    }
    for what, (method, path, body, expected) in asked.items():
        answer = ask(http, path, method, body=body, login=root)
        assert verdict(answer) == expected, what
        facts = answer.json()
        assert (facts["error"], facts["code"], bool(facts["errorMessage"])) == (True, answer.status, True), what
