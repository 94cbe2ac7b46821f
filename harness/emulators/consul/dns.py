"""Names under `.consul`: answers to DNS questions from the catalog. Knows no sockets.

Sources: the DNS interface page; captured answers of 1.8.7 (TTL 0, at most three records over UDP without EDNS,
instances in random order, warning ones included, critical ones not, REFUSED outside the domain).
"""

from __future__ import annotations

import ipaddress
import random
import time
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype as types
import dns.rrset

from .rows import Node, Service
from .server import Server

UDP_ANSWERS = 3


@dataclass(frozen=True)
class _Question:
    """One question with the answer that is being made; `capped` when the asker takes short answers only."""

    name: dns.name.Name
    kind: types.RdataType
    reply: dns.message.Message
    capped: bool

    def address(self, address: str) -> None:
        """Answer with an address of the family asked for, or with the name that stands where one should."""
        kind = types.CNAME
        if _is_ip(address):
            kind = types.A if ipaddress.ip_address(address).version == 4 else types.AAAA
        # A question for anything but the other address family gets the address: real behaviour for TXT and ANY.
        if kind == types.CNAME or self.kind not in {types.A, types.AAAA} or self.kind == kind:
            _add(self.reply.answer, self.name, kind, f"{address}." if kind == types.CNAME else address)


class Resolver:
    """Answers questions."""

    def __init__(self, server: Server, rng: random.Random | None = None) -> None:
        self._server, self._rng = server, rng or random.Random()

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """The response to one query. What is not emulated (the apex, reverse names) is answered NOTIMP."""
        reply = dns.message.make_response(query)
        if not query.question:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        name, kind = query.question[0].name, query.question[0].rdtype
        labels = [label.decode("latin-1").lower() for label in name.labels if label]
        if labels == ["consul"] or labels[-1:] == ["arpa"]:
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply
        if labels[-1:] != ["consul"]:
            reply.set_rcode(dns.rcode.REFUSED)
            return reply
        if not self._found(_Question(name, kind, reply, query.edns < 0), labels[:-1]):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.flags |= dns.flags.AA
        if not reply.answer:
            soa = f"ns.consul. hostmaster.consul. {int(time.time())} 3600 600 86400 0"
            reply.authority.append(dns.rrset.from_text("consul.", 0, "IN", "SOA", soa))
        return reply

    def _found(self, question: _Question, labels: list[str]) -> bool:
        """Fill in the answer; False when the name does not exist."""
        if labels[-1] == self._server.settings.datacenter:
            labels = labels[:-1]
        kind, rest = (labels[-1], labels[:-1]) if labels else ("", [])
        if kind == "node" and rest:
            return self._node(question, ".".join(rest))
        if kind == "service" and rest:
            return self._service(question, *_service_and_tag(rest))
        if kind == "addr" and len(rest) == 1 and len(rest[0]) == 8:
            question.address(str(ipaddress.ip_address(int(rest[0], 16))))
            return True
        return False

    def _node(self, question: _Question, wanted: str) -> bool:
        node = next((node for name, node in self._server.catalog.nodes.items() if name.lower() == wanted), None)
        if node is None:
            return False
        if question.kind == types.TXT:
            _describe(question.reply.answer, question.name, node)
        else:
            question.address(node.address)
            _describe(question.reply.additional, question.name, node)
        return True

    def _service(self, question: _Question, name: str, tag: str) -> bool:
        catalog = self._server.catalog
        known = {service.service for service in catalog.services.values() if service.service.lower() == name}
        found = [
            (node, service)
            for node, service in (pair for each in known for pair in catalog.instances(each, [tag] if tag else None))
            if "dns-critical-included" in self._server.defects
            or all(check.status != "critical" for check in catalog.checks_of(node.node, service.id))
        ]
        self._rng.shuffle(found)
        for node, service in found[:UDP_ANSWERS] if question.capped else found:
            if question.kind == types.SRV:
                self._srv(question, node, service)
            else:
                question.address(service.address or node.address)
        return bool(found)

    def _srv(self, question: _Question, node: Node, service: Service) -> None:
        domain = f"{self._server.settings.datacenter}.consul."
        own = target = f"{node.node}.node.{domain}"
        address = service.address or node.address
        if service.address:
            numeric = _is_ip(address)
            target = f"{ipaddress.ip_address(address).packed.hex()}.addr.{domain}" if numeric else f"{address}."
        weight = service.weights.get("Passing", 1)
        _add(question.reply.answer, question.name, types.SRV, f"1 {weight} {service.port} {target}")
        if _is_ip(address):
            _add(question.reply.additional, dns.name.from_text(target), types.A, address)
        _describe(question.reply.additional, dns.name.from_text(own), node)


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


def _describe(section: list[dns.rrset.RRset], name: dns.name.Name, node: Node) -> None:
    """A node's metadata as TXT records."""
    for key, value in sorted((node.meta or {}).items()):
        _add(section, name, types.TXT, f'"{key}={value}"')


def _add(section: list[dns.rrset.RRset], name: dns.name.Name, kind: types.RdataType, text: str) -> None:
    record = dns.rrset.from_text(name, 0, "IN", types.to_text(kind), text)
    known = next((known for known in section if known.name == name and known.rdtype == kind), None)
    if known is None:
        section.append(record)
    else:
        for item in record:
            known.add(item)
