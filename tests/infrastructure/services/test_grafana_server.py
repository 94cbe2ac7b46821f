"""A Grafana of the test's own: its start from files, what a crash leaves, locked logins, strangers who may look.

Documents: "Provision Grafana"; "Configure Grafana", sections `security`, `auth.anonymous`, `paths`, `unified_alerting`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ServiceExited
from harness.model import Endpoint
from harness.probes.http import expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child
from harness.services.http_session import ServiceSession

ADMIN = ("admin", "own-admin")
Start = Callable[..., "Server"]


class Server:
    """A running server, its process, and sessions for it."""

    def __init__(self, endpoint: Endpoint, child: Child, opened: ExitStack) -> None:
        self.endpoint, self.child, self._opened = endpoint, child, opened

    def visitor(self, login: tuple[str, str] | None = None, token: str = "") -> ServiceSession:
        """A session of somebody."""
        session = self._opened.enter_context(ServiceSession(self.endpoint, timeout=5))
        session.auth = login
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        return session

    def ready(self) -> None:
        """Raises NotYet or OSError until its database answers."""
        expect(200, self.endpoint, "/api/health")


@pytest.fixture
def start(
    own_server: Callable[[str], list[str]],
    private_process: Callable[..., Child],
    lease: Callable[..., Endpoint],
    tmp_path: Path,
) -> Iterator[Start]:
    """Starts a server whose files lie under `tmp_path / "provisioning"`; settings as `GF_*` variables."""
    files = {
        "GF_PATHS_DATA": "data",
        "GF_PATHS_LOGS": "log",
        "GF_PATHS_PLUGINS": "plugins",
        "GF_PATHS_PROVISIONING": "provisioning",
    }
    with ExitStack() as opened:

        def launch(**settings: str) -> Server:
            http = lease("http")
            given = {
                "GF_SERVER_HTTP_ADDR": http.host,
                "GF_SERVER_HTTP_PORT": str(http.port),
                "GF_SECURITY_ADMIN_PASSWORD": ADMIN[1],
                "GF_PLUGINS_PREINSTALL_DISABLED": "true",
                "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
                **{variable: str(tmp_path / folder) for variable, folder in files.items()},
            }
            ready = partial(expect, 200, http, "/api/health")
            child = private_process([*own_server("grafana"), "server"], ready, {**given, **settings})
            return Server(http, child, opened)

        yield launch


def write(path: Path, content: str | Mapping[str, Any]) -> Path:
    """A file with this text, or with this as JSON (which is YAML as well)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def done(answer: Any, status: int = 200) -> Any:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json()


def test_a_password_cannot_be_tried_without_end(start: Start) -> None:
    """ "Brute force login protection" (on by default): after five wrong ones a name is refused even with the right
    password, by form and by basic authentication; other names are not."""
    server = start()
    admin = server.visitor(ADMIN)
    for name in ("victim", "other"):
        done(admin.post("/api/admin/users", json={"login": name, "password": "right-one"}))
    guess, right = server.visitor(), {"user": "victim", "password": "right-one"}
    done(server.visitor(("victim", "right-one")).get("/api/user"))
    for number in range(5):
        assert guess.post("/login", json={"user": "victim", "password": f"guess-{number}"}).status_code == 401
    assert server.visitor().post("/login", json=right).status_code == 401, "a sixth try was let through"
    assert server.visitor(("victim", "right-one")).get("/api/user").status_code == 401
    done(server.visitor(("other", "right-one")).get("/api/user"))


def test_strangers_may_look_and_not_touch_where_it_is_allowed(start: Start) -> None:
    """`auth.anonymous` with `org_role` Viewer: reading needs no login, writing is refused, a wrong login still is."""
    server = start(GF_AUTH_ANONYMOUS_ENABLED="true", GF_AUTH_ANONYMOUS_ORG_ROLE="Viewer")
    done(server.visitor(ADMIN).post("/api/folders", json={"uid": "open", "title": "Open"}))
    stranger = server.visitor()
    assert done(stranger.get("/api/folders/open"))["title"] == "Open"
    refused = stranger.post("/api/folders", json={"uid": "mine", "title": "Mine"})
    assert refused.status_code == 403, refused.text
    assert [one["uid"] for one in done(server.visitor(ADMIN).get("/api/folders"))] == ["open"]
    assert server.visitor(("admin", "wrong")).get("/api/folders/open").status_code == 401


def test_a_crash_loses_nothing_that_was_confirmed(start: Start) -> None:
    """What was answered with success is in the database: after SIGKILL and a start on the same data the dashboard,
    its versions, the account with its token and the session of a login are there."""
    server = start(GF_DATABASE_WAL="true")
    admin = server.visitor(ADMIN)
    account = done(admin.post("/api/serviceaccounts", json={"name": "robot", "role": "Editor"}), 201)["id"]
    key = done(admin.post(f"/api/serviceaccounts/{account}/tokens", json={"name": "key"}))["key"]
    robot, person = server.visitor(token=key), server.visitor()
    done(person.post("/login", json={"user": ADMIN[0], "password": ADMIN[1]}))
    for version in range(20):
        model = {"uid": "board", "title": f"write {version}", "version": version, "panels": []}
        done(robot.post("/api/dashboards/db", json={"dashboard": model}))
    server.child.kill()
    server.child.launch()
    poll(server.ready, Deadline.after(15), "the server after its crash", server.child.exit_report)
    found = done(robot.get("/api/dashboards/uid/board"))["dashboard"]
    assert (found["title"], found["version"]) == ("write 19", 20)
    assert len(done(robot.get("/api/dashboards/uid/board/versions"))["versions"]) == 20
    assert done(person.get("/api/user"))["login"] == ADMIN[0]


def test_a_dashboard_follows_its_file(start: Start, tmp_path: Path) -> None:
    """Provider `type: file`: read at start, read again within `updateIntervalSeconds` when it changed, gone with its
    file; a broken file is passed over and takes no other with it."""
    boards = tmp_path / "boards"
    provider = {"name": "p", "type": "file", "updateIntervalSeconds": 1, "options": {"path": str(boards)}}
    write(tmp_path / "provisioning/dashboards/p.yaml", {"apiVersion": 1, "providers": [provider]})
    file = write(boards / "one.json", {"uid": "one", "title": "first", "panels": []})
    old = write(boards / "old.json", {"uid": "old", "title": "old", "panels": []})
    write(boards / "broken.json", "{ no json")
    admin = start().visitor(ADMIN)

    def shows(uid: str, title: str) -> None:
        answer = admin.get(f"/api/dashboards/uid/{uid}")
        found = answer.json()["dashboard"]["title"] if answer.status_code == 200 else ""
        if found != title:
            raise NotYet(f"HTTP {answer.status_code}, title {found!r}, expected {title!r}")

    for uid, title in (("one", "first"), ("old", "old")):
        poll(partial(shows, uid, title), Deadline.after(5), "the dashboards of the files")
    write(file, {"uid": "one", "title": "second", "panels": []})
    write(boards / "two.json", {"uid": "two", "title": "new", "panels": []})
    old.unlink()
    for uid, title in (("one", "second"), ("two", "new"), ("old", "")):
        poll(partial(shows, uid, title), Deadline.after(10), "the change of the files")


def test_data_sources_follow_their_files_on_reload(start: Start, tmp_path: Path) -> None:
    """`POST /api/admin/provisioning/datasources/reload`: what the files say now holds now; `prune` removes what they
    say no more; variables come from the environment, and `$$` is a dollar. Only a server admin may."""
    folder = tmp_path / "provisioning/datasources"
    first = {"name": "A", "uid": "a", "type": "tempo", "access": "proxy", "url": "http://$OWN_HOST:1/$$x"}
    second = {"name": "B", "uid": "b", "type": "tempo", "access": "proxy", "url": "http://${OWN_HOST}:2"}
    write(folder / "d.yaml", {"apiVersion": 1, "prune": True, "datasources": [first, second]})
    server = start(OWN_HOST="127.0.0.1")
    admin = server.visitor(ADMIN)
    urls = {one["uid"]: one["url"] for one in done(admin.get("/api/datasources"))}
    assert urls == {"a": "http://127.0.0.1:1/$x", "b": "http://127.0.0.1:2"}
    write(folder / "d.yaml", {"apiVersion": 1, "prune": True, "datasources": [{**first, "url": "http://127.0.0.1:3"}]})
    done(admin.post("/api/admin/users", json={"login": "plain", "password": "plain-one"}))
    reload = "/api/admin/provisioning/datasources/reload"
    assert server.visitor(("plain", "plain-one")).post(reload).status_code == 403
    assert done(admin.post(reload))["message"] == "Datasources config reloaded"
    urls = {one["uid"]: one["url"] for one in done(admin.get("/api/datasources"))}
    assert urls == {"a": "http://127.0.0.1:3"}


def test_alerting_comes_from_files(start: Start, tmp_path: Path) -> None:
    """Contact points, the policy tree and rule groups of a file are in force after the start; the folder is made, and
    the API may not change what a file owns. Source: Grafana, "Use configuration files to provision alerting"."""
    rule = {
        "uid": "filed", "title": "always", "condition": "A", "for": "1m",
        "data": [{"refId": "A", "datasourceUid": "__expr__",
                  "model": {"refId": "A", "type": "math", "expression": "2 + 3 > 1"}}],
    }  # fmt: skip
    receiver = {"uid": "hook", "type": "webhook", "settings": {"url": "http://127.0.0.1:1/"}}
    content = {
        "apiVersion": 1,
        "contactPoints": [{"orgId": 1, "name": "desk", "receivers": [receiver]}],
        "policies": [{"orgId": 1, "receiver": "desk"}],
        "groups": [{"orgId": 1, "name": "g", "folder": "From a file", "interval": "1m", "rules": [rule]}],
    }
    write(tmp_path / "provisioning/alerting/a.yaml", content)
    admin, api = start().visitor(ADMIN), "/api/v1/provisioning"

    assert done(admin.get(f"{api}/policies"))["receiver"] == "desk"
    stored = done(admin.get(f"{api}/alert-rules/filed"))
    (folder,) = done(admin.get("/api/folders"))
    assert (folder["title"], stored["folderUID"], stored["provenance"]) == ("From a file", folder["uid"], "file")
    assert admin.put(f"{api}/alert-rules/filed", json={**stored, "title": "mine"}).status_code >= 400
    assert done(admin.get(f"{api}/alert-rules/filed"))["title"] == "always"


TWO_DEFAULTS = {
    "apiVersion": 1,
    "datasources": [{"name": one, "type": "tempo", "access": "proxy", "isDefault": True} for one in "ab"],
}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("datasources/d.yaml", "datasources: [", ""),
        ("datasources/d.yaml", TWO_DEFAULTS, "one datasource per organization can be marked as default"),
        ("alerting/a.yaml", {"apiVersion": 1, "policies": [{"orgId": 1, "receiver": "nobody"}]}, ""),
    ],
    ids=["not-yaml", "two-defaults", "policy-to-nobody"],
)
def test_a_start_from_broken_files_is_refused_with_the_cause(
    start: Start, tmp_path: Path, file: str, content: Any, said: str
) -> None:
    """A server that cannot be what its files say does not begin to serve: it ends, and its log says which file."""
    write(tmp_path / "provisioning" / file, content)
    with pytest.raises(ServiceExited) as ended:
        start()
    told = str(ended.value).lower()
    assert "exited with code 1" in told, told
    assert "provisioning" in told
    assert said in told


def high_for(seconds: int) -> dict[str, Any]:
    """A query whose value is 50 for that long, then 1 for at least ten seconds: it depends on the clock alone."""
    now = int(time.time())
    cycle = next(n for n in range(30, 120) if now % n + seconds + 10 < n)
    on = now % cycle + seconds
    wave = {"timeStep": 1, "onCount": on, "onValue": 50, "offCount": cycle - on, "offValue": 1}
    return {"scenarioId": "predictable_pulse", "pulseWave": wave}


def rule_over(model: dict[str, Any]) -> dict[str, Any]:
    """A rule that holds while the last value is above 10, pending for half a second."""
    chain = [
        ("testdata", {"refId": "A", **model}),
        ("__expr__", {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}),
        ("__expr__", {"refId": "C", "type": "math", "expression": "$B > 10"}),
    ]
    data = [
        {"refId": one["refId"], "datasourceUid": uid, "relativeTimeRange": {"from": 60, "to": 0}, "model": one}
        for uid, one in chain
    ]
    head = {"title": "wave", "orgID": 1, "folderUID": "f", "ruleGroup": "g", "condition": "C", "data": data}
    return {**head, "for": "500ms", "noDataState": "NoData", "execErrState": "Error"}


def test_with_a_faster_tick_an_alert_goes_its_whole_way_in_seconds(start: Start, tmp_path: Path) -> None:
    """`configurableSchedulerTick`: normal, pending for at least `for`, firing while the value is high, normal again
    when it is not; the rule is untouched, only its data changes."""
    source = {"name": "TestData", "uid": "testdata", "type": "grafana-testdata-datasource", "access": "proxy"}
    write(tmp_path / "provisioning/datasources/d.yaml", {"apiVersion": 1, "datasources": [source]})
    tick = {"GF_UNIFIED_ALERTING_SCHEDULER_TICK_INTERVAL": "1s", "GF_UNIFIED_ALERTING_MIN_INTERVAL": "1s"}
    server = start(GF_FEATURE_TOGGLES_ENABLE="configurableSchedulerTick", **tick)
    admin = server.visitor(ADMIN)
    done(admin.post("/api/folders", json={"uid": "f", "title": "f"}))
    group = {"title": "g", "folderUid": "f", "interval": 1, "rules": [rule_over(high_for(4))]}
    done(admin.put("/api/v1/provisioning/folder/f/rule-groups/g", json=group))
    states: list[tuple[str, float]] = [("", 0.0)]

    def over() -> None:
        (found,) = done(admin.get("/api/prometheus/grafana/api/v1/rules"))["data"]["groups"]
        one = found["rules"][0]
        if one["state"] != states[-1][0]:
            states.append((one["state"], datetime.fromisoformat(one["lastEvaluation"]).timestamp()))
        if [one for one, _ in states[-3:]] != ["pending", "firing", "inactive"]:
            raise NotYet(f"states {[one for one, _ in states[1:]]}")

    poll(over, Deadline.after(15), "pending, firing, inactive")
    began, fired = (at for _, at in states[-3:-1])
    assert fired - began > 0.5, f"fired after {fired - began:.1f} s"
