"""A checked configuration: what `schema` allows, decoded, with the real program's words for what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.emulators.go_durations import parse_seconds
from harness.emulators.runner import ConfigError

from .schema import (
    ALIASES,
    KINDS,
    NOT_EMULATED,
    PACKAGES,
    READER,
    REFUSED,
    SERVICE,
    UNSIGNED,
    AnyMap,
    Duration,
    Optional,
)
from .validation import problem

_SEVERAL = "decoding failed due to the following error(s):\n\n"
_GET = "Error: failed to get config: cannot unmarshal the configuration: "
_INVALID = "Error: invalid configuration: "


@dataclass(frozen=True)
class Component:
    """One configured component: `id` as written (`otlp_grpc/tempo`), `type` with aliases resolved."""

    id: str
    type: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class PipelineSettings:
    """One pipeline. `signal` is `traces`, `metrics` or `logs`."""

    id: str
    signal: str
    receivers: tuple[str, ...]
    processors: tuple[str, ...]
    exporters: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """The whole configuration. `components` maps a section's name to its components by id."""

    components: Mapping[str, Mapping[str, Component]]
    pipelines: tuple[PipelineSettings, ...]
    extensions: tuple[str, ...]
    log_level: str
    metrics_level: str
    reader: Mapping[str, Any] | None
    warnings: tuple[str, ...] = field(default=())


def decode(raw: Mapping[str, Any]) -> Settings:
    """Check a merged configuration. Raises ConfigError whose message is what the real program prints."""
    unknown = set(raw) - {*KINDS, "service"}
    if unknown:
        raise ConfigError(f"{_GET}{_SEVERAL}'otelcol.configSettings' has invalid keys: {', '.join(sorted(unknown))}")
    warnings: list[str] = []
    components = {kind: _components(kind, raw.get(kind) or {}, warnings) for kind in KINDS}
    for kind in ("receiver", "exporter"):
        if not raw.get(f"{kind}s"):
            raise ConfigError(f"{_INVALID}no {kind} configuration specified in config")
    service = _decode_section("service", raw.get("service") or {}, SERVICE)
    logs, metrics = service["telemetry"]["logs"], service["telemetry"]["metrics"]
    if logs["encoding"] != "console":
        raise ConfigError(f"{_INVALID}service::telemetry::logs::encoding: {logs['encoding']!r} is not emulated (501)")
    if logs["level"] not in {"debug", "info", "warn", "error"}:
        where = f"{_GET}{_SEVERAL}'service.telemetry.logs' {_SEVERAL}"
        raise ConfigError(f"{where}'level' unrecognized level: \"{logs['level']}\"")
    settings = Settings(
        components, _pipelines(service["pipelines"]), tuple(service["extensions"]), logs["level"],
        str(metrics["level"]).lower(), _reader(metrics), tuple(warnings),
    )  # fmt: skip
    _check_references(settings)
    return settings


def _components(kind: str, raw: Mapping[str, Any], warnings: list[str]) -> dict[str, Component]:
    found: dict[str, Component] = {}
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{_GET}{_SEVERAL}'{kind}' expected a map or struct, got \"{_go_kind(raw)}\"")
    for identity, body in raw.items():
        written, slash, name = str(identity).partition("/")
        if slash and not name:
            raise ConfigError(f"{_GET}{_SEVERAL}'{kind}' '' in \"{identity}\" id: the part after / should not be empty")
        known = ALIASES.get(written, written) if kind in {"exporters", "connectors"} else written
        if known not in KINDS[kind]:
            if written in NOT_EMULATED:
                raise ConfigError(f"{_GET}'{kind}' type {written!r} of id {identity!r} is not emulated (501)")
            valid = " ".join(sorted(KINDS[kind]))
            raise ConfigError(
                f'{_GET}{_SEVERAL}\'{kind}\' unknown type: "{written}" for id: "{identity}" (valid values: [{valid}])'
            )
        if known != written:
            warnings.append(f'"{written}" alias is deprecated; use "{known}" instead')
        where = f"'{kind}' error reading configuration for \"{identity}\": "
        read = _decode_section("", body or {}, KINDS[kind][known], where, f"{PACKAGES[known]}.Config")
        found[identity] = Component(identity, known, read)
        if reason := problem(known, read):
            raise ConfigError(f"{_INVALID}{kind}::{identity}{'' if reason.startswith('::') else ': '}{reason}")
    return found


def _decode_section(path: str, raw: Any, tree: Mapping[str, Any], where: str = "", named: str = "") -> dict[str, Any]:
    try:
        return _decode_tree(raw, tree, path, named)
    except ConfigError as error:
        raise ConfigError(f"{_GET}{_SEVERAL}{where}{_SEVERAL if where else ''}{error}") from error


def _decode_tree(raw: Any, tree: Mapping[str, Any], path: str, named: str = "") -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"'{path}' expected a map or struct, got \"{_go_kind(raw)}\"")
    unknown = sorted(str(key) for key in raw if key not in tree)
    for key in unknown:
        if key in REFUSED:
            raise ConfigError(f"'{path}{'.' if path else ''}{key}' is not emulated (501)")
    if unknown:
        raise ConfigError(f"'{path or named}' has invalid keys: {', '.join(unknown)}")
    decoded: dict[str, Any] = {}
    for key, default in tree.items():
        where = f"{path}.{key}" if path else key
        if isinstance(default, Optional):
            decoded[key] = _decode_tree(raw[key] or {}, default, where) if key in raw else None
        elif isinstance(default, dict) and not isinstance(default, AnyMap):
            decoded[key] = _decode_tree(raw.get(key) or {}, default, where)
        else:
            decoded[key] = _decode_value(raw.get(key), default, where) if raw.get(key) is not None else default
    return decoded


def _decode_value(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, Duration) and isinstance(value, int | float | str):
        try:
            return parse_seconds(value) if isinstance(value, str) else float(value) * 1e-9
        except ValueError as error:
            raise ConfigError(f"'{where}' {_without_value(str(error))}") from error
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = type(default) if not isinstance(default, AnyMap) else dict
    if isinstance(value, wanted) and isinstance(value, bool) == isinstance(default, bool):
        if value.__class__ is int and value < 0 and where in UNSIGNED:
            raise ConfigError(f"'{where}' cannot parse value as 'uint32': {value} overflows uint")
        return value
    if isinstance(default, list):
        raise ConfigError(f"'{where}' source data must be an array or slice, got {_go_kind(value)}")
    expected = "uint32" if where in UNSIGNED else _go_type(default)
    raise ConfigError(f"'{where}' expected type '{expected}', got unconvertible type '{_go_type(value)}'")


def _without_value(text: str) -> str:
    """Go's message about a duration less what it quotes: a configuration may hold secrets. Source: mapstructure 2.4."""
    return "time: unknown unit" if text.startswith("time: unknown unit ") else text.rpartition(" ")[0]


def _go_kind(value: Any) -> str:
    return "slice" if isinstance(value, list) else _go_type(value)


def _go_type(value: Any) -> str:
    if isinstance(value, Duration):
        return "time.Duration"
    names = {bool: "bool", int: "int", float: "float64", str: "string", list: "[]interface {}", type(None): "nil"}
    return names.get(type(value), "map[string]interface {}")


def _reader(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    level, readers = str(metrics["level"]).lower(), metrics["readers"]
    if level not in {"none", "basic", "normal", "detailed"}:
        where = f"{_GET}{_SEVERAL}'service.telemetry.metrics' {_SEVERAL}"
        raise ConfigError(f"{where}'level' unknown metrics level \"{level}\"")
    if level == "none":
        return None
    where = "service::telemetry::metrics::readers"
    if len(readers) > 1 or (readers and "pull" not in readers[0]):
        raise ConfigError(f"{_INVALID}{where}: only one prometheus pull reader is emulated (501)")
    given = ((readers[0]["pull"] or {}).get("exporter") or {}).get("prometheus") or {} if readers else {}
    reader = _decode_section(f"{where}[0].pull.exporter.prometheus".replace("::", "."), given, READER)
    if not (reader["without_scope_info"] and reader["without_units"]):
        raise ConfigError(f"{_INVALID}{where}: without_scope_info and without_units as false are not emulated (501)")
    return reader


def _pipelines(raw: Mapping[str, Any]) -> tuple[PipelineSettings, ...]:
    if not raw:
        raise ConfigError(f"{_INVALID}service::pipelines: service must have at least one pipeline")
    found = []
    for identity, body in raw.items():
        signal, slash, name = str(identity).partition("/")
        where = f"{_GET}{_SEVERAL}'service.pipelines' in \"{identity}\" id:"
        if slash and not name:
            raise ConfigError(f"{where} the part after / should not be empty")
        if signal not in {"traces", "metrics", "logs"}:
            raise ConfigError(f'{where} unknown pipeline signal: "{signal}"')
        tree: dict[str, list[str]] = {"receivers": [], "processors": [], "exporters": []}
        lists = _decode_section(f"service.pipelines[{identity}]", body or {}, tree)
        where = f"{_INVALID}service::pipelines::{identity}"
        for key in ("receivers", "exporters"):
            if not lists[key]:
                raise ConfigError(f"{where}: must have at least one {key[:-1]}")
        for name in lists["processors"]:
            if lists["processors"].count(name) > 1:
                raise ConfigError(f'{where}: references processor "{name}" multiple times')
        found.append(PipelineSettings(str(identity), signal, *(tuple(map(str, lists[key])) for key in tree)))
    return tuple(found)


def _check_references(settings: Settings) -> None:
    known = settings.components
    for name in settings.extensions:
        if name not in known["extensions"]:
            raise ConfigError(f'{_INVALID}service::extensions: references extension "{name}" which is not configured')
    for pipeline in settings.pipelines:
        for role in ("receiver", "processor", "exporter"):
            others = {} if role == "processor" else known["connectors"]
            for name in getattr(pipeline, f"{role}s"):
                if name not in known[f"{role}s"] and name not in others:
                    where = f"{_INVALID}service::pipelines::{pipeline.id}"
                    raise ConfigError(f'{where}: references {role} "{name}" which is not configured')
