"""Transactions over the KV store: all operations or none. Source: the txn page; texts captured from 1.8.7."""

from __future__ import annotations

from typing import Any

from harness.emulators.runner import Defects

from .acl import Authorizer
from .errors import ConsulError
from .kv import KV
from .rows import Entry, to_wire
from .store import Store

WRITES = {"set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"}
_REFUSED = {
    "cas": 'failed to set key "{}", index is stale',
    "delete-cas": 'failed to delete key "{}", index is stale',
    "lock": 'failed to lock key "{}", lock is already held',
    "unlock": 'failed to unlock key "{}", lock isn\'t held, or is held by another session',
}


class TxnFailed(ConsulError):
    """A transaction that was not applied; `errors` names each operation and why."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("transaction failed", 409)
        self.errors = errors


class Txn:
    """Runs lists of KV operations."""

    def __init__(self, store: Store, kv: KV, defects: Defects) -> None:
        self._store, self._kv, self._defects = store, kv, defects

    def run(self, operations: list[dict[str, Any]], authorizer: Authorizer) -> list[dict[str, Any]]:
        """The results, of one commit unless there is nothing but reads. Raises TxnFailed."""
        errors = [
            {"OpIndex": at, "What": what} for at, op in enumerate(operations) if (what := _refusal(op, authorizer))
        ]
        if errors:
            raise TxnFailed(errors)
        results: list[dict[str, Any]] = []
        with self._store.commit(local=all(operation.get("Verb") not in WRITES for operation in operations)):
            for at, operation in enumerate(operations):
                try:
                    results += self._one(operation)
                except ConsulError as error:
                    errors.append({"OpIndex": at, "What": str(error)})
            if errors and "txn-not-atomic" not in self._defects:
                raise TxnFailed(errors)
        if errors:
            raise TxnFailed(errors)
        return [item for item in results if authorizer.key(item["KV"]["Key"], "read")]

    def _one(self, operation: dict[str, Any]) -> list[dict[str, Any]]:
        verb, key = operation.get("Verb", ""), operation.get("Key", "")
        index, session = operation.get("Index", 0), operation.get("Session", "")
        if verb in WRITES:
            if not self._kv.apply(verb, key, operation.get("Value"), operation.get("Flags", 0), index, session):
                raise ConsulError(_REFUSED[verb].format(key))
            return [] if verb.startswith("delete") else [_shown(self._found(key), value=False)]
        if verb == "get-tree":
            return [_shown(entry) for entry in self._kv.under(key)[1]]
        if verb == "check-not-exists":
            if self._kv.get(key)[1] is not None:
                raise ConsulError(f'key "{key}" exists')
            return []
        if verb == "get":
            return [_shown(self._found(key))]
        if verb == "check-index":
            entry = self._found(key, "failed to check index, ")
            same, state = entry.modify_index == index, f"current modify index {entry.modify_index} != {index}"
        elif verb == "check-session":
            entry = self._found(key, "failed to check session, ")
            same, state = (entry.session or "") == session, f'current session "{entry.session or ""}" != "{session}"'
        else:
            raise ConsulError(f'unknown KV verb "{verb}"')
        if not same:
            raise ConsulError(f'failed {verb[6:]} check for key "{key}", {state}')
        return [_shown(entry, value=False)]

    def _found(self, key: str, doing: str = "") -> Entry:
        entry = self._kv.get(key)[1]
        if entry is None:
            raise ConsulError(f'{doing}key "{key}" doesn\'t exist')
        return entry


def _refusal(operation: dict[str, Any], authorizer: Authorizer) -> str:
    verb, key = operation.get("Verb", ""), operation.get("Key", "")
    if not key:
        return "Must provide key"
    denied = verb in WRITES and not authorizer.key(key, "write", below=verb == "delete-tree")
    return "Permission denied" if denied else ""


def _shown(entry: Entry, *, value: bool = True) -> dict[str, Any]:
    return {"KV": to_wire(entry) | ({} if value else {"Value": None})}
