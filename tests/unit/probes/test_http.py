"""One HTTP exchange: what is sent, what comes back, and what counts as not yet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from harness.model import Endpoint
from harness.probes.http import ask, expect
from harness.probes.poll import NotYet
from tests.unit.rigs.core_rig import Script, scripted


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as made:
        yield made


def test_a_request_carries_what_was_given(script: Script) -> None:
    script.answers["POST /a"] = (201, {"ok": True})
    answer = ask(script.endpoint, "/a?x=1", "POST", {"k": 1}, {"X-Y": "z"}, ("me", "päss"))
    assert (answer.status, answer.json(), answer.headers["content-length"]) == (201, {"ok": True}, "12")
    (seen,) = script.seen
    assert (seen.path, seen.body) == ("/a?x=1", b'{"k": 1}')
    assert (seen.headers["content-type"], seen.headers["x-y"]) == ("application/json", "z")
    assert seen.headers["authorization"] == "Basic bWU6cMOkc3M="


def test_bytes_go_as_they_are(script: Script) -> None:
    script.answers["PUT /a"] = (200, "")
    ask(script.endpoint, "/a", "PUT", b"raw")
    assert script.seen[0].body == b"raw"
    assert "content-type" not in script.seen[0].headers


def test_a_wrong_status_is_not_yet_with_the_body(script: Script) -> None:
    script.answers["GET /a"] = (503, "starting\n")
    with pytest.raises(NotYet, match=r"^GET /a: HTTP 503 starting$"):
        expect(200, script.endpoint, "/a")
    assert expect((200, 503), script.endpoint, "/a").text == "starting\n"


def test_what_is_no_json_is_not_yet(script: Script) -> None:
    script.answers["GET /a"] = (200, "<html>")
    with pytest.raises(NotYet, match="HTTP 200, expected JSON, found '<html>'"):
        ask(script.endpoint, "/a").json()


def test_what_is_no_text_is_replaced(script: Script) -> None:
    answer = ask(script.endpoint, "/none")
    assert type(answer)(200, {}, b"\xff").text == "\ufffd"


def test_nothing_there_is_an_oserror() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="refused"):
            ask(Endpoint("x", "127.0.0.1", held.getsockname()[1]), "/")


def test_an_answer_that_is_no_http_is_not_yet() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def garble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0 hello\r\n\r\n")

        thread = threading.Thread(target=garble)
        thread.start()
        with pytest.raises(NotYet, match="GET /: BadStatusLine"):
            ask(Endpoint("x", "127.0.0.1", server.getsockname()[1]), "/")
        thread.join()
