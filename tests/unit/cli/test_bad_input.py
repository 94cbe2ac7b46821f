"""Bad input: one clear sentence, an exit code of its own, never a traceback. Each as a user would meet it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.keeper import rundir
from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, harness, needs_redis

GONE, FAR = "unix:///nowhere/docker.sock", "tcp://203.0.113.5:2375"
DOWN = "services:\n  redis:\n    image: redis:8\n    command: [redis-server, --maxmemory, nonsense]\n"
SLOW = REDIS_COMPOSE.replace("REDISCLI_AUTH: ${REDIS_PASSWORD:-local-only}", "REDISCLI_AUTH: wrong-password")


@pytest.fixture
def project(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a user's: one service, one test that never runs."""
    (state / "compose").mkdir()
    (state / "compose" / "stack.yml").write_text(REDIS_COMPOSE)
    (state / "tests" / "infrastructure" / "services").mkdir(parents=True)
    (state / "tests" / "infrastructure" / "services" / "test_a.py").write_text("def test_a(redis): pass\n")
    (state / "pyproject.toml").write_text('[tool.infra-harness]\nstate = "s"\nruntime = "process"\n')
    monkeypatch.chdir(state)
    return state


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(list(words))
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert text.startswith("harness: ")
    return code, text


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["doctor", "--runtme", "x"], 2, "unrecognized arguments: --runtme x"),
        (["doctor", "--run", "x"], 2, "unrecognized arguments: --run x"),
        (["explode"], 2, "invalid choice: 'explode'"),
        (["up", "--ready-timeout", "soon"], 2, "--ready-timeout='soon': expected a duration"),
        (["up", "--binaries", "redis"], 2, "expected KIND=PATH"),
        (["up", "--owner", "4194304"], 2, "--owner 4194304: no such process"),
        (["up", "--binaries", "rediss=/x"], 3, "unknown kind 'rediss'"),
        (["up", "--binaries", "redis=/nowhere/redis"], 3, "configured binary '/nowhere/redis': no such program"),
        (["logs", "--tail", "-3"], 2, "--tail"),
        (["up", "--compose", "none.yml"], 3, "none.yml: No such file or directory"),
        (["status", "--run", "x"], 12, "no stack x is up"),
        (["down"], 12, "no stack is up"),
        (["logs"], 12, "no stack is up"),
        (["test", "--layers", "servces"], 2, "unknown layer 'servces': expected one of services"),
        (["test", "--layers", "failover"], 2, "no layer to run"),
        (["test", "--engines", "here"], 2, "expected addresses such as unix:///run/docker.sock"),
        (["test", "--engines", GONE], 2, "engines by --engines, and runtime process by "),
        (["test", "--runtime", "docker", "--engines", f"{GONE},{GONE}"], 2, "2 engines and no workers: expected a"),
        (["test", "--runtime", "docker", "--engines", FAR], 7, f"{FAR} is on another machine (203.0.113.5)"),
        (["up", "--runtime", "docker", "--engines", FAR], 7, f"{FAR} is on another machine (203.0.113.5)"),
        (["up", "--engines", f"{GONE},{FAR}"], 2, "2 engines by --engines: expected one, for there is one stack"),
        (["up", "--state", "compose/stack.yml"], 2, "state directory compose/stack.yml: File exists"),
    ],
)
def test_a_command_line_that_cannot_be_used(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    assert told(capsys, *words)[0] == code or words
    found, text = told(capsys, *words)
    assert sentence in text
    assert found == code


def test_an_engine_that_does_not_answer(project: Path) -> None:
    """In a process of its own: docker's client leaves a socket behind when nobody answers."""
    done = harness("test", "--runtime", "docker", "-n", "2", "--engines", f"{GONE},{GONE}", cwd=project)
    assert done.returncode == 7
    assert f"docker engine at {GONE} does not answer: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(rundir.all_runs(project / "s")) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("services: [\n", "not YAML: line 2"),
        ("services:\n  a: {image: 'redis:8', restrat: no}\n", "stack.yml:2: service a: restrat: unsupported key"),
        ("services:\n  a: {image: [1]}\n", "stack.yml:2: service a: image: Input should be a valid string"),
        ("services:\n  a: {image: 'redis:8', depends_on: [b]}\n", "depends_on 'b': no such service; known: a"),
        ("services:\n  a: {image: 'me/x:1'}\n", "is of no kind that runs as a process"),
        ("services:\n  a: {image: x, x-harness: {kind: rediss}}\n", "unknown kind 'rediss'"),
        (
            "services:\n  a: {image: 'redis:8', depends_on: [b]}\n  b: {image: 'redis:8', depends_on: [a]}\n",
            "depends_on goes in a circle: a -> b -> a",
        ),
        ("services:\n  a: {image: 'redis:8', command: [sh]}\n", "expected redis-server first"),
    ],
)
def test_a_compose_file_that_cannot_be_used(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    (project / "compose" / "stack.yml").write_text(text)
    code, found = told(capsys, "up")
    assert sentence in found
    assert code == (4 if "redis-server first" in sentence else 3)
    assert list(rundir.all_runs(project / "s")) == []


def test_a_variable_that_nobody_knows(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_RUNTME", "process")
    code, text = told(capsys, "doctor")
    assert code == 2
    assert "unknown variable HARNESS_RUNTME; did you mean HARNESS_RUNTIME?" in text


def test_a_fidelity_that_cannot_be_met(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "compose" / "stack.yml").write_text("services: {t: {image: 'grafana/tempo:3.0.3'}}\n")
    for words in (["up"], ["test"], ["doctor"]):
        code = main([*words, "--require-fidelity", "real"])
        captured = capsys.readouterr()
        assert code == 6
        assert "--require-fidelity real: only an emulator is here for t" in captured.err + captured.out


@pytest.mark.parametrize("place", ["file/r", "/proc/r"])
def test_reports_that_cannot_be_written(project: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    (project / "file").touch()
    for verb in ("up", "test"):
        code, text = told(capsys, verb, "--reports", place)
        assert code == 8
        assert "reports directory" in text
        assert "--reports" in text
    assert list(rundir.all_runs(project / "s")) == []


@needs_redis
def test_a_service_that_exits_at_start_is_told_within_a_second(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "compose" / "stack.yml").write_text(DOWN)
    started = time.monotonic()
    code, text = told(capsys, "up")
    assert time.monotonic() - started < 5
    assert code == 4
    assert "redis did not become ready: redis: exited with code 1; last lines of " in text
    assert "argument must be a memory value" in text
    assert list(rundir.all_runs(project / "s")) == []


@needs_redis
def test_a_service_that_is_never_ready_is_told_with_what_was_seen(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "compose" / "stack.yml").write_text(SLOW)
    code, text = told(capsys, "up", "--ready-timeout", "300ms")
    assert code == 4
    assert "last seen: AuthenticationError" in text
    assert "last lines of its log:" in text
    assert list(rundir.all_runs(project / "s")) == []


@needs_redis
def test_a_machine_without_ports(state: Path) -> None:
    """The keeper is another process: it gets a `sitecustomize` in which no port is free."""
    (state / "sitecustomize.py").write_text(
        "import socket, errno\n"
        "def bind(self, address, real=socket.socket.bind):\n"
        "    if isinstance(address, tuple): raise OSError(errno.EADDRINUSE, 'in use')\n"
        "    return real(self, address)\n"
        "socket.socket.bind = bind\n"
    )
    (state / "one.yml").write_text(REDIS_COMPOSE)
    done = harness(
        "up", "--compose", "one.yml", "--runtime", "process", "--state", "s", cwd=state, PYTHONPATH=f"{state}:{ROOT}"
    )
    assert done.returncode == 11
    assert "harness: 127.0.0.1: no free port" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert harness("down", "--state", "s", cwd=state).returncode in (0, 12)


def test_no_verb_shows_the_help(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "first steps:" in capsys.readouterr().out
