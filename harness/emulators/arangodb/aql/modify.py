"""INSERT, UPDATE, REPLACE, REMOVE and UPSERT inside a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import truth
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import Outcome, WriteOptions, key_of
from harness.emulators.arangodb.errors import ArangoError, LockBusyError

OLD, NEW = "OLD", "NEW"


@dataclass(frozen=True)
class Parts:
    """What a modification evaluates per row; `find` is UPSERT's search, `insert` what it inserts if that fails."""

    document: Evaluate
    changes: Evaluate
    find: Callable[[Row], Any] | None = None
    insert: Evaluate | None = None


def _write_options(given: dict[str, Any]) -> WriteOptions:
    return WriteOptions(
        keep_null=truth(given.get("keepNull", True)),
        merge_objects=truth(given.get("mergeObjects", True)),
        overwrite_mode=given.get("overwriteMode") or ("replace" if given.get("overwrite") else "conflict"),
        ignore_revs=truth(given.get("ignoreRevs", True)),
        version_attribute=given.get("versionAttribute") or "",
    )


class Change:
    """One modification: writes once per row; OLD and NEW join the row. A row whose write is ignored is left out.

    All its input is read before its first write, so it never meets its own writes.
    """

    def __init__(self, ctx: Context, kind: str, target: Collection, options: dict[str, Any], parts: Parts) -> None:
        self._ctx, self._verb, self._target, self._parts = ctx, kind, target, parts
        self._options, self._ignore_errors = _write_options(options), truth(options.get("ignoreErrors"))
        self._sync = truth(options.get("waitForSync")) or bool(target.facts["waitForSync"])

    def node(self) -> Node:
        """The step of the plan."""
        kind = "Upsert" if self._parts.find else self._verb.capitalize()
        return Node(f"{kind}Node", self._run, facts={"collection": self._target.name})

    def _run(self, rows: Iterator[Row], _base: Row) -> Iterator[Row]:
        self._ctx.trx.wait_for_sync |= self._sync
        done = []
        for row in list(rows):
            self._ctx.step()
            outcome = self._attempt(row)
            if outcome is not None:
                done.append({**row, OLD: outcome.old, NEW: outcome.new})
        return iter(done)

    def _attempt(self, row: Row) -> Outcome | None:
        ctx = self._ctx
        mark = ctx.trx.savepoint()
        try:
            outcome = self._upsert(row) if self._parts.find else self._write(row)
        except LockBusyError:
            raise
        except ArangoError as error:
            ctx.trx.rollback(mark)
            if not self._ignore_errors:
                text = f"AQL: {error} [node #0: {self.node().kind}] (while executing)"
                raise ArangoError(error.number, text, status=error.status) from error
            ctx.bump("writesIgnored")
            return None
        ctx.bump("writesExecuted" if outcome.written else "writesIgnored")
        return outcome

    def _write(self, row: Row) -> Outcome:
        ctx, document = self._ctx, self._parts.document(row)
        if self._verb == "INSERT":
            return ctx.documents.insert(ctx.trx, self._target, document, self._options)
        has_revision = isinstance(document, dict) and not self._options.ignore_revs
        match = document.get("_rev") if has_revision else None
        if self._verb == "REMOVE":
            return ctx.documents.remove(ctx.trx, self._target, key_of(document), match)
        return self._change(key_of(document), self._parts.changes(row), replace(self._options, match=match))

    def _change(self, key: str, body: Any, options: WriteOptions) -> Outcome:
        change = self._ctx.documents.update if self._verb == "UPDATE" else self._ctx.documents.replace
        return change(self._ctx.trx, self._target, key, body, options)

    def _upsert(self, row: Row) -> Outcome:
        parts, ctx = self._parts, self._ctx
        found = parts.find(row) if parts.find else None
        if found is not None:
            return self._change(found["_key"], parts.changes({**row, OLD: found}), self._options)
        body = parts.insert(row) if parts.insert else None
        return ctx.documents.insert(ctx.trx, self._target, body, self._options)
