"""Who a request comes from: HTTP basic, or a JSON Web Token signed with HS256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any

from harness.emulators.arangodb.users import ROOT, Users

SESSION_SECONDS = 3600


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(secret: bytes, payload: dict[str, Any]) -> str:
    """A token for a payload."""
    header = {"alg": "HS256", "typ": "JWT"}
    parts = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload))
    return f"{parts}.{_encode(hmac.digest(secret, parts.encode(), hashlib.sha256))}"


def _verify(secret: bytes, token: str) -> dict[str, Any]:
    """The payload of a token that is genuine and not expired, else nothing."""
    head, _, signature = token.rpartition(".")
    try:
        header, payload = (json.loads(_decode(part)) for part in head.split("."))
        genuine = hmac.compare_digest(_decode(signature), hmac.digest(secret, head.encode(), hashlib.sha256))
    except (ValueError, binascii.Error):
        return {}
    genuine = genuine and header.get("alg") == "HS256" and payload.get("iss") == "arangodb"
    return payload if genuine and payload.get("exp", time.time() + 1) > time.time() else {}


class Authenticator:
    """Names the user behind an Authorization header. With `required` off everybody is root."""

    def __init__(self, users: Users, secret: bytes, required: bool) -> None:
        self._users, self._secret = users, secret
        self.required = required

    def session(self, name: str, password: str) -> str | None:
        """A token for a user, valid an hour; None for wrong credentials."""
        if self.required and not self._users.check(name, password):
            return None
        now = int(time.time())
        claims = {"preferred_username": name, "iss": "arangodb", "iat": now, "exp": now + SESSION_SECONDS}
        return sign(self._secret, claims)

    def user(self, authorization: str) -> str | None:
        """The user's name; None when the header proves nobody. A token without user is the superuser."""
        if not self.required:
            return ROOT
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            return self._basic(value)
        claims = _verify(self._secret, value) if scheme.lower() == "bearer" else {}
        name = claims.get("preferred_username", "")
        return ROOT if claims.get("server_id") and not name else (name if self._users.known(name) else None)

    def _basic(self, value: str) -> str | None:
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            return None
        return name if self._users.check(name, password) else None
