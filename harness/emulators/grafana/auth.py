"""Who is asking: basic, bearer, session cookie or nobody; and how many wrong passwords are too many."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .accounts import ORG, ROLES, Accounts
from .errors import denied, public, unauthorized
from .service_accounts import ServiceAccounts
from .site import Faults, Site
from .times import from_iso, iso

LOCKOUT_WINDOW_SECONDS = 300.0
SERVER_ADMIN = "Server admin"
"""The role of permissions that no organization grants."""


@dataclass(frozen=True)
class Identity:
    """The caller."""

    id: int
    login: str
    role: str
    server_admin: bool = False
    by_cookie: bool = False
    org: int = 1

    def may(self, role: str) -> bool:
        """Whether the caller has at least `role`."""
        return self.server_admin if role == SERVER_ADMIN else ROLES.index(self.role) >= ROLES.index(role)


class Auth:
    """Turns the credentials of a request into an Identity, or raises the answer that refuses them."""

    def __init__(self, site: Site, accounts: Accounts, service_accounts: ServiceAccounts) -> None:
        self._site, self._accounts, self._service_accounts = site, accounts, service_accounts

    def identify(self, headers: Mapping[str, str], cookie: str) -> Identity:
        """Raises 401 for credentials that do not hold, and for none where anonymous access is off."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(value)
        if scheme.lower() == "basic" and self._site.settings.on("auth.basic.enabled"):
            return self._basic(value)
        if cookie:
            return self._session(cookie)
        return self._anonymous()

    def login(self, body: dict[str, Any]) -> tuple[str, int]:
        """POST /login: the session's token and when it ends. Raises 400 for a wrong form, 401 for a wrong password."""
        if not body.get("user") or not isinstance(body.get("password"), str):
            raise public(400, "form-auth.invalid", "Bad request data")
        user = self._password(str(body["user"]), body["password"])
        token, now = secrets.token_hex(16), self._site.clock()
        ends = now + self._site.settings.seconds("auth.login_maximum_lifetime_duration")
        session = {"user": user["id"], "ends": iso(ends)}
        self._site.store.put("session", 0, hashlib.sha256(token.encode()).hexdigest(), session)
        return token, int(ends)

    def logout(self, cookie: str) -> None:
        """GET /logout: the session is gone."""
        self._site.store.delete("session", 0, hashlib.sha256(cookie.encode()).hexdigest())

    def _bearer(self, key: str) -> Identity:
        account = self._service_accounts.by_key(key)
        if not account:
            if self._service_accounts.expired(key):
                raise unauthorized("api-key.expired", "Expired API key")
            raise unauthorized("api-key.invalid", "Invalid API key")
        return Identity(account["id"], account["login"], account["role"])

    def _basic(self, value: str) -> Identity:
        try:
            login, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise unauthorized("basic-auth.invalid-header", "Invalid Basic Auth Header") from None
        return _member(self._password(login, password))

    def _session(self, cookie: str) -> Identity:
        session = self._site.store.get("session", 0, hashlib.sha256(cookie.encode()).hexdigest())
        if not session or from_iso(session["ends"]) <= self._site.clock():
            raise unauthorized("session.token.rotate" if session else "auth.unauthorized")
        user = self._site.store.get("user", 0, str(session["user"]))
        if not user or user["isDisabled"]:
            raise unauthorized()
        return _member(user, by_cookie=True)

    def _anonymous(self) -> Identity:
        settings = self._site.settings
        if not settings.on("auth.anonymous.enabled"):
            raise unauthorized()
        role = settings.text("auth.anonymous.org_role")
        if settings.text("auth.anonymous.org_name") != ORG["name"] or role not in ROLES:
            raise unauthorized()
        return Identity(0, "", role)

    def _password(self, login: str, password: str) -> dict[str, Any]:
        """Counts per login name, known or not, so that an answer does not tell which names exist."""
        store, now, key = self._site.store, self._site.clock(), login.lower()
        settings, guarded = self._site.settings, "no_lockout" not in self._site.defects
        failures = [
            t for t in (store.get("login_attempt", 0, key) or {"at": []})["at"] if t > now - LOCKOUT_WINDOW_SECONDS
        ]
        limit = settings.number("security.brute_force_login_protection_max_attempts")
        guarded = guarded and not settings.on("security.disable_brute_force_login_protection")
        locked = guarded and len(failures) >= limit
        user = None if locked else self._accounts.verify(login, password)
        if user is None:
            if not locked:
                store.put("login_attempt", 0, key, {"at": [*failures, now]})
            raise unauthorized("password-auth.failed", "Invalid username or password")
        if failures:
            store.delete("login_attempt", 0, key)
        return user


def _member(user: dict[str, Any], by_cookie: bool = False) -> Identity:
    return Identity(user["id"], user["login"], user["role"], user["isGrafanaAdmin"], by_cookie)


def require(who: Identity, role: str, permission: str, defects: Faults) -> None:
    """Raise RBAC's 403 unless the caller has `role`."""
    if not who.may(role) and "viewer_can_write" not in defects:
        raise denied(permission)
