"""The values of a compose file that can be written in more than one way, read into one: durations, sizes, pairs, lists.

Each raises ValueError for what it cannot read; pydantic turns it into an error that names the key.
"""

from __future__ import annotations

import re
import shlex
from ipaddress import IPv4Address, IPv4Network
from typing import Any

_UNITS = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2, "g": 1024**3, "gb": 1024**3}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_FACTORS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: Any) -> float:
    """`1m30s`, `500ms`, or a number of seconds, in seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected a duration such as 10s or 1m30s, found {text!r}")
    return sum(float(number) * _FACTORS[unit] for number, unit in parts)


def size(value: Any) -> int:
    """`64m`, `1gb`, or a number of bytes, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", str(value).strip())
    if not match or match.group(2).lower() not in _UNITS:
        raise ValueError(f"expected a size such as 64m or 1gb, found {value!r}")
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()])


def arguments(value: Any) -> tuple[str, ...]:
    """A command as a list, or as one string in shell quoting."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    raise ValueError(f"expected a list or a string, found {type(value).__name__}")


def pairs(value: Any) -> dict[str, str | None]:
    """`{A: b}` or `[A=b, C]`; None for a name without a value."""
    if isinstance(value, list):
        split = [str(item).partition("=") for item in value]
        return {name: text if equals else None for name, equals, text in split}
    if isinstance(value, dict):
        return {str(name): _scalar(name, item) for name, item in value.items()}
    raise ValueError(f"expected a mapping or a list of NAME=value, found {type(value).__name__}")


def _scalar(name: Any, value: Any) -> str | None:
    if isinstance(value, (dict, list)):
        # pydantic turns a ValueError into its own error, and lets a TypeError through
        raise ValueError(f"{name}: expected a single value, found {type(value).__name__}")  # noqa: TRY004
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def conditions(value: Any) -> dict[str, str]:
    """`depends_on` in both forms: service name to condition."""
    if isinstance(value, list):
        return {str(name): "service_started" for name in value}
    if isinstance(value, dict):
        return {str(name): _condition(str(name), entry) for name, entry in value.items()}
    raise ValueError(f"expected a list or a mapping of services, found {type(value).__name__}")


def _condition(name: str, entry: Any) -> str:
    if not isinstance(entry, dict) or set(entry) - {"condition", "restart", "required"}:
        raise ValueError(f"{name}: expected a mapping with `condition`, found {entry!r}")
    return str(entry.get("condition", "service_started"))


def optional_needs(value: Any) -> frozenset[str]:
    """The services that a `depends_on` can do without: those with `required: false`."""
    if not isinstance(value, dict):
        return frozenset()
    return frozenset(str(name) for name, entry in value.items() if isinstance(entry, dict) and not _required(entry))


def _required(entry: dict[str, Any]) -> bool:
    return str(entry.get("required", True)).lower() not in {"false", "no", "0"}


def links(value: Any) -> dict[str, str]:
    """`links`, the old way of naming what a service needs: service to the alias it is reached by."""
    if not isinstance(value, list):
        raise ValueError(f"expected a list of SERVICE[:ALIAS], found {type(value).__name__}")  # noqa: TRY004
    split = [str(item).partition(":") for item in value]
    return {service: alias or service for service, _, alias in split}


def hosts(value: Any) -> dict[str, str]:
    """`extra_hosts`: a mapping, or a list of NAME=ADDRESS or NAME:ADDRESS."""
    if isinstance(value, dict):
        return {str(name): str(address) for name, address in value.items()}
    if not isinstance(value, list):
        raise ValueError(f"expected a mapping or a list of NAME=ADDRESS, found {type(value).__name__}")  # noqa: TRY004
    found = {}
    for item in value:
        name, sign, address = re.sub(r"^([^=:]+)[=:]", r"\1=", str(item)).partition("=")
        if not sign or not address:
            raise ValueError(f"expected NAME=ADDRESS, found {item!r}")
        found[name] = address.strip("[]")
    return found


def ulimits(value: Any) -> dict[str, tuple[int, int]]:
    """`ulimits`: soft and hard limit by name; one number stands for both."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping of limits, found {type(value).__name__}")  # noqa: TRY004
    return {str(name): _ulimit(str(name), entry) for name, entry in value.items()}


def _ulimit(name: str, entry: Any) -> tuple[int, int]:
    try:
        if isinstance(entry, dict):
            return int(entry["soft"]), int(entry["hard"])
        return int(entry), int(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number, or `soft` and `hard`, found {entry!r}") from error


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of texts."""
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, dict):
        raise ValueError("expected a text or a list, found dict")  # noqa: TRY004
    return (str(value),)


def network_aliases(value: Any) -> tuple[str, ...]:
    """The aliases under a service's `networks`; on which of them does not matter, there is one network per stack."""
    if not isinstance(value, dict):
        return ()
    entries = [entry for entry in value.values() if isinstance(entry, dict)]
    return tuple(str(alias) for entry in entries for alias in entry.get("aliases") or ())


def fixed_address(value: Any, declared: Any) -> str:
    """The `ipv4_address` under a service's `networks`, with the prefix of the subnet that the top level declares for
    that network; empty without one. Raises ValueError for an address that does not lie in it."""
    for network, entry in value.items() if isinstance(value, dict) else ():
        address = entry.get("ipv4_address") if isinstance(entry, dict) else None
        subnets = _subnets((declared or {}).get(network)) if address else []
        if subnets:
            fixed = IPv4Address(address)
            found = next((subnet for subnet in subnets if fixed in subnet), None)
            if found is None:
                raise ValueError(f"{address} does not lie in {' or '.join(map(str, subnets))}")
            return f"{fixed}/{found.prefixlen}"
    return ""


def _subnets(network: Any) -> list[IPv4Network]:
    """The subnets that a top-level network declares under `ipam`, IPv4 only."""
    configs = ((network or {}).get("ipam") or {}).get("config") or []
    texts = [str(config.get("subnet") or "") for config in configs]
    return [IPv4Network(text) for text in texts if text and ":" not in text]


def health_test(value: Any) -> tuple[str, ...]:
    """`[CMD, ...]`, `[CMD-SHELL, text]`, `[NONE]`, or a string for the shell."""
    if isinstance(value, str):
        return ("CMD-SHELL", value)
    if isinstance(value, list) and value and value[0] in {"CMD", "CMD-SHELL", "NONE"}:
        return tuple(str(item) for item in value)
    raise ValueError("expected a string, or a list that begins with CMD, CMD-SHELL or NONE")
