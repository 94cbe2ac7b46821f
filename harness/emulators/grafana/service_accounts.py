"""Service accounts and their tokens: the machine's way in."""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from typing import Any

from .accounts import ROLES
from .errors import plain, public
from .inputs import page_of
from .site import Site
from .store import new_uid
from .times import from_iso, iso

_ALNUM = string.ascii_letters + string.digits


def new_key() -> str:
    """`glsa_<32 alphanumerics>_<CRC-32 of them, 8 hex digits>`."""
    secret = "".join(secrets.choice(_ALNUM) for _ in range(32))
    return f"glsa_{secret}_{zlib.crc32(secret.encode()):08x}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class ServiceAccounts:
    """Accounts per organization; of a token only the hash is kept."""

    def __init__(self, site: Site) -> None:
        self._site, self._store = site, site.store

    def create(self, org: int, body: dict[str, Any]) -> dict[str, Any]:
        """POST /api/serviceaccounts (201). Raises 400 for a bad role or a taken name."""
        name, role = str(body.get("name") or ""), body.get("role") or "Viewer"
        if not name or role not in ROLES:
            raise plain(400, "invalid role value" if name else "bad request data")
        if self._store.find("service_account", org, "name", name):
            raise public(400, "serviceaccounts.ErrAlreadyExists", "service account already exists")
        number = self._store.next_id("user")
        login = f"sa-{org}-{name.lower().replace(' ', '-')}"
        account = {"id": number, "uid": new_uid(), "name": name, "login": login, "orgId": org, "role": role}
        account |= {"isDisabled": bool(body.get("isDisabled")), "avatarUrl": f"/avatar/{_digest(login)[:32]}"}
        return self._store.put("service_account", org, str(number), account) | {"tokens": 0}

    def get(self, org: int, number: str) -> dict[str, Any]:
        """GET /{id}. Raises 404."""
        found = self._store.get("service_account", org, number)
        if not found:
            raise public(404, "serviceaccounts.ErrNotFound", "service account not found")
        return found | {"tokens": len(self._tokens(found["id"]))}

    def search(self, org: int, query: dict[str, str]) -> dict[str, Any]:
        """GET /search."""
        text = query.get("query", "").lower()
        found = [a for a in self._store.all("service_account", org) if text in a["name"].lower()]
        here, page, size = page_of(found, query, "perpage")
        shown = [a | {"tokens": len(self._tokens(a["id"]))} for a in here]
        return {"totalCount": len(found), "serviceAccounts": shown, "page": page, "perPage": size}

    def update(self, org: int, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """PATCH /{id}: name, role, isDisabled."""
        account = self.get(org, number)
        if body.get("role", "Viewer") not in ROLES:
            raise plain(400, "invalid role value")
        account |= {key: body[key] for key in ("name", "role", "isDisabled") if key in body}
        self._store.put("service_account", org, number, account)
        head = {"message": "Service account updated", "id": account["id"], "name": account["name"]}
        return head | {"serviceaccount": account}

    def delete(self, org: int, number: str) -> dict[str, Any]:
        """DELETE /{id}, with its tokens."""
        account = self.get(org, number)
        with self._store.atomic():
            for token in self._tokens(account["id"]):
                self._store.delete("token", 0, token["hash"])
            self._store.delete("service_account", org, number)
        return {"message": "Service account deleted"}

    def create_token(self, org: int, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST /{id}/tokens: the only answer that shows the key. Raises 400, 404 and 409 for a taken name."""
        account, name = self.get(org, number), str(body.get("name") or "")
        ttl = int(body.get("secondsToLive") or 0)
        if not name or ttl < 0:
            raise plain(400, "bad request data")
        if any(token["name"] == name for token in self._tokens(account["id"])):
            raise public(
                409, "serviceaccounts.ErrTokenAlreadyExists", "service account token with given name already exists"
            )
        key, token_id, now = new_key(), self._store.next_id("token"), self._site.clock()
        token = {"id": token_id, "name": name, "account": account["id"], "org": org, "hash": _digest(key)}
        token |= {"created": iso(now, 6), "expiration": iso(now + ttl, 6) if ttl else None, "lastUsedAt": None}
        self._store.put("token", 0, token["hash"], token)
        return {"id": token_id, "name": name, "key": key}

    def tokens(self, org: int, number: str) -> list[dict[str, Any]]:
        """GET /{id}/tokens."""
        now, shown = self._site.clock(), []
        for token in self._tokens(self.get(org, number)["id"]):
            left = from_iso(token["expiration"]) - now if token["expiration"] else 0.0
            state = {"secondsUntilExpiration": left, "hasExpired": bool(token["expiration"]) and left <= 0}
            keys = ("id", "name", "created", "expiration", "lastUsedAt")
            shown.append({key: token[key] for key in keys} | state | {"isRevoked": False})
        return shown

    def delete_token(self, org: int, number: str, token_id: str) -> dict[str, Any]:
        """DELETE /{id}/tokens/{token}. Raises 404."""
        for token in self._tokens(self.get(org, number)["id"]):
            if str(token["id"]) == token_id:
                self._store.delete("token", 0, token["hash"])
                return {"message": "Service account token deleted"}
        raise public(404, "serviceaccounts.ErrTokenNotFound", "service account token not found")

    def by_key(self, key: str) -> dict[str, Any] | None:
        """The enabled account whose unexpired token this is."""
        token = self._store.get("token", 0, _digest(key))
        if not token or self.expired(key):
            return None
        account = self._store.get("service_account", token["org"], str(token["account"]))
        return account if account and not account["isDisabled"] else None

    def expired(self, key: str) -> bool:
        """Whether this was a token and its time is over."""
        ends = (self._store.get("token", 0, _digest(key)) or {}).get("expiration")
        over = bool(ends) and from_iso(str(ends)) <= self._site.clock()
        return over and "token_never_expires" not in self._site.defects

    def _tokens(self, account: int) -> list[dict[str, Any]]:
        return [token for token in self._store.all("token", 0) if token["account"] == account]
