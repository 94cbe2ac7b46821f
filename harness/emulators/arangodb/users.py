"""Users, their passwords and their rights on databases and collections."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.emulators.arangodb.errors import ArangoError

ROOT = "root"


@dataclass
class User:
    """One account. `rights` maps `database` or `database/collection` (`*` for any) to rw, ro or none."""

    name: str
    salt: str = ""
    digest: str = ""
    active: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    rights: dict[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The user as the API shows it."""
        return {"user": self.name, "active": self.active, "extra": self.extra}

    def right(self, database: str, collection: str = "") -> str:
        """The effective right: the collection's own, then any collection's, then the database's, then any's."""
        narrow = (f"{database}/{collection}", f"{database}/*", "*/*") if collection else ()
        return next((self.rights[key] for key in (*narrow, database, "*") if key in self.rights), "none")


def _digest(salt: str, password: str) -> str:
    return hashlib.sha256((salt + password).encode()).hexdigest()


class Users:
    """All users. `save` is told of every change: the name and the whole user, or None when it is gone."""

    def __init__(self, save: Callable[[str, dict[str, Any] | None], None], accept_any_password: bool = False) -> None:
        self._users: dict[str, User] = {}
        self._save = save
        self._accept_any = accept_any_password

    def load(self, name: str, facts: dict[str, Any] | None) -> None:
        """Take over a saved user, or forget one."""
        if facts is None:
            self._users.pop(name, None)
        else:
            self._users[name] = User(**facts)

    def all(self) -> list[User]:
        """Every user by name."""
        return [self._users[name] for name in sorted(self._users)]

    def get(self, name: str) -> User:
        """Raises ArangoError 1703."""
        if name not in self._users:
            raise ArangoError(1703)
        return self._users[name]

    def create(self, name: Any, body: dict[str, Any]) -> User:
        """A user with the body's `passwd`, `active` and `extra`. Raises ArangoError 1702, or 1700 for no name."""
        if not isinstance(name, str) or not name:
            raise ArangoError(1700, "invalid user name")
        if name in self._users:
            raise ArangoError(1702)
        self._users[name] = User(name)
        return self.change(name, {"passwd": "", **body})

    def change(self, name: str, body: dict[str, Any]) -> User:
        """Set what the body gives of `passwd` and `active`, add what it gives of `extra`. Raises ArangoError 1703."""
        user = self.get(name)
        if "passwd" in body:
            user.salt = secrets.token_hex(4)
            user.digest = _digest(user.salt, str(body["passwd"] or ""))
        user.active = user.active if body.get("active") is None else bool(body["active"])
        if isinstance(extra := body.get("extra"), dict):
            user.extra = {**user.extra, **extra}
        self._save(name, asdict(user))
        return user

    def replace(self, name: str, body: dict[str, Any]) -> User:
        """As `change`, what is not given set to its default. Raises ArangoError 1703."""
        self.get(name).extra = {}
        return self.change(name, {"passwd": "", "active": True, **body})

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

    def grant(self, name: str, what: str, right: Any) -> None:
        """Set a right, or with None take it back. Raises ArangoError 1703, 10."""
        user = self.get(name)
        if right not in ("none", "ro", "rw", None):
            raise ArangoError(10, "expecting 'grant' to be one of none, ro, rw")
        user.rights.pop(what, None)
        if right:
            user.rights[what] = right
        self._save(name, asdict(user))

    def right(self, name: str, database: str, collection: str = "") -> str:
        """A user's effective right; `none` for nobody."""
        return self._users[name].right(database, collection) if name in self._users else "none"
