"""Every way in which an address can be wrong has an error of its own, told from a real handshake."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from harness.errors import TargetDown, TargetError, TargetExpired, TargetMismatch, TargetUntrusted
from harness.model import Endpoint
from harness.smoke.reach import reach
from tests.unit.rigs.core_rig import scripted
from tests.unit.rigs.gate_rig import authority_file, http_gate, server_context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    return str(authority_file(authority, tmp_path / "ca.pem"))


@pytest.fixture
def silent() -> Iterator[int]:
    """Accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def tls(port: int, authority: str, scheme: str = "https", host: str = "127.0.0.1") -> Endpoint:
    return Endpoint("http", host, port, scheme, authority)


def test_a_certificate_of_the_given_authority_is_trusted_and_tells_its_end(authority: trustme.CA, trusted: str) -> None:
    with http_gate(("127.0.0.1", 1), server_context(authority)) as gate:
        assert reach(tls(gate.port, trusted)).endswith(" GMT")
        assert gate.seen == [], "something was sent"


def test_without_tls_only_the_connection_is_tried() -> None:
    with scripted() as script:
        assert reach(script.endpoint) == ""
        assert script.seen == []
    assert reach(Endpoint("dns", "192.0.2.1", 53, "udp")) == ""


@pytest.mark.parametrize("scheme", ["https", "rediss", "grpcs"])
def test_another_authority_is_not_trusted(authority: trustme.CA, tmp_path: Path, scheme: str) -> None:
    stranger = str(authority_file(trustme.CA(), tmp_path / "other.pem"))
    with http_gate(("127.0.0.1", 1), server_context(authority)) as gate:
        with pytest.raises(TargetUntrusted, match=f"{scheme}://127.0.0.1:.*certificate.*checked against {stranger}"):
            reach(tls(gate.port, stranger, scheme))
        with pytest.raises(TargetUntrusted, match="checked against the system's authorities"):
            reach(tls(gate.port, "", scheme))


def test_a_certificate_for_another_name_is_not_trusted(trusted: str, authority: trustme.CA) -> None:
    context = server_context(authority)
    authority.issue_cert("elsewhere.test").configure_cert(context)
    with http_gate(("127.0.0.1", 1), context) as gate, pytest.raises(TargetUntrusted, match="IP address mismatch"):
        reach(tls(gate.port, trusted))


def test_a_certificate_out_of_date_is_expired_not_untrusted(authority: trustme.CA, trusted: str) -> None:
    out_of_date = server_context(authority, expired=True)
    with http_gate(("127.0.0.1", 1), out_of_date) as gate, pytest.raises(TargetExpired, match="has expired"):
        reach(tls(gate.port, trusted))


def test_a_port_that_speaks_no_tls_is_another_services(trusted: str) -> None:
    with scripted() as script, pytest.raises(TargetMismatch, match="does not speak TLS"):
        reach(tls(script.endpoint.port, trusted))


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("127.0.0.1", 1, "Connection refused"),
        ("no-such-host.invalid", 80, "no-such-host.invalid:80: .*name|Name|failure"),
    ],
)
def test_nobody_there_is_down(host: str, port: int, told: str) -> None:
    with pytest.raises(TargetDown, match=told):
        reach(Endpoint("http", host, port, "http"))


def test_a_port_that_never_answers_the_handshake_is_down(silent: int, trusted: str) -> None:
    with pytest.raises(TargetDown, match="accepts connections and does not answer"):
        reach(tls(silent, trusted), within=0.2)


def test_the_reasons_have_different_exit_codes() -> None:
    kinds = (TargetDown, TargetUntrusted, TargetExpired, TargetMismatch)
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert all(issubclass(kind, TargetError) for kind in kinds)
