"""A soak uses every service, keeps its series, and remembers what did not work."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.load import soak as module
from harness.load.soak import soak
from harness.probes.usage import Usage


def stack() -> Any:
    return SimpleNamespace(
        plan=SimpleNamespace(services={}),
        client=SimpleNamespace(usage=lambda: {"redis": Usage(1, 9, 3), "tempo": None}),
    )


def health(**ready: bool) -> Any:
    judged = {name: SimpleNamespace(ready=sound, cause="does not answer") for name, sound in ready.items()}
    return SimpleNamespace(services=judged)


def test_the_series_is_kept_while_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "look", lambda handles, services: health(redis=True))
    seen = soak(stack(), 1.2, tmp_path / "soak.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "soak.jsonl").read_text().splitlines()]
    assert len(lines) == len(seen.samples) == 2
    assert lines[0]["usage"] == {"redis": {"processes": 1, "memory": 9, "handles": 3}, "tempo": None}
    assert seen.rounds > 2
    assert seen.troubles == {}


def test_a_service_that_failed_once_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([health(redis=True), health(redis=False)])
    monkeypatch.setattr(module, "look", lambda handles, services: next(answers, health(redis=True)))
    seen = soak(stack(), 1.0)
    assert list(seen.troubles) == ["redis does not answer"]


def test_the_use_ends_with_what_measures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "look", lambda handles, services: health())
    broken = stack()

    def gone() -> Any:
        raise RuntimeError("the keeper is gone")

    broken.client.usage = gone
    with pytest.raises(RuntimeError, match="keeper is gone"):
        soak(broken, 30.0)
