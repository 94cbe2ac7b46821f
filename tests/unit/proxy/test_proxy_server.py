"""`python -m harness.proxy`: its first line, its configuration, its refusals, its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from harness.proxy.server import main, parse_arguments
from tests.unit.proxy.proxy_rig import PATIENCE, free_port


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "harness.proxy", "--port", "0", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line + child.stdout.read()
        yield child, line
    finally:
        child.kill()
        child.wait(PATIENCE)
        if child.stdout is not None:
            child.stdout.close()


def test_it_serves_its_configuration_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    config = tmp_path / "proxies.json"
    config.write_text(json.dumps([{"name": "redis", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:6379"}]))
    with process("--config", str(config), "--seed", "42") as (child, line):
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+) seed 42\n", line)
        assert found, line
        with requests.Session() as session:
            session.trust_env = False
            proxies = session.get(found[1] + "/proxies", timeout=5).json()
            assert proxies["redis"]["upstream"] == "127.0.0.1:6379"
            assert proxies["redis"]["enabled"] is True
            child.send_signal(signal.SIGTERM)  # with this keep-alive connection still open
            assert child.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ('{"name": "p"}', "expected a list of proxies"),
        ('[{"name": "p"}]', "missing required field: upstream at proxy 1"),
    ],
)
def test_a_bad_configuration_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    config = tmp_path / "proxies.json"
    config.write_text(text)
    assert main(["--port", "0", "--config", str(config)]) == 2
    assert words in capsys.readouterr().err


def test_a_configuration_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--config", "/nonexistent/proxies.json"]) == 2
    assert "/nonexistent/proxies.json" in capsys.readouterr().err


def test_beyond_loopback_needs_permission(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(free_port()), "--host", "0.0.0.0"]) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_defaults_are_toxiproxys() -> None:
    arguments = parse_arguments([])
    assert (arguments.host, arguments.port, arguments.allow_remote) == ("127.0.0.1", 8474, False)
