"""What the agent is told: command line, configuration files, `-hcl` fragments, CONSUL_LOCAL_CONFIG.

Later sources win: files in the order given, directories in name order, then fragments, then flags. Keys outside the
subset stop the start in Consul's words. Source: the agent configuration reference; messages of a real 1.8.7.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.emulators.go_durations import parse_duration
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
_DEFAULTS: Mapping[str, Any] = {
    "node_name": "", "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "data_dir": "", "node_id": "",
    "datacenter": "dc1", "log_level": "", "session_ttl_min": "10s", "server": False, "ui": False, "bootstrap": False,
    "bootstrap_expect": 1, "disable_update_check": False, "disable_anonymous_signature": False, "enable_debug": False,
    "leave_on_terminate": False, "ports.http": 8500, "ports.dns": 8600, "ports.https": -1, "ports.grpc": -1,
    "ports.grpc_tls": -1, "ports.server": 8300, "ports.serf_lan": 8301, "ports.serf_wan": -1,
    "performance.raft_multiplier": 5, "telemetry.disable_hostname": False, "telemetry.prometheus_retention_time": "",
    "limits.kv_max_value_size": 524_288, "limits.txn_max_req_len": 524_288, "acl.enabled": False,
    "acl.default_policy": "allow", "acl.enable_token_persistence": False, "acl.tokens.initial_management": "",
    "acl.tokens.master": "", "acl.tokens.agent": "", "acl.tokens.default": "",
}  # fmt: skip
"""Every configuration key that is understood; a value has to be of its default's type."""


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
    merged = dict(_DEFAULTS)
    for source, text in _sources(flags, environ):
        merged |= _parsed(source, text)
    merged |= dict(_from_flags(flags))
    return _settled(merged, flags.on("dev"), profile_named(profile))


def _sources(flags: GoFlags, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    files = [Path(name) for name in flags.all("config-file")]
    try:
        for name in flags.all("config-dir"):
            files += sorted(path for path in Path(name).iterdir() if path.suffix in {".json", ".hcl"})
        yield from [(str(path), path.read_text()) for path in files]
    except OSError as error:
        found = f"==> config: Open failed on {error.filename}. open {error.filename}: no such file or directory"
        raise ConfigError(found) from None
    if environ.get("CONSUL_LOCAL_CONFIG"):
        yield "local.json", environ["CONSUL_LOCAL_CONFIG"]
    yield from ((f"flags-{at}.hcl", text) for at, text in enumerate(flags.all("hcl")))


def _parsed(source: str, text: str) -> dict[str, Any]:
    """The keys of one source, those of blocks with the block's name and a dot before them."""
    start = f"==> failed to parse {source}: "
    try:
        found = dict(_flat(parse_hcl(text)))
    except HclError as error:
        raise ConfigError(f"{start}{error}") from None
    for key, value in found.items():
        if key not in _DEFAULTS:
            raise ConfigError(f"{start}1 error occurred:\n\t* invalid config key {key}\n\n")
        if type(value) is not type(_DEFAULTS[key]):
            wanted, got = (type(each).__name__ for each in (_DEFAULTS[key], value))
            cause = f"'{key}' expected type '{wanted}', got unconvertible type '{got}'"
            raise ConfigError(f"{start}1 error(s) decoding:\n\n* {cause}")
    return found


def _flat(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _from_flags(flags: GoFlags) -> Iterator[tuple[str, Any]]:
    yield from ((name, True) for name in ("server", "bootstrap") if flags.on(name))
    for flag, key in _FLAGS.items():
        text = flags.last(flag)
        try:
            if text:
                yield key, type(_DEFAULTS[key])(text)
        except ValueError:
            raise ConfigError(f'invalid value "{text}" for flag -{flag}: parse error') from None


def _settled(config: Mapping[str, Any], dev: bool, profile: Profile) -> Settings:
    _refuse_contradictions(config, dev)
    try:
        ttl_min = parse_duration(config["session_ttl_min"])
    except ValueError as error:
        text = config["session_ttl_min"]
        cause = f'session_ttl_min: invalid duration: "{text}": {error}'
        raise ConfigError(f"==> 1 error occurred:\n\t* {cause}\n\n") from None
    return Settings(
        profile=profile,
        dev=dev,
        node=config["node_name"] or socket.gethostname(),
        bind=config["bind_addr"].replace("0.0.0.0", "127.0.0.1"),
        client=guard_host(config["client_addr"]),
        http_port=config["ports.http"],
        dns_port=config["ports.dns"],
        server_port=config["ports.server"],
        serf_port=config["ports.serf_lan"],
        datacenter=config["datacenter"],
        data_dir=config["data_dir"],
        node_id=config["node_id"],
        session_ttl_min=ttl_min,
        kv_max_value_size=config["limits.kv_max_value_size"],
        txn_max_req_len=config["limits.txn_max_req_len"],
        acl_enabled=config["acl.enabled"],
        acl_default_policy=config["acl.default_policy"],
        acl_management_token=config["acl.tokens.initial_management"] or config["acl.tokens.master"],
    )


def _refuse_contradictions(config: Mapping[str, Any], dev: bool) -> None:
    multiplier, policy = config["performance.raft_multiplier"], config["acl.default_policy"]
    if not dev and not config["data_dir"]:
        raise ConfigError("==> data_dir cannot be empty")
    if not 1 <= multiplier <= 10:
        raise ConfigError(f"==> performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10")
    if policy not in {"allow", "deny"}:
        raise ConfigError(f'Unexpected ACL default policy value of "{policy}"')
    if config["bootstrap_expect"] > 1 or not (dev or config["server"]):
        raise ConfigError("consul emulator: only a single server is emulated (-dev, or -server -bootstrap-expect=1)")
