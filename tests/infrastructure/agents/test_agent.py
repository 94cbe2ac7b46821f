"""A background agent keeps its promises: what it began it ends, what a dead one held is done, and it does not grow."""

from __future__ import annotations

import signal
from typing import Any

JOBS = [f"job-{number}" for number in range(60)]


def test_an_agent_told_to_stop_finishes_the_job_in_hand_and_is_found_no_more(agents: Any) -> None:
    """SIGTERM is a request, not an abort: as Kubernetes and systemd send it before they kill.

    Source: kubernetes.io, "Termination of Pods"; Consul, `PUT /agent/service/deregister`.
    """
    agent = agents.start("a1", seconds=1.0)
    agents.add(["long", "never-begun"])
    assert agents.await_holding("a1") == ["long"]
    agent.stop(grace=20)
    assert agent.exit_report() == "exited with code 0"
    assert agents.done() == [("long", "a1")]
    assert (agents.held("a1"), agents.status("a1")) == ([], "")
    assert agents.redis.lrange(f"{agents.prefix}:work", 0, -1) == ["never-begun"]


def test_what_a_killed_agent_held_is_done_by_another_and_only_that_may_be_done_twice(agents: Any) -> None:
    """Its heartbeat stops, Consul calls it critical, another takes over: nothing is lost.

    Source: Consul, "TTL check"; Redis, LMOVE, "Pattern: reliable queue".
    """
    first = agents.start("a1", seconds=0.05)
    agents.start("a2", seconds=0.05)
    agents.add(JOBS)
    agents.await_holding("a1")
    first.pause()
    held = agents.held("a1")
    first.kill()
    done = agents.await_done(JOBS)
    agents.await_status("a1", "critical")
    assert {job for job, times in done.items() if times > 1} <= set(held)
    assert agents.held("a1") == []
    assert "a2" in {agent for _, agent in agents.done()}


def test_a_frozen_agent_is_taken_over_and_comes_back_without_harm(agents: Any) -> None:
    """It does not know that it was away: its job is done twice at most, everything else once, and it works on.

    Source: Consul, "TTL check"; the same as after a long garbage collection or a suspended machine.
    """
    first = agents.start("a1", seconds=0.05)
    agents.start("a2", seconds=0.05)
    agents.add(JOBS)
    agents.await_holding("a1")
    first.pause()
    held = agents.held("a1")
    agents.await_status("a1", "critical")
    agents.await_done(JOBS)
    first.resume()
    agents.await_status("a1", "passing")
    agents.add(more := [f"again-{number}" for number in range(60)])
    done = agents.await_done(more)
    assert {job for job, times in done.items() if times > 1} <= set(held)
    assert "a1" in {agent for job, agent in agents.done() if job.startswith("again")}


def test_an_agent_restarted_under_its_name_does_what_it_held_before(agents: Any) -> None:
    """Alone, with nobody to take over, it finds its own job again. Source: Redis, LMOVE, "Pattern: reliable queue"."""
    agent = agents.start("a1", seconds=30.0)
    agents.add(["left"])
    assert agents.await_holding("a1") == ["left"]
    agent.kill()
    assert agent.exit_report() == f"killed by {signal.SIGKILL.name}"
    agents.start("a1")
    assert agents.await_done(["left"]) == {"left": 1}
