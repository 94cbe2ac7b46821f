"""Leased addresses become those of TLS where the compose file says so, with the authority to verify against."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import PlanError
from harness.keeper.encryption import over_tls
from harness.model import Endpoint, Mount, ServicePlan
from harness.services.base import AUTHORITY
from tests.unit.rigs.core_rig import plan_of, service

PORTS = {"http": Endpoint("http", "127.0.0.1", 1, "http"), "dns": Endpoint("dns", "127.0.0.1", 2, "udp")}
CA = Mount("content", AUTHORITY, "PEM")


def encrypted(tmp_path: Path, *services: ServicePlan) -> dict[str, dict[str, Endpoint]]:
    return over_tls(plan_of(*services), {one.name: PORTS for one in services}, tmp_path)


def test_the_named_port_speaks_tls_and_has_the_authority_in_a_file(tmp_path: Path) -> None:
    found = encrypted(tmp_path, service("consul", kind="consul", tls=("http",), mounts=(CA,)), service("plain"))
    http = found["consul"]["http"]
    assert (http.scheme, http.port, http.encrypted) == ("https", 1, True)
    assert Path(http.authority).read_text() == "PEM"
    assert found["consul"]["dns"] == PORTS["dns"]
    assert found["plain"] == PORTS


def test_an_authority_of_the_hosts_own_is_used_where_it_lies(tmp_path: Path) -> None:
    mounted = Mount("bind", AUTHORITY, "/etc/own-ca.pem")
    found = encrypted(tmp_path, service("consul", kind="consul", tls=("http",), mounts=(mounted,)))
    assert found["consul"]["http"].authority == "/etc/own-ca.pem"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["dns", "htpp"])
def test_a_port_that_cannot_is_told_with_those_that_can(tmp_path: Path, port: str) -> None:
    with pytest.raises(PlanError, match=f"tls: '{port}': expected one of http"):
        encrypted(tmp_path, service("consul", kind="consul", tls=(port,), mounts=(CA,)))


def test_without_an_authority_nothing_could_be_verified(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=f"no config or file is mounted at {AUTHORITY}"):
        encrypted(tmp_path, service("consul", kind="consul", tls=("http",)))
