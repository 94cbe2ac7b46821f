"""ArangoDB: documents, a graph, an index, and queries over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.canary.golden.base import Golden
from harness.ports import Handle

DOCUMENTS = 200
QUERIES = (
    "FOR d IN golden FILTER d.n < 5 SORT d.n DESC RETURN d.n",
    "FOR d IN golden COLLECT kind = d.kind WITH COUNT INTO many SORT kind RETURN {kind, many}",
    "RETURN SUM(FOR d IN golden RETURN d.n)",
    "FOR v, e, p IN 1..3 OUTBOUND 'golden/k000' golden_edges SORT v._key RETURN {key: v._key, depth: LENGTH(p.edges)}",
    "FOR d IN golden FILTER d._key == 'none' RETURN d",
    "FOR d IN golden SORT d.name LIMIT 3, 2 RETURN UPPER(d.name)",
)


class ArangoDB(Golden):
    """In the system database, in collections of its own."""

    kind: ClassVar[str] = "arangodb"

    def plant(self, client: Any, handle: Handle) -> list[str]:
        """A document is acknowledged once it is on disk: `waitForSync`."""
        del handle
        documents = client.create_collection("golden", sync=True)
        edges = client.create_collection("golden_edges", edge=True, sync=True)
        documents.add_index({"type": "persistent", "fields": ["n"], "unique": True})
        written = [documents.insert(_document(number))["_key"] for number in range(DOCUMENTS)]
        for number in range(5):
            edges.insert({"_key": f"e{number}", "_from": f"golden/k{number:03}", "_to": f"golden/k{number + 1:03}"})
        return [str(key) for key in written]

    def kept(self, client: Any) -> list[str]:
        """Compared whole, but for the revision."""
        documents = client.collection("golden")
        found = (documents.get(_document(number)["_key"]) for number in range(DOCUMENTS))
        return [
            one["_key"]
            for number, one in enumerate(found)
            if one and {key: one.get(key) for key in _document(number)} == _document(number)
        ]

    def ask(self, client: Any) -> Mapping[str, Any]:
        """Results only: plans and statistics differ between versions."""
        return {query: list(client.aql.execute(query)) for query in QUERIES}


def _document(number: int) -> dict[str, Any]:
    return {"_key": f"k{number:03}", "n": number, "kind": "abc"[number % 3], "name": f"name {number * 7 % 200:03}"}
