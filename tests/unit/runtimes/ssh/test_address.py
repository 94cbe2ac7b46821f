"""An engine's address over ssh: what can be read is kept as it was written, the rest is refused in one sentence."""

from __future__ import annotations

import pytest

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh.address import SshAddress, is_ssh


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ssh://host", SshAddress("host")),
        ("ssh://me@host", SshAddress("host", "me")),
        ("ssh://me@host:2222", SshAddress("host", "me", 2222)),
        ("ssh://Build-Host/", SshAddress("Build-Host")),
        ("ssh://me@host/run/user/1000/docker.sock", SshAddress("host", "me", 0, "/run/user/1000/docker.sock")),
        ("ssh://me@[2001:db8::1]:22", SshAddress("2001:db8::1", "me", 22)),
    ],
)
def test_an_address_is_read_and_told_as_it_was_written(text: str, read: SshAddress) -> None:
    assert SshAddress.parse(text) == read
    assert SshAddress.parse(str(read)) == read


def test_the_usual_socket_is_not_told() -> None:
    assert str(SshAddress.parse("ssh://me@host/var/run/docker.sock")) == "ssh://me@host"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ssh://", "no host: expected ssh://"),
        ("ssh://me@", "no host: expected ssh://"),
        ("ssh://host:99999", "Port out of range"),
        ("ssh://host:x", "Port could not be cast"),
        ("ssh://-oProxyCommand=id", "no host could be called"),
        ("ssh://-l@host", "no user could be called '-l'"),
        ("ssh://@host", "no user could be called ''"),
        ("ssh://host/a:b.sock", "no socket could be called '/a:b.sock'"),
        ("ssh://host/%h.sock", "no socket could be called"),
        ("ssh://host?x=1", "'x=1' behind the path"),
        ("ssh://host#x", "'x' behind the path"),
        ("ssh://[::1", "Invalid IPv6 URL"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_expected(text: str, told: str) -> None:
    with pytest.raises(RuntimeUnavailable) as refused:
        SshAddress.parse(text)
    assert f"docker engine at {text}: " in refused.value.message
    assert told in refused.value.message
    assert "DOCKER_HOST or --engines" in refused.value.next_step


@pytest.mark.parametrize("text", ["ssh://me:hunter2@host", "ssh://me:hunter2@host:x", "ssh://:hunter2@"])
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(RuntimeUnavailable) as refused:
        SshAddress.parse(text)
    assert "hunter2" not in str(refused.value)
    assert ":***@" in refused.value.message


def test_only_the_scheme_makes_it_one() -> None:
    assert [is_ssh(text) for text in ("ssh://h", "SSH://h", "unix:///ssh:", "")] == [True, True, False, False]
