"""The seeded faults this emulator can be started with (`--defect NAME`)."""

from __future__ import annotations

from collections.abc import Mapping

DEFECTS: Mapping[str, str] = {
    "lost-write": "every tenth single-document insert is acknowledged and not stored",
    "ignored-if-match": "If-Match and _rev preconditions are not checked",
    "duplicate-unique": "unique persistent indexes accept duplicate values",
    "no-write-conflict": "concurrent stream transactions overwrite each other instead of failing with 1200",
    "partial-commit": "a stream transaction's commit drops the last collection it wrote",
    "abort-commits": "aborting a stream transaction keeps its writes",
    "dirty-read": "readers outside a stream transaction see its uncommitted writes",
    "dangling-edges": "deleting a vertex through a graph leaves its edges",
    "ttl-never-expires": "TTL indexes never remove documents",
    "stale-index": "an update does not change persistent index entries",
    "log-not-written": "document writes are not appended to the data directory",
    "cursor-skips-row": "the second and later cursor batches each lose their first row",
    "open-auth": "any password of an existing user is accepted",
    "filter-ignores-last": "the last FILTER of an AQL query lets everything pass",
}
