"""Request bodies read as Go's encoding/json reads them: any letter case, typed fields, unknown ones refused.

Clients send `Name`, `name` or `NAME`, and `service_id` for `ServiceID`. The structs are Consul's, field by field.
Source: captured errors of 1.8.7.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from harness.emulators.go_durations import SECOND, parse_duration

from .errors import bad_request

_GO_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_TYPES: dict[str, type] = {"string": str, "bool": bool, "int": int, "uint64": int}
_PLACES = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
}
_REST = "*"
"""A field name that stands for every other one: they are ignored where it is given, and refused where not."""
_EACH = "{}"
"""The only field of a map: the type of its values, whatever their names."""

Struct = Mapping[str, Any]
"""Field -> `string bool int uint64 duration any []string map[string]string`, a Struct, or a list of one Struct."""


def _fields(**kinds: str) -> dict[str, Any]:
    """`string="ID Name"` is shorthand for two fields of that type; `strings` and `pairs` are []string and map."""
    types = {"strings": "[]string", "pairs": "map[string]string"}
    return {name: types.get(kind, kind) for kind, names in kinds.items() for name in names.split()}


CHECK = _fields(
    string="CheckID ID Name Notes Status ServiceID HTTP TCP UDP GRPC Method Body DockerContainerID Shell AliasNode "
    "AliasService H2PING TLSServerName Namespace",
    strings="Args ScriptArgs",
    bool="TLSSkipVerify GRPCUseTLS H2PingUseTLS DisableRedirects",
    int="SuccessBeforePassing FailuresBeforeCritical FailuresBeforeWarning OutputMaxSize",
    duration="Interval Timeout TTL DeregisterCriticalServiceAfter",
    any="Header",
)
_SERVICE = {
    **_fields(string="Kind ID Address Namespace SocketPath", strings="Tags", pairs="Meta", int="Port"),
    **_fields(bool="EnableTagOverride", any="Proxy Connect Locality"),
    "TaggedAddresses": {_EACH: _fields(string="Address", int="Port")},
    "Weights": _fields(int="Passing Warning"),
}
AGENT_SERVICE = {**_SERVICE, "Name": "string", "Check": CHECK, "Checks": [CHECK]}
CHECK_UPDATE = _fields(string="Status Output")
_CATALOG_CHECK = _fields(
    string="Node CheckID Name Status Notes Output ServiceID ServiceName Type Namespace",
    strings="ServiceTags",
    any="Definition CreateIndex ModifyIndex Interval Timeout ExposedPort",
)
CATALOG_REGISTER = {
    **_fields(string="ID Node Address Datacenter", pairs="TaggedAddresses NodeMeta", bool="SkipNodeUpdate"),
    "Service": {**_SERVICE, "Service": "string"},
    "Check": _CATALOG_CHECK,
    "Checks": [_CATALOG_CHECK],
    "WriteRequest": "any",
}
CATALOG_DEREGISTER = _fields(string="Node Address Datacenter ServiceID CheckID Namespace", any="WriteRequest")
SESSION = {
    **_fields(string="ID Name Node Behavior TTL", any="LockDelay", strings="NodeChecks Checks"),
    "ServiceChecks": [_fields(string="ID Namespace")],
    _REST: "any",
}
_KV_OPERATION = _fields(string="Verb Key Value Session Namespace", uint64="Flags Index")
TXN = [{"KV": _KV_OPERATION, **_fields(any="Node Service Check Session Intention")}]
TOKEN = {
    **_fields(string="AccessorID SecretID Description", bool="Local", duration="ExpirationTTL"),
    **_fields(any="Roles ServiceIdentities NodeIdentities TemplatedPolicies ExpirationTime"),
    "Policies": [_fields(string="ID Name")],
}
POLICY = _fields(string="ID Name Description Rules", strings="Datacenters")


def decode(body: bytes, into: Any, prefix: str = "Request decode failed: ") -> Any:
    """The JSON of `body`, checked against a type; absent fields are absent. Raises ConsulError (400) with a cause."""
    try:
        # As Go's decoder does: one value, whatever follows it.
        value, _ = _JSON.raw_decode(body.decode("utf-8", "replace").lstrip(" \t\r\n"))
        return _typed(value, into, "") if value is not None else {}
    except json.JSONDecodeError as error:
        cause = "unexpected EOF" if body.strip() else "EOF"
        if error.pos < len(error.doc) and not error.msg.startswith("Unterminated"):
            cause = f"invalid character '{error.doc[error.pos]}' {_PLACES.get(error.msg, error.msg)}"
    except RecursionError:
        cause = "exceeded max depth"
    except ValueError as error:
        cause = str(error)
    raise bad_request(prefix + cause)


def _literal(text: str) -> float:
    """A number with a fraction or exponent, or what Python alone takes for one. Raises ValueError in Go's words."""
    if text[-1].isalpha():
        raise ValueError(f"invalid character '{text.lstrip('-')[0]}' looking for beginning of value")
    if math.isinf(number := float(text)):
        raise ValueError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


_JSON = json.JSONDecoder(parse_float=_literal, parse_constant=_literal)


def _typed(value: Any, kind: Any, path: str) -> Any:
    if isinstance(kind, list):
        items = value if isinstance(value, list) else _mismatch(value, path, "array")
        return [_typed(item, kind[0], path) for item in items if item is not None]
    if isinstance(kind, Mapping):
        return _struct(value if isinstance(value, dict) else _mismatch(value, path, "object"), kind, path)
    if kind == "duration":
        return _duration(value)
    if kind == "[]string" and isinstance(value, list):
        return [_typed(item, "string", path) for item in value if item is not None]
    if kind == "map[string]string" and isinstance(value, dict):
        return {name: _typed(item, "string", path) for name, item in value.items()}
    low, high = (0, 2**64) if kind == "uint64" else (-(2**63), 2**63)
    if kind != "any" and (type(value) is not _TYPES.get(kind) or (type(value) is int and not low <= value < high)):
        _mismatch(value, path, kind)
    return value


def _struct(value: dict[str, Any], kind: Struct, path: str) -> dict[str, Any]:
    if _EACH in kind:
        zero = {name: _TYPES[each]() for name, each in kind[_EACH].items()}
        return {name: {**zero, **_typed(item or {}, kind[_EACH], f"{path}.{name}")} for name, item in value.items()}
    known = {name.lower(): name for name in kind}
    if "checkid" in known and "id" in known:
        known["id"] = "CheckID"
    decoded = {}
    for name, item in value.items():
        wanted = known.get(name.lower()) or known.get(name.lower().replace("_", ""))
        if wanted is None and _REST in kind:
            continue
        if wanted is None:
            raise ValueError(f'json: unknown field "{name}"')
        if item is not None:
            decoded[wanted] = _typed(item, kind[wanted], f"{path}.{wanted}")
    return decoded


def _mismatch(value: Any, path: str, go: str) -> NoReturn:
    where = f"Go struct field {path}" if path else "Go value"
    raise ValueError(f"json: cannot unmarshal {_GO_NAMES[type(value)]} into {where} of type {go}")


def _duration(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration(value) if value else 0
    number = int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return number if abs(number) < 2**63 else -(2**63)


def lock_delay(value: Any) -> int | None:
    """Nanoseconds of a session's LockDelay: a Go duration, or a number, of seconds below 1000. Raises ConsulError."""
    if isinstance(value, int | float) and 0 < value < 1000:
        return int(value) * SECOND
    try:
        return None if value is None else _duration(value)
    except ValueError as error:
        raise bad_request(f"Request decode failed: {error}") from None
