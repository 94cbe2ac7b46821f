"""Users and their roles. There is one organization, Grafana's first; others are not emulated."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from .errors import not_emulated, plain, public
from .site import Site
from .store import new_uid
from .times import ZERO_TIME, iso

ROLES = ("None", "Viewer", "Editor", "Admin")
"""Basic roles in rising order."""
ORG = {"id": 1, "name": "Main Org."}
_BLANK = dict.fromkeys(("address1", "address2", "city", "zipCode", "state", "country"), "")

BLANK_USER: dict[str, Any] = dict.fromkeys(("uid", "email", "name", "login"), "") | {
    "id": 0, "isDisabled": False, "createdAt": ZERO_TIME, "updatedAt": ZERO_TIME, "isGrafanaAdmin": False
}  # fmt: skip
"""What Grafana shows of somebody who is no user."""


def hash_password(password: str, salt: str) -> str:
    """PBKDF2 with Grafana's parameters (SHA-256, 10,000 rounds, 50 bytes), as hex."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 10_000, 50).hex()


def user_of(body: dict[str, Any]) -> dict[str, Any]:
    """A stored user as `GET /api/user` shows it."""
    keys = ("id", "uid", "email", "name", "login", "isDisabled", "createdAt", "updatedAt", "isGrafanaAdmin")
    shown: dict[str, Any] = {key: body[key] for key in keys} | {"orgId": ORG["id"], "theme": "", "authLabels": []}
    digest = hashlib.md5(body["email"].encode(), usedforsecurity=False).hexdigest()
    return shown | {"isExternal": False, "isProvisioned": False, "avatarUrl": f"/avatar/{digest}"}


class Accounts:
    """Users by numeric id. A new database gets the configured server admin."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store
        self._verified: dict[tuple[str, str], str] = {}
        if not self._store.all("user"):
            with self._store.atomic():
                self._first_start()

    def _first_start(self) -> None:
        text = self._site.settings.text
        admin = {"login": text("security.admin_user"), "email": text("security.admin_email"), "name": ""}
        created = self.create_user(admin | {"password": text("security.admin_password")})
        self._change(created["id"], isGrafanaAdmin=True, role="Admin")

    def org(self) -> dict[str, Any]:
        """GET /api/org."""
        return ORG | {"address": _BLANK}

    def use_org(self, number: str) -> dict[str, Any]:
        """POST /api/user/using/{id}, as provisioning tools do before all else. Raises 401 for any but the one."""
        if number != str(ORG["id"]):
            raise plain(401, "Not a valid organization")
        return {"message": "Active organization changed"}

    def create_user(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /api/admin/users. The login or the e-mail may stand for the other. Raises 400 and 412."""
        login = str(body.get("login") or body.get("email") or "")
        email = str(body.get("email") or login)
        if not login:
            raise plain(400, "Validation error, need specify either username or email")
        if len(str(body.get("password") or "")) < 4:
            raise public(400, "password.password-policy-too-short", "New password is too short")
        if self.by_login(login) or self.by_login(email):
            text = f"User with email '{email}' or username '{login}' already exists"
            raise plain(412, text)
        if int(body.get("OrgId") or body.get("orgId") or 1) != ORG["id"]:
            raise not_emulated("organizations other than the first")
        number = self._store.next_id("user")
        salt, now = secrets.token_hex(5), iso(self._site.clock())
        user = {"id": number, "uid": new_uid(), "login": login, "email": email, "name": body.get("name") or ""}
        user |= {"salt": salt, "password": hash_password(str(body["password"]), salt), "isDisabled": False}
        user |= {"isGrafanaAdmin": False, "createdAt": now, "updatedAt": now, "role": "Viewer"}
        self._store.put("user", 0, str(number), user)
        return {"id": number, "uid": user["uid"], "message": "User created"}

    def user(self, number: int) -> dict[str, Any]:
        """A stored user by id. Raises 404."""
        found = self._store.get("user", 0, str(number))
        if not found:
            raise plain(404, "user not found")
        return found

    def by_login(self, login: str) -> dict[str, Any] | None:
        """A stored user by login or e-mail, whatever the case."""
        wanted = login.lower()
        users = self._store.all("user", 0) if wanted else []
        return next((u for u in users if wanted in {u["login"].lower(), u["email"].lower()}), None)

    def verify(self, login: str, password: str) -> dict[str, Any] | None:
        """The user whose password this is; None for a wrong one or a disabled user."""
        user = self.by_login(login)
        if not user or user["isDisabled"]:
            return None
        # A hash takes milliseconds; a password that matched this very hash before need not be hashed again.
        key = (user["password"], hashlib.sha256(password.encode()).hexdigest())
        if key not in self._verified:
            if not secrets.compare_digest(hash_password(password, user["salt"]), user["password"]):
                return None
            self._verified[key] = user["login"]
        return user

    def delete_user(self, number: int) -> dict[str, Any]:
        """DELETE /api/admin/users/{id}."""
        self.user(number)
        self._store.delete("user", 0, str(number))
        return {"message": "User deleted"}

    def set_disabled(self, number: int, disabled: bool) -> dict[str, Any]:
        """POST /api/admin/users/{id}/disable and /enable."""
        self._change(number, isDisabled=disabled)
        return {"message": "User disabled" if disabled else "User enabled"}

    def set_password(self, number: int, password: str) -> dict[str, Any]:
        """PUT /api/admin/users/{id}/password. Raises 400 for one that is too short."""
        if len(password) < 4:
            raise public(400, "password.password-policy-too-short", "New password is too short")
        salt = secrets.token_hex(5)
        self._change(number, salt=salt, password=hash_password(password, salt))
        return {"message": "User password updated"}

    def _change(self, number: int, **fields: object) -> None:
        user = self.user(number) | fields | {"updatedAt": iso(self._site.clock())}
        self._store.put("user", 0, str(number), user)
