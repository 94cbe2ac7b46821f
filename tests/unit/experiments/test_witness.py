"""Witnesses see trouble on the workload's path, and nothing where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.experiments import witness
from harness.experiments.history import Operation, Result
from harness.probes.poll import NotYet
from tests.unit.rigs.history_rig import ok

CALM = [ok("add", n, n, n + 0.002) for n in range(20)]
SLOW = [ok("add", n, n, n + 0.4) for n in range(30, 33)]
BROKEN = [Operation("add", "c", "k", 1, Result.FAIL, 30, 30.1, 30, "ConnectionError: refused")]
ALL = [witness.errors(), witness.slower(0.1), witness.disturbed()]


@pytest.mark.parametrize("see", ALL)
def test_nothing_is_seen_where_nothing_happened(see: witness.Witness) -> None:
    with pytest.raises(NotYet):
        see(CALM, [ok("add", 1, 30, 30.003)])
    with pytest.raises(NotYet):
        see(CALM, [])


def test_errors_are_counted_and_read() -> None:
    assert "ConnectionError: refused" in witness.errors()(CALM, BROKEN)
    with pytest.raises(NotYet, match="1 of 2"):
        witness.errors(2)(CALM, BROKEN)
    with pytest.raises(NotYet, match="'OOM'"):
        witness.errors(containing="OOM")(CALM, BROKEN)
    with pytest.raises(NotYet):
        witness.errors(kinds=("read",))(CALM, BROKEN)


def test_a_rise_is_seen_only_above_what_was_usual() -> None:
    assert "3 operations took over 0.1 s" in witness.slower(0.1)(CALM, SLOW)
    with pytest.raises(NotYet, match=r"the median was 0\.400 s before"):
        witness.slower(0.1)(SLOW, SLOW)


def test_any_disturbance_counts() -> None:
    assert "0.400 s" in witness.disturbed()(CALM, SLOW)
    assert "failed" in witness.disturbed()(CALM, BROKEN)
    with pytest.raises(NotYet):
        witness.disturbed(factor=300)(CALM, SLOW)


def test_one_slow_operation_before_hides_nothing() -> None:
    spike = ok("add", 99, 25, 25.5)
    assert "0.400 s" in witness.disturbed()([*CALM, spike], SLOW)
    with pytest.raises(NotYet, match="0 over 2500 ms"):
        witness.disturbed()([*CALM, spike, spike, spike], SLOW)


def test_a_machine_that_holds_up_every_client_once_is_no_fault() -> None:
    once = [replace(item, client=f"c{number}") for number, item in enumerate(SLOW)]
    with pytest.raises(NotYet, match="3 over 250 ms"):
        witness.disturbed()(CALM, once)


def test_few_operations_before_are_no_hindrance() -> None:
    for few in ([], CALM[:2]):
        assert "3 operations took up to 0.400 s" in witness.disturbed()(few, SLOW)


def test_some_slow_operations_among_many_are_no_fault() -> None:
    many = [ok("add", n, n, n + 0.005) for n in range(33, 60)]
    with pytest.raises(NotYet, match="33 operations, none failed, 3 over 250 ms"):
        witness.disturbed()(CALM, [*SLOW, *many, *many[:3]])
    assert "3 operations" in witness.disturbed()(CALM, [*SLOW, *many[:12]])


def test_a_fact_is_asked_of_somebody_else() -> None:
    assert witness.fact(lambda: "leader is b")([], []) == "leader is b"
