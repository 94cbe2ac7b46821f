"""Users, their passwords and their rights on databases and collections."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.emulators.arangodb.errors import ArangoError

RIGHTS = ("none", "ro", "rw")
ROOT = "root"


@dataclass
class User:
    """One account. `databases` maps a database or `*` to a right, `collections` a `database/collection` one."""

    name: str
    salt: str = ""
    digest: str = ""
    active: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)

    def set_password(self, password: str) -> None:
        """Keep a salted digest of the password."""
        self.salt = secrets.token_hex(4)
        self.digest = _digest(self.salt, password)

    def facts(self) -> dict[str, Any]:
        """The user as the API shows it."""
        return {"user": self.name, "active": self.active, "extra": self.extra}


def _digest(salt: str, password: str) -> str:
    return hashlib.sha256((salt + password).encode()).hexdigest()


class Users:
    """All users. `save` is told of every change: the name and the whole user, or None when it is gone."""

    def __init__(self, save: Callable[[str, dict[str, Any] | None], None], accept_any_password: bool = False) -> None:
        self._users: dict[str, User] = {}
        self._save = save
        self._accept_any = accept_any_password

    def load(self, name: str, facts: dict[str, Any] | None) -> None:
        """Take over a saved user."""
        if facts is None:
            self._users.pop(name, None)
        else:
            self._users[name] = User(**facts)

    def save(self, user: User) -> None:
        """Journal a user as it is now."""
        self._save(user.name, asdict(user))

    def all(self) -> list[User]:
        """Every user by name."""
        return [self._users[name] for name in sorted(self._users)]

    def get(self, name: str) -> User:
        """Raises ArangoError 1703."""
        if name not in self._users:
            raise ArangoError(1703)
        return self._users[name]

    def create(self, name: Any, password: Any, active: Any = True, extra: Any = None) -> User:
        """Raises ArangoError 1702, or 1700 for an empty name."""
        if not isinstance(name, str) or not name:
            raise ArangoError(1700, "invalid user name")
        if name in self._users:
            raise ArangoError(1702)
        return self._set(User(name), password or "", active, extra)

    def change(self, name: str, body: dict[str, Any], *, replace: bool) -> User:
        """PATCH changes what is given; PUT (`replace`) sets the rest to defaults. Raises ArangoError 1703."""
        user = self.get(name)
        active = body.get("active", True if replace else user.active)
        extra = body.get("extra", {} if replace else user.extra)
        return self._set(user, body.get("passwd", "" if replace else None), active, extra)

    def _set(self, user: User, password: Any, active: Any, extra: Any) -> User:
        if password is not None:
            user.set_password(str(password))
        user.active, user.extra = active is None or bool(active), extra if isinstance(extra, dict) else {}
        self.save(user)
        self._users[user.name] = user
        return user

    def remove(self, name: str) -> None:
        """Raises ArangoError 1703."""
        self.get(name)
        self._save(name, None)
        del self._users[name]

    def check(self, name: str, password: str) -> bool:
        """Whether an active user has this password."""
        user = self._users.get(name)
        if user is None or not user.active:
            return False
        return self._accept_any or hmac.compare_digest(user.digest, _digest(user.salt, password))

    def known(self, name: str) -> bool:
        """Whether an active user has this name."""
        return name in self._users and self._users[name].active

    def grant(self, name: str, database: str, collection: str, right: Any) -> None:
        """Set a right. Raises ArangoError 1703, 10."""
        user = self.get(name)
        if right not in RIGHTS:
            raise ArangoError(10, "expecting 'grant' to be one of none, ro, rw")
        if collection:
            user.collections[f"{database}/{collection}"] = right
        else:
            user.databases[database] = right
        self.save(user)

    def revoke(self, name: str, database: str, collection: str) -> None:
        """Back to the default. Raises ArangoError 1703."""
        user = self.get(name)
        if collection:
            user.collections.pop(f"{database}/{collection}", None)
        else:
            user.databases.pop(database, None)
        self.save(user)

    def database_right(self, name: str, database: str) -> str:
        """The effective right: explicit, else that of `*`, else none."""
        user = self._users.get(name)
        return user.databases.get(database, user.databases.get("*", "none")) if user else "none"

    def collection_right(self, name: str, database: str, collection: str) -> str:
        """The effective right: explicit, else the database's `*`, else the database's own."""
        user = self._users.get(name)
        if user is None:
            return "none"
        for key in (f"{database}/{collection}", f"{database}/*", "*/*"):
            if key in user.collections:
                return user.collections[key]
        return self.database_right(name, database)
