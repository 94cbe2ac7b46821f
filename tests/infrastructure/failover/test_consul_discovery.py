"""What discovery says when an agent hangs, when the leader dies under a blocking query, when the catalog is wrong."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from harness.experiments.actors.consul_cluster import ConsulActor, call
from harness.experiments.checkers import Deadline, MonotonicIndex
from harness.experiments.experiment import Budgets, Experiment, Live, valid
from harness.experiments.witness import errors, fact
from harness.experiments.workload import Record, Workload
from harness.faults import Fault
from harness.faults.base import Injection
from harness.faults.isolate import Isolate
from harness.faults.kill import Kill
from harness.faults.pause import Pause
from harness.model import Endpoint
from harness.probes.http import ask
from harness.probes.poll import NotYet

NOTICED = 30.0
SERVICE = "payments"
BUDGETS = Budgets(steady=40, recovery=60, witness=NOTICED)


class Discovers(ConsulActor):
    """Records `index` of the catalog, and `passing`: who of the service may be called."""

    def step(self, number: int, record: Record) -> None:
        """One look, by the default consistency."""
        del number
        record("index", "catalog", None, self._index)
        record("passing", SERVICE, None, lambda: passing(self.endpoint))

    def _index(self) -> int:
        return int(call(self.endpoint, "/v1/catalog/nodes").headers["x-consul-index"])


def passing(endpoint: Endpoint) -> list[str]:
    """The nodes on which the service passes all its checks."""
    return [entry["Node"]["Node"] for entry in call(endpoint, f"/v1/health/service/{SERVICE}?passing").json()]


def registered(cluster: Any) -> None:
    """The service on the client agent, with a check that only the agent keeps alive, and that nobody has to renew for
    longer than anti-entropy may take: the one that ran out first came back critical."""
    call(cluster.agent, "/v1/agent/service/register", "PUT", {"Name": SERVICE, "Port": 1, "Check": {
        "TTL": "10m", "Status": "passing"}})  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", [pytest.param(Pause(), id="hung"), pytest.param(Isolate(), id="cut-off")])
def test_a_lost_agents_services_leave_discovery_and_come_back(consuls: Any, run_experiment: Any, fault: Fault) -> None:
    """Gossip finds the silent node, `serfHealth` turns critical, `?passing` leaves its services out.

    Source: Consul, "Gossip protocol"; health API, `passing`.
    """
    stack, cluster = consuls()
    if reason := fault.obstacle(stack["consul-client"]):
        pytest.skip(f"not verified: {reason}")
    registered(cluster)
    server = stack["consul-server-1"].endpoint("http")

    def steady() -> None:
        cluster.steady()
        if passing(server) != ["consul-client"]:
            raise NotYet(f"passing on {passing(server)}")

    def gone() -> str:
        if found := passing(server):
            raise NotYet(f"still passing on {found}")
        return f"{SERVICE} has left discovery"

    valid(
        run_experiment(
            Experiment(
                name=f"consul-agent-{fault.name}",
                steady=steady,
                leads=cluster.leads(),
                workload=Workload("discoverer", lambda number: Discovers(server, number), interval=0.02),
                fault=fault.inject(stack["consul-client"]),
                witness=fact(gone),
                checkers=(MonotonicIndex(), Deadline(2.0)),
                budgets=BUDGETS,
            )
        )
    )


def test_a_blocking_query_across_a_change_of_leader_misses_nothing(consuls: Any, run_experiment: Any) -> None:
    """It may fail or return early, and then asks again; the value written last is seen.

    Source: Consul, "Blocking queries", "Implementation details".
    """
    stack, cluster = consuls()
    before = cluster.leader()
    reader = stack[next(name for name in cluster.servers if name != before)].endpoint("http")
    call(cluster.agent, "/v1/kv/watched", "PUT", b"first")
    seen: list[str] = []
    ending = threading.Event()

    def watch() -> None:
        index = 1
        while not ending.is_set():
            try:
                answer = ask(reader, f"/v1/kv/watched?raw&wait=3s&index={index}", timeout=5)
            except (OSError, NotYet):
                continue
            if answer.status == 200:
                seen.append(answer.text)
                index = max(int(answer.headers["x-consul-index"]), 1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()

    def sees_the_last(live: Live) -> None:
        live.until(lambda: cluster.moved_from(before), 15, "a new leader")

        def write() -> None:
            if ask(cluster.agent, "/v1/kv/watched", "PUT", b"last").status != 200:
                raise NotYet("not written yet")

        live.until(write, 10, "a write")

        def look() -> None:
            if "last" not in seen:
                raise NotYet(f"seen {seen[-1:]}")

        live.until(look, 10, "the blocking query to return with the last value")

    try:
        valid(
            run_experiment(
                Experiment(
                    name="consul-blocking-query",
                    steady=cluster.steady,
                    leads=cluster.leads(),
                    workload=Workload("discoverer", lambda number: Discovers(cluster.agent, number), interval=0.02),
                    fault=Kill().inject(stack[before]),
                    witness=errors(1),
                    observe=sees_the_last,
                    checkers=(MonotonicIndex(), Deadline(2.0)),
                    budgets=BUDGETS,
                )
            )
        )
    finally:
        ending.set()
        watcher.join(10)
    assert seen[0] == "first"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_deregistered_instance_comes_back_by_anti_entropy(consuls: Any, run_experiment: Any) -> None:
    """The agent is the authority over its services: what somebody removed from the catalog it puts back, within about
    two minutes. Source: Consul, "Anti-entropy enforcement"."""
    stack, cluster = consuls()
    registered(cluster)
    server = stack["consul-server-1"].endpoint("http")

    def remove() -> None:
        call(server, "/v1/catalog/deregister", "PUT", {"Node": "consul-client", "ServiceID": SERVICE})

    def gone() -> str:
        if passing(server):
            raise NotYet("still in the catalog")
        return f"{SERVICE} is not in the catalog"

    def back() -> None:
        if not passing(server):
            raise NotYet("not back yet")

    def comes_back(live: Live) -> None:
        live.until(back, 150, "the agent to put it back")

    valid(
        run_experiment(
            Experiment(
                name="consul-anti-entropy",
                steady=cluster.steady,
                leads=cluster.leads(),
                workload=Workload("discoverer", lambda number: Discovers(server, number), clients=1, interval=0.05),
                fault=Injection("deregister from the catalog", remove, lambda: registered(cluster), back),
                witness=fact(gone),
                observe=comes_back,
                checkers=(MonotonicIndex(), Deadline(2.0)),
                budgets=BUDGETS,
            )
        )
    )
