"""What the agent is told: command line, configuration files, `-hcl` fragments, CONSUL_LOCAL_CONFIG.

Later sources win: files in the order given, directories in name order, then fragments, then flags. Keys outside the
subset stop the start in Consul's words. Source: the agent configuration reference; messages of a real 1.8.7.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.emulators.go_durations import SECOND, parse_duration
from harness.emulators.runner import ConfigError, GoFlags, guard_host, parse_go_flags

from .hcl import HclError, parse_hcl
from .profile import Profile, profile_named

_BOOLEANS = frozenset({"dev", "server", "ui", "bootstrap"})
_FLAGS = {
    "node": "node_name", "bind": "bind_addr", "client": "client_addr", "data-dir": "data_dir", "node-id": "node_id",
    "datacenter": "datacenter", "log-level": "log_level", "bootstrap-expect": "bootstrap_expect",
    "http-port": "ports.http", "dns-port": "ports.dns", "server-port": "ports.server", "grpc-port": "ports.grpc",
    "grpc-tls-port": "ports.grpc_tls", "serf-lan-port": "ports.serf_lan", "serf-wan-port": "ports.serf_wan",
}  # fmt: skip
_BLOCKS = {
    "": "node_name bind_addr client_addr data_dir node_id datacenter log_level log_json session_ttl_min server ui "
    "bootstrap bootstrap_expect disable_update_check disable_anonymous_signature enable_debug leave_on_terminate",
    "ports.": "http dns https grpc grpc_tls server serf_lan serf_wan",
    "performance.": "raft_multiplier",
    "telemetry.": "disable_hostname prometheus_retention_time",
    "limits.": "kv_max_value_size txn_max_req_len http_max_conns_per_client",
    "acl.": "enabled default_policy enable_token_persistence",
    "acl.tokens.": "initial_management master agent default",
}
_KEYS = frozenset(block + name for block, names in _BLOCKS.items() for name in names.split())
"""Every configuration key that is understood."""

_NUMBERS = frozenset(f"ports.{name}" for name in _BLOCKS["ports."].split()) | {"performance.raft_multiplier"}


@dataclass(frozen=True)
class Settings:
    """The configuration of one start. Durations in nanoseconds, ports 0 or below mean: not opened."""

    profile: Profile
    dev: bool
    node: str
    bind: str
    client: str
    http_port: int
    dns_port: int
    server_port: int
    serf_port: int
    datacenter: str
    data_dir: str
    node_id: str
    session_ttl_min: int
    kv_max_value_size: int
    txn_max_req_len: int
    acl_enabled: bool
    acl_default_policy: str
    acl_management_token: str


def read_settings(argv: Sequence[str], environ: Mapping[str, str], profile: str = "1.22") -> Settings:
    """The settings of `consul agent ARGV`. Raises ConfigError in Consul's words."""
    flags = parse_go_flags(argv, _BOOLEANS)
    for name in flags.values:
        if name not in {*_FLAGS, *_BOOLEANS, "config-file", "config-dir", "hcl"}:
            raise ConfigError(f"flag provided but not defined: -{name}")
    merged: dict[str, Any] = {}
    for source, content in _sources(flags, environ):
        _verify(source, content)
        _merge(merged, content)
    _merge(merged, _from_flags(flags))
    return _settled(merged, flags.on("dev"), profile_named(profile))


def _sources(flags: GoFlags, environ: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    files = [Path(name) for name in flags.all("config-file")]
    for name in flags.all("config-dir"):
        if not Path(name).is_dir():
            raise ConfigError(f"==> config: Open failed on {name}. open {name}: no such file or directory")
        files += sorted(path for path in Path(name).iterdir() if path.suffix in {".json", ".hcl"})
    found = [(str(path), _read(path)) for path in files]
    if environ.get("CONSUL_LOCAL_CONFIG"):
        found.append(("local.json", _parse("local.json", environ["CONSUL_LOCAL_CONFIG"])))
    return found + [(f"flags-{at}.hcl", _parse(f"flags-{at}.hcl", text)) for at, text in enumerate(flags.all("hcl"))]


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parse(str(path), path.read_text())
    except OSError:
        raise ConfigError(f"==> config: Open failed on {path}. open {path}: no such file or directory") from None


def _parse(source: str, text: str) -> dict[str, Any]:
    try:
        return parse_hcl(text)
    except HclError as error:
        raise ConfigError(f"==> failed to parse {source}: {error}") from None


def _verify(source: str, content: dict[str, Any], path: str = "") -> None:
    for name, value in content.items():
        where = f"{path}{name}"
        if isinstance(value, dict):
            _verify(source, value, f"{where}.")
        elif where not in _KEYS:
            raise ConfigError(f"==> failed to parse {source}: 1 error occurred:\n\t* invalid config key {where}\n\n")
        elif where in _NUMBERS and not isinstance(value, int):
            cause = f"'{where}' expected type 'int', got unconvertible type '{type(value).__name__}'"
            raise ConfigError(f"==> failed to parse {source}: 1 error(s) decoding:\n\n* {cause}")


def _merge(into: dict[str, Any], content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def _from_flags(flags: GoFlags) -> dict[str, Any]:
    found: dict[str, Any] = {name: True for name in ("server", "bootstrap") if flags.on(name)}
    for flag, key in _FLAGS.items():
        text = flags.last(flag)
        block, _, name = key.rpartition(".")
        if not text:
            continue
        try:
            value: Any = int(text) if block or key == "bootstrap_expect" else text
        except ValueError:
            raise ConfigError(f'invalid value "{text}" for flag -{flag}: parse error') from None
        (found.setdefault(block, {}) if block else found)[name] = value
    return found


def _settled(config: dict[str, Any], dev: bool, profile: Profile) -> Settings:
    ports, acl, limits = config.get("ports", {}), config.get("acl", {}), config.get("limits", {})
    tokens = acl.get("tokens", {})
    _refuse_contradictions(config, dev)
    default_node = socket.gethostname() if not config.get("node_name") else config["node_name"]
    return Settings(
        profile=profile,
        dev=dev,
        node=default_node,
        bind=config.get("bind_addr", "127.0.0.1").replace("0.0.0.0", "127.0.0.1"),
        client=guard_host(config.get("client_addr", "127.0.0.1")),
        http_port=ports.get("http", 8500),
        dns_port=ports.get("dns", 8600),
        server_port=ports.get("server", 8300),
        serf_port=ports.get("serf_lan", 8301),
        datacenter=config.get("datacenter", "dc1"),
        data_dir=config.get("data_dir", ""),
        node_id=config.get("node_id", ""),
        session_ttl_min=_duration("session_ttl_min", config.get("session_ttl_min", "")) or 10 * SECOND,
        kv_max_value_size=limits.get("kv_max_value_size", 512 * 1024),
        txn_max_req_len=limits.get("txn_max_req_len", 512 * 1024),
        acl_enabled=acl.get("enabled", False),
        acl_default_policy=acl.get("default_policy", "allow"),
        acl_management_token=tokens.get("initial_management") or tokens.get("master", ""),
    )


def _refuse_contradictions(config: dict[str, Any], dev: bool) -> None:
    multiplier = config.get("performance", {}).get("raft_multiplier", 5)
    if not dev and not config.get("data_dir"):
        raise ConfigError("==> data_dir cannot be empty")
    if not 1 <= multiplier <= 10:
        raise ConfigError(f"==> performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10")
    if config.get("acl", {}).get("default_policy", "allow") not in {"allow", "deny"}:
        raise ConfigError('Unexpected ACL default policy value of "{}"'.format(config["acl"]["default_policy"]))
    if config.get("bootstrap_expect", 1) > 1 or not (dev or config.get("server")):
        raise ConfigError("consul emulator: only a single server is emulated (-dev, or -server -bootstrap-expect=1)")


def _duration(name: str, text: str) -> int:
    try:
        return parse_duration(text) if text else 0
    except ValueError as error:
        raise ConfigError(f'==> 1 error occurred:\n\t* {name}: invalid duration: "{text}": {error}\n\n') from None
