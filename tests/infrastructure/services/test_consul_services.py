"""Registration and discovery with Consul. Documents: HTTP API "Service - Agent", "Catalog", "Health"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import Answer, ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace


@pytest.fixture
def tells_unknown(stack: RemoteStack) -> bool:
    """Whether to deregister or update something unknown is a 404: since 1.12 (changes 10632 and 11950)."""
    found = re.match(r"(\d+)\.(\d+)", stack["consul"].fidelity.version)
    return found is None or (int(found[1]), int(found[2])) >= (1, 12)


def register(http: Endpoint, name: str, **settings: Any) -> None:
    """Register an instance with the agent."""
    expect(200, http, "/v1/agent/service/register", "PUT", body={"Name": name, **settings})


def deregister(http: Endpoint, identity: str) -> Answer:
    """Take an instance away."""
    return ask(http, f"/v1/agent/service/deregister/{identity}", "PUT")


def instances(http: Endpoint, name: str, query: str = "") -> dict[str, Any]:
    """What discovery answers, by instance id."""
    found = expect(200, http, f"/v1/health/service/{name}?{query}").json()
    return {entry["Service"]["ID"]: entry for entry in found}


def eventually(http: Endpoint, name: str, wanted: set[str], query: str = "") -> dict[str, Any]:
    """Wait for discovery to answer exactly these instances."""

    def found() -> dict[str, Any]:
        seen = instances(http, name, query)
        if set(seen) != wanted:
            raise NotYet(f"{sorted(seen)}")
        return seen

    return poll(found, Deadline.after(5), f"{sorted(wanted)} as {name}?{query}", interval=0.01)


def test_a_registered_service_is_found_with_all_it_said(consul: Any, http: Endpoint, name: str) -> None:
    """Address, port, tags, meta and weights come back from the catalog and from health as they were given."""
    weights = {"Passing": 10, "Warning": 1}
    register(
        http,
        name,
        ID=f"{name}-1",
        Address="10.0.0.7",
        Port=8080,
        Tags=["v2", "blue"],
        Meta={"zone": "b"},
        Weights=weights,
    )
    service = eventually(http, name, {f"{name}-1"})[f"{name}-1"]["Service"]
    assert (service["Address"], service["Port"], service["Tags"]) == ("10.0.0.7", 8080, ["v2", "blue"])
    assert (service["Meta"], service["Weights"]) == ({"zone": "b"}, weights)
    _, (listed,) = consul.catalog.service(name)
    assert (listed["ServiceAddress"], listed["ServicePort"]) == ("10.0.0.7", 8080)
    assert (listed["ServiceMeta"], listed["ServiceWeights"]) == ({"zone": "b"}, weights)
    assert sorted(consul.catalog.services()[1][name]) == ["blue", "v2"]
    assert consul.agent.service.deregister(f"{name}-1") is True
    eventually(http, name, set())


def test_python_consul_registers_and_finds(consul: Any, name: str, http: Endpoint) -> None:
    """python-consul2: `agent.service.register`, `agent.check.ttl_pass`, `health.service(passing=True)`."""
    check = {"TTL": "60s"}
    assert consul.agent.service.register(name, service_id=f"{name}-1", port=80, tags=["x"], check=check) is True
    assert consul.health.service(name, passing=True)[1] == []
    assert consul.agent.check.ttl_pass(f"service:{name}-1") is True
    eventually(http, name, {f"{name}-1"}, "passing")
    _, (found,) = consul.health.service(name, passing=True)
    assert found["Service"]["Port"] == 80


def test_a_deregistered_service_is_gone_with_its_checks(http: Endpoint, name: str) -> None:
    """Deregister service: the agent takes it out of the catalog, with all of its checks; its neighbours stay."""
    for number in (1, 2):
        register(http, name, ID=f"{name}-{number}", Checks=[{"TTL": "60s"}, {"TTL": "50s"}])
    eventually(http, name, {f"{name}-1", f"{name}-2"})
    assert len(expect(200, http, f"/v1/health/checks/{name}").json()) == 4
    assert deregister(http, f"{name}-1").status == 200
    eventually(http, name, {f"{name}-2"})
    left = expect(200, http, f"/v1/health/checks/{name}").json()
    assert {check["ServiceID"] for check in left} == {f"{name}-2"}, "checks of a service that is gone"
    mine = [each for each in expect(200, http, "/v1/agent/checks").json().values() if each["ServiceName"] == name]
    assert len(mine) == 2


def test_registering_again_replaces_what_was_registered(http: Endpoint, name: str) -> None:
    """Same id: one instance, with the new address and tags; its check keeps its status."""
    register(http, name, Port=1, Tags=["old"], Check={"TTL": "60s"})
    expect(200, http, f"/v1/agent/check/pass/service:{name}", "PUT")
    register(http, name, Port=2, Tags=["new"])

    def replaced() -> Any:
        seen = instances(http, name)
        if [entry["Service"]["Port"] for entry in seen.values()] != [2]:
            raise NotYet(f"{seen}")
        return seen[name]

    entry = poll(replaced, Deadline.after(5), "the new registration")
    assert entry["Service"]["Tags"] == ["new"]
    mine = [check for check in entry["Checks"] if check["ServiceName"] == name]
    assert [check["Status"] for check in mine] == ["passing"]


def test_discovery_selects_by_tag_and_by_expression(http: Endpoint, name: str) -> None:
    """`tag` (all of them, when given more than once) and `filter`; an expression that is none is an error."""
    register(http, name, ID=f"{name}-1", Tags=["v1", "blue"], Meta={"zone": "a"})
    register(http, name, ID=f"{name}-2", Tags=["v2", "blue"], Meta={"zone": "b"})
    eventually(http, name, {f"{name}-1", f"{name}-2"}, "tag=blue")
    assert set(instances(http, name, "tag=blue&tag=v2")) == {f"{name}-2"}
    assert set(instances(http, name, "filter=Service.Meta.zone+==+a")) == {f"{name}-1"}
    assert set(instances(http, name, "filter=v1+not+in+Service.Tags")) == {f"{name}-2"}
    broken = ask(http, f"/v1/health/service/{name}?filter=Service.Meta.zone+=")
    assert broken.status >= 400
    assert "Failed to create boolean expression evaluator" in broken.text


def test_only_passing_instances_are_offered_when_asked_for(http: Endpoint, name: str) -> None:
    """`passing`: "only nodes with all checks in the passing state": neither warning nor critical."""
    for status in ("passing", "warning", "critical"):
        register(http, name, ID=f"{name}-{status}", Check={"TTL": "60s", "Status": status})
    eventually(http, name, {f"{name}-{status}" for status in ("passing", "warning", "critical")})
    assert set(instances(http, name, "passing")) == {f"{name}-passing"}


def test_the_agent_answers_for_one_instance_by_status_code(http: Endpoint, name: str) -> None:
    """`/agent/health/service/id/:id`: 200 passing, 429 warning, 503 critical, 404 unknown, for load balancers."""
    register(http, name, Check={"TTL": "60s"})
    for verb, status, text in (("pass", 200, "passing"), ("warn", 429, "warning"), ("fail", 503, "critical")):
        expect(200, http, f"/v1/agent/check/{verb}/service:{name}", "PUT")
        answer = ask(http, f"/v1/agent/health/service/id/{name}?format=text")
        assert (answer.status, answer.text) == (status, text)
    assert ask(http, f"/v1/agent/health/service/id/{name}-none").status == 404


def test_maintenance_hides_an_instance_until_it_ends(http: Endpoint, name: str) -> None:
    """Enable maintenance mode: a critical check of its own, with the reason; discovery skips the instance."""
    for number in (1, 2):
        register(http, name, ID=f"{name}-{number}")
    eventually(http, name, {f"{name}-1", f"{name}-2"}, "passing")
    expect(200, http, f"/v1/agent/service/maintenance/{name}-1?enable=true&reason=disk+swap", "PUT")
    eventually(http, name, {f"{name}-2"}, "passing")
    checks = {check["CheckID"]: check for check in instances(http, name)[f"{name}-1"]["Checks"]}
    maintenance = checks[f"_service_maintenance:{name}-1"]
    assert (maintenance["Status"], maintenance["Notes"]) == ("critical", "disk swap")
    for _ in range(2):
        expect(200, http, f"/v1/agent/service/maintenance/{name}-1?enable=false", "PUT")
    eventually(http, name, {f"{name}-1", f"{name}-2"}, "passing")


def test_a_registration_that_makes_no_sense_is_refused(http: Endpoint, name: str) -> None:
    """400 with the cause, and nothing of it in the catalog."""
    for body, said in (
        ({"Port": 80}, "Missing service name"),
        ({"Name": name, "Address": "0.0.0.0"}, "Invalid service address"),
        ({"Name": name, "Port": "eighty"}, "Request decode failed"),
        ({"Name": name, "Check": {"HTTP": "http://127.0.0.1:1/"}}, "Interval must be > 0"),
        ({"Name": name, "Check": {"TTL": "5s", "Interval": "1s"}}, "Interval and TTL cannot both be specified"),
        ({"Name": name, "Meta": {"key": "v" * 513}}, "Value is too long"),
        ({"Name": name, "Weights": {"Passing": 0, "Warning": 1}}, "Passing must be greater than 0"),
    ):
        refused = ask(http, "/v1/agent/service/register", "PUT", body=body)
        assert refused.status == 400, f"{body}: {refused.status} {refused.text}"
        assert said in refused.text
    assert instances(http, name) == {}


def test_what_is_not_registered_cannot_be_changed(http: Endpoint, name: str, tells_unknown: bool) -> None:
    """Deregistering and reporting on an unknown id: told since 1.12; before, silence and an error of the server."""
    assert deregister(http, name).status == (404 if tells_unknown else 200)
    passed = ask(http, f"/v1/agent/check/pass/{name}", "PUT")
    assert passed.status == (404 if tells_unknown else 500)
    assert name in passed.text
    assert ask(http, f"/v1/agent/service/{name}").status == 404


def test_a_service_outside_the_agent_is_found_until_it_is_taken_out(
    http: Endpoint, namespace: Namespace, name: str
) -> None:
    """Register entity: the catalog takes nodes without an agent (a managed database), with their own checks."""
    node, check = f"{namespace.name}-db", {"Name": "up", "Status": "passing", "ServiceID": "db1"}
    body = {
        "Node": node,
        "Address": "10.9.9.9",
        "Service": {"ID": "db1", "Service": name, "Port": 5432},
        "Check": check,
    }
    expect(200, http, "/v1/catalog/register", "PUT", body=body)
    try:
        found = instances(http, name, "passing")["db1"]
        assert (found["Node"]["Node"], found["Node"]["Address"], found["Service"]["Port"]) == (node, "10.9.9.9", 5432)
        check["Status"] = "critical"
        expect(200, http, "/v1/catalog/register", "PUT", body=body)
        assert instances(http, name, "passing") == {}
    finally:
        expect(200, http, "/v1/catalog/deregister", "PUT", body={"Node": node})
    assert instances(http, name) == {}
    assert expect(200, http, f"/v1/catalog/node/{node}").json() is None


def test_the_leader_is_one_of_the_peers(consul: Any, http: Endpoint, stack: RemoteStack) -> None:
    """`/status/leader` and `/status/peers` give addresses of servers; the catalog lists them as service `consul`."""
    leader, peers = consul.status.leader(), consul.status.peers()
    assert leader in peers
    assert len(peers) == len(set(peers)) == len(instances(http, "consul", "passing"))
    reported = expect(200, http, "/v1/agent/self").json()["Config"]
    assert (reported["Server"], reported["Version"]) == (True, stack["consul"].fidelity.version)
    servers = expect(200, http, "/v1/operator/raft/configuration").json()["Servers"]
    assert [server["Address"] for server in servers if server["Leader"]] == [leader]


def test_an_unknown_datacenter_is_an_error_and_not_an_empty_answer(http: Endpoint, name: str) -> None:
    """`dc`: a query for one that does not exist fails; an empty list would read as "no instances"."""
    register(http, name)
    paths: tuple[Callable[[str], str], ...] = (
        lambda dc: f"/v1/health/service/{name}?dc={dc}",
        lambda dc: f"/v1/kv/{name}?dc={dc}",
    )
    (known,) = expect(200, http, "/v1/catalog/datacenters").json()
    for path in paths:
        refused = ask(http, path("nowhere"))
        assert (refused.status, refused.text) == (500, "No path to datacenter")
        assert ask(http, path(known)).status in (200, 404)
