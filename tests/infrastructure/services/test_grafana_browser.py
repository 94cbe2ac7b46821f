"""What a person sees: the provisioned dashboard in a headless Chromium, by its `--dump-dom` and `--screenshot`.

Chromium's command line can neither log in nor set a header, so a door stands between it and Grafana: a small
forwarding server that adds the login. Selectors: @grafana/e2e-selectors, whose `data-testid` values begin with the
words "data-testid".
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from harness.keeper.client import RemoteStack
from harness.pytest_plugin.session import session_of
from harness.services.http_session import ServiceSession

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")
PAGE = "/d/platform-overview/platform-overview?kiosk&timezone=utc&theme=light&from=now-15m&to=now"
RENDERED = 30
"""Seconds that a page may take. Chromium's own clock stands still while requests are under way."""
DROPPED = {"connection", "content-length", "transfer-encoding", "content-encoding", "host", "authorization"}


@pytest.fixture
def chromium(stack: RemoteStack) -> str:
    """The browser's path. The test is skipped where a page would not be Grafana's own, or nobody could look at it."""
    if not stack["grafana"].fidelity.verified:
        pytest.skip("not verified: pages exist only in a real Grafana")
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    return found or pytest.skip("not verified: no Chromium on PATH")


@pytest.fixture
def door(grafana: ServiceSession) -> Iterator[str]:
    """The address of a forwarding server on which everybody is the client of the `grafana` fixture."""

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
            answer = grafana.request(self.command, self.path, data=body, headers=sent, allow_redirects=False)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in DROPPED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = forward  # noqa: N815  # the names that the base class asks for

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def look(chromium: str, home: Path, url: str, *wish: str) -> str:
    """What Chromium prints after it has shown the page."""
    quiet = ["--headless=new", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--no-first-run"]
    quiet += ["--disable-dev-shm-usage", f"--user-data-dir={home}", "--window-size=1400,1000"]
    command = [chromium, *quiet, "--virtual-time-budget=15000", *wish, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * RENDERED, check=False)
    assert done.returncode == 0, f"{chromium} ended with {done.returncode}: {done.stderr[-500:]}"
    return done.stdout


def test_the_provisioned_dashboard_is_rendered_without_an_error(
    chromium: str, door: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every panel shows its header, the table the text of its source, no panel the error marker; in time."""
    began = time.monotonic()
    page = look(chromium, tmp_path / "home", door + PAGE, "--dump-dom")
    took = time.monotonic() - began
    picture = session_of(pytestconfig).run.report / "grafana-platform-overview.png"
    look(chromium, tmp_path / "home", door + PAGE, f"--screenshot={picture}")
    seen = f"see {picture}; {len(page)} characters of page"
    for panel in ("Components", "Pulse", "Recent traces"):
        assert f"data-testid Panel header {panel}" in page, f"no panel {panel!r}: {seen}"
    for text in ("service discovery", "arangodb", "otel-collector"):
        assert text in page, f"no {text!r} in the table: {seen}"
    assert "data-testid Panel status error" not in page, f"a panel shows an error: {seen}"
    assert picture.read_bytes().startswith(b"\x89PNG"), "no screenshot"
    assert took < RENDERED, f"rendered after {took:.1f} s"
