"""Who gets into Grafana and what they may do there. Documents: HTTP API "Authentication", "Service account"; "RBAC"."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.http_session import ServiceSession

TTL = 2
"""Seconds that a token lives. Grafana keeps the end of a token in whole seconds, so one second may be missing."""
Visitor = Callable[..., ServiceSession]


@pytest.fixture
def visitor(stack: RemoteStack) -> Iterator[Visitor]:
    """A session of somebody else: with a bearer token, with a login and password, or without anything."""
    with ExitStack() as opened:

        def come(token: str = "", login: tuple[str, str] | None = None) -> ServiceSession:
            session = opened.enter_context(ServiceSession(stack["grafana"].endpoint("http"), timeout=10))
            session.auth = login
            if token:
                session.headers["Authorization"] = f"Bearer {token}"
            return session

        yield come


@pytest.fixture
def account(grafana: ServiceSession, namespace: Namespace) -> Iterator[Callable[[str], int]]:
    """Makes a service account with a role, and gives its id."""
    made: list[int] = []

    def make(role: str) -> int:
        body = {"name": f"{namespace.name}-{role.lower()}", "role": role}
        made.append(done(grafana.post("/api/serviceaccounts", json=body), 201)["id"])
        return made[-1]

    yield make
    for number in made:
        done(grafana.delete(f"/api/serviceaccounts/{number}"))


@pytest.fixture
def user(grafana: ServiceSession, namespace: Namespace) -> Iterator[tuple[int, str, str]]:
    """A user of the organization without rights of its own: id, login and password."""
    login, password = namespace.name, f"first-{namespace.name}"
    number = done(grafana.post("/api/admin/users", json={"login": login, "password": password}))["id"]
    yield number, login, password
    done(grafana.delete(f"/api/admin/users/{number}"))


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json()


def token_for(grafana: ServiceSession, account: int, name: str, seconds: int = 0) -> Any:
    """A new token: its id, name and key."""
    body = {"name": name, "secondsToLive": seconds}
    return done(grafana.post(f"/api/serviceaccounts/{account}/tokens", json=body))


def refusal(answer: Any) -> tuple[int, str]:
    """Status and messageId of an answer that lets nobody in."""
    return answer.status_code, str(answer.json().get("messageId"))


def test_health_and_version_are_told_without_a_login(stack: RemoteStack, visitor: Visitor) -> None:
    """`/api/health` ("Other HTTP API", health): database and version; the version is that of `grafana_build_info`."""
    stranger = visitor()
    health = done(stranger.get("/api/health"))
    assert (health["database"], health["version"]) == ("ok", stack["grafana"].fidelity.version)
    assert stranger.get("/healthz").text == "Ok"
    built = [line for line in stranger.get("/metrics").text.splitlines() if line.startswith("grafana_build_info{")]
    assert [f'version="{health["version"]}"' in line for line in built] == [True], built


def test_a_stranger_sees_nothing_but_the_way_to_the_login(visitor: Visitor) -> None:
    """ "Authentication": the API answers 401 `auth.unauthorized`; a page leads to `/login`."""
    stranger = visitor()
    for path in ("/api/user", "/api/datasources", "/api/search", "/api/v1/provisioning/alert-rules"):
        assert refusal(stranger.get(path)) == (401, "auth.unauthorized"), path
    page = stranger.get("/", allow_redirects=False)
    assert (page.status_code, page.headers["Location"].partition("?")[0]) == (302, "/login")


def test_a_login_opens_a_session_and_a_logout_ends_it(stack: RemoteStack, visitor: Visitor) -> None:
    """`POST /login` sets `grafana_session`, unreadable for scripts; after `/logout` the same cookie opens nothing."""
    person, thief = visitor(), visitor()
    form = {"user": "admin", "password": stack["grafana"].credentials["password"].reveal()}
    entered = person.post("/login", json=form)
    assert done(entered)["message"] == "Logged in"
    cookie = next(one for one in person.cookies if one.name == "grafana_session")
    assert cookie.has_nonstandard_attr("HttpOnly"), "a script could read the session"
    assert done(person.get("/api/user"))["login"] == "admin"
    thief.cookies.set("grafana_session", str(cookie.value))
    assert done(thief.get("/api/user"))["login"] == "admin"
    person.get("/logout", allow_redirects=False)
    assert thief.get("/api/user").status_code == 401, "the session outlived its logout"


def test_an_organization_is_entered_by_its_members_only(grafana: ServiceSession) -> None:
    """ "User" API, orgs and using: what provisioning tools ask before all else; 401 for an organization of others."""
    mine = done(grafana.get("/api/user/orgs"))
    assert done(grafana.post(f"/api/user/using/{mine[0]['orgId']}"))["message"] == "Active organization changed"
    assert grafana.post("/api/user/using/999999").status_code == 401


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(
    visitor: Visitor, user: tuple[int, str, str], namespace: Namespace
) -> None:
    """`password-auth.failed`: the answer does not tell which names exist, by form or by basic authentication."""
    _, login, password = user
    assert done(visitor(login=(login, password)).get("/api/user"))["login"] == login
    answers = []
    for name, word in ((login, password + "x"), (f"{namespace.name}-nobody", password)):
        form = visitor().post("/login", json={"user": name, "password": word})
        basic = visitor(login=(name, word)).get("/api/user")
        assert refusal(form) == refusal(basic) == (401, "password-auth.failed")
        answers.append([form.json()["message"], basic.json()["message"]])
        assert not form.cookies, "a refused login got a cookie"
    assert answers[0] == answers[1]


def test_a_changed_password_replaces_the_old_and_a_disabled_user_is_out(
    grafana: ServiceSession, visitor: Visitor, user: tuple[int, str, str]
) -> None:
    """HTTP API "Admin": `PUT /api/admin/users/:id/password` and `POST .../disable` hold from the next request on."""
    number, login, old = user
    done(grafana.put(f"/api/admin/users/{number}/password", json={"password": "second-" + old}))
    assert visitor(login=(login, old)).get("/api/user").status_code == 401
    changed = visitor(login=(login, "second-" + old))
    assert done(changed.get("/api/user"))["login"] == login
    done(grafana.post(f"/api/admin/users/{number}/disable"))
    assert changed.get("/api/user").status_code == 401, "a disabled user got in"
    done(grafana.post(f"/api/admin/users/{number}/enable"))
    assert done(changed.get("/api/user"))["isDisabled"] is False


def test_a_key_that_was_never_given_out_opens_nothing(visitor: Visitor) -> None:
    """`api-key.invalid`, also for a key of the right form; the checksum at its end is that of the text before it."""
    for key in (f"glsa_{'A' * 32}_00000000", "glsa_short"):
        assert refusal(visitor(token=key).get("/api/user")) == (401, "api-key.invalid"), key


def test_a_token_ends_with_its_time_and_its_account_lives_on(
    grafana: ServiceSession, visitor: Visitor, account: Callable[[str], int]
) -> None:
    """ "Service account tokens": `secondsToLive`. The list tells that it `hasExpired`; a token without end goes on."""
    number = account("Viewer")
    began, brief = time.monotonic(), token_for(grafana, number, "brief", TTL)
    lasting = token_for(grafana, number, "lasting")
    guest = visitor(token=brief["key"])
    done(guest.get("/api/org"))

    def refused() -> float:
        answer = guest.get("/api/org")
        if answer.status_code == 200:
            raise NotYet(f"accepted {time.monotonic() - began:.2f} s after it was made")
        assert refusal(answer) == (401, "api-key.expired"), answer.text
        return time.monotonic() - began

    lived = poll(refused, Deadline.after(TTL + 3), "the token to be refused")
    assert TTL - 1 < lived < TTL + 1, f"it lived {lived:.2f} s of {TTL} s"
    done(visitor(token=lasting["key"]).get("/api/org"))
    listed = {one["name"]: one["hasExpired"] for one in done(grafana.get(f"/api/serviceaccounts/{number}/tokens"))}
    assert listed == {"brief": True, "lasting": False}


def test_a_deleted_token_is_refused_and_its_key_is_shown_once(
    grafana: ServiceSession, visitor: Visitor, account: Callable[[str], int]
) -> None:
    """HTTP API "Service account": a token's key is only in the answer that made it; deleting it holds at once."""
    number = account("Viewer")
    first, second = token_for(grafana, number, "first"), token_for(grafana, number, "second")
    listed = grafana.get(f"/api/serviceaccounts/{number}/tokens")
    assert {one["name"] for one in done(listed)} == {"first", "second"}
    assert first["key"] not in listed.text
    done(grafana.delete(f"/api/serviceaccounts/{number}/tokens/{first['id']}"))
    assert visitor(token=first["key"]).get("/api/org").status_code == 401
    keeper = visitor(token=second["key"])
    done(keeper.get("/api/org"))
    done(grafana.patch(f"/api/serviceaccounts/{number}", json={"isDisabled": True}))
    told = done(grafana.get(f"/api/serviceaccounts/{number}"))
    assert (told["role"], told["isDisabled"]) == ("Viewer", True)
    assert keeper.get("/api/org").status_code == 401, "a disabled account got in"


@pytest.mark.parametrize("role", ["Viewer", "Editor", "Admin"])
def test_a_role_allows_its_own_and_what_stands_below_it(
    grafana: ServiceSession, visitor: Visitor, account: Callable[[str], int], namespace: Namespace, role: str
) -> None:
    """ "Basic and fixed role definitions": Viewers read, also data sources in OSS; Editors write dashboards and
    folders; Admins manage data sources and accounts. What is refused is refused by RBAC and changes nothing."""
    folder = namespace.of("grafana")
    member = visitor(token=token_for(grafana, account(role), "key")["key"])
    board = {"dashboard": {"uid": namespace.name, "title": namespace.name}, "folderUid": folder}
    source = {"name": namespace.name, "uid": namespace.name, "type": "grafana-testdata-datasource", "access": "proxy"}
    asked = [
        ("Viewer", "GET", "/api/datasources/uid/testdata", None),
        ("Viewer", "GET", f"/api/folders/{folder}", None),
        ("Editor", "POST", "/api/dashboards/db", board),
        ("Editor", "DELETE", f"/api/dashboards/uid/{namespace.name}", None),
        ("Admin", "POST", "/api/datasources", source),
        ("Admin", "DELETE", f"/api/datasources/uid/{namespace.name}", None),
        ("Admin", "GET", "/api/serviceaccounts/search?perpage=1", None),
    ]
    rank = ["Viewer", "Editor", "Admin"]
    for needed, method, path, body in asked:
        answer = member.request(method, path, json=body)
        if rank.index(role) >= rank.index(needed):
            assert answer.status_code == 200, f"{role} {method} {path}: {answer.text}"
        else:
            assert (answer.status_code, answer.json().get("title")) == (403, "Access denied"), f"{role} {method} {path}"
    assert grafana.get(f"/api/dashboards/uid/{namespace.name}").status_code == 404, "a refused request wrote"
    assert grafana.get(f"/api/datasources/uid/{namespace.name}").status_code == 404, "a refused request wrote"
