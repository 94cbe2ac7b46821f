"""Users, organizations and who has which role where."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from .errors import GrafanaError, plain, public
from .site import Site
from .store import new_uid
from .times import iso

ROLES = ("None", "Viewer", "Editor", "Admin")
"""Basic roles in rising order."""


def hash_password(password: str, salt: str) -> str:
    """PBKDF2 with Grafana's parameters (SHA-256, 10,000 rounds, 50 bytes), as hex."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 10_000, 50).hex()


def user_of(body: dict[str, Any], org: int) -> dict[str, Any]:
    """A stored user as `GET /api/user` shows it in organization `org`."""
    keys = ("id", "uid", "email", "name", "login", "isDisabled", "createdAt", "updatedAt", "isGrafanaAdmin")
    shown: dict[str, Any] = {key: body[key] for key in keys} | {"orgId": org, "theme": "", "authLabels": []}
    digest = hashlib.md5(body["email"].encode(), usedforsecurity=False).hexdigest()
    return shown | {"isExternal": False, "isProvisioned": False, "avatarUrl": f"/avatar/{digest}"}


class Accounts:
    """Users by numeric id. A new database gets organization 1 and the configured server admin."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store
        self._verified: dict[tuple[str, str], str] = {}
        if not self._store.all("org"):
            with self._store.atomic():
                self._first_start()

    def _first_start(self) -> None:
        text = self._site.settings.text
        self.create_org("Main Org.")
        admin = {"login": text("security.admin_user"), "email": text("security.admin_email"), "name": ""}
        created = self.create_user(admin | {"password": text("security.admin_password")})
        self._change(created["id"], isGrafanaAdmin=True, roles={"1": "Admin"})

    # -- organizations

    def create_org(self, name: str) -> dict[str, Any]:
        """POST /api/orgs. Raises 409 for a taken name."""
        if not name:
            raise plain(400, "bad request data")
        if self._store.find("org", 0, "name", name):
            raise plain(409, "Organization name taken")
        number = self._store.next_id("org")
        self._store.put("org", 0, str(number), {"id": number, "name": name, "address": {}})
        return {"message": "Organization created", "orgId": number}

    def org(self, number: int) -> dict[str, Any]:
        """One organization. Raises 404."""
        found = self._store.get("org", 0, str(number))
        if not found:
            raise plain(404, "Organization not found")
        blank = dict.fromkeys(("address1", "address2", "city", "zipCode", "state", "country"), "")
        return found | {"address": blank}

    def orgs(self) -> list[dict[str, Any]]:
        """GET /api/orgs."""
        return [{"id": body["id"], "name": body["name"]} for body in self._store.all("org", 0)]

    def set_member(self, org: int, body: dict[str, Any]) -> dict[str, Any]:
        """POST /api/orgs/{id}/users. Raises 404 for an unknown user, 409 for a member."""
        self.org(org)
        user = self.by_login(str(body.get("loginOrEmail", "")))
        if not user or body.get("role") not in ROLES:
            raise plain(404, "User not found") if not user else plain(400, "Invalid role specified")
        if str(org) in user["roles"]:
            raise plain(409, "User is already member of this organization")
        self._change(user["id"], roles=user["roles"] | {str(org): body["role"]})
        return {"message": "User added to organization", "userId": user["id"]}

    def set_role(self, org: int, user_id: int, role: str | None) -> dict[str, Any]:
        """PATCH (a role) or DELETE (None) of a member."""
        user = self.user(user_id)
        if role is not None and role not in ROLES:
            raise plain(400, "Invalid role specified")
        others = {key: value for key, value in user["roles"].items() if key != str(org)}
        self._change(user_id, roles=others | ({str(org): role} if role else {}))
        return {"message": "Organization user updated" if role else "User removed from organization"}

    def members(self, org: int) -> list[dict[str, Any]]:
        """GET /api/org/users."""
        found = [body for body in self._store.all("user", 0) if str(org) in body["roles"]]
        keys = ("email", "name", "login", "isDisabled")
        return [
            {key: body[key] for key in keys}
            | {"orgId": org, "userId": body["id"], "role": body["roles"][str(org)], "uid": body["uid"]}
            for body in found
        ]

    # -- users

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
        number, org = self._store.next_id("user"), int(body.get("OrgId") or body.get("orgId") or 1)
        self.org(org)
        salt, now = secrets.token_hex(5), iso(self._site.clock())
        user = {"id": number, "uid": new_uid(), "login": login, "email": email, "name": body.get("name") or ""}
        user |= {"salt": salt, "password": hash_password(str(body["password"]), salt), "isDisabled": False}
        user |= {"isGrafanaAdmin": False, "createdAt": now, "updatedAt": now, "org": org}
        self._store.put("user", 0, str(number), user | {"roles": {str(org): "Viewer"}})
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

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /api/users/search."""
        page, size = int(query.get("page", 1)), int(query.get("perpage", 1000))
        text = query.get("query", "").lower()
        found = [u for u in self._store.all("user", 0) if text in f"{u['login']} {u['email']} {u['name']}".lower()]
        shown = [user_of(user, user["org"]) for user in found[(page - 1) * size : page * size]]
        return {"totalCount": len(found), "users": shown, "page": page, "perPage": size}

    def lookup(self, login: str) -> dict[str, Any]:
        """GET /api/users/lookup. Raises 404."""
        user = self.by_login(login)
        if not user:
            raise plain(404, "user not found")
        return user_of(user, user["org"])

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

    def use_org(self, number: int, org: int) -> dict[str, Any]:
        """POST /api/user/using/{org}. Raises 401 for an organization the user is not in."""
        if str(org) not in self.user(number)["roles"]:
            raise GrafanaError(401, {"message": "Not a valid organization"})
        self._change(number, org=org)
        return {"message": "Active organization changed"}

    def _change(self, number: int, **fields: object) -> None:
        user = self.user(number) | fields | {"updatedAt": iso(self._site.clock())}
        self._store.put("user", 0, str(number), user)
