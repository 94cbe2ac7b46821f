"""An agent that works for hours keeps its size: seconds here under `--slow`, as long as `--soak` says at night."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.load.growth import judge
from harness.model import Verdict
from harness.probes.usage import Usage, family, usage_of
from harness.pytest_plugin.session import session_of

LONGEST = 8 * 3600
BATCH = 200
"""Jobs between two looks at the agent."""


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
def test_an_agent_does_not_grow_while_it_works(agents: Any, pytestconfig: pytest.Config, record_property: Any) -> None:
    """Memory and open handles after a warm-up, thousands of jobs apart; every job is done exactly once.

    Source: proc(5), `statm` and `fd`; see docs/nightly.md, "The soak".
    """
    agent = agents.start("a1", seconds=0.0)
    samples: list[dict[str, Usage | None]] = []
    ends, done = time.monotonic() + float(session_of(pytestconfig).settings["soak"]), 0
    while time.monotonic() < ends or len(samples) < 12:
        jobs = [f"job-{done + number}" for number in range(BATCH)]
        agents.add(jobs)
        assert agents.await_done(jobs) == dict.fromkeys(jobs, 1)
        agents.forget_done()
        samples.append({"agent": usage_of(family(agent.pid))})
        done += BATCH
    record_property("jobs", done)
    found = judge(samples)
    assert [str(growth) for growth in found if growth.verdict is not Verdict.VALID] == []
