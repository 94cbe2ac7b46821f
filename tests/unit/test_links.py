"""The client of the link API: every call against a real server, every failure as one kind of error."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from harness.errors import FaultError
from harness.links import Links, Proxy, Toxic
from harness.proxy.server import ProxyServer


@contextlib.contextmanager
def running() -> Iterator[str]:
    """A proxy server on a loop of its own thread. Yields its URL."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        server = ProxyServer(port=0, seed=1)
        urls.append(await server.start())
        ready.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(5), "the server did not start"
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def links(url: str) -> Iterator[Links]:
    with Links(url) as links:
        yield links
        for name in links.all():
            assert links.delete(name)


UPSTREAM = "127.0.0.1:1"


def test_a_link_from_creation_to_deletion(links: Links) -> None:
    made = links.create("redis", "127.0.0.1:0", UPSTREAM)
    assert made == Proxy("redis", f"127.0.0.1:{made.port}", UPSTREAM)
    assert made.port > 0
    assert links.get("redis") == made
    assert links.all() == {"redis": made}
    socket.create_connection(("127.0.0.1", made.port), 1).close()
    assert links.disable("redis").enabled is False
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", made.port), 1)
    assert links.enable("redis") == made
    assert links.update("redis", upstream="127.0.0.1:2").upstream == "127.0.0.1:2"
    assert links.delete("redis") is True
    assert links.delete("redis") is False


def test_populate_may_be_repeated(links: Links) -> None:
    made = links.create("one", "127.0.0.1:0", UPSTREAM)
    wanted = [made, Proxy("a?b c", "127.0.0.1:0", UPSTREAM, enabled=False)]
    found = links.populate(wanted)
    assert found[0] == made
    assert (found[1].name, found[1].enabled) == ("a?b c", False)


def test_toxics_from_addition_to_removal(links: Links) -> None:
    links.create("redis", "127.0.0.1:0", UPSTREAM)
    added = links.add_toxic("redis", Toxic("latency", {"latency": 100}, toxicity=0.5))
    assert added == Toxic("latency", {"latency": 100, "jitter": 0}, "downstream", 0.5, "latency_downstream")
    named = links.add_toxic("redis", Toxic("timeout", stream="upstream", name="hole"))
    assert links.toxics("redis") == (named, added)
    assert links.get("redis").toxics == (named, added)
    changed = links.update_toxic("redis", added.name, {"jitter": 5})
    assert (changed.attributes, changed.toxicity) == ({"latency": 100, "jitter": 5}, 0.5)
    assert links.update_toxic("redis", added.name, toxicity=1).toxicity == 1.0
    assert links.remove_toxic("redis", "hole") is True
    assert links.remove_toxic("redis", "hole") is False
    assert links.remove_toxic("nowhere", "hole") is False


def test_reset_version_and_metrics(links: Links) -> None:
    made = links.create("redis", "127.0.0.1:0", UPSTREAM)
    links.add_toxic("redis", Toxic("slow_close"))
    links.disable("redis")
    links.reset()
    assert links.get("redis") == made
    assert links.version().startswith("2.")
    assert 'toxiproxy_proxy_sent_bytes_total{direction="upstream"' in links.metrics()


def test_refusals_carry_the_servers_words(links: Links) -> None:
    links.create("redis", "127.0.0.1:0", UPSTREAM)
    for call, words in (
        (lambda: links.get("nowhere"), r"proxy not found \(HTTP 404\)"),
        (lambda: links.create("redis", "127.0.0.1:0", UPSTREAM), r"proxy already exists \(HTTP 409\)"),
        (lambda: links.create("x", "127.0.0.1:0", "nowhere"), "missing port"),
        (lambda: links.add_toxic("redis", Toxic("earthquake")), r"invalid toxic type \(HTTP 400\)"),
        (lambda: links.add_toxic("redis", Toxic("latency", {"latncy": 1})), "has no attribute 'latncy'"),
        (lambda: links.update_toxic("redis", "none", {"latency": 1}), r"toxic not found \(HTTP 404\)"),
        (lambda: links.populate([Proxy("", "", "")]), "missing required field: name at proxy 1"),
    ):
        with pytest.raises(FaultError, match=words):
            call()


def test_an_api_that_is_not_there_is_told_with_its_address() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with Links(url) as links, pytest.raises(FaultError, match=f"{url} does not answer GET /version"):
            links.version()


def test_an_api_that_says_nothing_is_given_up_in_time() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with Links(url, read_seconds=0.1) as links, pytest.raises(FaultError, match="does not answer"):
            links.version()


class _Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/version" else 502)
        self.end_headers()
        self.wfile.write(b"not the API")

    def do_DELETE(self) -> None:
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"not the API")

    def log_message(self, *_: object) -> None:
        return


def test_something_else_on_that_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be read
    with http.server.HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with Links(f"http://127.0.0.1:{server.server_port}/") as links:
            with pytest.raises(FaultError, match="answered no JSON: 'not the API'"):
                links.version()
            with pytest.raises(FaultError, match=r"not the API \(HTTP 502\)"):
                links.all()
            with pytest.raises(FaultError, match=r"not the API \(HTTP 404\)"):
                links.delete("redis")  # another server's 404 is no word on our link
        server.shutdown()
        thread.join(5)
