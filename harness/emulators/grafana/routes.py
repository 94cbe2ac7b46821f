"""Every operation that is emulated, one line each: method and path, permission, the role that has it, what answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .auth import SERVER_ADMIN
from .errors import plain
from .http import Reply, Request, Route, session_cookies

if TYPE_CHECKING:
    from .grafana import Grafana

V, E, A, S = "Viewer", "Editor", "Admin", SERVER_ADMIN
FAMILIES = frozenset(
    """
    access-control admin alertmanager annotations anonymous auth cloudmigration convert dashboard dashboards datasources
    ds featuremgmt folders frontend gnet health library-elements licensing live login login-options org orgs playlists
    plugins preferences prometheus public query-history ruler search serviceaccounts short-urls signup snapshot
    snapshots snapshots-delete teams user users v1
    """.split()  # noqa: SIM905  # easier to read
)
"""First words of paths below /api that Grafana has: what is missing of them answers 501, all else 404."""


def routes(g: Grafana) -> list[Route]:
    """The route table."""
    return [*_open(g), *_people(g), *_machines(g), *_sources(g), *_boards(g), *_notes(g), *_rules(g), *_alerts(g)]


def _number(request: Request, name: str) -> int:
    if not request[name].isdigit():
        raise plain(400, "id is invalid")
    return int(request[name])


def _open(g: Grafana) -> list[Route]:
    reload = "POST /api/admin/provisioning/{kind}/reload"
    return [
        Route("GET /api/health", None, "", g.health),
        Route("GET /healthz", None, "", lambda _: Reply(200, b"Ok", [("Content-Type", "text/plain; charset=UTF-8")])),
        Route("GET /metrics", None, "", g.metrics),
        Route("POST /login", None, "", lambda r: _login(g, r)),
        Route("GET /logout", None, "", lambda r: _logout(g, r)),
        Route("GET /api/frontend/settings", "", "", lambda r: g.frontend_settings(r.org)),
        Route(reload, "provisioning:reload", S, lambda r: g.provisioning.reload(r["kind"])),
    ]


def _login(g: Grafana, request: Request) -> Reply:
    token, ends = g.auth.login(request.json())
    body = b'{"message":"Logged in","redirectUrl":"/"}'
    return Reply(200, body, [("Content-Type", "application/json; charset=UTF-8"), *session_cookies(token, ends)])


def _logout(g: Grafana, request: Request) -> Reply:
    g.auth.logout(request.cookie("grafana_session"))
    return Reply(302, b"", [("Location", "/login"), ("Set-Cookie", "grafana_session=; Path=/; Max-Age=0; HttpOnly")])


def _people(g: Grafana) -> list[Route]:
    people, user = g.accounts, "/api/admin/users/{id}"

    def set_password(r: Request) -> object:
        return people.set_password(_number(r, "id"), str(r.json().get("password") or ""))

    return [
        Route("GET /api/user", "", "", lambda r: g.me(r.who)),
        Route(
            "GET /api/user/orgs", "", "", lambda r: [{"orgId": r.org, "name": people.org()["name"], "role": r.who.role}]
        ),
        Route("POST /api/user/using/{id}", "", "", lambda r: people.use_org(r["id"])),
        Route("GET /api/org", "orgs:read", V, lambda _: people.org()),
        Route("POST /api/admin/users", "users:create", S, lambda r: people.create_user(r.json())),
        Route(f"DELETE {user}", "users:delete", S, lambda r: people.delete_user(_number(r, "id"))),
        Route(f"POST {user}/disable", "users:disable", S, lambda r: people.set_disabled(_number(r, "id"), True)),
        Route(f"POST {user}/enable", "users:enable", S, lambda r: people.set_disabled(_number(r, "id"), False)),
        Route(f"PUT {user}/password", "users.password:write", S, set_password),
    ]


def _machines(g: Grafana) -> list[Route]:
    sa, base, one = g.service_accounts, "/api/serviceaccounts", "/api/serviceaccounts/{id}"
    read, write = "serviceaccounts:read", "serviceaccounts:write"
    return [
        Route(f"POST {base}", "serviceaccounts:create", A, lambda r: sa.create(r.org, r.json()), 201),
        Route(f"GET {base}/search", read, A, lambda r: sa.search(r.org, r.query)),
        Route(f"GET {one}", read, A, lambda r: sa.get(r.org, r["id"])),
        Route(f"PATCH {one}", write, A, lambda r: sa.update(r.org, r["id"], r.json())),
        Route(f"DELETE {one}", "serviceaccounts:delete", A, lambda r: sa.delete(r.org, r["id"])),
        Route(f"GET {one}/tokens", read, A, lambda r: sa.tokens(r.org, r["id"])),
        Route(f"POST {one}/tokens", write, A, lambda r: sa.create_token(r.org, r["id"], r.json())),
        Route(f"DELETE {one}/tokens/{{token}}", write, A, lambda r: sa.delete_token(r.org, r["id"], r["token"])),
    ]


def _sources(g: Grafana) -> list[Route]:
    ds, base, one = g.datasources, "/api/datasources", "/api/datasources/uid/{uid}"
    read, write, delete, query = (f"datasources:{verb}" for verb in ("read", "write", "delete", "query"))

    return [
        Route(f"GET {base}", read, V, lambda r: ds.all(r.org)),
        Route(f"POST {base}", "datasources:create", A, lambda r: ds.create(r.org, r.json())),
        Route(f"GET {one}", read, V, lambda r: ds.get(r.org, r["uid"])),
        Route(f"PUT {one}", write, A, lambda r: ds.update(r.org, r["uid"], r.json())),
        Route(f"DELETE {one}", delete, A, lambda r: ds.delete(r.org, r["uid"])),
        Route(f"GET {base}/name/{{name}}", read, V, lambda r: ds.by_name(r.org, r["name"])),
        Route(f"DELETE {base}/name/{{name}}", delete, A, lambda r: ds.delete_by_name(r.org, r["name"])),
        Route(f"GET {one}/health", query, V, g.proxy.health),
        Route(f"* {base}/proxy/uid/{{uid}}", query, V, g.proxy.forward),
        Route(f"* {base}/proxy/uid/{{uid}}/*", query, V, g.proxy.forward),
        Route(f"* {one}/resources/*", query, V, g.proxy.resource),
        Route("POST /api/ds/query", query, V, g.query),
    ]


def _boards(g: Grafana) -> list[Route]:
    boards, folders = g.dashboards, g.folders
    base, folder, write = "/api/dashboards/uid/{uid}", "/api/folders/{uid}", "dashboards:write"

    def delete_folder(r: Request) -> object:
        return folders.delete(r.org, r["uid"], r.query.get("forceDeleteRules") == "true")

    def restore(r: Request) -> object:
        return boards.restore(r.org, r["uid"], r.json(), r.who.login)

    return [
        Route("GET /api/folders", "folders:read", V, lambda r: folders.all(r.org, r.query)),
        Route("POST /api/folders", "folders:create", E, lambda r: folders.create(r.org, r.json(), r.who.login)),
        Route(f"GET {folder}", "folders:read", V, g.folder),
        Route(f"PUT {folder}", "folders:write", E, lambda r: folders.update(r.org, r["uid"], r.json(), r.who.login)),
        Route(f"DELETE {folder}", "folders:delete", E, delete_folder),
        Route("POST /api/dashboards/db", "dashboards:create", E, lambda r: boards.save(r.org, r.json(), r.who.login)),
        Route(f"GET {base}", "dashboards:read", V, lambda r: boards.get(r.org, r["uid"], r.who.may(E))),
        Route(f"DELETE {base}", "dashboards:delete", E, lambda r: boards.delete(r.org, r["uid"])),
        Route(f"GET {base}/versions", write, E, lambda r: boards.versions(r.org, r["uid"], r.query)),
        Route(f"GET {base}/versions/{{n}}", write, E, lambda r: boards.version(r.org, r["uid"], r["n"])),
        Route(f"POST {base}/restore", write, E, restore),
        Route("GET /api/search", "", "", g.search),
    ]


def _notes(g: Grafana) -> list[Route]:
    notes, base, one = g.annotations, "/api/annotations", "/api/annotations/{id}"
    read, write = "annotations:read", "annotations:write"

    def create(r: Request) -> object:
        return notes.create(r.org, r.json(), (r.who.id, r.who.login))

    return [
        Route(f"GET {base}", read, V, lambda r: notes.find(r.org, r.queries)),
        Route(f"POST {base}", "annotations:create", E, create),
        Route(f"GET {one}", read, V, lambda r: notes.get(r.org, r["id"])),
        Route(f"PUT {one}", write, E, lambda r: notes.change(r.org, r["id"], r.json(), True)),
        Route(f"PATCH {one}", write, E, lambda r: notes.change(r.org, r["id"], r.json(), False)),
        Route(f"DELETE {one}", "annotations:delete", E, lambda r: notes.delete(r.org, r["id"])),
    ]


def _by(r: Request) -> str:
    """The provenance of what this request writes: editable in the UI only when it says so."""
    return "" if r.headers.get("x-disable-provenance") else "api"


def _rules(g: Grafana) -> list[Route]:
    """The provisioning API: rules, contact points, policies."""
    rules, told, base = g.rules, g.notifications, "/api/v1/provisioning"
    read, write = "alert.provisioning:read", "alert.provisioning:write"
    one, group = f"{base}/alert-rules/{{uid}}", f"{base}/folder/{{f}}/rule-groups/{{g}}"
    points, tree = f"{base}/contact-points", f"{base}/policies"

    def put_group(r: Request) -> object:
        return rules.put_group(r.org, r["f"], r["g"], r.json(), _by(r))

    return [
        Route(f"GET {base}/alert-rules", read, E, lambda r: rules.all(r.org)),
        Route(f"POST {base}/alert-rules", write, E, lambda r: rules.create(r.org, r.json(), _by(r)), 201),
        Route(f"GET {one}", read, E, lambda r: rules.get(r.org, r["uid"])),
        Route(f"PUT {one}", write, E, lambda r: rules.update(r.org, r["uid"], r.json(), _by(r))),
        Route(f"DELETE {one}", write, E, lambda r: rules.delete(r.org, r["uid"], _by(r)), 204),
        Route(f"GET {group}", read, E, lambda r: rules.group(r.org, r["f"], r["g"])),
        Route(f"PUT {group}", write, E, put_group),
        Route(f"DELETE {group}", write, E, lambda r: rules.delete_group(r.org, r["f"], r["g"], _by(r)), 204),
        Route(f"GET {points}", read, E, lambda r: told.contact_points(r.org, r.query.get("name", ""))),
        Route(f"POST {points}", write, E, lambda r: told.put_contact(r.org, r.json(), _by(r)), 202),
        Route(f"PUT {points}/{{uid}}", write, E, lambda r: told.put_contact(r.org, r.json(), _by(r), r["uid"]), 202),
        Route(f"DELETE {points}/{{uid}}", write, E, lambda r: told.delete_contact(r.org, r["uid"]), 202),
        Route(f"GET {tree}", read, E, lambda r: told.policies(r.org)),
        Route(f"PUT {tree}", write, E, lambda r: told.put_policies(r.org, r.json(), _by(r)), 202),
    ]


def _alerts(g: Grafana) -> list[Route]:
    """What evaluation and the Alertmanager show."""
    manager, state, read = g.alertmanager, g.scheduler, "alert.instances:read"
    am, prom = "/api/alertmanager/grafana/api/v2", "/api/prometheus/grafana/api/v1"
    return [
        Route(f"GET {prom}/rules", "alert.rules:read", V, lambda r: state.groups(r.org, r.query)),
        Route(f"GET {am}/alerts", read, V, lambda r: manager.alerts(r.org)),
        Route(f"GET {am}/silences", read, V, lambda r: manager.silences(r.org)),
        Route(f"POST {am}/silences", "alert.instances:create", E, lambda r: manager.silence(r.org, r.json()), 202),
        Route(f"GET {am}/silence/{{id}}", read, V, lambda r: manager.silence_of(r.org, r["id"])),
        Route(f"DELETE {am}/silence/{{id}}", "alert.instances:update", E, lambda r: manager.expire(r.org, r["id"])),
    ]
