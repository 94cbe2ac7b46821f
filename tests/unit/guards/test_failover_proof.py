"""`make failover-proof` says that it is proven only when everything is: each way to be wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.rigs.scripts_rig import script

proof = script("failover_proof.py", "benchmarks")
STORIES = [f"story-{number}" for number in range(22)]
SLOW = ["redis-known-truth-paused", "no-undo-restart"]


def experiment(name: str, verdict: str = "valid", ending: str = "completed", **more: Any) -> dict[str, Any]:
    measured = {"lost": 9, "lost_seconds": 1.5} if "known-truth" in name else {"rto_seconds": 0.5}
    return {"name": name, "verdict": verdict, "ending": ending, "cause": "", "discarded": False, "measured": measured,
            **more}  # fmt: skip


def as_it_must_be(name: str) -> dict[str, Any]:
    if name.startswith("no-apply-"):
        return experiment(name, "invalid", "the fault was not witnessed")
    if name == "no-undo-kill":
        return experiment(name, "invalid", "the undo failed: stack discarded", discarded=True)
    return experiment(name, "invalid" if "known-truth" in name else "valid")


def a_pass(*names: str, whole: bool = False, **more: Any) -> Any:
    found = {name: as_it_must_be(name) for name in names}
    return proof.Pass(**{"whole": whole, "exit": 0, "experiments": found, "skipped": {}, "left": (), **more})


FAST = [*STORIES, "no-apply-kill", "no-undo-kill"]
GOOD = [a_pass(*FAST, *SLOW, whole=True), a_pass(*FAST), a_pass(*FAST)]


def with_last(**changes: Any) -> list[Any]:
    return [*GOOD[:-1], replace(GOOD[-1], **changes)]


def with_one(name: str, **changes: Any) -> list[Any]:
    """The first pass, with one experiment as it must not be."""
    changed = {**GOOD[0].experiments, name: {**GOOD[0].experiments[name], **changes}}
    return [replace(GOOD[0], experiments=changed), *GOOD[1:]]


def test_all_is_proven_when_everything_is_as_it_must_be() -> None:
    skipped = {"not verified: fault disk_full: not on this runtime": 3}
    lines, good = proof.judge([replace(GOOD[0], skipped=skipped), *GOOD[1:]])
    assert good, lines
    text = "\n".join(lines)
    for words in (
        "experiments: 26 (25 wanted), of them 3 controls",
        "known truth redis-known-truth-paused: acknowledged writes lost: 9 in 1.5 s",
        "repeats: none; unknown: none",
        "not verified: fault disk_full: not on this runtime (3 tests)",
        "left behind: 0",
        "story-3: rto 0.5-0.5 s",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("passes", "words"),
    [
        (lambda: [a_pass(*FAST[3:], *SLOW, whole=True)], "experiments: 23 (25 wanted)"),
        (lambda: [a_pass(*FAST, "story-99", "story-98", whole=True)], "experiments: 26"),  # no known truth
        (lambda: with_one("no-apply-kill", verdict="valid", ending="completed"), "must be: no-apply-kill"),
        (lambda: with_one("no-undo-kill", discarded=False), "must be: no-undo-kill"),
        (lambda: with_one("no-undo-restart", verdict="invalid"), "as expected: no-undo-restart: invalid"),
        (lambda: with_one("redis-known-truth-paused", measured={"lost": 0}), "as expected: redis-known-truth-paused"),
        (lambda: with_one("story-0", verdict="unknown", cause="not steady"), "unknown: story-0: not steady"),
        (lambda: with_last(experiments=dict(list(GOOD[-1].experiments.items())[1:])), "3 repeats: story-0 (2 of 3)"),
        (lambda: with_last(left=("network ih-1",)), "left behind: 1: network ih-1"),
        (lambda: with_last(exit=1), "passes with red tests: 3"),
    ],
)
def test_each_way_to_be_wrong_is_found(passes: Callable[[], list[Any]], words: str) -> None:
    lines, good = proof.judge(passes())
    assert not good
    assert any(words in line for line in lines), lines


def stood_still(name: str, **more: Any) -> Any:
    """The last pass, with one experiment of which nothing is known, and its test red."""
    unknown = experiment(
        name, "unknown", cause="deadline: unknown", test=f"t::{name}", measured={"standstill_seconds": 9.4}
    )
    return with_last(
        **{"exit": 1, "red": (f"t::{name}",), "experiments": {**GOOD[-1].experiments, name: unknown}, **more}
    )


def test_an_unknown_of_a_machine_that_stood_still_is_told_and_not_counted() -> None:
    lines, good = proof.judge(stood_still("story-3"))
    assert good, lines
    assert "unknown for a reason outside, not counted: story-3: deadline: unknown" in lines


def test_beside_it_another_red_test_counts() -> None:
    lines, good = proof.judge(stood_still("story-3", red=("t::story-3", "t::another")))
    assert not good
    assert "passes with red tests: 3" in lines


def test_what_is_unknown_in_every_pass_is_not_proven() -> None:
    passes = [replace(one, experiments={**one.experiments, **stood_still("story-3")[-1].experiments}) for one in GOOD]
    lines, good = proof.judge(passes)
    assert not good
    assert any("story-3: unknown in every pass" in line for line in lines)
