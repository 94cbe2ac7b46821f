"""What can be chosen for a start: one of two versions, with what differs on the wire, and seeded defects.

Sources: answers of a real 1.8.7 for the first; the upgrade notes and API pages of 1.22 for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.emulators.runner import ConfigError


@dataclass(frozen=True)
class Profile:
    """Version-dependent behaviour. `modern` stands for everything that changed between 1.9 and 1.22."""

    version: str
    modern: bool
    limits_url: str

    @property
    def reported(self) -> str:
        """The version as the API says it: never mistakable for a real server's."""
        return f"{self.version}+emu"

    def unknown_path(self, path: str) -> str:
        """The body of a 404 for a path that no endpoint owns (older: empty)."""
        if not self.modern:
            return ""
        if path.startswith("/v1/"):
            return "Invalid URL path: not a recognized HTTP API endpoint"
        return "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'"


_OPTIONS = "https://www.consul.io/docs/agent/options.html#"
_CONFIG_FILES = "https://developer.hashicorp.com/docs/agent/config/config-files#"
PROFILES = {"1.8": Profile("1.8.7", False, _OPTIONS), "1.22": Profile("1.22.0", True, _CONFIG_FILES)}


def profile_named(name: str) -> Profile:
    """The profile called `1.8` or `1.22`. Raises ConfigError naming both for anything else."""
    if name not in PROFILES:
        raise ConfigError(f"unknown Consul profile {name!r}; known: {', '.join(PROFILES)}")
    return PROFILES[name]


DEFECTS: Mapping[str, str] = MappingProxyType(
    {
        "kv-lost-write": "every tenth plain KV PUT is acknowledged with true and not stored",
        "kv-cas-ignored": "PUT ?cas= writes whatever the entry's ModifyIndex is",
        "lock-two-holders": "?acquire= succeeds although another session holds the key",
        "session-ttl-ignored": "a session with a TTL is never invalidated when it is not renewed",
        "lock-delay-skipped": "a lock can be taken at once after its holder's session was invalidated",
        "blocking-never-wakes": "a blocking query is not woken by a change and runs to its full wait",
        "index-backwards": "X-Consul-Index of every seventh KV answer goes back by ten",
        "health-stale": "a check that turned critical still reads as passing in /v1/health and DNS",
        "ttl-never-expires": "a TTL check that is not refreshed keeps its last status",
        "log-not-written": "a KV write is acknowledged but never reaches the data directory",
        "txn-not-atomic": "the operations before the failing one of a transaction stay applied",
        "dns-critical-included": "DNS answers with instances whose checks are critical",
        "acl-deny-ignored": "a token without write permission on a key may write it",
        "deregister-leaves-checks": "deregistering a service leaves its checks behind in the catalog",
    }
)
"""Each a small bug at the place where a real one would be, so that tests can show they see it."""
