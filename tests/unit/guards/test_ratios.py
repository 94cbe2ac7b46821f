"""The performance gate measures the same thing wherever it runs."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from benchmarks import ratios


def answering(monkeypatch: pytest.MonkeyPatch, code: int) -> list[dict[str, str]]:
    """Have every command end with this code; returns the environments that they were given."""
    given: list[dict[str, str]] = []

    def run(command: list[str], env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        given.append(env)
        return subprocess.CompletedProcess(command, code, "no such stack\n", "")

    monkeypatch.setattr("benchmarks.ratios.subprocess.run", run)
    return given


def test_what_a_pipeline_asks_of_its_stack_is_not_asked_of_the_measured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HARNESS_REQUIRE_FIDELITY=real` for the whole workflow made the gate red where services are emulated."""
    monkeypatch.setenv("HARNESS_REQUIRE_FIDELITY", "real")
    given = answering(monkeypatch, 0)
    ratios._harness("up")
    assert [name for name in given[0] if name.startswith("HARNESS_")] == []
    assert given[0]["PATH"] == os.environ["PATH"]


def test_a_stack_that_does_not_start_ends_the_gate_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 6)
    with pytest.raises(SystemExit, match="harness up ended with 6: no such stack"):
        ratios._harness("up")


def test_processors_are_given_back() -> None:
    allowed = os.sched_getaffinity(0)
    with ratios.one_processor():
        assert len(os.sched_getaffinity(0)) == 1
    with pytest.raises(SystemExit), ratios.one_processor():
        raise SystemExit("interrupted")
    assert os.sched_getaffinity(0) == allowed
