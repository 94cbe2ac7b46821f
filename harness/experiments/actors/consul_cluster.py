"""Consul servers and an agent: who leads, when the cluster is steady, and clients that write, lock and read indexes.

Plain HTTP through `harness.probes.http`: one try per call, and the status is read, not guessed from an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from harness.experiments.history import Refused, Result
from harness.experiments.leads import Leads
from harness.experiments.workload import Careful, Record
from harness.keeper.client import RemoteHandle
from harness.model import Endpoint
from harness.probes.http import Answer, Conversation, ask
from harness.probes.poll import NotYet

TIMEOUT = 1.0
"""Seconds of a call. Consul holds calls back for up to 7 s while it elects; our clients do not wait for that."""
VOTERS = 3


class ServerSaid(Exception):
    """A status that is not 200, with what the server said."""


def call(endpoint: Endpoint, path: str, method: str = "GET", body: Any = None, timeout: float = TIMEOUT) -> Answer:
    """One exchange. Raises ServerSaid for any other status than 200, OSError or NotYet when nothing comes."""
    answer = ask(endpoint, path, method, body, timeout=timeout)
    if answer.status != 200:
        raise ServerSaid(f"{answer.status} {answer.text[:120]}")
    return answer


class ConsulCluster:
    """The servers and the client agent of a stack, told apart by their names."""

    def __init__(self, stack: Mapping[str, RemoteHandle]) -> None:
        self.servers = {name: handle for name, handle in stack.items() if name.startswith("consul-server")}
        self.agent = stack["consul-client"].endpoint("http")

    def leader(self) -> str:
        """The leading server's name, as any server that answers says. Raises NotYet while there is none."""
        for handle in self.servers.values():
            try:
                found = call(handle.endpoint("http"), "/v1/operator/raft/configuration").json()["Servers"]
            except (OSError, NotYet, ServerSaid):
                continue
            leaders = [server["Node"] for server in found if server["Leader"]]
            if leaders:
                return str(leaders[0])
        raise NotYet("no server knows a leader")

    def moved_from(self, before: str) -> str:
        """The new leader. Raises NotYet while it is still the old one, or nobody."""
        now = self.leader()
        if now == before:
            raise NotYet(f"{before} still leads")
        return now

    def steady(self) -> None:
        """Three voters, all alive and healthy by the leader's account, and the agent reaches them. Raises NotYet."""
        try:
            health = call(self.agent, "/v1/operator/autopilot/health").json()
            leaders = {call(one.endpoint("http"), "/v1/status/leader").json() for one in self.servers.values()}
        except (OSError, ServerSaid) as error:
            raise NotYet(f"{type(error).__name__}: {error}") from error
        voters = sum(server["Voter"] for server in health["Servers"])
        if not health["Healthy"] or voters != VOTERS or len(leaders) != 1 or "" in leaders:
            raise NotYet(f"healthy {health['Healthy']}, {voters} voters, leaders {sorted(leaders)}")

    def leads(self) -> Leads:
        """Each server as an observer of who leads."""
        found = call(self.agent, "/v1/operator/raft/configuration").json()["Servers"]
        names = {str(server["Address"]): str(server["Node"]) for server in found}
        return Leads("leader", {name: partial(SaysLeader, one.endpoint("http"), names)
                                for name, one in self.servers.items()})  # fmt: skip


class SaysLeader:
    """One server, asked over one connection. It is an `Observer`. `names` gives nodes by their addresses in Raft."""

    def __init__(self, endpoint: Endpoint, names: Mapping[str, str]) -> None:
        self._names, self._conversation = names, Conversation(endpoint, TIMEOUT)

    def who(self) -> str:
        """The node that this server takes for the leader; empty while it knows none."""
        answer = self._conversation.get("/v1/status/leader")
        if answer.status != 200:
            raise ServerSaid(f"{answer.status} {answer.text[:120]}")
        address = str(answer.json())
        return self._names.get(address, address)

    def close(self) -> None:
        """End the connection."""
        self._conversation.close()


class ConsulActor(Careful):
    """Asks one endpoint."""

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self.endpoint, self.number = endpoint, number

    def classify(self, error: Exception) -> Result:
        """A refused connection did nothing; an error of the server may come after the write was replicated."""
        refused = isinstance(error, Refused | ConnectionRefusedError)
        return Result.FAIL if refused else Result.INFO


class WritesKeys(ConsulActor):
    """Records `add`: a key of its own every time, below `log/`; every `every`-th step also one operation on a single
    register, `write` or a consistent `read`, few enough to be judged as linearizable."""

    every = 25

    def step(self, number: int, record: Record) -> None:
        """One key; sometimes the register."""
        name = f"{self.number}-{number}"
        record("add", "log", name, lambda: _put(self.endpoint, f"log/{name}", b"1"))
        if number % self.every == 0 and self.number == 0:
            record("write", "register", name, lambda: _put(self.endpoint, "register", name.encode()))
        elif number % self.every == 0:
            record("read", "register", None, lambda: _get(self.endpoint, "register"))


class Locks(ConsulActor):
    """Records `acquire`: tries to take a lock for its session until it has it, and then keeps it."""

    def __init__(self, endpoint: Endpoint, number: int, session: str, key: str = "lock") -> None:
        super().__init__(endpoint, number)
        self.session, self.key, self.held = session, key, False

    def step(self, number: int, record: Record) -> None:
        """One try while it is not held; then a look at who holds it."""
        del number
        if self.held:
            record("look", self.key, None, lambda: holder(self.endpoint, self.key))
        else:
            self.held = record("acquire", self.key, self.session, self._acquire).ok

    def _acquire(self) -> None:
        if _put(self.endpoint, f"{self.key}?acquire={self.session}", self.session.encode()) is not True:
            raise Refused("somebody holds it, or its lock-delay is not over")


def make_session(endpoint: Endpoint, **settings: Any) -> str:
    """A session's id. Settings as the API names them (`TTL`, `LockDelay`, `Checks`, `Behavior`)."""
    return str(call(endpoint, "/v1/session/create", "PUT", settings).json()["ID"])


def holder(endpoint: Endpoint, key: str) -> str:
    """The session that holds a key, empty when nobody does."""
    found = call(endpoint, f"/v1/kv/{key}?consistent").json()
    return str(found[0].get("Session", ""))


def read_keys(endpoint: Endpoint) -> Callable[[Record], None]:
    """The last read of a workload that writes keys."""

    def final(record: Record) -> None:
        record("read", "log", None, lambda: [
            key.removeprefix("log/") for key in call(endpoint, "/v1/kv/log/?keys&consistent", timeout=10).json()
        ])  # fmt: skip

    return final


def _put(endpoint: Endpoint, key: str, value: bytes) -> Any:
    path = f"/v1/kv/{quote(key, safe='/?=-')}"
    return call(endpoint, path, "PUT", value).json()


def _get(endpoint: Endpoint, key: str) -> str | None:
    answer = ask(endpoint, f"/v1/kv/{key}?raw&consistent", timeout=TIMEOUT)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise ServerSaid(f"{answer.status} {answer.text[:120]}")
    return answer.text
