"""What queries of ArangoDB cost as the data grow. Document: "AQL", "Query statistics"."""

from __future__ import annotations

from typing import Any

import pytest

from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database."""
    return namespace.of("arangodb")


QUERIES = {
    "spans of a trace": ("FOR s IN many FILTER s.trace == 't7' RETURN s", 10),
    "slowest of a service": (
        "FOR s IN many FILTER s.service == 'svc3' AND s.ms >= 10 AND s.ms < 15 SORT s.ms LIMIT 5 RETURN s", 5
    ),
    "callees to the third": ("FOR v IN 1..3 OUTBOUND 'services/svc0-0' links RETURN v", 3),
    "dependents": ("FOR l IN links FILTER l._to == 'services/svc1-2' RETURN l", 1),
}  # fmt: skip


def test_ten_times_the_data_costs_less_than_twice_to_query(db: Any) -> None:
    """Indexes: what a query reads (`scannedIndex`, `scannedFull`) follows what it returns, not what is stored.

    Judged by the server's own counters, which are the same on every machine."""
    many, services = db.create_collection("many"), db.create_collection("services")
    links = db.create_collection("links", edge=True)
    many.add_index({"type": "persistent", "fields": ["trace"]})
    many.add_index({"type": "persistent", "fields": ["service", "ms"]})

    def grow(start: int, end: int) -> None:
        many.insert_many([
            {"trace": f"t{n // 10}", "service": f"svc{n % 10}", "ms": n // 10} for n in range(start * 20, end * 20)
        ])  # fmt: skip
        chains = range(start, end)
        ids = [[f"services/svc{chain}-{hop}" for hop in range(4)] for chain in chains]
        services.insert_many([{"_key": name[9:]} for chain in ids for name in chain])
        links.insert_many([{"_from": c[hop], "_to": c[hop + 1]} for c in ids for hop in range(3)])

    def costs() -> dict[str, int]:
        found = {}
        for what, (query, rows) in QUERIES.items():
            cursor = db.aql.execute(query)
            assert len(list(cursor)) == rows, what
            found[what] = cursor.statistics()["scanned_index"] + cursor.statistics()["scanned_full"]
        return found

    grow(0, 30)
    small = costs()
    grow(30, 300)
    assert (many.count(), links.count()) == (6_000, 900)
    large = costs()
    assert all(1 <= small[what] <= 4 * rows for what, (_, rows) in QUERIES.items()), small
    assert {what: cost for what, cost in large.items() if cost >= 2 * small[what]} == {}, f"before {small}"
    scan = db.aql.execute("FOR s IN many FILTER s.ms == 7 RETURN s").statistics()
    assert scan["scanned_full"] == 6_000, "a query without an index is not counted as a scan"
