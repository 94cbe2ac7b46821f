"""ssh's own words become one sentence with the next step. The words were printed by OpenSSH 9.2."""

from __future__ import annotations

import pytest

from harness.runtimes.ssh.address import SshAddress
from harness.runtimes.ssh.refusals import explain

ADDRESS = SshAddress("far.test", "me", 2222)


@pytest.mark.parametrize(
    ("printed", "sentence", "step"),
    [
        ("ssh: Could not resolve hostname far.test: Name or service not known", "no such host as far.test", "mend"),
        ("No ED25519 host key is known for far.test and you have requested strict checking.\n"
         "Host key verification failed.", "its host key is not known here", "-p 2222 me@far.test true"),
        ("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
         "its host key is not the one that is known", "ssh-keygen -R far.test"),
        ("me@far.test: Permission denied (publickey,password).", "the login as me is refused", "ssh-copy-id"),
        ("Received disconnect from ::1 port 22:2: Too many authentication failures", "too many", "IdentityFile"),
        ("ssh: connect to host far.test port 2222: Connection refused", "nobody listens on its ssh port", "sshd"),
        ("ssh: connect to host far.test port 2222: Connection timed out", "does not answer ssh in time", "up"),
        ("ssh: connect to host far.test port 2222: No route to host", "no way leads to it", "network"),
        ("kex_exchange_identification: Connection closed by remote host", "closes the connection", "MaxStartups"),
        ("/c: line 1: Bad configuration option: bogus\n/c: terminating, 1 bad configuration options",
         "your ssh configuration cannot be used: /c: terminating, 1 bad configuration options", "--ssh-config"),
        ("Can't open user config file /c: No such file or directory", "cannot be used: Can't open", "--ssh-config"),
        ("/bin/sh: 1: exec: jump: not found\nproxy: gone", "the way through a proxy", "ProxyJump"),
        ("something new", "something new", "log in once by hand"),
        ("", "ssh ended without a word", "log in once by hand"),
    ],
)  # fmt: skip
def test_what_ssh_says_is_one_sentence_and_a_step(printed: str, sentence: str, step: str) -> None:
    told = explain(ADDRESS, printed)
    assert told.message.startswith("docker engine at ssh://me@far.test:2222: ")
    assert sentence in told.message
    assert "\n" not in told.message
    assert step in told.next_step


def test_without_a_user_it_is_you_who_is_refused() -> None:
    told = explain(SshAddress("far.test"), "me@far.test: Permission denied (publickey).")
    assert "the login as you is refused" in told.message
    assert told.next_step.startswith("`ssh-copy-id far.test`")
