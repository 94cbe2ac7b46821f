"""Logins with the rights that docs/smoke.md names, with too few, or expired: made in each service as administrator.

`Logins` maps a kind to `good`, `forbidden` and (where the service has expiring ones) `expired` credentials.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from harness.credentials import Secret
from harness.errors import TargetExpired
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.external import ExternalHandle
from harness.services import kind_named
from harness.smoke.base import granted

Credentials = dict[str, str]
Logins = dict[str, dict[str, Credentials]]
DATABASE = "orders"
CONSUL_RULES = """
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
key_prefix "smoke/" { policy = "%s" }
session_prefix "" { policy = "write" }
"""
READING = ("+info", "+scan")
WRITING = ("+set", "+get", "+ttl", "+del", "+exists", "+multi", "+discard")
GATEWAY = {"good": {"token": "gateway-good"}, "forbidden": {"token": "gateway-reads"}}
"""For services that have no login of their own: what `gateway` takes."""
LIVES = 60
"""Seconds that the expired Consul token lived: the server's least."""


def make_logins(admin: Mapping[str, ExternalHandle], jwt_secret: str) -> Logins:
    """Every kind's. `admin` are handles as administrator, by kind."""
    return {
        "consul": _consul(admin["consul"]),
        "redis": _redis(admin["redis"]),
        "arangodb": _arangodb(admin["arangodb"], jwt_secret),
        "grafana": _grafana(admin["grafana"]),
        "tempo": GATEWAY,
        "otel_collector": GATEWAY,
    }


def gateway(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """What a gateway in front of Tempo and the Collector answers: its health and metrics are open."""
    token = headers.get("authorization", "").removeprefix("Bearer ")
    if path in ("/", "/metrics") or token == "gateway-good":
        return None
    if token != "gateway-reads":
        return 401, "unknown token"
    return (403, "this token may not write") if method == "POST" else None


def expired(handle: ExternalHandle, path: str) -> Callable[[], None]:
    """A question for `poll`: whether this login is refused by now."""

    def ask() -> None:
        try:
            granted(handle, path)
        except TargetExpired:
            return
        raise NotYet(f"{handle.kind} still takes it")

    return ask


def _done(handle: ExternalHandle, path: str, method: str, body: Any) -> Any:
    answer = granted(handle, path, method, body=body)
    assert answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.text}"
    return answer.json()


def _consul(admin: ExternalHandle) -> dict[str, Credentials]:
    def token(policy: str, **more: str) -> Credentials:
        made = _done(admin, "/v1/acl/token", "PUT", {"Policies": [{"Name": policy}], **more})
        return {"token": made["SecretID"]}

    for name, right in (("smoke", "write"), ("smoke-reader", "read")):
        _done(admin, "/v1/acl/policy", "PUT", {"Name": name, "Rules": CONSUL_RULES % right})
    short = token("smoke", ExpirationTTL=f"{LIVES}s")
    return {"good": token("smoke"), "forbidden": token("smoke-reader"), "expired": short}


def _redis(admin: ExternalHandle) -> dict[str, Credentials]:
    client = kind_named("redis").client(admin)
    made = {}
    for login, name, rights in (("good", "smoke", (*READING, *WRITING)), ("forbidden", "reader", READING)):
        password = secrets.token_hex(8)
        client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", "~smoke/*", *rights)
        made[login] = {"username": name, "password": password}
    client.close()
    return made


def _arangodb(admin: ExternalHandle, secret: str) -> dict[str, Credentials]:
    def token(user: str, seconds: int) -> Credentials:
        payload = {
            "preferred_username": user,
            "iss": "arangodb",
            "iat": int(time.time()),
            "exp": int(time.time()) + seconds,
        }
        return {"token": jwt.encode(payload, secret, "HS256")}

    _done(admin, "/_api/database", "POST", {"name": DATABASE})
    for name, right in (("smoke", "rw"), ("reader", "ro")):
        _done(admin, "/_api/user", "POST", {"user": name, "passwd": secrets.token_hex(8)})
        _done(admin, f"/_api/user/{name}/database/{DATABASE}", "PUT", {"grant": right})
    return {"good": token("smoke", 3600), "forbidden": token("reader", 3600), "expired": token("smoke", -60)}


def _grafana(admin: ExternalHandle) -> dict[str, Credentials]:
    made = {}
    for login, role, seconds in (("good", "Editor", 3600), ("forbidden", "Viewer", 3600), ("expired", "Editor", 1)):
        account = _done(admin, "/api/serviceaccounts", "POST", {"name": f"smoke-{login}", "role": role})
        wanted = {"name": login, "secondsToLive": seconds}
        made[login] = {"token": _done(admin, f"/api/serviceaccounts/{account['id']}/tokens", "POST", wanted)["key"]}
    return made


def wait_until_expired(admin: Mapping[str, ExternalHandle], logins: Logins) -> None:
    """Return when the logins that are to be expired are. Takes up to the least life of a Consul token."""
    for kind, path in (("consul", "/v1/agent/self"), ("grafana", "/api/folders")):
        given = {name: Secret(text) for name, text in logins[kind]["expired"].items()}
        handle = ExternalHandle(kind, kind, admin[kind].endpoints, given)
        poll(expired(handle, path), Deadline.after(3 * LIVES), f"the {kind} token's end", interval=0.5)
