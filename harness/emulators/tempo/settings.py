"""Tempo's configuration file: environment expansion, strict reading, and the few values the emulator acts on.

The tree of known keys and defaults is `defaults.yaml`. An unknown key is refused in the words of Tempo's YAML reader.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from harness.emulators.runner import ConfigError
from harness.emulators.tempo.gotext import LONG_NANOS, parse_duration

UNSHOWN = {
    "": {"multitenancy_enabled", "auth_enabled", "shutdown_delay"},
    "distributor": {"log_received_spans", "log_discarded_spans", "metric_received_spans", "extend_writes"},
    "query_frontend": {"query_end_cutoff", "url_deny_list", "rf1_after", "max_response_series"},
    "query_frontend.search": {"duration_slo", "throughput_bytes_slo"},
    "query_frontend.trace_by_id": {"duration_slo", "throughput_bytes_slo", "concurrent_shards"},
    "query_frontend.metrics": {"duration_slo", "throughput_bytes_slo", "max_response_series"},
    "live_store": {"block_config"},
    "metrics_generator.storage": {"remote_write"},
    "overrides.defaults": {"compaction", "forwarders", "storage", "cost_attribution"},
    "overrides.defaults.ingestion": {
        "max_global_traces_per_user", "tenant_shard_size", "max_attribute_bytes", "artificial_delay",
    },
    "overrides.defaults.read": {
        "max_blocks_per_tag_values_query", "max_search_duration", "max_metrics_duration", "unsafe_query_hints",
        "left_pad_trace_ids",
    },
}  # fmt: skip
"""Valid keys that the status page leaves out while they are empty."""
FREE = frozenset(
    {
        "distributor.receivers", "distributor.forwarders", "overrides.defaults.metrics_generator",
        "overrides.defaults.compaction", "overrides.defaults.forwarders", "overrides.defaults.storage",
        "overrides.defaults.cost_attribution", "metrics_generator.storage.remote_write", "storage.trace.memcached",
        "storage.trace.redis", "live_store.block_config", "metrics_generator.processor",
    }
)  # fmt: skip
"""Subtrees whose keys are not checked here."""
TYPES = {
    "": "app.Config", "server": "server.Config", "distributor": "distributor.Config", "querier": "querier.Config",
    "query_frontend": "frontend.Config", "query_frontend.search": "frontend.SearchConfig",
    "live_store": "livestore.Config", "live_store.wal": "wal.Config", "storage": "storage.Config",
    "storage.trace": "tempodb.Config", "storage.trace.wal": "wal.Config", "storage.trace.local": "local.Config",
    "overrides": "overrides.Config", "overrides.defaults": "overrides.Overrides", "memberlist": "memberlist.KVConfig",
    "overrides.defaults.ingestion": "overrides.IngestionOverrides", "metrics_generator": "generator.Config",
    "backend_worker": "backendworker.Config", "backend_scheduler": "backendscheduler.Config",
    "usage_report": "usagestats.Config", "cache": "cache.Config",
}  # fmt: skip
"""The Go type that an error names for a section."""

NUMBERS = {
    "max_attribute_bytes": "distributor.max_attribute_bytes",
    "ingester_shards": "query_frontend.search.ingester_shards",
    "default_limit": "query_frontend.search.default_result_limit",
    "max_limit": "query_frontend.search.max_result_limit",
    "default_spans_per_set": "query_frontend.search.default_spans_per_span_set",
    "max_spans_per_set": "query_frontend.search.max_spans_per_span_set",
    "max_exemplars": "query_frontend.metrics.max_exemplars",
    "max_block_bytes": "live_store.max_block_bytes",
}
"""Settings that are plain numbers, with where they stand in the file."""
SECONDS = {
    "retry_after": "distributor.retry_after_on_resource_exhausted",
    "query_end_cutoff": "query_frontend.query_end_cutoff",
    "query_backend_after": "query_frontend.search.query_backend_after",
    "max_search_duration": "query_frontend.search.max_duration",
    "max_metrics_duration": "query_frontend.metrics.max_duration",
    "max_trace_idle": "live_store.max_trace_idle",
    "max_trace_live": "live_store.max_trace_live",
    "flush_check_period": "live_store.flush_check_period",
    "max_block_duration": "live_store.max_block_duration",
    "complete_block_timeout": "live_store.complete_block_timeout",
    "flush_op_timeout": "live_store.flush_op_timeout",
    "ingestion_slack": "live_store.wal.ingestion_time_range_slack",
    "blocklist_poll": "storage.trace.blocklist_poll",
    "retention_interval": "backend_scheduler.provider.retention.interval",
    "block_retention": "backend_worker.compaction.block_retention",
    "compacted_block_retention": "backend_worker.compaction.compacted_block_retention",
    "overrides_period": "overrides.per_tenant_override_period",
}
"""Settings that are durations."""
END_CUTOFF = "30s"
"""The default of `query_end_cutoff`, which the status page does not show."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


@dataclass(frozen=True)
class Settings:
    """What the emulator acts on. Times in seconds, sizes in bytes, addresses as `(host, port)`."""

    tree: Mapping[str, Any]
    http_address: tuple[str, int]
    grpc_address: tuple[str, int]
    otlp_grpc: str
    otlp_http: str
    otlp_grpc_max_bytes: int
    multitenancy: bool
    max_attribute_bytes: int
    retry_after: float
    query_end_cutoff: float
    query_backend_after: float
    ingester_shards: int
    default_limit: int
    max_limit: int
    max_search_duration: float
    default_spans_per_set: int
    max_spans_per_set: int
    max_metrics_duration: float
    max_exemplars: int
    max_trace_idle: float
    max_trace_live: float
    flush_check_period: float
    max_block_duration: float
    max_block_bytes: int
    complete_block_timeout: float
    flush_op_timeout: float
    ingestion_slack: float
    live_wal: Path
    blocks_path: Path
    blocklist_poll: float
    retention_interval: float
    block_retention: float
    compacted_block_retention: float
    overrides: Mapping[str, Any]
    overrides_file: Path | None
    overrides_period: float


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`${X}`, `${X:-default}` and `$X` replaced, as with -config.expand-env."""

    def value(match: re.Match[str]) -> str:
        return environment.get(match[1] or match[3], "") or match[2] or ""

    return _VARIABLE.sub(value, text)


def load(path: str, *, expand_env: bool) -> Settings:
    """Read a configuration file. Raises ConfigError in Tempo's words."""
    try:
        text = Path(path).read_text(encoding="utf-8") if path else ""
    except OSError as error:
        raise ConfigError(f"failed parsing config: failed to read configFile {path}: {error}") from error
    try:
        return parse(expand(text) if expand_env else text)
    except ConfigError as error:
        raise ConfigError(f"failed parsing config: failed to parse configFile {path}: {error}") from error


def parse(text: str) -> Settings:
    """Settings from YAML text. Raises ConfigError."""
    defaults = yaml.load(files(__package__).joinpath("defaults.yaml").read_text(), yaml.CSafeLoader)
    try:
        node = yaml.compose(text, yaml.CSafeLoader)
        given = yaml.load(text, yaml.CSafeLoader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"yaml: {' '.join(str(error).split())}") from error
    if node is not None:
        problems = list(_unknown(node, defaults, ""))
        if problems:
            raise ConfigError("yaml: unmarshal errors:\n  " + "\n  ".join(problems))
    tree = _merged(defaults, given)
    try:
        return _settings(tree)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"yaml: unmarshal errors:\n  {error}") from error


def _unknown(node: yaml.Node, known: Any, path: str) -> Iterable[str]:
    if path in FREE or not isinstance(known, Mapping):
        return
    if not isinstance(node, yaml.MappingNode):
        if getattr(node, "value", None):
            yield f"line {node.start_mark.line + 1}: cannot unmarshal {node.tag.rpartition(':')[2]} into {_type(path)}"
        return
    for key, value in node.value:
        inner = f"{path}.{key.value}".lstrip(".")
        if key.value in known:
            yield from _unknown(value, known[key.value], inner)
        elif key.value not in UNSHOWN.get(path, set()):
            yield f"line {key.start_mark.line + 1}: field {key.value} not found in type {_type(path)}"


def _type(path: str) -> str:
    return TYPES.get(path, f"{path.rpartition('.')[2]}.Config")


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return copy.deepcopy(base if over is None and isinstance(base, Mapping) else over)
    return {
        **base,
        **{key: _merged(base.get(key), value) if key in base else value for key, value in over.items()},
    }


def _at(tree: Mapping[str, Any], path: str) -> Any:
    node: Any = tree
    for key in path.split("."):
        node = (node or {}).get(key)
    return node


def _settings(tree: Mapping[str, Any]) -> Settings:
    if _at(tree, "storage.trace.backend") != "local":
        raise ConfigError(f"unknown backend {_at(tree, 'storage.trace.backend') or ''}")
    protocols = _at(tree, "distributor.receivers.otlp.protocols") or {}
    grpc, http = protocols.get("grpc") or {}, protocols.get("http") or {}
    found: dict[str, Any] = {name: int(_at(tree, path)) for name, path in NUMBERS.items()}
    for name, path in SECONDS.items():
        text = _at(tree, path)
        text = END_CUTOFF if text is None and name == "query_end_cutoff" else text
        found[name] = parse_duration(str(text), LONG_NANOS) / 1e9
    for kind in ("http", "grpc"):
        host = _at(tree, f"server.{kind}_listen_address") or "0.0.0.0"
        found[f"{kind}_address"] = (host, int(_at(tree, f"server.{kind}_listen_port")))
    overrides_file = _at(tree, "overrides.per_tenant_override_config")
    return Settings(
        tree=tree,
        otlp_grpc=grpc.get("endpoint", "localhost:4317") if "grpc" in protocols else "",
        otlp_http=http.get("endpoint", "localhost:4318") if "http" in protocols else "",
        otlp_grpc_max_bytes=int(grpc.get("max_recv_msg_size_mib", 4)) << 20,
        multitenancy=bool(tree.get("multitenancy_enabled")),
        live_wal=Path(_at(tree, "live_store.wal.path")),
        blocks_path=Path(_at(tree, "storage.trace.local.path")),
        overrides=_at(tree, "overrides.defaults") or {},
        overrides_file=Path(overrides_file) if overrides_file else None,
        **found,
    )
