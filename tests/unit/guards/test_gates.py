"""The gates: each has a target of its own, one that fails stops the next, and security never passes silently."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rigs.core_rig import ROOT
from tests.unit.rigs.scripts_rig import script

GATES, SECURITY = script("gates"), script("security-gate")


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the gates of a test are noted."""
    monkeypatch.setattr(GATES, "RECORD", tmp_path / "gates.jsonl")
    return tmp_path / "gates.jsonl"


def gates(monkeypatch: pytest.MonkeyPatch, *commands: str) -> None:
    monkeypatch.setattr(GATES, "GATES", tuple(GATES.Gate(f"g{n}", ((text, "x"),)) for n, text in enumerate(commands)))


def test_the_makefile_has_a_target_for_each_gate_in_their_order() -> None:
    listed = re.search(r"^GATES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed
    assert listed[1].split() == [gate.name for gate in GATES.GATES]


def test_a_gate_that_fails_stops_the_next(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], record: Path
) -> None:
    gates(monkeypatch, "true", "false", "echo")
    assert GATES.main([]) == 1
    out = capfd.readouterr().out
    assert "not run, because g1 failed: g2" in out
    assert "== gate g2" not in out
    noted = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["gate"], line["exit"]) for line in noted] == [("g0", 0), ("g1", 1)]


def test_arguments_go_to_the_last_gate_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gates(monkeypatch, "echo", "echo", "false")
    assert GATES.main(["g0", "g1", "--", "more"]) == 0
    assert capfd.readouterr().out.count("x more") == 1


def test_a_gate_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert GATES.main(["speed"]) == 2
    assert "no gate 'speed': expected one of lint, types" in capsys.readouterr().err


def test_memory_of_what_a_gate_runs_is_noted(monkeypatch: pytest.MonkeyPatch, record: Path) -> None:
    monkeypatch.setattr(GATES, "EVERY", 0.02)
    greedy = "memory = bytearray(80 << 20); memory[::4096] = b'x' * len(memory[::4096]); import time; time.sleep(1)"
    monkeypatch.setattr(GATES, "GATES", (GATES.Gate("greedy", (("python3", "-c", greedy),)),))
    assert GATES.main([]) == 0
    assert json.loads(record.read_text())["memory"] > 80


# -- security ------------------------------------------------------------------------------------------------------


def test_packages_that_no_service_knows_are_not_verified() -> None:
    """A mirror that answers 404 for advisories ends pip-audit with exit code 0."""
    line = SECURITY.judge_audit([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}])
    assert (line.verdict, line.text.rpartition(": ")[2]) == (
        SECURITY.NOT_VERIFIED,
        "no advisory service knows 1 of 2 packages here",
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='a', port=443): Max retries exceeded",
            "pip-audit: no advisory service answers: requests.exceptions.SSLError: HTTPSConnectionPool",
        ),
        ("ERROR: invalid requirement in constraints.txt", "pip-audit: ERROR: invalid requirement"),
        ("", "pip-audit: exit 1"),
    ],
)
def test_an_audit_that_reached_nobody_is_told_from_one_that_is_broken(tmp_path: Path, said: str, told: str) -> None:
    (tmp_path / "pip-audit").write_text(f'#!/bin/sh\nprintf "%s\\n" "{said}" >&2\nexit 1\n')
    (tmp_path / "pip-audit").chmod(0o755)
    line = SECURITY.dependencies(SECURITY.Given(tmp_path, tmp_path))
    assert line.verdict == SECURITY.NOT_VERIFIED
    assert line.text.startswith(told)


def test_a_vulnerability_outweighs_what_was_skipped() -> None:
    flawed = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}
    line = SECURITY.judge_audit([flawed, {"name": "b", "skip_reason": "unknown"}])
    assert line.verdict == SECURITY.FOUND
    assert "a 1: CVE-1" in line.text
    assert SECURITY.judge_audit([{"name": "a", "version": "1", "vulns": []}]).verdict == SECURITY.PASSED


class Tool:
    """Stands in for the tools: prints what it was given."""

    def __init__(self, directory: Path, out: Any) -> None:
        self.tools = self.reports = directory
        for name in ("detect-secrets", "pip-audit", "bandit"):
            text = out if isinstance(out, str) else json.dumps(out)
            (directory / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
            (directory / name).chmod(0o755)

    def given(self) -> Any:
        return SECURITY.Given(self.tools, self.reports)


def secret(file: str, hashed: str, kind: str = "Private Key") -> dict[str, Any]:
    return {file: [{"type": kind, "filename": file, "hashed_secret": hashed, "line_number": 3}]}


def test_a_secret_that_was_not_accepted_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SECURITY, "BASELINE", tmp_path / "baseline")
    known, new = secret("a.py", "11"), secret("b.py", "22")
    SECURITY.accept(Tool(tmp_path, {"results": known}).given())
    assert SECURITY.secrets(Tool(tmp_path, {"results": known}).given()).verdict == SECURITY.PASSED
    line = SECURITY.secrets(Tool(tmp_path, {"results": {**known, **new}}).given())
    assert (line.verdict, "b.py: Private Key" in line.text, "a.py" in line.text) == (SECURITY.FOUND, True, False)


def test_passwords_of_test_servers_are_none_but_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SECURITY, "BASELINE", tmp_path / "none")
    password = secret("tests/unit/x.py", "11", SECURITY.OF_TESTS[0])
    assert SECURITY.secrets(Tool(tmp_path, {"results": password}).given()).verdict == SECURITY.PASSED
    key = secret("tests/unit/x.py", "11")
    assert SECURITY.secrets(Tool(tmp_path, {"results": key}).given()).verdict == SECURITY.FOUND


def test_an_audit_that_says_nothing_is_not_verified(tmp_path: Path) -> None:
    assert SECURITY.dependencies(Tool(tmp_path, "no network").given()).verdict == SECURITY.NOT_VERIFIED


@pytest.mark.parametrize(
    ("told", "licence", "sound"),
    [
        ("License-Expression: MIT\nLicense: GPL", "MIT", True),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD License", True),
        ("License: Apache 2.0", "Apache 2.0", True),
        ("License-Expression: AGPL-3.0-only", "AGPL-3.0-only", False),
        ("License: for limited use", "for limited use", False),
        ("Summary: nothing", "", False),
    ],
)
def test_a_licence_is_read_wherever_a_package_tells_it(tmp_path: Path, told: str, licence: str, sound: bool) -> None:
    (tmp_path / "x-1.dist-info").mkdir()
    (tmp_path / "x-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.4\nName: x\nVersion: 1\n{told}\n")
    found = SECURITY.licence_of(metadata.Distribution.at(tmp_path / "x-1.dist-info"))
    assert found == licence
    assert bool(SECURITY.PERMISSIVE.search(found)) is sound


def test_images_without_a_scanner_are_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert SECURITY.images(Tool(tmp_path, {}).given()).verdict == SECURITY.NOT_VERIFIED
