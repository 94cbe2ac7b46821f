"""What ssh says when it does not get through, as one sentence with the next step.

Source: OpenSSH's own words (sshconnect.c, sshconnect2.c, readconf.c), which are in English everywhere.
"""

from __future__ import annotations

import re

from harness.errors import RuntimeUnavailable
from harness.runtimes.ssh.address import SshAddress

MEND = "mend DOCKER_HOST or --engines"
LOG_IN = "log in once by hand, with the same user and host, until `ssh -o BatchMode=yes {to} true` is silent"
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"Could not resolve hostname", "no such host as {host}", f"{MEND}, or name it in your ssh configuration"),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known for it",
        "find out why; if it is meant to be so, `ssh-keygen -R {host}`, and log in once by hand",
    ),
    (r"Host key verification failed", "its host key is not known here: expected it in known_hosts", LOG_IN),
    (
        r"Permission denied \(",
        "the login as {who} is refused: expected a key that it takes, for passwords are not asked for",
        "`ssh-copy-id {to}`, or load the key into your agent",
    ),
    (
        r"Too many authentication failures",
        "the login as {who} is refused after too many keys",
        "name one: IdentityFile",
    ),
    (r"Connection refused", "nobody listens on its ssh port", f"start its sshd, or {MEND}"),
    (
        r"timed out",
        "it does not answer ssh in time",
        f"see whether it is up, and whether a firewall is between; or {MEND}",
    ),
    (r"No route to host|Network is unreachable", "no way leads to it", f"see your network, or {MEND}"),
    (
        r"Connection (closed|reset)|kex_exchange_identification|banner exchange",
        "it closes the connection before the login",
        "see its sshd's log: too many logins at once (MaxStartups), or no sshd at that port",
    ),
    (
        r"[Bb]ad configuration option|Bad owner or permissions|Can't open user config file|terminating, \d+ bad",
        "your ssh configuration cannot be used: {said}",
        "mend it, or name another with --ssh-config",
    ),
    (
        r"Executable file not found|ProxyCommand|proxy",
        "the way through a proxy does not work: {said}",
        "see ProxyJump and ProxyCommand in your ssh configuration",
    ),
)


def explain(address: SshAddress, output: str) -> RuntimeUnavailable:
    """Why there is no connection, from what ssh printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = {
        "host": address.host,
        "to": f"-p {address.port} {address.destination}" if address.port else address.destination,
        "who": address.user or "you",
        "said": lines[-1] if lines else "ssh ended without a word",
    }
    for pattern, sentence, step in _KNOWN:
        if re.search(pattern, output):
            return RuntimeUnavailable(_about(address, sentence.format(**told)), step.format(**told))
    return RuntimeUnavailable(_about(address, told["said"]), LOG_IN.format(**told))


def _about(address: SshAddress, text: str) -> str:
    return f"docker engine at {address}: {text}"
