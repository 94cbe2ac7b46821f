"""Transactions over the KV store: all operations or none. Source: the txn page; texts captured from 1.8.7."""

from __future__ import annotations

from typing import Any

from harness.emulators.runner import Defects

from .acl_rules import Authorizer
from .errors import ConsulError
from .kv import KV
from .rows import Entry, to_wire
from .store import Store

READS = {"get", "get-tree", "check-session", "check-index", "check-not-exists"}
WRITES = {"set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"}
_REFUSED = {
    "cas": 'failed to set key "{}", index is stale',
    "delete-cas": 'failed to delete key "{}", index is stale',
    "lock": 'failed to lock key "{}", lock is already held',
    "unlock": 'failed to unlock key "{}", lock isn\'t held, or is held by another session',
}


class TxnFailed(ConsulError):
    """A transaction that was not applied; `errors` names each operation and why."""

    def __init__(self, errors: list[dict[str, Any]], *, reads_only: bool = False) -> None:
        super().__init__("transaction failed", 409)
        self.errors, self.reads_only = errors, reads_only


class Txn:
    """Runs lists of KV operations."""

    def __init__(self, store: Store, kv: KV, defects: Defects) -> None:
        self._store, self._kv, self._defects = store, kv, defects
        store.command("txn", self._apply)

    def run(self, operations: list[dict[str, Any]], authorizer: Authorizer) -> tuple[list[dict[str, Any]], bool]:
        """(results, whether it only read). Raises TxnFailed."""
        reads_only = all(operation.get("Verb") not in WRITES for operation in operations)
        refused = [(at, _refusal(operation, authorizer)) for at, operation in enumerate(operations)]
        errors = [{"OpIndex": at, "What": what} for at, what in refused if what]
        if errors:
            raise TxnFailed(errors)
        results = self._read(operations) if reads_only else self._store.commit("txn", operations=operations)
        return [item for item in results if authorizer.key(item["KV"]["Key"], "read")], reads_only

    def _read(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return self._apply(operations)
        except TxnFailed as failed:
            raise TxnFailed(failed.errors, reads_only=True) from None

    def _apply(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        errors = []
        self._kv.begin()
        for at, operation in enumerate(operations):
            try:
                results += self._one(operation)
            except ConsulError as error:
                errors.append({"OpIndex": at, "What": str(error)})
        self._kv.end(keep=not errors or "txn-not-atomic" in self._defects)
        if errors:
            raise TxnFailed(errors)
        return results

    def _one(self, operation: dict[str, Any]) -> list[dict[str, Any]]:
        verb, key = operation.get("Verb", ""), operation.get("Key", "")
        if verb in WRITES:
            done = self._kv.apply(
                verb, key, operation.get("Value"), operation.get("Flags", 0), operation.get("Index", 0),
                operation.get("Session", ""),
            )  # fmt: skip
            if not done:
                raise ConsulError(_REFUSED[verb].format(key))
            return [] if verb.startswith("delete") else [_shown(self._found(key), value=False)]
        if verb == "get-tree":
            return [_shown(entry) for entry in self._kv.under(key)[1]]
        return self._check(verb, key, operation)

    def _found(self, key: str, doing: str = "") -> Entry:
        entry = self._kv.get(key)[1]
        if entry is None:
            raise ConsulError(f'{doing}key "{key}" doesn\'t exist')
        return entry

    def _check(self, verb: str, key: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
        if verb == "get":
            return [_shown(self._found(key))]
        if verb == "check-not-exists":
            if self._kv.get(key)[1] is not None:
                raise ConsulError(f'key "{key}" exists')
            return []
        if verb not in READS:
            raise ConsulError(f'unknown KV verb "{verb}"')
        wanted: Any
        if verb == "check-index":
            entry, wanted = self._found(key, "failed to check index, "), operation.get("Index", 0)
            if entry.modify_index != wanted:
                state = f"current modify index {entry.modify_index} != {wanted}"
                raise ConsulError(f'failed index check for key "{key}", {state}')
        else:
            entry, wanted = self._found(key, "failed to check session, "), operation.get("Session", "")
            if (entry.session or "") != wanted:
                state = f'current session "{entry.session or ""}" != "{wanted}"'
                raise ConsulError(f'failed session check for key "{key}", {state}')
        return [_shown(entry, value=False)]


def _refusal(operation: dict[str, Any], authorizer: Authorizer) -> str:
    verb, key = operation.get("Verb", ""), operation.get("Key", "")
    if not key:
        return "Must provide key"
    if verb in WRITES and not authorizer.key(key, "write", below=verb == "delete-tree"):
        return "Permission denied"
    return ""


def _shown(entry: Entry, *, value: bool = True) -> dict[str, Any]:
    shown = to_wire(entry)
    if not value:
        shown["Value"] = None
    return {"KV": shown}
