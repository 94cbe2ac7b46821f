"""Seeded defects: each a small bug at the place where a real one would be, so that tests can show they see it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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
