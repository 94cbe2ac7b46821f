"""The journal: what was written is read, in order, whole, without secrets."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import journal
from harness.errors import ReportError
from harness.journal import EVENT_TYPES, SERVICE_READY, TEST_FINISHED, Event, Journal

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.text(alphabet="abcdefg", min_size=1, max_size=5)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(EVENT_TYPES), st.dictionaries(keys, values, max_size=3)), max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    written = Journal(path, clock=lambda: 1.5)
    for kind, data in events:
        written.write(kind, **data)
    assert list(journal.read(path)) == [Event(kind, 1.5, data) for kind, data in events]


def test_lines_of_many_writers_are_never_torn(tmp_path: Path) -> None:
    path = tmp_path / "j"

    def write(number: int) -> None:
        for _ in range(20):
            Journal(path).write(SERVICE_READY, n=number, text="x" * 9000)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(journal.read(path))
    assert sorted(event["n"] for event in found) == sorted(list(range(4)) * 20)


def test_an_absent_file_has_no_events(tmp_path: Path) -> None:
    assert list(journal.read(tmp_path / "none")) == []


def test_a_last_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path).write(SERVICE_READY, n=1)
    with path.open("a") as file:
        file.write('{"type": "run_fin')
    assert [event["n"] for event in journal.read(path)] == [1]


@pytest.mark.parametrize("line", ["not json", '{"type": "x"}', "[1]"])
def test_a_broken_line_in_the_middle_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "j"
    Journal(path).write(SERVICE_READY)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ReportError, match="line 2 is no event"):
        list(journal.read(path))


def test_an_unknown_type_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown event type 'test_finnished'"):
        Journal(tmp_path / "j").write("test_finnished")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file or directory") as caught:
        Journal(tmp_path / "none" / "j").write(SERVICE_READY)
    assert "--reports" in caught.value.next_step


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.journal.os.write", lambda descriptor, data: len(data) - 1)
    with pytest.raises(ReportError, match="No space left"):
        Journal(tmp_path / "j").write(SERVICE_READY)


def test_secrets_are_masked_in_every_text(tmp_path: Path) -> None:
    written = Journal(tmp_path / "j", ["first1"])
    written.hide(['se"cond\\'])
    written.write(SERVICE_READY, cause='a first1 b se"cond\\ c', deep={"x": ["first1", 1]})
    found = next(journal.read(tmp_path / "j"))
    assert found.data == {"cause": "a *** b *** c", "deep": {"x": ["***", 1]}}
    assert "first1" not in (tmp_path / "j").read_text()


def test_a_password_that_looks_like_a_name_breaks_nothing(tmp_path: Path) -> None:
    written = Journal(tmp_path / "j", ["redis", "type", "test"])
    written.write(TEST_FINISHED, test="test_redis", uses=["redis"], outcome="passed", reason="redis said no")
    found = next(journal.read(tmp_path / "j"))
    assert (found.type, found["uses"], found["test"]) == (TEST_FINISHED, ["redis"], "test_redis")
    assert found["reason"] == "*** said no"


def test_what_json_does_not_know_is_written_as_text(tmp_path: Path) -> None:
    Journal(tmp_path / "j").write(SERVICE_READY, path=tmp_path, odd="\ud800")
    assert json.loads((tmp_path / "j").read_text())["path"] == str(tmp_path)
