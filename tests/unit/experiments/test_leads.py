"""Who leads: each observer's changes with their moments, silence that hides nothing, and the time of a failover."""

from __future__ import annotations

import threading
import time
from functools import partial

from harness.experiments.leads import Change, Leads, LeadWatch, failover_time
from tests.unit.rigs.core_rig import eventually


class Member:
    """Says what `says` holds; raises while that is None; hangs while `hangs` is set."""

    def __init__(self, says: dict[str, str | None], name: str, hangs: threading.Event) -> None:
        self.says, self.name, self.hangs = says, name, hangs

    def who(self) -> str:
        if self.name == "hung":
            self.hangs.wait(5)
        answer = self.says[self.name]
        if answer is None:
            raise ConnectionError("refused")
        return answer

    def close(self) -> None:
        self.says[f"{self.name} closed"] = "yes"


def change(at: float, after: str, seen_by: str = "s1", before: str = "") -> Change:
    return Change(at, "primary", seen_by, before, after)


def test_each_observer_tells_its_own_changes_and_a_hung_one_hides_nothing() -> None:
    says: dict[str, str | None] = {"s1": "a", "s2": "a", "hung": "a"}
    hangs = threading.Event()
    watch = LeadWatch(
        Leads("primary", {name: partial(Member, says, name, hangs) for name in list(says)}), time.monotonic
    )
    watch.start()
    watch.alert()
    eventually(lambda: len(watch.changes) == 2)
    says["s1"] = None
    says["s2"] = ""
    eventually(lambda: len(watch.changes) == 3)
    says["s1"] = says["s2"] = "b"
    eventually(lambda: len(watch.changes) == 5)
    hangs.set()
    watch.stop()
    assert [(one.before, one.after) for one in watch.changes if one.seen_by == "s1"] == [("", "a"), ("a", "b")]
    assert [(one.before, one.after) for one in watch.changes if one.seen_by == "s2"] == [
        ("", "a"),
        ("a", ""),
        ("", "b"),
    ]
    assert {name for name in says if name.endswith("closed")} == {"s1 closed", "s2 closed", "hung closed"}


def test_nothing_is_asked_where_nobody_leads() -> None:
    watch = LeadWatch(None, time.monotonic)
    watch.start()
    watch.stop()
    assert watch.changes == ()


def test_a_failover_is_the_first_sight_of_somebody_new_to_ten_milliseconds() -> None:
    seen = [change(1.0, "a"), change(1.1, "a", "s2"), change(5.004, ""), change(7.234, "b", "s2"), change(7.5, "b")]
    assert failover_time(seen, 5.0) == 2.23
    assert failover_time(seen[:3], 5.0) is None


def test_coming_back_to_the_old_one_is_no_failover() -> None:
    assert failover_time([change(1.0, "a"), change(5.1, ""), change(5.9, "a")], 5.0) is None


def test_what_nobody_saw_before_the_fault_says_nothing() -> None:
    assert failover_time([change(6.0, "b")], 5.0) is None


def test_a_change_is_told_in_seconds_since_the_beginning() -> None:
    expected = {"at": 2.23, "role": "primary", "seen_by": "s1", "before": "a", "after": "b"}
    assert change(7.2349, "b", before="a").as_data(5.0) == expected
