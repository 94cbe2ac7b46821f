"""A TTL check whose agent hangs: its clock stands still, so gossip has to take the node out; and it is not forgiven."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import ConsulActor, call
from harness.experiments.checkers import Deadline
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Record, Workload
from harness.faults.pause import Pause
from harness.model import Endpoint
from harness.probes.poll import Deadline as Until
from harness.probes.poll import NotYet, poll

TTL = 3.0
NOTICED = 30.0
SERVICE, CHECK = "orders", "service:orders"


class Beats(ConsulActor):
    """Records `beat`, five times a second for as long as `beating` is set: what an application tells its agent."""

    def __init__(self, endpoint: Endpoint, number: int, beating: threading.Event) -> None:
        super().__init__(endpoint, number)
        self._beating = beating

    def step(self, number: int, record: Record) -> None:
        """One beat."""
        if self._beating.is_set():
            record("beat", CHECK, number, self._beat)

    def _beat(self) -> None:
        call(self.endpoint, f"/v1/agent/check/pass/{CHECK}", "PUT")


def checks(server: Endpoint) -> dict[str, tuple[str, str]]:
    """State and output of the node's and the service's check, as a server has them."""
    found = call(server, "/v1/health/node/consul-client").json()
    return {check["CheckID"]: (check["Status"], check["Output"]) for check in found}


def reached(server: Endpoint, check: str, wanted: str) -> str:
    """What a check says when it has come to this state. Raises NotYet until then."""
    state, output = checks(server).get(check, ("absent", ""))
    if state != wanted:
        raise NotYet(f"{check} is {state}")
    return output


@pytest.mark.slow
def test_a_hung_agents_ttl_check_stays_as_it_was_until_gossip_finds_the_node_and_is_critical_when_it_wakes(
    consuls: Any, run_experiment: Any
) -> None:
    """The agent keeps the TTL's time, so a frozen one lets nothing expire: only `serfHealth` says that the node is
    lost. Awake again, the beats it missed count, and one beat makes it passing.

    Source: Consul, "Health checks", "Time to live (TTL)"; "Gossip protocol".
    """
    stack, cluster = consuls()
    call(cluster.agent, "/v1/agent/service/register", "PUT", {"Name": SERVICE, "Port": 1, "Check": {
        "TTL": f"{TTL:g}s", "Status": "passing"}})  # fmt: skip
    server, beating = stack["consul-server-1"].endpoint("http"), threading.Event()
    beating.set()

    def frozen(live: Live) -> None:
        live.until(lambda: reached(server, "serfHealth", "critical"), NOTICED, "gossip to find the silent node")
        live.for_seconds(TTL)
        assert checks(server)[CHECK][0] == "passing", "whoever keeps the time of the check is frozen"
        beating.clear()

    valid(
        run_experiment(
            Experiment(
                name="consul-ttl-agent-paused",
                steady=lambda: reached(server, "serfHealth", "passing"),
                leads=cluster.leads(),
                workload=Workload("app", lambda number: Beats(cluster.agent, number, beating), clients=1, interval=0.2),
                fault=Pause().inject(stack["consul-client"]),
                witness=errors(2, "timed out"),
                observe=frozen,
                checkers=(Deadline(2.0),),
                budgets=Budgets(steady=40, recovery=60),
                warm_up=3,
                resumes=False,
            )
        )
    )
    expired = poll(lambda: reached(server, CHECK, "critical"), Until.after(TTL + 10), "the missed beats to count")
    assert "TTL expired" in expired
    call(cluster.agent, f"/v1/agent/check/pass/{CHECK}", "PUT")
    poll(lambda: reached(server, CHECK, "passing"), Until.after(10), "one beat to make it passing")
