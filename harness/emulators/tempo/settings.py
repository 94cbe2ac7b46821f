"""Tempo's configuration file: environment expansion, strict reading, and the few values the emulator acts on.

`defaults.yaml` holds the tree of known keys and defaults. An unknown key is refused in the words of Tempo's
YAML reader.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_origin, get_type_hints

import yaml

from harness.emulators.go_durations import parse_duration
from harness.emulators.runner import ConfigError
from harness.emulators.tempo.gotext import LONG_UNITS

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


def _seconds(text: Any) -> float:
    return parse_duration(str(text), LONG_UNITS) / 1e9


def _host(text: str) -> str:
    return text or "0.0.0.0"


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


class At(NamedTuple):
    """Where a setting stands in the file, and how its value is read."""

    path: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Settings:
    """What the emulator acts on. Times in seconds, sizes in bytes."""

    tree: Mapping[str, Any]
    otlp_grpc: str
    otlp_http: str
    otlp_grpc_max_bytes: int
    http_host: Annotated[str, At("server.http_listen_address", _host)]
    http_port: Annotated[int, At("server.http_listen_port", int)]
    grpc_host: Annotated[str, At("server.grpc_listen_address", _host)]
    grpc_port: Annotated[int, At("server.grpc_listen_port", int)]
    multitenancy: Annotated[bool, At("multitenancy_enabled", bool)]
    max_attribute_bytes: Annotated[int, At("distributor.max_attribute_bytes", int)]
    retry_after: Annotated[float, At("distributor.retry_after_on_resource_exhausted", _seconds)]
    query_end_cutoff: Annotated[float, At("query_frontend.query_end_cutoff", _seconds)]
    query_backend_after: Annotated[float, At("query_frontend.search.query_backend_after", _seconds)]
    ingester_shards: Annotated[int, At("query_frontend.search.ingester_shards", int)]
    default_limit: Annotated[int, At("query_frontend.search.default_result_limit", int)]
    max_limit: Annotated[int, At("query_frontend.search.max_result_limit", int)]
    max_search_duration: Annotated[float, At("query_frontend.search.max_duration", _seconds)]
    default_spans_per_set: Annotated[int, At("query_frontend.search.default_spans_per_span_set", int)]
    max_spans_per_set: Annotated[int, At("query_frontend.search.max_spans_per_span_set", int)]
    max_metrics_duration: Annotated[float, At("query_frontend.metrics.max_duration", _seconds)]
    max_intervals: Annotated[int, At("query_frontend.metrics.max_intervals", int)]
    max_exemplars: Annotated[int, At("query_frontend.metrics.max_exemplars", int)]
    max_trace_idle: Annotated[float, At("live_store.max_trace_idle", _seconds)]
    max_trace_live: Annotated[float, At("live_store.max_trace_live", _seconds)]
    flush_check_period: Annotated[float, At("live_store.flush_check_period", _seconds)]
    max_block_duration: Annotated[float, At("live_store.max_block_duration", _seconds)]
    max_block_bytes: Annotated[int, At("live_store.max_block_bytes", int)]
    complete_block_timeout: Annotated[float, At("live_store.complete_block_timeout", _seconds)]
    flush_op_timeout: Annotated[float, At("live_store.flush_op_timeout", _seconds)]
    ingestion_slack: Annotated[float, At("live_store.wal.ingestion_time_range_slack", _seconds)]
    live_wal: Annotated[Path, At("live_store.wal.path", Path)]
    blocks_path: Annotated[Path, At("storage.trace.local.path", Path)]
    blocklist_poll: Annotated[float, At("storage.trace.blocklist_poll", _seconds)]
    retention_interval: Annotated[float, At("backend_scheduler.provider.retention.interval", _seconds)]
    block_retention: Annotated[float, At("backend_worker.compaction.block_retention", _seconds)]
    compacted_block_retention: Annotated[float, At("backend_worker.compaction.compacted_block_retention", _seconds)]
    overrides: Annotated[Mapping[str, Any], At("overrides.defaults", dict)]
    overrides_file: Annotated[Path | None, At("overrides.per_tenant_override_config", _optional_path)]
    overrides_period: Annotated[float, At("overrides.per_tenant_override_period", _seconds)]


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
    shown, hidden, free, types = yaml.load_all(
        files(__package__).joinpath("defaults.yaml").read_text(), yaml.CSafeLoader
    )
    try:
        node = yaml.compose(text, yaml.CSafeLoader)
        given = yaml.load(text, yaml.CSafeLoader) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"yaml: {' '.join(str(error).split())}") from error
    known = _merged(shown, hidden)
    problems = list(_Strict(frozenset(free), types).unknown(node, known, "")) if node is not None else []
    if problems:
        raise ConfigError("yaml: unmarshal errors:\n  " + "\n  ".join(problems))
    try:
        return _settings(_merged(shown, given), _merged(known, given))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"yaml: unmarshal errors:\n  {error}") from error


@dataclass(frozen=True)
class _Strict:
    """Finds keys that Tempo does not know. `free` subtrees are not looked into; `types` names Go's by path."""

    free: frozenset[str]
    types: Mapping[str, str]

    def unknown(self, node: yaml.Node, known: Any, path: str) -> Iterator[str]:
        """One complaint a key, in the words of Tempo's YAML reader."""
        if path in self.free or not isinstance(known, Mapping):
            return
        kind = self.types.get(path, f"{path.rpartition('.')[2]}.Config")
        if not isinstance(node, yaml.MappingNode):
            if getattr(node, "value", None):
                found = node.tag.rpartition(":")[2]
                yield f"line {node.start_mark.line + 1}: cannot unmarshal {found} into {kind}"
            return
        for key, value in node.value:
            if key.value in known:
                yield from self.unknown(value, known[key.value], f"{path}.{key.value}".lstrip("."))
            else:
                yield f"line {key.start_mark.line + 1}: field {key.value} not found in type {kind}"


def _merged(base: Any, over: Any) -> Any:
    """`over` laid upon `base`; a section that is given empty keeps its defaults."""
    if not isinstance(base, Mapping):
        return over
    if not isinstance(over, Mapping):
        return base if over is None else over
    return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}


def _at(tree: Mapping[str, Any], path: str) -> Any:
    node: Any = tree
    for key in path.split("."):
        node = (node or {}).get(key)
    return node


def _settings(shown: Mapping[str, Any], tree: Mapping[str, Any]) -> Settings:
    if _at(tree, "storage.trace.backend") != "local":
        raise ConfigError(f"unknown backend {_at(tree, 'storage.trace.backend') or ''}")
    protocols = _at(tree, "distributor.receivers.otlp.protocols") or {}
    grpc, http = protocols.get("grpc") or {}, protocols.get("http") or {}
    hints = get_type_hints(Settings, include_extras=True)
    stated = {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}
    return Settings(
        tree=shown,
        otlp_grpc=grpc.get("endpoint", "localhost:4317") if "grpc" in protocols else "",
        otlp_http=http.get("endpoint", "localhost:4318") if "http" in protocols else "",
        otlp_grpc_max_bytes=int(grpc.get("max_recv_msg_size_mib", 4)) << 20,
        **{name: place.read(_at(tree, place.path)) for name, place in stated.items()},
    )
