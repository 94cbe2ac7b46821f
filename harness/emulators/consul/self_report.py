"""What the agent says of itself: /v1/agent/self and /v1/agent/members. Source: the agent page; captured from 1.8.7."""

from __future__ import annotations

from typing import Any

from .server import Server


def member(server: Server, *, wan: bool = False) -> dict[str, Any]:
    """This node as a gossip member. No gossip port is open; the entry says so nowhere, as in a cluster of one."""
    settings = server.settings
    tags = {
        "acls": "1" if settings.acl_enabled else "0",
        "build": f"{settings.profile.reported}:",
        "dc": settings.datacenter,
        "ft_fs": "1",
        "id": server.node_id,
        "port": str(settings.server_port),
        "raft_vsn": "3",
        "role": "consul",
        "segment": "",
        "vsn": "2",
        "vsn_max": "3",
        "vsn_min": "2",
        **({} if wan else {"wan_join_port": "8302"}),
    }
    row = {
        "Name": f"{settings.node}.{settings.datacenter}" if wan else settings.node,
        "Addr": settings.bind,
        "Port": 8302 if wan else settings.serf_port,
        "Tags": tags,
        "Status": 1,
    }
    return row | {
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    }


def self_report(server: Server) -> dict[str, Any]:
    """Configuration, member, statistics and metadata. `DebugConfig` and `Stats` hold only what is true here."""
    settings, version = server.settings, server.settings.profile.reported
    config: dict[str, Any] = {"Datacenter": settings.datacenter, "NodeName": settings.node, "NodeID": server.node_id}
    config |= {"Revision": "", "Server": True, "Version": version}
    debug = {
        "BindAddr": settings.bind,
        "DNSPort": settings.dns_port,
        "DataDir": settings.data_dir,
        "DevMode": settings.dev,
        "HTTPPort": settings.http_port,
        "KVMaxValueSize": settings.kv_max_value_size,
        "ServerPort": settings.server_port,
    }
    return {
        "Config": config,
        "DebugConfig": debug,
        "Coord": {"Vec": [0] * 8, "Error": 1.5, "Adjustment": 0, "Height": 1e-05},
        "Member": member(server),
        "Stats": _stats(server),
        "Meta": {"consul-network-segment": ""},
    }


def _stats(server: Server) -> dict[str, dict[str, str]]:
    index, checks = str(server.store.index), server.agent.checks.values()
    ttls = sum(1 for check in checks if check.row.type == "ttl")
    counts = {"check_monitors": len(checks) - ttls, "check_ttls": ttls, "checks": len(checks)}
    agent = {name: str(count) for name, count in (counts | {"services": len(server.agent.services)}).items()}
    leader = {"bootstrap": "false", "known_datacenters": "1", "leader": "true", "leader_addr": server.raft_address}
    raft = {"applied_index": index, "commit_index": index, "last_log_index": index, "num_peers": "0", "state": "Leader"}
    return {
        "agent": agent,
        "build": {"prerelease": "", "revision": "", "version": server.settings.profile.reported},
        "consul": {"acl": "enabled" if server.acl.enabled else "disabled", **leader, "server": "true"},
        "raft": {**raft, "last_contact": "0", "term": "2"},
        "serf_lan": {"members": "1", "failed": "0", "left": "0", "health_score": "0"},
    }
