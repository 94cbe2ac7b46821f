"""`harness health`: what is printed and answered for a healthy and for a broken stack, and for a target file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import health as verb
from harness.cli.main import main
from harness.model import Reading
from tests.unit.rigs.core_rig import REDIS_COMPOSE, needs_redis, scripted

CONSUL = {
    "GET /v1/status/leader": (200, '"h:8300"'),
    "GET /v1/health/state/critical": (200, []),
    "PUT /v1/kv/*": (500, "No cluster leader"),
    "GET /": (200, ""),
}


@pytest.fixture
def target(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(state)
    monkeypatch.setattr("harness.health.READY_WITHIN", 0.1)
    return state / "live.toml"


def write(target: Path, url: str, *lines: str) -> None:
    target.write_text("\n".join(["[services.consul]", f'endpoints.http = "{url}"', *lines]) + "\n")


def test_an_environment_that_does_not_work_is_told_with_the_cause(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(dict(CONSUL)) as script:
        write(target, script.endpoint.url, '[services.redis]', 'endpoints.redis = "redis://127.0.0.1:1"',
              'needs = ["consul"]')  # fmt: skip
        assert main(["health", "--target", "live.toml", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    consul, redis = found["services"]
    assert (found["target"], found["well"]) == ("live.toml", False)
    assert (consul["alive"], consul["ready"]) == (True, False)
    assert "HTTP 500 No cluster leader" in consul["cause"]
    assert (redis["alive"], redis["cause"]) == (False, "does not answer: 127.0.0.1:1: Connection refused")
    assert found["edges"] == [{"client": "redis", "server": "consul", "by": ["depends_on"], "ready": False}]


def test_the_table_names_who_is_not_well(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(target, "http://127.0.0.1:1")
    assert main(["health", "--target", "live.toml"]) == 4
    out = capsys.readouterr().out
    assert "consul: does not answer: 127.0.0.1:1: Connection refused" in out
    assert out.splitlines()[-1] == "not well: consul"


@pytest.mark.parametrize("needs", ['needs = ["nobody"]', 'needs = "consul"', 'needs = ["consul"]'])
def test_a_need_must_be_another_service_of_the_file(
    target: Path, needs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(target, "http://127.0.0.1:1", needs)
    assert main(["health", "--target", "live.toml"]) == 2
    assert "services.consul: needs = " in capsys.readouterr().err


def test_without_a_stack_there_is_nothing_to_ask(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--state", str(state)]) == 12
    assert "no stack is up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Reading("leader", "h:1"), "leader h:1"),
        (Reading("live traces", 3.0), "live traces 3"),
        (Reading("queue", 250.0, 1000.0), "queue 250 of 1000 (25%)"),
        (Reading("used memory", 1.5 * 2**20, 3.0 * 2**20), "used memory 1.5 MiB of 3.0 MiB (50%)"),
        (Reading("used memory", 100.0), "used memory 100"),
    ],
)
def test_a_reading_is_shown_with_its_limit(reading: Reading, text: str) -> None:
    assert verb._shown(reading) == text


@needs_redis
def test_a_stack_that_is_up_is_asked(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "one.yml").write_text(REDIS_COMPOSE)
    monkeypatch.chdir(state)
    common = ["--state", str(state / "s")]
    assert main(["up", "--compose", "one.yml", "--runtime", "process", "--reports", "r", *common]) == 0
    try:
        capsys.readouterr()
        assert main(["health", *common]) == 0
        out = capsys.readouterr().out
        assert "all 1 services are well" in out
        assert "connected clients" in out
    finally:
        assert main(["down", "--all", *common]) == 0
