"""The plugin in a user's project: inert until enabled; layers, gate, fixtures, failures, workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.rigs.core_rig import needs_redis
from tests.unit.rigs.plugin_rig import Project

GREEN = "def test_ping(redis):\n    assert redis.ping()\n"
RED = "def test_red(redis):\n    redis.execute_command('CONFIG', 'SET', 'loglevel', 'verbose')\n    assert 1 == 2\n"


@pytest.fixture
def project(pytester: pytest.Pytester, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(pytester, state / "s", monkeypatch)
    yield made
    if made.left():
        made.down()


# -- starting nothing ----------------------------------------------------------------------------------------------


def test_a_project_that_has_not_enabled_it_sees_only_options(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\n")
    project.write("test_a.py", "def test_a(): pass\n\ndef test_b(redis): pass\n")
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'redis' not found*"])
    result.stdout.no_fnmatch_line("*infra-harness:*")
    project.run("--help").stdout.fnmatch_lines(["*--infra-runtime=NAME*", "*--infra-no-gate*"])
    assert not project.state.exists()


def test_collecting_and_unit_tests_start_nothing(project: Project) -> None:
    project.test("services", "redis", GREEN)
    project.write("test_unit.py", "def test_a(seed, rng): assert seed == 7 and rng.random() < 1\n")
    project.run("--collect-only").stdout.fnmatch_lines(["*test_ping*"])
    result = project.run("test_unit.py", "--infra-seed", "7", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["infra-harness: seed 7, layers services, integration, *"])
    assert project.left() == []
    assert not (project.pytester.path / "reports").exists()


def test_fixtures_are_listed_with_what_they_give(project: Project) -> None:
    result = project.run("--fixtures")
    result.stdout.fnmatch_lines_random(
        [
            "redis [[]session scope[]]*",
            "    redis: redis-py with text answers*",
            "*stack [[]session scope[]]*",
            "    The running services, by name*",
            "consul [[]session scope[]]*",
            "namespace*",
        ]
    )
    result.stdout.no_fnmatch_line("*no docstring available*")


def test_settings_that_cannot_be_used_are_one_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.test("services", "redis", GREEN)
    monkeypatch.setenv("HARNESS_KEP", "always")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unknown variable HARNESS_KEP; did you mean HARNESS_KEEP?"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_compose_file_that_cannot_be_used_is_one_sentence(project: Project) -> None:
    project.test("services", "redis", GREEN)
    project.write("compose/stack.yml", "services: [")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *stack.yml: not YAML: *"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    workers = project.run("-n", "1")
    workers.assert_outcomes(errors=1)
    workers.stdout.fnmatch_lines(["*stack.yml: not YAML: *"])
    assert "INTERNALERROR" not in workers.stdout.str()
    assert project.left() == []


# -- running ------------------------------------------------------------------------------------------------------


@needs_redis
def test_a_green_run_reports_and_leaves_nothing(project: Project) -> None:
    project.test(
        "services", "redis",
        "def test_own(redis, namespace, stack):\n"
        "    redis.set(namespace.of('redis') + 'k', 'v')\n"
        "    assert stack['redis'].state == 'ready' and str(namespace).startswith('t-')\n"
        "def test_cleaned(redis):\n    assert redis.keys('t-*') == []\n",
    )  # fmt: skip
    result = project.run()
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["REAL: all 1 services are real; runtime process*", "  redis ready after *", "report: *"]
    )
    found = project.summary()
    assert (found["exit_code"], found["counts"]["passed"], found["services"]["redis"]["ready"]) == (0, 2, True)
    assert found["services"]["redis"]["tests"]["passed"] == 2
    assert {path.name for path in project.report.iterdir()} >= {"journal.jsonl", "junit.xml", "summary.json", "logs"}
    assert project.left() == []


@needs_redis
def test_a_failure_shows_the_services_log_and_the_line_to_run_it_again(project: Project) -> None:
    project.test("services", "redis", RED)
    result = project.run("--infra-seed", "11")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*log of redis during this test*",
            "*run just this test again*",
            "harness test tests/infrastructure/services/test_redis.py::test_red --seed 11",
        ]
    )
    (event,) = project.events("test_finished")
    assert (event["outcome"], event["uses"], event["layer"]) == ("failed", ["redis"], "services")
    assert event["reason"] == "assert 1 == 2"
    assert "run just this test again" in event["detail"]


@needs_redis
def test_a_later_layer_is_blocked_by_a_red_service(project: Project) -> None:
    project.test("services", "redis", RED)
    project.test("integration", "both", GREEN + "def test_other():\n    pass\n")
    result = project.run()
    result.assert_outcomes(failed=1, skipped=1, passed=1)
    outcomes = {event["test"].rpartition("::")[2]: event for event in project.events("test_finished")}
    assert outcomes["test_ping"]["outcome"] == "blocked"
    assert outcomes["test_ping"]["reason"].endswith("test_redis.py::test_red is red")
    ungated = project.run("--infra-no-gate")
    ungated.assert_outcomes(failed=1, passed=2)


@needs_redis
def test_a_service_that_does_not_come_up_blocks_its_tests_and_decides_the_exit_code(project: Project) -> None:
    project.write("compose/stack.yml", "services: {redis: {image: 'redis:8', command: [redis-server, --save, x]}}")
    project.test("services", "redis", GREEN)
    result = project.run()
    assert result.ret == 4
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["CAUSE  redis did not become ready: redis: exited with code 1*"])
    assert project.summary()["counts"]["blocked"] == 1
    assert project.left() == []


@needs_redis
def test_once_its_engine_is_lost_nothing_more_is_tested(project: Project) -> None:
    losing = "    stack.client.run_dir.lost.write_text('docker engine at ssh://h: the ssh connection was lost')\n"
    project.test("services", "redis", f"def test_a(stack):\n{losing}")
    project.test("integration", "both", f"{GREEN}\ndef test_plain(stack):\n    assert 0\n")
    result = project.run()
    result.assert_outcomes(passed=1, skipped=2)
    outcomes = {event["test"].rpartition("::")[2]: event for event in project.events("test_finished")}
    assert [outcomes[name]["outcome"] for name in ("test_ping", "test_plain")] == ["blocked"] * 2
    assert outcomes["test_ping"]["reason"] == "blocked by docker engine at ssh://h: the ssh connection was lost"


@needs_redis
def test_a_keeper_that_was_killed_makes_the_run_red(project: Project) -> None:
    """On an engine it leaves containers; nobody else could tell so any more."""
    killing = "    os.kill(stack.client.run_dir.keeper().pid, signal.SIGKILL)\n"
    project.test("services", "redis", f"import os, signal\ndef test_a(stack, redis):\n{killing}")
    result = project.run()
    assert result.ret == 9
    # Which of them it is depends on whether the keeper is dead already when it is asked.
    told = r"its keeper does not answer|its keeper ended|lost its keeper"
    result.stdout.re_match_lines([rf"CAUSE  left behind: run \S+: ({told})"])
    assert project.left() == []


@needs_redis
def test_outcomes_of_every_kind(project: Project) -> None:
    project.test(
        "services", "redis",
        "import pytest\n"
        "@pytest.mark.skip(reason='not today')\n"
        "def test_skipped(redis): pass\n"
        "@pytest.mark.xfail(reason='known', strict=True)\n"
        "def test_xfail(redis): assert 0\n"
        "@pytest.fixture\n"
        "def broken(redis):\n    yield\n    raise RuntimeError('at the end')\n"
        "def test_teardown(broken): pass\n"
        "def test_consul(consul): pass\n"
        "@pytest.mark.uses('redis')\n"
        "def test_marked(): pass\n",
    )  # fmt: skip
    result = project.run()
    assert result.ret == 1
    found = {event["test"].rpartition("::")[2]: event for event in project.events("test_finished")}
    assert {name: (event["outcome"], event["reason"]) for name, event in found.items()} == {
        "test_skipped": ("skipped", "not today"),
        "test_xfail": ("skipped", "expected failure: known"),
        "test_teardown": ("error", "RuntimeError: at the end"),
        "test_consul": ("skipped", "consul: not part of this stack"),
        "test_marked": ("passed", ""),
    }
    assert found["test_marked"]["uses"] == ["redis"]


@needs_redis
def test_a_run_in_which_nothing_ran_is_no_pass(project: Project) -> None:
    project.test("services", "redis", "import pytest\n@pytest.mark.skip(reason='later')\n" + GREEN)
    result = project.run()
    assert result.ret == 5
    result.stdout.fnmatch_lines(["CAUSE  no test was executed (1 skipped or blocked)"])
    assert project.left() == []


@needs_redis
def test_workers_share_one_stack_and_a_crash_is_recorded(project: Project) -> None:
    test = "import os\n" + "".join(f"def test_{n}(redis): redis.incr('n')\n" for n in range(4))
    project.test("services", "redis", test + "def test_crash(redis): os._exit(3)\n")
    result = project.run("-n", "2")
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=1)
    assert len(project.events("run_started")) == 1
    events = {event["test"].rpartition("::")[2]: event for event in project.events("test_finished")}
    assert events["test_crash"]["outcome"] == "failed"
    assert "crashed" in events["test_crash"]["reason"]
    assert sorted(events) == ["test_0", "test_1", "test_2", "test_3", "test_crash"]
    assert {event["worker"] for event in events.values()} <= {"gw0", "gw1", "gw2", "main"}
    assert project.left() == []


@needs_redis
def test_a_stack_kept_on_failure_can_be_attached_to_and_ended(project: Project) -> None:
    project.test("services", "redis", RED + GREEN)
    first = project.run("--infra-keep", "on-failure")
    assert first.ret == 1
    first.stdout.fnmatch_lines(["the stack of run * is kept:", "  end it:    harness down --run *"])
    (run,) = project.left()
    second = project.run("-k", "ping", "--infra-attach", run)
    second.assert_outcomes(passed=1)
    assert project.left() == [run], "an attached run does not end what it did not start"
    assert project.down() == 0
    assert project.left() == []


@needs_redis
def test_an_attached_run_that_cannot_report_leaves_the_stack_alone(project: Project) -> None:
    project.test("services", "redis", GREEN)
    project.run("--infra-keep", "always")
    (run,) = project.left()
    project.write("file", "")
    result = project.run("--infra-attach", run, "--infra-reports", "file/x")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*reports directory *file/x*"])
    assert project.left() == [run]
    assert project.down() == 0
    assert project.left() == []


@needs_redis
def test_a_keeper_that_dies_in_the_middle_is_cleaned_up_after(project: Project) -> None:
    project.test(
        "services", "redis",
        "import os\ndef test_kill(stack): os.kill(stack.client.call('hello')['pid'], 9)\n"
        "def test_after(redis): redis.ping()\n",
    )  # fmt: skip
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["CAUSE  *::test_after: redis.exceptions.ConnectionError: *"])
    assert project.left() == []


@needs_redis
def test_a_file_that_cannot_be_collected_is_a_problem_of_the_run(project: Project) -> None:
    project.test("services", "redis", GREEN)
    project.test("services", "bad", "import nowhere_at_all\n")
    result = project.run("--continue-on-collection-errors")
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
