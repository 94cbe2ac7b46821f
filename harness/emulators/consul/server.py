"""One Consul server: its tables wired together, with this node and the service `consul` registered."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.emulators.runner import Defects

from .acl import Acl
from .agent import Agent
from .catalog import Catalog
from .disklog import DiskLog
from .kv import KV
from .rows import new_id
from .sessions import Sessions
from .settings import Settings
from .store import Store
from .timers import Timers
from .txn import Txn


@dataclass
class Server:
    """Everything an endpoint can reach. `rng` makes the jitter, `events` are the last 256, never on disk."""

    settings: Settings
    defects: Defects
    timers: Timers
    store: Store
    catalog: Catalog
    kv: KV
    sessions: Sessions
    acl: Acl
    txn: Txn
    agent: Agent
    node_id: str
    disk: DiskLog | None
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=256))
    rng: random.Random = field(default_factory=random.Random)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def raft_address(self) -> str:
        """What /v1/status/leader answers. The port is not open: no other server can join."""
        return f"{self.settings.bind}:{self.settings.server_port}"

    def start(self) -> None:
        """Take the lead: arm what waits for time, and register this node."""
        settings = self.settings
        if settings.acl_enabled:
            name = "Initial Management Token" if settings.profile.modern else "Master Token"
            self.acl.enable(settings.acl_default_policy, settings.acl_management_token, name)
        self.catalog.register(self._own_registration())
        self.sessions.rearm()
        self.agent.start()

    def restore(self, content: dict[str, Any]) -> None:
        """Replace everything replicated by a snapshot's content, on disk too."""
        self.store.load(content)
        self.sessions.rearm()
        if self.disk:
            self.disk.compact()

    def _own_registration(self) -> dict[str, object]:
        address, modern = self.settings.bind, self.settings.profile.modern
        version = self.settings.profile.reported
        meta = {"consul-network-segment": ""} | ({"consul-version": version} if modern else {})
        raft = {"raft_version": "3", "serf_protocol_current": "2", "serf_protocol_max": "5", "serf_protocol_min": "1"}
        voter = {"read_replica" if modern else "non_voter": "false", **raft, "version": version}
        serf = {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing"}
        return {
            "Node": self.settings.node,
            "ID": self.node_id,
            "Address": address,
            "TaggedAddresses": dict.fromkeys(("lan", "lan_ipv4", "wan", "wan_ipv4"), address),
            "NodeMeta": meta,
            "Service": {"Service": "consul", "Meta": voter, "Port": self.settings.server_port},
            "Check": {**serf, "Output": "Agent alive and reachable"},
        }


def build_server(settings: Settings, defects: Defects, timers: Timers) -> Server:
    """The server, recovered from its data directory if it has one outside `-dev`. Not started yet."""
    store = Store()
    catalog = Catalog(store, defects)
    # The KV store asks whether a session exists, and sessions release keys: one of the two is wired afterwards.
    kv = KV(store, lambda session: sessions.find(session) is not None, defects)
    sessions = Sessions(store, catalog, kv, timers, defects, settings.session_ttl_min)
    acl = Acl(store, lambda: datetime.now(UTC))
    agent = Agent(settings.node, store, catalog, timers, defects)
    keep = Path(settings.data_dir) if settings.data_dir and not settings.dev else None
    disk = DiskLog(keep, store, defects) if keep else None
    if disk:
        disk.recover()
    parts = (store, catalog, kv, sessions, acl, Txn(store, kv, defects), agent)
    return Server(settings, defects, timers, *parts, settings.node_id or _kept_node_id(keep), disk)


def _kept_node_id(data_dir: Path | None) -> str:
    if data_dir is None:
        return new_id()
    file = data_dir / "node-id"
    if not file.exists():
        file.write_text(new_id())
    return file.read_text().strip()
