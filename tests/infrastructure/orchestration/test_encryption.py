"""Services over TLS with access control: what `compose/secure.yml` and `compose/tls.yml` make of the stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.credentials import Secret, certificates
from harness.errors import TargetExpired, TargetMismatch, TargetUntrusted
from harness.keeper.client import RemoteHandle
from harness.pytest_plugin.private import PrivateStacks
from harness.runtimes.external import ExternalHandle
from harness.services import kind_named
from harness.smoke import probe_of
from harness.smoke.reach import reach

FILES = tuple(f"compose/{name}.yml" for name in ("stack", "secure", "tls"))
KINDS = pytest.mark.parametrize("kind", ["consul", "redis", "arangodb", "grafana"])


@pytest.fixture
def secured(private_stack: PrivateStacks) -> Callable[[str], RemoteHandle]:
    """One service over TLS. Some emulators speak none, nor does the Redis that comes as a wheel."""

    def start(kind: str) -> RemoteHandle:
        if private_stack.emulates(kind) and not kind_named(kind).emulator_tls:
            pytest.skip(f"not verified: the emulator of {kind} speaks no TLS")
        if private_stack.from_wheel(kind):
            pytest.skip(f"not verified: the {kind} that comes as a wheel is built without TLS")
        return private_stack(kind, compose=FILES)[kind]

    return start


@KINDS
def test_the_runs_own_authority_is_trusted_and_another_is_not(
    secured: Callable[[str], RemoteHandle], kind: str, tmp_path: Path
) -> None:
    """The certificate is verified by name and authority; nothing is sent to a server that is not trusted (RFC 8446)."""
    handle = secured(kind)
    endpoint = handle.endpoint()
    assert endpoint.encrypted
    assert reach(endpoint)
    stranger = tmp_path / "stranger.pem"
    stranger.write_text(certificates(["consul", "redis"])["TLS_CA"])
    with pytest.raises(TargetUntrusted):
        reach(replace(endpoint, authority=str(stranger)))
    with pytest.raises(TargetUntrusted, match="checked against the system's authorities"):
        reach(replace(endpoint, authority=""))


@KINDS
def test_nothing_is_answered_without_tls_or_without_the_login(
    secured: Callable[[str], RemoteHandle], kind: str
) -> None:
    """No plain port is open, and an anonymous client may not even ask who it is."""
    handle = secured(kind)
    probe, schemes = probe_of(kind), {"https": "http", "rediss": "redis"}
    assert probe
    endpoint, login = handle.endpoint(), dict(handle.credentials)
    assert probe.identify(handle)
    plain = {endpoint.name: replace(endpoint, scheme=schemes[endpoint.scheme], authority="")}
    with pytest.raises(TargetMismatch):
        probe.identify(ExternalHandle(kind, kind, plain, login))
    strange = dict.fromkeys(login, Secret("x" * 36))
    with pytest.raises(TargetExpired):
        probe.identify(ExternalHandle(kind, kind, handle.endpoints, strange))
