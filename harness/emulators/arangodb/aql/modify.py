"""INSERT, UPDATE, REPLACE, REMOVE and UPSERT inside a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness.emulators.arangodb.aql.context import Context, Evaluate, Row
from harness.emulators.arangodb.aql.nodes import Node
from harness.emulators.arangodb.aql.values import truth
from harness.emulators.arangodb.collection import Collection
from harness.emulators.arangodb.documents import Outcome, WriteOptions, key_of
from harness.emulators.arangodb.errors import ArangoError, LockBusyError

OLD, NEW = "OLD", "NEW"
Find = Callable[[Row], Any]


def write_options(given: dict[str, Any]) -> WriteOptions:
    """A modification's OPTIONS."""
    mode = given.get("overwriteMode") or ("replace" if given.get("overwrite") else "conflict")
    return WriteOptions(
        keep_null=truth(given.get("keepNull", True)),
        merge_objects=truth(given.get("mergeObjects", True)),
        overwrite_mode=mode,
        ignore_revs=truth(given.get("ignoreRevs", True)),
        version_attribute=given.get("versionAttribute") or "",
    )


class Change(Node):
    """One modification. All its input is read before its first write, so it never meets its own writes."""

    def __init__(self, ctx: Context, kind: str, target: Collection, options: Evaluate | None) -> None:
        self.kind = kind.split(maxsplit=1)[0].capitalize() + "Node"
        self.target = target
        self._ctx, self._kind, self._options = ctx, kind, options
        self.document: Evaluate = lambda _row: None
        self.changes: Evaluate | None = None
        self.insert: Evaluate | None = None
        self.find: Find | None = None

    def run(self, rows: Iterator[Row], base: Row) -> Iterator[Row]:
        """Write once per row; OLD and NEW join the row. A row whose write is ignored is left out."""
        given = self._options(base) if self._options else {}
        options = write_options(given)
        self._ctx.trx.wait_for_sync |= truth(given.get("waitForSync")) or bool(self.target.facts["waitForSync"])
        done = []
        for row in list(rows):
            self._ctx.step()
            outcome = self._attempt(row, options, truth(given.get("ignoreErrors")))
            if outcome is not None:
                done.append({**row, OLD: outcome.old, NEW: outcome.new})
        return iter(done)

    def _attempt(self, row: Row, options: WriteOptions, ignore_errors: bool) -> Outcome | None:
        ctx = self._ctx
        mark = ctx.trx.savepoint()
        try:
            outcome = self._write(row, options)
        except LockBusyError:
            raise
        except ArangoError as error:
            ctx.trx.rollback(mark)
            if not ignore_errors:
                text = f"AQL: {error} [node #0: {self.kind}] (while executing)"
                raise ArangoError(error.number, text, status=error.status) from error
            ctx.bump("writesIgnored")
            return None
        ctx.bump("writesExecuted" if outcome.written else "writesIgnored")
        return outcome

    def _write(self, row: Row, options: WriteOptions) -> Outcome:
        ctx, target, docs = self._ctx, self.target, self._ctx.documents
        if self.find is not None:
            return self._upsert(row, options)
        document = self.document(row)
        if self._kind == "INSERT":
            return docs.insert(ctx.trx, target, document, options)
        key = key_of(document)
        if self._kind == "REMOVE":
            return docs.remove(ctx.trx, target, key, _revision(document, options))
        body = self.changes(row) if self.changes else document
        return self._change(key, body, options, _revision(document, options))

    def _change(self, key: str, body: Any, options: WriteOptions, match: str | None) -> Outcome:
        docs = self._ctx.documents
        operation = docs.update if self._kind.endswith("UPDATE") else docs.replace
        return operation(self._ctx.trx, self.target, key, body, options, match)

    def _upsert(self, row: Row, options: WriteOptions) -> Outcome:
        found = self.find(row) if self.find else None
        if found is None:
            body = self.insert(row) if self.insert else None
            return self._ctx.documents.insert(self._ctx.trx, self.target, body, options)
        body = self.changes({**row, OLD: found}) if self.changes else None
        return self._change(found["_key"], body, options, None)

    def describe(self) -> dict[str, Any]:
        """The collection written to."""
        return {"collection": self.target.name}


def _revision(document: Any, options: WriteOptions) -> str | None:
    if options.ignore_revs or not isinstance(document, dict):
        return None
    return document.get("_rev")
