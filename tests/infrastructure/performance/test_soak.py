"""A stack in steady use keeps its size: what grows by the hour ends a service in a week, and the tests in a night."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.keeper.client import RemoteStack
from harness.load.growth import judge
from harness.load.soak import soak
from harness.model import Verdict
from harness.pytest_plugin.session import HarnessSession, session_of

LONGEST = 8 * 3600
"""Seconds that a soak may be told to take; the time limit of other tests is no measure for it."""


@pytest.fixture
def session(pytestconfig: pytest.Config) -> HarnessSession:
    """The run's own settings and report."""
    return session_of(pytestconfig)


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
@pytest.mark.uses("consul", "redis", "arangodb", "tempo", "grafana", "otel_collector")
def test_memory_and_handles_stay_bounded_under_steady_use(
    session: HarnessSession,
    private_stack: Callable[..., RemoteStack],
    record_property: Callable[[str, object], None],
) -> None:
    """No service, nor the keeper, grows while each is written to and read from, round after round. On a stack of its
    own, for as long as `--soak` says; the series is in `soak.jsonl` of the report. What this machine does not show
    (another user's handles, an engine elsewhere) is told and not judged."""
    running = private_stack(compose=session.settings["compose"])
    file = session.run.report / "soak.jsonl"
    seen = soak(running, float(session.settings["soak"]), file)
    found = judge(seen.samples)
    record_property("rounds", seen.rounds)
    for growth in found:
        record_property(f"{growth.subject} {growth.measure}", str(growth))
    assert seen.troubles == {}, f"in {seen.rounds} rounds, at these seconds"
    assert [str(growth) for growth in found if growth.verdict is Verdict.INVALID] == []
    judged = {growth.subject for growth in found if growth.verdict is Verdict.VALID}
    assert judged, f"nothing could be judged: {'; '.join(map(str, found))}"
