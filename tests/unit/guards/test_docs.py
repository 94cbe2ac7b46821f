"""What the pages tell to type can be typed: targets, verbs, options and scripts exist; workflows are sound."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.main import make_parser
from tests.unit.rigs.core_rig import ROOT
from tests.unit.rigs.scripts_rig import script

PROOF, CI = script("docs-proof"), script("ci-proof")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FENCED = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+\.md)[^):]*\)")


def lines(page: Path) -> list[str]:
    """Commands in blocks without a language, or of `sh`; what explains them (after two spaces, or a `#`) and what
    follows a pipe or `&&` is left out."""
    found = [line for block in FENCED.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]
    return [re.split(r"\s+#|\s\|\|?\s|\s&&\s|(?<=\S)\s{2,}", line)[0].strip() for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_of_a_page_exists(page: Path) -> None:
    said = re.findall(r"(?:^|[`\s])make ([a-z][a-z0-9-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    named = {word for line in lines(page) if line.startswith("make ") for word in line.split()[1:2]}
    quoted = set(re.findall(r"`make ([a-z][a-z0-9-]+)", page.read_text(encoding="utf-8")))
    assert (named | quoted) & set(said) - TARGETS == set()


WRITTEN = [page for page in PAGES if page.name != "reference.md"]
"""The reference shows the verbs' own examples, with words beside them."""


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_harness_command_of_a_page_can_be_read(page: Path) -> None:
    """A block may show what is printed too: what begins with `harness` and a verb is taken for a command."""
    for line in lines(page):
        words = shlex.split(line) if line.startswith("harness ") else []
        if len(words) > 1 and words[1] in {"COMMAND", "--version"}:
            continue
        if words and not any(word.isupper() or "..." in word for word in words):
            assert make_parser(words[1]).parse_args(words[1:]).verb, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_that_a_page_names_exists(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert missing == []


def test_a_page_becomes_a_session() -> None:
    page = "```sh\nmake x\n\ntrue\n```\n```python\n# a/b.py\nx = 1\n```\n```python\nshown = 'only'\n```\n"
    commands, file = PROOF.blocks(page)
    assert commands.script == "echo '== make x'\nmake x\necho '== true'\ntrue\n"
    assert file.script == "mkdir -p a\ncat >a/b.py <<'END_OF_FILE'\n# a/b.py\nx = 1\nEND_OF_FILE\n"


def test_readme_and_tutorial_have_commands_to_execute() -> None:
    found = {page: PROOF.commands((ROOT / page).read_text(encoding="utf-8")) for page in PROOF.PAGES}
    assert "make infra-test" in found["README.md"]
    assert {"pytest", "harness up", "harness down"} <= set(found["docs/tutorial.md"])


# -- workflows -----------------------------------------------------------------------------------------------------


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_read_only_ends_in_time_and_keeps_its_reports(file: Path) -> None:
    told = yaml.safe_load(file.read_text())
    assert told["permissions"] == {"contents": "read"}
    for job in told["jobs"].values():
        assert job["timeout-minutes"] <= 120
        uploads = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
        assert [step.get("if") for step in uploads] == ["always()"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit_and_tell_their_version(file: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", file.read_text())
    assert used
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
    called = [(name, more) for name, more in used if "/.github/workflows/" not in name]
    assert [name for name, more in called if not pinned.fullmatch(name) or not re.match(r" # v\d", more)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_steps_use_targets_and_scripts_that_exist(file: Path) -> None:
    for step in steps(file):
        for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert name in TARGETS, step
        for name in re.findall(r"(?:scripts|benchmarks)/[\w.-]+", step.get("run", "")):
            assert (ROOT / name).exists(), step
        assert "${{" not in step.get("run", ""), "an expression in a script is how a title becomes a command"


def test_the_gates_are_jobs_each_needing_the_one_before() -> None:
    jobs = CI.read(ROOT / ".github" / "workflows" / "ci.yml")
    names = [gate.name for gate in script("gates").GATES]
    assert [job.name for job in jobs] == names
    assert [job.needs for job in jobs] == [(), *((name,) for name in names[:-1])]


class Place:
    """Where steps of a test run: red is what begins with `red`."""

    rehearsal: dict[str, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, command: str, environment: dict[str, str]) -> Any:
        self.ran.append(command)
        end = "answers" if "unreached" in command else "knows 3"
        said = f"no advisory service {end}" if "excused" in command else ""
        return type("Done", (), {"returncode": int(command.startswith("red")), "stdout": said, "stderr": ""})()


def workflow(tmp_path: Path, text: str) -> list[Any]:
    file = tmp_path / "w.yml"
    file.write_text(text)
    return list(CI.read(file))


def test_a_red_job_stops_those_that_need_it_and_its_own_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = workflow(
        tmp_path,
        "jobs:\n"
        "  last: {needs: [middle], steps: [{run: never}]}\n"
        "  middle: {needs: first, steps: [{run: never}]}\n"
        "  first: {steps: [{run: red}, {run: skipped}, {run: kept, if: always()}]}\n"
        "  other: {steps: [{uses: x}, {run: fine}]}\n",
    )
    place = Place()
    assert list(CI.perform_jobs(place, jobs)) == [CI.FAILED, CI.RAN, CI.RAN]
    assert place.ran == ["red", "kept", "fine"]
    assert "not run  w/last: middle failed" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["red excused", "red excused unreached"])
def test_what_cannot_be_had_here_is_told_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (step,) = workflow(tmp_path, f"jobs: {{a: {{steps: [{{run: {command}}}]}}}}")[0].steps
    assert CI.perform(Place(), step) == CI.NOT_RUN
    assert "no advisory service answers here" in capsys.readouterr().out


def test_a_failed_step_tells_its_red_tests_however_much_follows() -> None:
    lines = ["noise", "FAILED tests/a.py::test_x - assert 1 == 2", *map(str, range(30))]
    assert CI.worth_telling(lines) == [lines[1], *map(str, range(5, 30))]
    assert CI.worth_telling(["noise", "CAUSE  x"]) == ["noise", "CAUSE  x"]


def test_jobs_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="wait for each other: a, b"):
        workflow(tmp_path, "jobs: {a: {needs: b, steps: []}, b: {needs: a, steps: []}}")
