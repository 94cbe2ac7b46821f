"""A smoke test's corner is read, or written and then seen to be gone; nothing is begun after the deadline."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import journal
from harness.errors import LeftBehind
from harness.journal import Journal
from harness.pytest_plugin import smoke
from harness.pytest_plugin.session import HarnessSession
from harness.pytest_plugin.smoke import NOT_REACHED, READ_ONLY, Budget, SmokeCorner, budget_of
from tests.unit.rigs.core_rig import StubHandle

REDIS, CONSUL = StubHandle({}, name="cache", kind="redis"), StubHandle({}, name="kv", kind="consul")


def session(path: Path = Path(os.devnull), read_only: bool = False) -> HarnessSession:
    """As much of a session as a corner asks of one."""
    handles = {"redis": REDIS, "consul": CONSUL}
    run = SimpleNamespace(journal=Journal(path))
    return cast(HarnessSession, SimpleNamespace(settings={"read_only": read_only}, handle_of=handles.get, run=run))


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(smoke, "remove", lambda handle, identity: seen.append((handle.name, identity)))
    return seen


def test_only_what_was_written_to_is_cleaned_and_once(removed: list[tuple[str, str]]) -> None:
    corner = SmokeCorner(session(), "id")
    assert corner.read("consul") is CONSUL
    assert corner.write("redis") is REDIS
    corner.close()
    corner.close()
    assert removed == [("cache", "id")]


def test_with_read_only_a_test_that_writes_is_skipped_before_it_has_the_service(removed: list[tuple[str, str]]) -> None:
    corner = SmokeCorner(session(read_only=True), "id")
    assert corner.read("redis") is REDIS
    with pytest.raises(pytest.skip.Exception, match=READ_ONLY):
        corner.write("redis")
    corner.close()
    assert removed == []


def test_one_service_that_keeps_something_does_not_keep_the_others_from_being_cleaned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def remove(handle: Any, identity: str) -> None:
        tried.append(handle.name)
        raise LeftBehind(f"{handle.name}: still there")

    monkeypatch.setattr(smoke, "remove", remove)
    corner = SmokeCorner(session(), "id")
    corner.write("redis")
    corner.write("consul")
    with pytest.raises(LeftBehind, match="cache: still there"):
        corner.close()
    assert tried == ["cache", "kv"]


def item(name: str) -> pytest.Item:
    return cast(pytest.Item, SimpleNamespace(name=name, nodeid=f"t.py::{name}"))


def test_before_the_deadline_tests_begin_and_after_it_none_does(tmp_path: Path) -> None:
    now = [10.0]
    budget = Budget(session(tmp_path / "j"), 11.0, lambda: now[0])
    budget.pytest_runtest_setup(item("first"))
    now[0] = 11.0
    with pytest.raises(pytest.skip.Exception, match=f"{NOT_REACHED}: the budget was spent before second"):
        budget.pytest_runtest_setup(item("second"))


def test_what_is_to_run_is_noted_before_the_first_test(tmp_path: Path) -> None:
    file = tmp_path / "j"
    found = cast(pytest.Session, SimpleNamespace(items=[item("first"), item("second")]))
    Budget(session(file), 11.0).pytest_collection_finish(found)
    (event,) = journal.read(file)
    assert (event.type, event["tests"]) == (journal.SMOKE_PLANNED, ["t.py::first", "t.py::second"])


def test_only_a_smoke_run_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget_of(session()) is None
    monkeypatch.setenv("HARNESS_DEADLINE", "12.5")
    assert budget_of(session()) is not None
