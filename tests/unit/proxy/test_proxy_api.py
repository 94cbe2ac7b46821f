"""The HTTP API: every verb, every error with upstream's words and codes."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.unit.proxy.proxy_api_rig import Api, refused
from tests.unit.proxy.proxy_rig import connected, free_port, said_back

# -- proxies --------------------------------------------------------------------------------------------------


def test_create_show_and_list(api: Api) -> None:
    created = api.create()
    assert created["listen"].startswith("127.0.0.1:")
    assert not created["listen"].endswith(":0")
    listen = created["listen"]
    assert created == {"name": "p", "listen": listen, "upstream": api.echo, "enabled": True, "toxics": []}
    assert api("GET", "/proxies/p") == (200, created)
    assert api("GET", "/proxies") == (200, {"p": created})
    assert said_back(created["listen"]) == b"ping"


def test_create_disabled_listens_only_when_enabled(api: Api) -> None:
    created = api.create(enabled=False, listen=f"127.0.0.1:{free_port()}")
    assert created["enabled"] is False
    with pytest.raises(ConnectionRefusedError):
        said_back(created["listen"])
    status, updated = api("PATCH", "/proxies/p", {"enabled": True})
    assert (status, updated["enabled"]) == (200, True)
    assert said_back(created["listen"]) == b"ping"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"upstream": "127.0.0.1:1"}, "missing required field: name"),
        ({"name": "", "upstream": "127.0.0.1:1"}, "missing required field: name"),
        ({"name": "p"}, "missing required field: upstream"),
    ],
)
def test_create_needs_name_and_upstream(api: Api, body: Any, words: str) -> None:
    assert api("POST", "/proxies", body) == refused(400, words)


@pytest.mark.parametrize(
    "body",
    [
        {"name": 1, "upstream": "127.0.0.1:1"},
        {"name": "p", "upstream": "127.0.0.1:1", "enabled": "yes"},
        {"name": "p", "upstream": "127.0.0.1"},
        {"name": "a/b", "upstream": "127.0.0.1:1"},
        {"name": "p", "upstream": "127.0.0.1:1", "listen": "0.0.0.0:0"},
        [],
    ],
)
def test_create_refuses_what_it_cannot_use(api: Api, body: Any) -> None:
    status, answer = api("POST", "/proxies", body)
    assert status == answer["status"] == 400
    assert answer["error"].startswith("bad request body: ")
    assert api("GET", "/proxies") == (200, {})


def test_malformed_json_is_a_bad_body_everywhere(api: Api) -> None:
    api.create()
    api.toxic()
    for method, path in (
        ("POST", "/proxies"),
        ("POST", "/populate"),
        ("PATCH", "/proxies/p"),
        ("POST", "/proxies/p/toxics"),
        ("PATCH", "/proxies/p/toxics/latency_downstream"),
    ):
        for raw in ("{", "", "\xff"):
            status, answer = api(method, path, raw=raw)
            assert status == answer["status"] == 400, (method, path, raw)
            assert answer["error"].startswith("bad request body: ")


def test_the_same_name_twice_is_a_conflict(api: Api) -> None:
    api.create()
    status = api("POST", "/proxies", {"name": "p", "upstream": api.echo})
    assert status == refused(409, "proxy already exists")


def test_a_port_that_is_taken_is_an_error_and_creates_nothing(api: Api) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        body = {"name": "p", "upstream": api.echo, "listen": address}
        answer = api("POST", "/proxies", body)
    assert answer == refused(500, f"listen tcp: {address}: bind: address already in use")
    assert api("GET", "/proxies") == (200, {})


@pytest.mark.parametrize("verb", ["PATCH", "POST"])
def test_update_moves_and_drops_connections(api: Api, verb: str) -> None:
    created = api.create(upstream=f"127.0.0.1:{free_port()}")
    with connected(created["listen"]) as sock:
        assert sock.recv(1) == b""
    port = free_port()
    status, moved = api(verb, "/proxies/p", {"listen": f"127.0.0.1:{port}", "upstream": api.echo})
    assert status == 200
    assert moved == {**created, "listen": f"127.0.0.1:{port}", "upstream": api.echo}
    with pytest.raises(ConnectionRefusedError):
        said_back(created["listen"])
    with connected(moved["listen"]) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        assert api(verb, "/proxies/p", {})[0] == 200  # nothing changed, nothing dropped
        sock.sendall(b"y")
        assert sock.recv(1) == b"y"
        assert api(verb, "/proxies/p", {"upstream": "127.0.0.1:1"})[0] == 200
        assert sock.recv(1) == b""


def test_update_to_disabled_refuses_and_closes(api: Api) -> None:
    created = api.create()
    with connected(created["listen"]) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        status, down = api("PATCH", "/proxies/p", {"enabled": False})
        assert (status, down) == (200, {**created, "enabled": False})
        with pytest.raises(ConnectionRefusedError):
            said_back(created["listen"])
        assert sock.recv(1) == b""


def test_delete_closes_and_forgets(api: Api) -> None:
    created = api.create()
    assert api("DELETE", "/proxies/p") == (204, None)
    with pytest.raises(ConnectionRefusedError):
        said_back(created["listen"])
    assert api("GET", "/proxies") == (200, {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/proxies/none"),
        ("PATCH", "/proxies/none"),
        ("POST", "/proxies/none"),
        ("DELETE", "/proxies/none"),
        ("GET", "/proxies/none/toxics"),
        ("POST", "/proxies/none/toxics"),
        ("GET", "/proxies/none/toxics/t"),
        ("PATCH", "/proxies/none/toxics/t"),
        ("DELETE", "/proxies/none/toxics/t"),
    ],
)
def test_an_unknown_proxy_is_not_found(api: Api, method: str, path: str) -> None:
    assert api(method, path, {}) == refused(404, "proxy not found")


# -- populate -------------------------------------------------------------------------------------------------


def test_populate_creates_and_may_be_repeated(api: Api) -> None:
    bodies: list[dict[str, Any]] = [
        {"name": name, "listen": f"127.0.0.1:{free_port()}", "upstream": api.echo, **more}
        for name, more in (("one", {}), ("two", {"enabled": False}))
    ]
    status, answer = api("POST", "/populate", bodies)
    assert status == 201
    assert [(proxy["name"], proxy["enabled"]) for proxy in answer["proxies"]] == [("one", True), ("two", False)]
    with connected(bodies[0]["listen"]) as sock:
        assert api("POST", "/populate", bodies) == (201, answer)
        sock.sendall(b"untouched")
        assert sock.recv(100) == b"untouched"


def test_populate_replaces_what_differs_and_only_that(api: Api) -> None:
    one: dict[str, Any] = {"name": "one", "listen": f"127.0.0.1:{free_port()}", "upstream": api.echo}
    two = {**one, "name": "two", "listen": f"127.0.0.1:{free_port()}"}
    api("POST", "/populate", [one, two])
    moved = {**two, "listen": f"127.0.0.1:{free_port()}"}
    assert api("POST", "/populate", [one, moved])[0] == 201
    assert said_back(one["listen"]) == said_back(moved["listen"]) == b"ping"
    with pytest.raises(ConnectionRefusedError):
        said_back(two["listen"])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"name": ""}, "missing required field: name at proxy 2"),
        ({"name": "two"}, "missing required field: upstream at proxy 2"),
        (
            {"name": "two", "upstream": "x"},
            "bad request body: address 'x': missing port in address, expected host:port",
        ),
        ("two", "bad request body: expected an object, not str"),
    ],
)
def test_populate_checks_everything_before_it_touches_anything(api: Api, bad: Any, words: str) -> None:
    good = {"name": "one", "listen": "127.0.0.1:0", "upstream": api.echo}
    status, answer = api("POST", "/populate", [good, bad])
    assert (status, answer) == (400, {"error": words, "status": 400, "proxies": []})
    assert api("GET", "/proxies") == (200, {})


def test_populate_tells_what_is_there_when_one_cannot_listen(api: Api) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        bodies = [
            {"name": "one", "listen": "127.0.0.1:0", "upstream": api.echo},
            {"name": "two", "listen": address, "upstream": api.echo},
        ]
        status, answer = api("POST", "/populate", bodies)
    assert status == answer["status"] == 500
    assert "address already in use" in answer["error"]
    assert [proxy["name"] for proxy in answer["proxies"]] == ["one"]


def test_populate_wants_a_list(api: Api) -> None:
    status, answer = api("POST", "/populate", {"name": "one"})
    assert status == 400
    assert answer["error"] == "bad request body: expected a list of proxies, not dict"


# -- the rest -------------------------------------------------------------------------------------------------


def test_reset_enables_everything_and_removes_all_toxics(api: Api) -> None:
    one, two = api.create("p"), api.create("q")
    api.toxic("limit_data", attributes={"bytes": 0})
    api("PATCH", "/proxies/q", {"enabled": False})
    assert api("POST", "/reset") == (204, None)
    assert said_back(one["listen"]) == said_back(two["listen"]) == b"ping"
    assert api("GET", "/proxies/p/toxics") == (200, [])


def test_reset_heals_the_others_even_if_a_proxy_cannot_listen(api: Api) -> None:
    one, other = api.create("a"), api.create("p")
    api.toxic("limit_data", attributes={"bytes": 0})
    api("PATCH", "/proxies/p", {"enabled": False})
    api("PATCH", "/proxies/a", {"enabled": False})
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(one["listen"].rpartition(":")[2])))
        taken.listen()
        status, answer = api("POST", "/reset")
    assert status == 500
    assert "address already in use" in answer["error"]
    assert said_back(other["listen"]) == b"ping"


def test_version(api: Api) -> None:
    status, answer = api("GET", "/version")
    assert status == 200
    assert answer["version"].startswith("2.")


def test_metrics_count_bytes_each_way_while_the_connection_lives(api: Api) -> None:
    created = api.create('quo"ted')
    api("POST", "/proxies/quo%22ted/toxics", {"type": "timeout", "attributes": {"timeout": 0}})
    with connected(created["listen"]) as sock:
        sock.sendall(b"12345")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        response = api.session.get(api.url + "/metrics", timeout=5)
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert "# TYPE toxiproxy_proxy_received_bytes_total counter" in lines
    assert "# TYPE toxiproxy_proxy_sent_bytes_total counter" in lines

    def series(what: str, direction: str) -> str:
        labels = f'direction="{direction}",listener="{created["listen"]}",proxy="quo\\"ted",upstream="{api.echo}"'
        return f"toxiproxy_proxy_{what}_bytes_total{{{labels}}}"

    assert f"{series('received', 'upstream')} 5" in lines
    assert f"{series('sent', 'upstream')} 5" in lines
    assert f"{series('received', 'downstream')} 5" in lines
    assert f"{series('sent', 'downstream')} 0" in lines


def test_browsers_are_refused(api: Api) -> None:
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux)"}
    response = api.session.post(api.url + "/reset", headers=agent, timeout=5)
    assert (response.status_code, response.text) == (403, "User agent not allowed\n")
    assert api("POST", "/reset") == (204, None)


def test_unknown_paths_and_verbs(api: Api) -> None:
    assert api.session.get(api.url + "/nowhere", timeout=5).status_code == 404
    assert api.session.delete(api.url + "/proxies", timeout=5).status_code == 405
