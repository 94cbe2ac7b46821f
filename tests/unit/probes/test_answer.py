"""Whether something answers, without any client library."""

from __future__ import annotations

import socket

import pytest

from harness.model import Endpoint
from harness.probes.answer import answers
from harness.probes.poll import NotYet
from tests.unit.rigs.fault_rig import server


@pytest.mark.parametrize("answer", [b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"])
def test_a_redis_answers_in_its_own_words(answer: bytes) -> None:
    with server(answer) as at:
        assert answers(at) == answer.decode().strip()


def test_an_answer_of_another_protocol_is_none() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as at:
        with pytest.raises(NotYet, match=r"HTTP/1\.1 400"):
            answers(at)
        assert answers(Endpoint("http", at.host, at.port, "http")).startswith("HTTP/1.1")


def test_a_server_that_accepts_and_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = Endpoint("redis", "127.0.0.1", listener.getsockname()[1], "redis")
        with pytest.raises(NotYet, match="timed out"):
            answers(at, within=0.05)
        assert answers(Endpoint("x", at.host, at.port, "tcp")) == "connected"


def test_a_refused_connection_is_no_answer() -> None:
    with server() as at:
        pass
    with pytest.raises(NotYet, match="refused"):
        answers(at)
