"""Minimal access control: policies, tokens that link to them, expiry, and what the bearer of a secret may do.

Sources: the ACL pages of the HTTP API and the rules page; captured answers of 1.8.7. Exact rules win over prefix rules,
longer prefixes over shorter, and among policies deny wins over write over read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from harness.emulators.go_durations import SECOND, format_duration

from .errors import ConsulError, PermissionDenied
from .hcl import HclError, parse_hcl
from .rows import Policy, Token, new_id
from .store import Store

MANAGEMENT = "00000000-0000-0000-0000-000000000001"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"
EXPIRATION_MIN = 60 * SECOND
EXPIRATION_MAX = 86_400 * SECOND
LEVELS = {"deny": 0, "read": 1, "list": 2, "write": 3}
NAMED = ("key", "service", "node", "session", "agent", "event", "query")
SCALAR = ("acl", "operator", "keyring")

Rules = dict[str, dict[str, str]]
"""Resource (`key`, `key_prefix`, `acl`) -> name -> level."""


def parse_rules(text: str) -> Rules:
    """The rules of a policy. Raises ConsulError in Consul's words."""
    try:
        content = parse_hcl(text)
    except HclError as error:
        raise ConsulError(f"Failed to parse ACL rules: {error}") from None
    rules: Rules = {}
    for resource, value in content.items():
        base = resource.removesuffix("_prefix")
        if resource in SCALAR:
            rules[resource] = {"": value}
        elif base in NAMED and isinstance(value, dict):
            rules[resource] = {name: item.get("policy") for name, item in value.items()}
        else:
            raise ConsulError(f'Failed to parse ACL rules: not emulated: "{resource}"', 501)
        for level in rules[resource].values():
            if level not in LEVELS or (level == "list" and base != "key"):
                raise ConsulError(f'Invalid {base} policy: "{level}"')
    return rules


class Authorizer:
    """Answers for one request. Without `rules` everything is allowed (ACLs off, or a management token)."""

    def __init__(self, rules: Iterable[Rules] | None = None, default: str = "allow") -> None:
        self._all, self._default = rules is None, LEVELS["write" if default == "allow" else "deny"]
        self._rules: Rules = {}
        self.filtered = False
        """Whether a read left something out because of this token."""
        for policy in rules or []:
            for resource, names in policy.items():
                known = self._rules.setdefault(resource, {})
                for name, level in names.items():
                    known[name] = max(known.get(name, level), level, key=lambda each: LEVELS[each] or 9)

    def allows(self, resource: str, access: str, name: str = "") -> bool:
        """Whether `access` (`read`, `write`) to a named resource is granted."""
        if self._all:
            return True
        level = self._rules.get(resource, {}).get(name)
        if level is None:
            prefixes = self._rules.get(f"{resource}_prefix", {})
            fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
            level = prefixes[max(fitting, key=len)] if fitting else None
        # No default grants `acl`: only a rule or a management token does.
        default = LEVELS["deny"] if resource == "acl" else self._default
        return (default if level is None else LEVELS[level]) >= LEVELS[access]

    def key(self, key: str, access: str, *, below: bool = False) -> bool:
        """Whether a key may be read or written; with `below` every key that starts with it."""
        rules = (rule for kind in ("key", "key_prefix") for rule in self._rules.get(kind, {}).items())
        inner = all(LEVELS[level] >= LEVELS[access] for name, level in rules if below and name.startswith(key))
        return self.allows("key", access, key) and inner

    def need(self, resource: str, access: str, name: str = "", short: str = "") -> None:
        """Raise PermissionDenied unless granted. `short` is what old versions add to the sentence."""
        if not self.allows(resource, access, name):
            raise PermissionDenied(resource, access, name, short)

    def visible(self, resource: str, name: str) -> bool:
        """Like `allows(resource, "read", name)`, remembering that something was filtered."""
        seen = self.allows(resource, "read", name)
        self.filtered = self.filtered or not seen
        return seen


class Acl:
    """Tokens and policies. `enabled` and `default_policy` come from the configuration; `clock` gives the UTC time."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock
        self.enabled, self.default_policy = False, "allow"
        self._tokens: dict[str, Token] = store.table("tokens", Token)
        self._policies: dict[str, Policy] = store.table("policies", Policy)

    def enable(self, default_policy: str, management_token: str, description: str) -> None:
        """Switch ACLs on and make sure the built-in policy, the anonymous and the configured token exist."""
        self.enabled, self.default_policy = True, default_policy
        if MANAGEMENT not in self._policies:
            text = "Builtin Policy that grants unlimited access"
            self._keep("policies", MANAGEMENT, Policy(MANAGEMENT, "global-management", text))
        for accessor, secret, text, links in (
            (ANONYMOUS, "anonymous", "Anonymous Token", None),
            (new_id(), management_token, description, [{"ID": MANAGEMENT, "Name": "global-management"}]),
        ):
            if secret and not any(token.secret_id == secret for token in self._tokens.values()):
                self._keep("tokens", accessor, Token(accessor, secret, text, links))

    def authorizer(self, secret: str) -> Authorizer:
        """What the bearer of a secret may do. Raises ConsulError (403) for an unknown or expired token."""
        if not self.enabled:
            return Authorizer()
        links = {link["ID"] for link in self.token_of(secret or "anonymous").policies or []}
        if MANAGEMENT in links:
            return Authorizer()
        return Authorizer([parse_rules(self._policies[link].rules) for link in links], self.default_policy)

    def token_of(self, secret: str) -> Token:
        """The token with this secret. Raises ConsulError (403) for an unknown or expired one."""
        for token in self._tokens.values():
            if token.secret_id == secret and not self._expired(token):
                return token
        raise ConsulError("ACL not found", 403)

    def _expired(self, token: Token) -> bool:
        return bool(token.expiration_time) and datetime.fromisoformat(str(token.expiration_time)) <= self._clock()

    def create_token(self, request: dict[str, Any]) -> Token:
        """Make a token. Raises ConsulError for unknown policies, a bad expiry, and what is not emulated."""
        links = [self._linked(link.get("ID", ""), link.get("Name", "")) for link in request.get("Policies", [])]
        token = Token(request.get("AccessorID") or new_id(), request.get("SecretID") or new_id())
        token = replace(token, description=request.get("Description", ""), policies=links or None)
        if request.get("ExpirationTTL"):
            token.expiration_time = self._expiration(request["ExpirationTTL"])
        self._keep("tokens", token.accessor_id, token)
        return token

    def _expiration(self, ttl: int) -> str:
        if not EXPIRATION_MIN <= ttl <= EXPIRATION_MAX:
            bound, limit = ("less", EXPIRATION_MIN) if ttl < EXPIRATION_MIN else ("more", EXPIRATION_MAX)
            text = f"ExpirationTime cannot be {bound} than {format_duration(limit)} in the future"
            raise ConsulError(f"{text} (was {format_duration(ttl)})")
        return (self._clock() + timedelta(microseconds=ttl / 1000)).isoformat()

    def _linked(self, by_id: str, by_name: str) -> dict[str, str]:
        for policy in self._policies.values():
            if policy.id == by_id or (not by_id and policy.name == by_name):
                return {"ID": policy.id, "Name": policy.name}
        raise ConsulError(f'No such ACL policy with {"ID" if by_id else "name"} "{by_id or by_name}"')

    def delete_token(self, accessor: str) -> None:
        """Delete a token; unknown ones are fine. Raises ConsulError for the anonymous one."""
        if accessor == ANONYMOUS:
            raise ConsulError("Delete operation not permitted on the anonymous token")
        self._keep("tokens", accessor, None)

    def create_policy(self, request: dict[str, Any]) -> Policy:
        """Make a policy. Raises ConsulError for a name that is missing or taken, and for bad rules."""
        name, rules = request.get("Name", ""), request.get("Rules", "")
        if not name:
            raise ConsulError("Invalid Policy: no Name is set")
        if any(policy.name == name for policy in self._policies.values()):
            raise ConsulError(f'Invalid Policy: A Policy with Name "{name}" already exists')
        parse_rules(rules)
        policy = Policy(new_id(), name, request.get("Description", ""), rules)
        self._keep("policies", policy.id, policy)
        return policy

    def _keep(self, table: str, key: str, row: Any) -> None:
        with self._store.commit():
            if row is not None:
                row.hash = base64.b64encode(hashlib.sha256(repr(row).encode()).digest()).decode()
                row.create_index = row.modify_index = self._store.index
                if isinstance(row, Token):
                    row.create_time = self._clock().isoformat()
            self._store.put(table, key, row)
            self._store.touch("acl")
