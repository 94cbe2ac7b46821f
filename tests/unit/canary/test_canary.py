"""`harness canary` on real servers: the same one is promoted, one that loses data or comes back late is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.canary.golden import GOLDEN, golden_of
from harness.canary.side import Asked
from harness.cli.main import main
from harness.errors import UsageError
from harness.keeper import rundir
from harness.services import SERVICES, kind_named
from tests.unit.rigs.core_rig import REDIS_COMPOSE, needs_redis

FORGETS = "rm -rf appendonlydir dump.rdb"
LATE = "[ -e kills ] && sleep 2; touch kills"


@pytest.fixture
def project(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    compose = REDIS_COMPOSE.replace("command: [redis-server,", 'command: [redis-server, --appendonly, "yes",')
    (state / "one.yml").write_text(compose)
    (state / "pyproject.toml").write_text(
        '[tool.infra-harness]\nstate = "s"\nruntime = "process"\ncompose = "one.yml"\nreports = "r"\n'
    )
    folder = state / "tests" / "infrastructure" / "services"
    folder.mkdir(parents=True)
    (folder / "test_redis.py").write_text("def test_ping(redis): assert redis.ping()\n")
    monkeypatch.chdir(state)
    yield state
    assert not (state / "s").exists() or list(rundir.all_runs(state / "s")) == []


def candidate(project: Path, before: str) -> Path:
    """The server that is here, with something done before each start."""
    real = kind_named("redis").find_binary()
    assert real
    file = project / "redis-candidate"
    file.write_text(f'#!/bin/sh\ncase "$*" in *--port*) {before};; esac\nexec {real.path} "$@"\n')
    file.chmod(0o755)
    return file


def judged(project: Path, file: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the decision for each subject."""
    code = main(["canary", f"redis={file}", "--rounds", "1", "--samples", "20", *more])
    told = json.loads((project / "r" / "latest" / "canary.json").read_text())
    assert told["exit_code"] == code
    return code, {found["subject"]: found["decision"] for found in told["findings"]}


@needs_redis
def test_the_same_server_is_no_worse_than_itself(project: Path) -> None:
    code, found = judged(project, candidate(project, "true"))
    subjects = {"upgrade", "golden answers", "recovery", "results"}
    assert {subject: found[subject] for subject in subjects} == dict.fromkeys(subjects, "promote")
    assert (code == 0) is (found["latency"] == "promote")


@needs_redis
def test_a_server_that_forgets_what_its_predecessor_wrote_is_rolled_back(project: Path) -> None:
    code, found = judged(project, candidate(project, FORGETS))
    assert (code, found["upgrade"], found["golden answers"]) == (20, "rollback", "rollback")


@needs_redis
def test_a_server_that_comes_back_late_is_rolled_back(project: Path) -> None:
    code, found = judged(project, candidate(project, LATE), "--rto", "1.5s")
    assert (code, found["recovery"], found["upgrade"]) == (20, "rollback", "promote")


@needs_redis
def test_a_server_that_does_not_start_is_rolled_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = judged(project, candidate(project, "echo no licence; exit 7"))
    assert (code, set(found.values())) == (20, {"rollback"})
    assert "exited with code 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["redis"], 2, "canary 'redis': expected SERVICE=VERSION"),
        (["=8"], 2, "expected SERVICE=VERSION"),
        (["cache=8"], 3, "no service 'cache': expected one of redis"),
        (["redis=8.2"], 2, "redis=8.2: no program of that name, and the process runtime has no images"),
        (["redis=8.2", "--rounds", "0"], 2, "--rounds and --samples: expected a number above zero"),
        (["redis=8.2", "--rto", "soon"], 2, "--rto 'soon': expected a duration"),
    ],
)
def test_bad_input_is_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert main(["canary", *words]) == code
    assert told in capsys.readouterr().err


def test_an_emulator_has_no_version_to_judge(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "one.yml").write_text("services:\n  tempo: {image: 'grafana/tempo:3.0.3'}\n")
    assert main(["canary", "tempo=/bin/true"]) == 6
    assert "tempo: an emulator would answer on the pin's side" in capsys.readouterr().err


def test_every_kind_that_keeps_data_has_golden_data() -> None:
    assert {kind.name for kind in SERVICES} - {one.kind for one in GOLDEN} == {"otel_collector"}
    assert golden_of("otel_collector") is None


def test_what_is_asked_for_is_read() -> None:
    assert Asked.read("redis=valkey/valkey:9.1") == Asked("redis", "valkey/valkey:9.1")
    with pytest.raises(UsageError):
        Asked.read("redis=")
