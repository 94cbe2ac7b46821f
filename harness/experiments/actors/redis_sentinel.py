"""A Redis under Sentinels: who is primary as its clients see it, when it is steady, and clients that follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.experiments.actors.redis_calls import TIMEOUT, connect, options
from harness.experiments.leads import Leads
from harness.keeper.client import RemoteHandle
from harness.model import Endpoint
from harness.probes.poll import NotYet

if TYPE_CHECKING:
    import redis

GROUP = "mymaster"
ASK = 0.5
"""Seconds that a Sentinel may take to answer."""


class SentinelCluster:
    """The servers and Sentinels of a stack, told apart by their names."""

    def __init__(self, stack: Mapping[str, RemoteHandle]) -> None:
        self.sentinels = {name: handle for name, handle in stack.items() if name.startswith("sentinel")}
        self.servers = {name: handle for name, handle in stack.items() if name.startswith("redis")}
        self.known_as = {name: _pair(handle.inside()) for name, handle in self.servers.items()}
        """By which address the Sentinels know a server: a link's, where they reach it through one."""

    # -- facts, asked of the services themselves ----------------------------------------------------------------

    def address_by(self, sentinel: str) -> tuple[str, int]:
        """Where one Sentinel says that the primary is. Raises NotYet when it does not say."""
        host, port = self._ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP)
        return str(host), int(port)

    def view_of(self, sentinel: str) -> dict[str, Any]:
        """What one Sentinel knows of the group: flags, num-slaves, num-other-sentinels, config-epoch."""
        client = self._client(sentinel)
        try:
            found: dict[str, Any] = client.sentinel_master(GROUP)
        except Exception as error:
            raise NotYet(f"{sentinel}: {error}") from error
        finally:
            client.close()
        return found

    def addresses(self) -> set[tuple[str, int]]:
        """What the Sentinels that answer say; one element when they agree."""
        return {self.address_by(name) for name in self.answering()}

    def answering(self) -> list[str]:
        """The Sentinels that answer."""
        found = []
        for name in self.sentinels:
            try:
                self.address_by(name)
            except NotYet:
                continue
            found.append(name)
        return found

    def primary(self) -> str:
        """The server that all answering Sentinels name. Raises NotYet while they name none or several."""
        said = self.addresses()
        names = [name for name, address in self.known_as.items() if address in said]
        if len(said) != 1 or len(names) != 1:
            raise NotYet(f"Sentinels name {sorted(said) or 'nobody'}")
        return names[0]

    def moved_from(self, before: str) -> str:
        """The new primary's name. Raises NotYet while it is still the old one."""
        now = self.primary()
        if now == before:
            raise NotYet(f"{before} is still the primary")
        return now

    def role(self, server: str) -> str:
        """`master` or `slave`, as the server itself says. Raises NotYet when it does not answer."""
        client = connect(self.servers[server], ASK)
        try:
            return str(client.info("replication")["role"])
        except Exception as error:
            raise NotYet(f"{server}: {error}") from error
        finally:
            client.close()

    def steady(self, replicas: int = 2) -> None:
        """All Sentinels see each other, one primary that answers, and so many replicas in step. Raises NotYet."""
        for name in self.sentinels:
            view = self.view_of(name)
            if view["flags"] != "master" or view["num-other-sentinels"] != len(self.sentinels) - 1:
                raise NotYet(f"{name}: flags {view['flags']}, {view['num-other-sentinels']} other Sentinels")
        self._in_step(self.primary(), replicas)

    def alone(self, server: str) -> str:
        """That a primary has no replica left, as it says itself. Raises NotYet while it has some."""
        client = connect(self.servers[server], ASK)
        try:
            seen = client.info("replication")
        except Exception as error:
            raise NotYet(f"{server}: {error}") from error
        finally:
            client.close()
        if seen["connected_slaves"] > 0:
            raise NotYet(f"{server} still has {seen['connected_slaves']} replicas")
        return f"{server} says that it has no replica left"

    def _in_step(self, primary: str, replicas: int) -> None:
        client = connect(self.servers[primary], ASK)
        try:
            seen = client.info("replication")
        except Exception as error:
            raise NotYet(f"{primary}: {error}") from error
        finally:
            client.close()
        online = [seen[key] for key in seen if key.startswith("slave") and _is_online(seen[key])]
        if seen["role"] != "master" or len(online) < replicas:
            raise NotYet(f"{primary}: {seen['role']} with {len(online)} of {replicas} replicas online")

    # -- clients --------------------------------------------------------------------------------------------------

    def client(self, timeout: float = TIMEOUT) -> redis.Redis:
        """A client that asks the Sentinels at every new connection, one try per call."""
        from redis.sentinel import Sentinel

        addresses = [(handle.endpoint().host, handle.endpoint().port) for handle in self.sentinels.values()]
        password = next(iter(self.servers.values())).credentials.get("password")
        sentinel: Any = Sentinel(addresses, sentinel_kwargs=options(ASK))  # type: ignore[no-untyped-call]
        sentinel.discover_master = self._reachable(sentinel.discover_master)
        found: redis.Redis = sentinel.master_for(
            GROUP, password=password.reveal() if password else None, **options(timeout)
        )
        return found

    def leads(self) -> Leads:
        """Each Sentinel as an observer of who is primary."""
        return Leads("primary", {name: partial(SaysPrimary, self, name) for name in self.sentinels})

    def name_of(self, address: tuple[str, int]) -> str:
        """The server that the Sentinels know by this address; the address itself when it is nobody's."""
        return next((name for name, known in self.known_as.items() if known == address), f"{address[0]}:{address[1]}")

    def _reachable(self, discover: Callable[[str], tuple[str, int]]) -> Callable[[str], tuple[str, int]]:
        """Sentinels name an address of the stack's own network; our clients need the leased one of the same server."""
        leased = {_pair(handle.inside()): _pair(handle.endpoint()) for handle in self.servers.values()}

        def discovered(group: str) -> tuple[str, int]:
            named = discover(group)
            return leased.get(named, named)

        return discovered

    def _client(self, sentinel: str) -> Any:
        return connect(self.sentinels[sentinel], ASK)

    def _ask(self, sentinel: str, *words: str) -> Any:
        client = self._client(sentinel)
        try:
            answer = client.execute_command(*words)
        except Exception as error:
            raise NotYet(f"{sentinel}: {error}") from error
        finally:
            client.close()
        if not answer:
            raise NotYet(f"{sentinel} knows no {GROUP}")
        return answer


class SaysPrimary:
    """One Sentinel, asked over one connection. It is an `Observer`."""

    def __init__(self, cluster: SentinelCluster, sentinel: str) -> None:
        self._cluster, self._client = cluster, connect(cluster.sentinels[sentinel], ASK)

    def who(self) -> str:
        """The server that this Sentinel names."""
        host, port = self._client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP)  # type: ignore[no-untyped-call]
        return self._cluster.name_of((str(host), int(port)))

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _pair(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host, endpoint.port


def _is_online(replica: Any) -> bool:
    return isinstance(replica, dict) and replica.get("state") == "online"
