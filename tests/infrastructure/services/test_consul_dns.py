"""Discovery by DNS: what a resolver or a load balancer sees. Documents: "Consul DNS", "Static queries"."""

from __future__ import annotations

import ipaddress
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.http import expect
from harness.probes.poll import Deadline, NotYet, poll


class Names:
    """Asks the agent's DNS server over UDP."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def ask(self, name: str, kind: str = "A", edns: bool = False) -> dns.message.Message:
        """One question, the answer whatever it is."""
        question = dns.message.make_query(name, kind, use_edns=0 if edns else False, payload=4096 if edns else None)
        return dns.query.udp(question, self.endpoint.host, port=self.endpoint.port, timeout=3)

    def records(self, name: str, kind: str = "A", edns: bool = False) -> list[Any]:
        """The records of that kind in the answer."""
        wanted = dns.rdatatype.from_text(kind)
        return [record for part in self.ask(name, kind, edns).answer if part.rdtype == wanted for record in part]

    def addresses(self, name: str, edns: bool = False) -> list[str]:
        """The answer's addresses, sorted."""
        return sorted(record.address for record in self.records(name, "A", edns))

    def until(self, name: str, wanted: list[str]) -> None:
        """Wait for exactly these addresses."""

        def found() -> None:
            if (seen := self.addresses(name)) != wanted:
                raise NotYet(f"{seen}")

        poll(found, Deadline.after(5), f"{name} to be {wanted}", interval=0.01)


@pytest.fixture
def names(stack: RemoteStack) -> Names:
    """The agent's DNS server. Skips where datagrams do not get to it."""
    if stack.elsewhere:
        pytest.skip("not verified: DNS over UDP, which ssh does not forward from an engine on another machine")
    return Names(stack["consul"].endpoint("dns"))


def register(http: Endpoint, name: str, number: int, status: str = "passing", **settings: Any) -> None:
    """Register an instance at 10.0.0.<number>:80<number>, with a check of that status."""
    body = {"Name": name, "ID": f"{name}-{number}", "Address": f"10.0.0.{number}", "Port": 8000 + number, **settings}
    body["Check"] = {"TTL": "600s", "Status": status}
    expect(200, http, "/v1/agent/service/register", "PUT", body=body)


def test_a_name_resolves_to_the_addresses_of_healthy_instances(http: Endpoint, names: Names, name: str) -> None:
    """`<service>.service.consul`: instances without failing checks, a warning is none; with TTL 0, so nobody caches."""
    for number, status in ((1, "passing"), (2, "warning"), (3, "critical")):
        register(http, name, number, status)
    names.until(f"{name}.service.consul", ["10.0.0.1", "10.0.0.2"])
    answer = names.ask(f"{name}.service.consul")
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert {part.ttl for part in answer.answer} == {0}
    assert names.addresses(f"{name}.SERVICE.dc1.Consul.") == ["10.0.0.1", "10.0.0.2"]


def test_an_instance_leaves_the_answer_when_it_fails_and_returns(http: Endpoint, names: Names, name: str) -> None:
    """DNS: failing checks filter an instance out at once; there is nothing in between that caches."""
    for number in (1, 2):
        register(http, name, number)
    names.until(f"{name}.service.consul", ["10.0.0.1", "10.0.0.2"])
    expect(200, http, f"/v1/agent/check/fail/service:{name}-1", "PUT")
    names.until(f"{name}.service.consul", ["10.0.0.2"])
    expect(200, http, f"/v1/agent/check/pass/service:{name}-1", "PUT")
    names.until(f"{name}.service.consul", ["10.0.0.1", "10.0.0.2"])
    expect(200, http, f"/v1/agent/service/maintenance/{name}-2?enable=true", "PUT")
    names.until(f"{name}.service.consul", ["10.0.0.1"])


def test_srv_records_give_port_and_target_of_each_instance(http: Endpoint, names: Names, name: str) -> None:
    """SRV: the port, and a target whose A record comes along in the additional section."""
    for number in (1, 2):
        register(http, name, number)
    names.until(f"{name}.service.consul", ["10.0.0.1", "10.0.0.2"])
    answer = names.ask(f"{name}.service.consul", "SRV")
    targets = {record.target: record.port for part in answer.answer for record in part}
    brought = {part.name: part[0].address for part in answer.additional if part.rdtype == dns.rdatatype.A}
    assert {brought[target]: port for target, port in targets.items()} == {"10.0.0.1": 8001, "10.0.0.2": 8002}
    for target, address in brought.items():
        assert names.addresses(str(target)) == [address], "the target does not resolve by itself"


def test_srv_names_by_rfc_2782_select_by_tag(http: Endpoint, names: Names, name: str) -> None:
    """`_<service>._<tag>.service.consul` and `<tag>.<service>.service.consul`; `_tcp` stands for no tag."""
    register(http, name, 1, Tags=["blue"])
    register(http, name, 2, Tags=["green"])
    names.until(f"{name}.service.consul", ["10.0.0.1", "10.0.0.2"])
    assert [record.port for record in names.records(f"_{name}._green.service.consul", "SRV")] == [8002]
    assert sorted(record.port for record in names.records(f"_{name}._tcp.service.consul", "SRV")) == [8001, 8002]
    assert names.addresses(f"blue.{name}.service.consul") == ["10.0.0.1"]


def test_a_udp_answer_is_short_unless_the_asker_takes_more(http: Endpoint, names: Names, name: str) -> None:
    """`udp_answer_limit`: three records over plain UDP, others from call to call; all of them with EDNS."""
    everyone = [f"10.0.0.{number}" for number in range(1, 7)]
    for number in range(1, 7):
        register(http, name, number)

    def registered() -> None:
        if (seen := names.addresses(f"{name}.service.consul", edns=True)) != everyone:
            raise NotYet(f"{seen}")

    poll(registered, Deadline.after(5), "all six instances", interval=0.01)
    answers = [names.addresses(f"{name}.service.consul") for _ in range(40)]
    assert {len(answer) for answer in answers} == {3}
    assert {address for answer in answers for address in answer} == set(everyone), "some instance is never offered"


def test_a_name_that_is_unknown_differs_from_one_without_such_records(http: Endpoint, names: Names, name: str) -> None:
    """NXDOMAIN for no such service, NOERROR without records for no such kind; both with the SOA that bounds caching."""
    register(http, name, 1)
    names.until(f"{name}.service.consul", ["10.0.0.1"])
    missing, no_ipv6 = names.ask(f"{name}-none.service.consul"), names.ask(f"{name}.service.consul", "AAAA")
    assert (missing.rcode(), no_ipv6.rcode()) == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)
    for answer in (missing, no_ipv6):
        assert not answer.answer
        assert [part.rdtype for part in answer.authority] == [dns.rdatatype.SOA]


def test_the_last_instance_to_fail_leaves_no_such_name(http: Endpoint, names: Names, name: str) -> None:
    """A service whose instances all fail does not resolve: better no answer than a bad one."""
    register(http, name, 1)
    names.until(f"{name}.service.consul", ["10.0.0.1"])
    expect(200, http, f"/v1/agent/check/fail/service:{name}-1", "PUT")
    names.until(f"{name}.service.consul", [])
    assert names.ask(f"{name}.service.consul").rcode() == dns.rcode.NXDOMAIN


def test_nodes_resolve_and_what_is_not_ours_is_refused(http: Endpoint, names: Names) -> None:
    """`<node>.node.consul` is the node's address; without a recursor, names outside the domain are not answered."""
    node, *_ = expect(200, http, "/v1/catalog/service/consul").json()
    assert names.addresses(f"{node['Node']}.node.consul") == [str(ipaddress.ip_address(node["Address"]))]
    assert names.ask("example.com").rcode() == dns.rcode.REFUSED
