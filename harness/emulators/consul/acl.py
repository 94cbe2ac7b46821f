"""ACL tokens and policies: the built-in ones, creation, deletion, expiry, and resolving a secret.

Sources: the ACL token and policy pages of the HTTP API; captured answers of 1.8.7 for texts.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from harness.emulators.go_durations import SECOND, format_duration
from harness.emulators.runner import Defects

from .acl_rules import Authorizer, parse_rules
from .errors import ConsulError
from .rows import Policy, Token, from_wire, new_id, to_wire
from .store import Store, dump_rows, load_rows

MANAGEMENT = "00000000-0000-0000-0000-000000000001"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"
EXPIRATION_MIN = 60 * SECOND
EXPIRATION_MAX = 86_400 * SECOND
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,128}")


def acl_not_found() -> ConsulError:
    """The 403 for an unknown, deleted or expired token, and for an unknown token or policy id."""
    return ConsulError("ACL not found", 403)


class Acl:
    """Tokens and policies. `enabled` and `default_policy` come from the configuration; `clock` gives the UTC time."""

    def __init__(self, store: Store, defects: Defects, clock: Callable[[], datetime]) -> None:
        self._store, self._defects, self._clock = store, defects, clock
        self.enabled, self.default_policy = False, "allow"
        self._tokens: dict[str, Token] = {}
        self._policies: dict[str, Policy] = {}
        store.part("acl", self)
        store.command("token-set", self._set_token)
        store.command("token-delete", lambda accessor: self._drop(self._tokens, accessor))
        store.command("policy-set", self._set_policy)
        store.command("policy-delete", lambda policy_id: self._drop(self._policies, policy_id))

    def enable(self, default_policy: str, management_token: str, description: str) -> None:
        """Switch ACLs on and make sure the built-in policy, the anonymous and the configured token exist."""
        self.enabled, self.default_policy = True, default_policy
        if MANAGEMENT not in self._policies:
            text = "Builtin Policy that grants unlimited access"
            self._commit_policy(Policy(MANAGEMENT, "global-management", text))
        if ANONYMOUS not in self._tokens:
            self._commit_token(Token(ANONYMOUS, "anonymous", "Anonymous Token"))
        if management_token and self._by_secret(management_token) is None:
            link = [{"ID": MANAGEMENT}]
            self._commit_token(Token(new_id(), management_token, description, link))

    # -- resolving ----------------------------------------------------------------------------------------------

    def authorizer(self, secret: str) -> Authorizer:
        """What the bearer of a secret may do. Raises ConsulError (403) for an unknown or expired token."""
        if not self.enabled:
            return Authorizer()
        links = {link["ID"] for link in self.token_of(secret or "anonymous").policies or []}
        if MANAGEMENT in links:
            return Authorizer()
        found = [parse_rules(self._policies[link].rules) for link in links if link in self._policies]
        return Authorizer(found, self.default_policy)

    def token_of(self, secret: str) -> Token:
        """The token with this secret. Raises ConsulError (403) for an unknown or expired one."""
        token = self._by_secret(secret)
        if token is None or self._expired(token):
            raise acl_not_found()
        return token

    def _by_secret(self, secret: str) -> Token | None:
        return next((token for token in self._tokens.values() if token.secret_id == secret), None)

    def _expired(self, token: Token) -> bool:
        return bool(token.expiration_time) and datetime.fromisoformat(str(token.expiration_time)) <= self._clock()

    # -- tokens -------------------------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        """All living tokens, sorted by accessor."""
        return [token for _, token in sorted(self._tokens.items()) if not self._expired(token)]

    def token(self, accessor: str) -> Token:
        """A token by accessor id. Raises ConsulError (403)."""
        token = self._tokens.get(accessor)
        if token is None or self._expired(token):
            raise acl_not_found()
        return token

    def shown(self, token: Token, *, secret: bool) -> dict[str, Any]:
        """A token as the API shows it: policy names looked up, the secret only where asked."""
        links = [link["ID"] for link in token.policies or [] if link["ID"] in self._policies]
        named = [{"ID": link, "Name": self._policies[link].name} for link in links]
        shown = to_wire(replace(token, policies=named))
        return shown if secret else {name: value for name, value in shown.items() if name != "SecretID"}

    def write_token(self, request: dict[str, Any], accessor: str = "") -> Token:
        """Create a token, or update the one with this accessor. Raises ConsulError."""
        old = self.token(accessor) if accessor else None
        links = [{"ID": self._linked(link)} for link in request.get("Policies", [])]
        token = Token(accessor or request.get("AccessorID") or new_id(), request.get("SecretID") or new_id())
        token.description, token.local = request.get("Description", ""), request.get("Local", False)
        token.policies, token.create_time = links or None, self._clock().isoformat()
        if old:
            token.secret_id, token.create_time, token.expiration_time = (
                old.secret_id,
                old.create_time,
                old.expiration_time,
            )
        elif request.get("ExpirationTTL"):
            token.expiration_time = self._expiration(request["ExpirationTTL"])
        self._commit_token(token)
        return self._tokens[token.accessor_id]

    def _expiration(self, ttl: int) -> str:
        if not EXPIRATION_MIN <= ttl <= EXPIRATION_MAX:
            bound, limit = ("less", EXPIRATION_MIN) if ttl < EXPIRATION_MIN else ("more", EXPIRATION_MAX)
            text = f"ExpirationTime cannot be {bound} than {format_duration(limit)} in the future"
            raise ConsulError(f"{text} (was {format_duration(ttl)})")
        return (self._clock() + timedelta(microseconds=ttl / 1000)).isoformat()

    def _linked(self, link: dict[str, str]) -> str:
        by_id, by_name = link.get("ID", ""), link.get("Name", "")
        for policy in self._policies.values():
            if policy.id == by_id or (not by_id and policy.name == by_name):
                return policy.id
        raise ConsulError(f'No such ACL policy with {"ID" if by_id else "name"} "{by_id or by_name}"')

    def delete_token(self, accessor: str) -> None:
        """Delete a token; unknown ones are fine. Raises ConsulError for the anonymous one."""
        if accessor == ANONYMOUS:
            raise ConsulError("Delete operation not permitted on the anonymous token")
        self._store.commit("token-delete", accessor=accessor)

    # -- policies -----------------------------------------------------------------------------------------------

    def policies(self) -> list[Policy]:
        """All policies, sorted by id."""
        return [policy for _, policy in sorted(self._policies.items())]

    def policy(self, policy_id: str = "", name: str = "") -> Policy:
        """A policy by id or name. Raises ConsulError (403)."""
        for policy in self._policies.values():
            if policy.id == policy_id or (name and policy.name == name):
                return policy
        raise acl_not_found()

    def write_policy(self, request: dict[str, Any], policy_id: str = "") -> Policy:
        """Create a policy, or replace the one with this id. Raises ConsulError for a bad name or bad rules."""
        name, rules = request.get("Name", ""), request.get("Rules", "")
        if policy_id:
            self.policy(policy_id)
        if not name:
            raise ConsulError("Invalid Policy: no Name is set")
        if not _NAME.fullmatch(name):
            raise ConsulError("Invalid Policy: invalid Name. Only alphanumeric characters, '-' and '_' are allowed")
        if any(policy.name == name and policy.id != policy_id for policy in self._policies.values()):
            raise ConsulError(f'Invalid Policy: A Policy with Name "{name}" already exists')
        parse_rules(rules)
        policy = Policy(policy_id or new_id(), name, request.get("Description", ""), rules, request.get("Datacenters"))
        self._commit_policy(policy)
        return self._policies[policy.id]

    def delete_policy(self, policy_id: str) -> None:
        """Delete a policy; unknown ones are fine. Raises ConsulError for the built-in one."""
        if policy_id == MANAGEMENT:
            raise ConsulError("Delete operation not permitted on the builtin global-management policy")
        self._store.commit("policy-delete", policy_id=policy_id)

    # -- commands -----------------------------------------------------------------------------------------------

    def _commit_token(self, token: Token) -> None:
        token.create_time = token.create_time or self._clock().isoformat()
        self._store.commit("token-set", row=to_wire(token))

    def _commit_policy(self, policy: Policy) -> None:
        self._store.commit("policy-set", row=to_wire(policy))

    def _set_token(self, row: dict[str, Any]) -> None:
        token = from_wire(Token, row)
        self._stamp(self._tokens, token.accessor_id, token, f"{token.description}{token.policies}{token.local}")

    def _set_policy(self, row: dict[str, Any]) -> None:
        policy = from_wire(Policy, row)
        self._stamp(self._policies, policy.id, policy, f"{policy.name}{policy.description}{policy.rules}")

    def _stamp(self, rows: dict[str, Any], name: str, row: Any, content: str) -> None:
        old = rows.get(name)
        row.hash = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        row.create_index = old.create_index if old else self._store.index
        row.modify_index = self._store.index
        rows[name] = row
        self._store.touch("acl")

    def _drop(self, rows: dict[str, Any], name: str) -> None:
        rows.pop(name, None)
        self._store.touch("acl")

    def dump(self) -> Any:
        """Tokens and policies."""
        return {"tokens": dump_rows(self._tokens.values()), "policies": dump_rows(self._policies.values())}

    def load(self, content: Any) -> None:
        """Replace tokens and policies."""
        self._tokens = {row.accessor_id: row for row in load_rows(Token, content["tokens"])}
        self._policies = {row.id: row for row in load_rows(Policy, content["policies"])}
