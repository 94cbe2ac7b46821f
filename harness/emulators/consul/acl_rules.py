"""What a token may do: ACL rules parsed, merged over its policies, and asked.

Sources: the ACL rules page; captured answers of 1.8.7. Exact rules win over prefix rules, longer prefixes over shorter,
and among policies deny wins over write over read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import ConsulError, PermissionDenied
from .hcl import HclError, parse_hcl

NAMED = ("key", "service", "node", "session", "agent", "event", "query")
SCALAR = ("acl", "operator", "keyring")
LEVELS = {"deny": 0, "read": 1, "list": 2, "write": 3}
_STRONGEST = {"deny": 9}


def parse_rules(text: str) -> dict[str, dict[str, str]]:
    """Rules as resource -> name -> level (`key_prefix` and `key` apart). Raises ConsulError in Consul's words."""
    try:
        content = parse_hcl(text)
    except HclError as error:
        raise ConsulError(f"Failed to parse ACL rules: {error}") from None
    rules: dict[str, dict[str, str]] = {}
    for resource, value in content.items():
        base = resource.removesuffix("_prefix")
        if resource in SCALAR:
            rules[resource] = {"": _level(resource, "", value)}
        elif base in NAMED and isinstance(value, dict):
            rules[resource] = {name: _level(base, name, item.get("policy")) for name, item in value.items()}
        else:
            raise ConsulError(f'Failed to parse ACL rules: not emulated: "{resource}"')
    return rules


def _level(resource: str, name: str, level: Any) -> str:
    if level not in LEVELS or (level == "list" and resource != "key"):
        if resource in SCALAR:
            raise ConsulError(f'Invalid {resource} policy: "{level}"')
        kind = resource.capitalize()
        field = "Prefix" if resource == "key" else "Name" if resource == "service" else kind
        enterprise = ", EnterpriseRule:acl.EnterpriseRule{}"
        raise ConsulError(
            f'Invalid {resource} policy: &acl.{kind}Rule{{{field}:"{name}", Policy:"{level}"{enterprise}}}'
        )
    return str(level)


class Authorizer:
    """Answers for one request. Without `rules` everything is allowed (ACLs off, or a management token)."""

    def __init__(self, rules: Iterable[dict[str, dict[str, str]]] | None = None, default: str = "allow") -> None:
        self._all = rules is None
        self._default = LEVELS["write" if default == "allow" else "deny"]
        self._rules: dict[str, dict[str, str]] = {}
        self.filtered = False
        """Whether a read left something out because of this token."""
        for policy in rules or []:
            for resource, names in policy.items():
                self._merge(self._rules.setdefault(resource, {}), names)

    @staticmethod
    def _merge(into: dict[str, str], names: dict[str, str]) -> None:
        def rank(level: str) -> int:
            return _STRONGEST.get(level, LEVELS[level])

        for name, level in names.items():
            into[name] = max(into.get(name, level), level, key=rank)

    def _granted(self, resource: str, name: str) -> int:
        exact = self._rules.get(resource, {}).get(name)
        if exact is not None:
            return LEVELS[exact]
        prefixes = self._rules.get(f"{resource}_prefix", {})
        fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
        return LEVELS[prefixes[max(fitting, key=len)]] if fitting else self._default

    def allows(self, resource: str, access: str, name: str = "") -> bool:
        """Whether `access` (`read`, `write`) to a named resource is granted."""
        return self._all or self._granted(resource, name) >= LEVELS[access]

    def key(self, key: str, access: str, *, below: bool = False) -> bool:
        """Whether a key may be read or written; with `below` every key that starts with it."""
        inner = [
            level
            for kind in ("key", "key_prefix")
            for name, level in self._rules.get(kind, {}).items()
            if below and name.startswith(key)
        ]
        return self.allows("key", access, key) and (
            self._all or all(LEVELS[level] >= LEVELS[access] for level in inner)
        )

    def need(self, resource: str, access: str, name: str = "", short: str = "") -> None:
        """Raise PermissionDenied unless granted. `short` is what old versions add to the sentence."""
        if not self.allows(resource, access, name):
            raise PermissionDenied(resource, access, name, short)

    def visible(self, resource: str, name: str) -> bool:
        """Like `allows(resource, "read", name)`, remembering that something was filtered."""
        seen = self.allows(resource, "read", name)
        self.filtered = self.filtered or not seen
        return seen
