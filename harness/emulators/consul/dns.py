"""Names under `.consul`: answers to DNS questions from the catalog.

Sources: the DNS interface page; captured answers of 1.8.7 (TTL 0, at most three records over UDP without EDNS,
instances in random order, warning ones included, critical ones not, REFUSED outside the domain).
"""

from __future__ import annotations

import ipaddress
import random
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype as types
import dns.rrset

from .rows import Node, Service
from .server import Server

UDP_ANSWERS = 3
_ADDRESS_TYPES = {4: types.A, 6: types.AAAA}


class Resolver:
    """Answers questions; knows no sockets. `now` gives Unix time for the SOA serial."""

    def __init__(self, server: Server, rng: random.Random | None = None) -> None:
        self._server, self._rng = server, rng or random.Random()

    def answer(self, query: dns.message.Message, *, udp: bool) -> dns.message.Message:
        """The response to one query."""
        reply = dns.message.make_response(query)
        if not query.question:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        question = query.question[0]
        labels = [label.decode("latin-1").lower() for label in question.name.labels if label]
        if labels[-2:] == ["in-addr", "arpa"]:
            self._reverse(reply, question.name, labels)
        elif labels[-1:] != ["consul"]:
            reply.set_rcode(dns.rcode.REFUSED)
            return reply
        elif not self._forward(reply, question.name, question.rdtype, labels[:-1], udp and query.edns < 0):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.flags |= dns.flags.AA
        if not reply.answer:
            reply.authority.append(self._soa())
        return reply

    def _forward(
        self, reply: dns.message.Message, name: dns.name.Name, rdtype: types.RdataType, labels: list[str], capped: bool
    ) -> bool:
        """Fill in the answer; False when the name does not exist."""
        if not labels:
            return self._apex(reply, name, rdtype)
        if labels[-1] == self._server.settings.datacenter:
            labels = labels[:-1]
        kind, rest = (labels[-1], labels[:-1]) if labels else ("", [])
        if kind == "node" and len(rest) >= 1:
            return self._node(reply, name, rdtype, ".".join(rest))
        if kind == "addr" and len(rest) == 1:
            return self._hex_address(reply, name, rdtype, rest[0])
        if kind == "service" and rest:
            return self._service(reply, name, rdtype, rest, capped)
        return False

    def _apex(self, reply: dns.message.Message, name: dns.name.Name, rdtype: types.RdataType) -> bool:
        target = self._node_target(self._server.settings.node)
        servers = dns.rrset.from_text(name, 0, "IN", "NS", target)
        if rdtype == types.SOA:
            reply.answer.append(self._soa())
            reply.authority.append(servers)
        elif rdtype == types.NS:
            reply.answer.append(servers)
        if reply.answer:
            _add(reply.additional, dns.name.from_text(target), types.A, self._server.settings.bind)
        return True

    def _node(self, reply: dns.message.Message, name: dns.name.Name, rdtype: types.RdataType, wanted: str) -> bool:
        nodes = self._server.catalog.nodes
        node = next((node for node in nodes.values() if node.node.lower() == wanted), None)
        if node is None:
            return False
        if rdtype != types.TXT:
            _address(reply.answer, name, rdtype, node.address)
        self._meta(reply.answer if rdtype == types.TXT else reply.additional, name, node)
        return True

    def _hex_address(self, reply: dns.message.Message, name: dns.name.Name, rdtype: types.RdataType, text: str) -> bool:
        try:
            address = ipaddress.ip_address(bytes.fromhex(text))
        except ValueError:
            return False
        _address(reply.answer, name, rdtype, str(address))
        return True

    def _service(
        self, reply: dns.message.Message, name: dns.name.Name, rdtype: types.RdataType, labels: list[str], capped: bool
    ) -> bool:
        found = self._instances(*_service_and_tag(labels))
        if not found:
            return False
        self._rng.shuffle(found)
        for node, service in found[:UDP_ANSWERS] if capped else found:
            if rdtype == types.SRV:
                self._srv(reply, name, node, service)
            else:
                _address(reply.answer, name, rdtype, service.address or node.address)
        return True

    def _instances(self, name: str, tag: str) -> list[tuple[Node, Service]]:
        catalog = self._server.catalog
        names = {service.service for service in catalog.services.values() if service.service.lower() == name}
        found = [pair for known in names for pair in catalog.instances(known, [tag] if tag else None)]
        critical = "dns-critical-included" not in self._server.defects
        return [
            (catalog.nodes[node], service)
            for node, service in found
            if not (critical and any(c.status == "critical" for c in catalog.checks_of(node, service.id)))
        ]

    def _srv(self, reply: dns.message.Message, name: dns.name.Name, node: Node, service: Service) -> None:
        target, address = self._node_target(node.node), node.address
        if service.address:
            target, address = self._address_target(service.address), service.address
        weight = service.weights.get("Passing", 1)
        _add(reply.answer, name, types.SRV, f"1 {weight} {service.port} {target}")
        if _is_ip(address):
            _address(reply.additional, dns.name.from_text(target), types.A, address)
        self._meta(reply.additional, dns.name.from_text(self._node_target(node.node)), node)

    def _node_target(self, node: str) -> str:
        return f"{node}.node.{self._server.settings.datacenter}.consul."

    def _address_target(self, address: str) -> str:
        if not _is_ip(address):
            return f"{address}."
        return f"{ipaddress.ip_address(address).packed.hex()}.addr.{self._server.settings.datacenter}.consul."

    def _meta(self, section: list[dns.rrset.RRset], name: dns.name.Name, node: Node) -> None:
        for key, value in sorted((node.meta or {}).items()):
            _add(section, name, types.TXT, f'"{key}={value}"')

    def _reverse(self, reply: dns.message.Message, name: dns.name.Name, labels: list[str]) -> None:
        address = ".".join(reversed(labels[:-2]))
        for node in self._server.catalog.nodes.values():
            if node.address == address:
                _add(reply.answer, name, types.PTR, self._node_target(node.node))
        if not reply.answer:
            reply.set_rcode(dns.rcode.NXDOMAIN)

    def _soa(self) -> dns.rrset.RRset:
        text = f"ns.consul. hostmaster.consul. {int(time.time())} 3600 600 86400 0"
        return dns.rrset.from_text("consul.", 0, "IN", "SOA", text)


def _service_and_tag(labels: list[str]) -> tuple[str, str]:
    """`tag.name`, or RFC 2782 `_name._tag` where the tag `tcp` means none."""
    if len(labels) == 2 and labels[0].startswith("_") and labels[1].startswith("_"):
        return labels[0][1:], "" if labels[1] in {"_tcp", "_udp"} else labels[1][1:]
    return labels[-1], ".".join(labels[:-1])


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(section: list[dns.rrset.RRset], name: dns.name.Name, rdtype: types.RdataType, address: str) -> None:
    if not _is_ip(address):
        _add(section, name, types.CNAME, f"{address}.")
        return
    kind = _ADDRESS_TYPES[ipaddress.ip_address(address).version]
    # A question for anything but the other address family gets the address: real behaviour for TXT and ANY.
    if rdtype not in _ADDRESS_TYPES.values() or rdtype == kind:
        _add(section, name, kind, address)


def _add(section: list[dns.rrset.RRset], name: dns.name.Name, kind: types.RdataType, text: str) -> None:
    record = dns.rrset.from_text(name, 0, "IN", types.to_text(kind), text)
    for known in section:
        if known.name == name and known.rdtype == kind:
            for item in record:
                known.add(item)
            return
    section.append(record)
