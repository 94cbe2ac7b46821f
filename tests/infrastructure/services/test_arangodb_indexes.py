"""Indexes of ArangoDB: uniqueness, sparseness, expiry, and that queries use them. Document: "Indexing"."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")
SERVICES = ("cart", "checkout", "payment", "shipping", "search")


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database, with an empty collection `spans`."""
    database = namespace.of("arangodb")
    database.create_collection("spans")
    return database


@pytest.fixture
def spans(db: Any) -> Any:
    """The collection `spans`."""
    return db.collection("spans")


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def persistent(spans: Any, *fields: str, **options: Any) -> Any:
    """A persistent index of `spans`."""
    return spans.add_index({"type": "persistent", "fields": list(fields), **options})


def keys(db: Any, condition: str, **bind: Any) -> tuple[list[str], dict[str, int]]:
    """The keys of the spans that a condition is true for, and what it cost to find them."""
    cursor = db.aql.execute(f"FOR span IN spans FILTER {condition} RETURN span._key", bind_vars=bind)
    return sorted(cursor), cursor.statistics()


def index_names(db: Any, query: str, **bind: Any) -> list[str]:
    """The names of the indexes in the plan of a query; empty when it scans."""
    nodes = db.aql.explain(query, bind_vars=bind)["nodes"]
    return [index["name"] for node in nodes for index in node.get("indexes", [])]


def test_a_unique_index_refuses_the_second_of_a_value(spans: Any) -> None:
    """Persistent indexes, `unique`: 1210 for insert and update alike; a value is free again once it is given up."""
    persistent(spans, "trace", "span", unique=True)
    spans.insert({"_key": "a", "trace": "t", "span": 1})
    spans.insert({"_key": "b", "trace": "t", "span": 2})
    assert refusal(lambda: spans.insert({"_key": "c", "trace": "t", "span": 1})) == (409, 1210)
    assert refusal(lambda: spans.update({"_key": "b", "span": 1})) == (409, 1210)
    assert refusal(lambda: spans.insert({"trace": "t", "span": 1}, overwrite_mode="replace")) == (409, 1210)
    assert {span["_key"]: span["span"] for span in spans.all()} == {"a": 1, "b": 2}
    spans.update({"_key": "a", "span": 3})
    spans.insert({"_key": "c", "trace": "t", "span": 1})
    spans.delete("c")
    spans.update({"_key": "b", "span": 1})


def test_a_unique_value_goes_to_one_of_many_writers(spans: Any) -> None:
    """The check and the write are one: of writers in the same moment one wins, the others get 1210 or 1200."""
    persistent(spans, "name", unique=True)

    def claim(number: int) -> int:
        try:
            spans.insert({"_key": str(number), "name": "leader"})
        except ArangoServerError as error:
            return int(error.error_code or 0)
        return 0

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(claim, range(8)))
    assert codes.count(0) == 1, codes
    assert set(codes) <= {0, 1200, 1210}, codes
    assert [span["_key"] for span in spans.all()] == [str(codes.index(0))]


def test_null_is_a_value_unless_the_index_is_sparse(db: Any, spans: Any) -> None:
    """`sparse`: documents without a value are left out, so they do not collide; else null is unique like the rest."""
    dense = persistent(spans, "alias", unique=True)
    spans.insert({"_key": "a"})
    assert refusal(lambda: spans.insert({"_key": "b"})) == (409, 1210)
    assert refusal(lambda: spans.insert({"_key": "b", "alias": None})) == (409, 1210)
    spans.delete_index(dense["id"])
    persistent(spans, "alias", unique=True, sparse=True)
    spans.insert_many([{"_key": "b"}, {"_key": "c", "alias": None}, {"_key": "d", "alias": 0}])
    assert refusal(lambda: spans.insert({"alias": 0})) == (409, 1210)
    assert keys(db, "span.alias == null")[0] == ["a", "b", "c"], "documents left out of the index were not found"


def test_a_unique_index_is_not_made_over_duplicates(db: Any, spans: Any) -> None:
    """POST /_api/index: 1210 when the data break it, and no index is left behind; the data stay as they were."""
    spans.insert_many([{"name": "cart"}, {"name": "cart"}])
    assert refusal(lambda: persistent(spans, "name", unique=True))[1] == 1210
    assert [index["type"] for index in spans.indexes()] == ["primary"]
    spans.insert({"name": "cart"})
    assert spans.count() == 3


def test_an_index_is_made_once_and_cannot_change_under_its_name(spans: Any) -> None:
    """POST /_api/index: the same definition again gives the same index; the primary index cannot be dropped."""
    first = persistent(spans, "service", name="by-service")
    again = persistent(spans, "service", name="by-service")
    assert (first["isNewlyCreated"], again["isNewlyCreated"], again["id"]) == (True, False, first["id"])
    assert refusal(lambda: persistent(spans, "service", "ms", name="by-service")) == (400, 1005)
    assert refusal(lambda: spans.delete_index("primary"))[1] == 1213
    assert spans.delete_index("by-service")
    assert refusal(lambda: spans.delete_index("by-service")) == (404, 1212)
    assert [index["name"] for index in spans.indexes()] == ["primary"]


def test_an_indexed_query_reads_what_it_returns_and_nothing_else(db: Any, spans: Any, rng: random.Random) -> None:
    """Explain shows the index; `scannedIndex` is then the number of matches, where a scan reads the collection."""
    made: list[dict[str, Any]] = [
        {"_key": str(n), "service": rng.choice(SERVICES), "ms": rng.randrange(1000)} for n in range(400)
    ]
    spans.insert_many(made)
    bind = {"service": "cart", "least": 800}
    condition = "span.service == @service AND span.ms >= @least"
    expected = sorted(span["_key"] for span in made if span["service"] == "cart" and span["ms"] >= 800)
    found, cost = keys(db, condition, **bind)
    assert (found, cost["scanned_full"], cost["scanned_index"]) == (expected, 400, 0)
    assert index_names(db, f"FOR span IN spans FILTER {condition} RETURN span", **bind) == []
    persistent(spans, "service", "ms", name="service-ms")
    found, cost = keys(db, condition, **bind)
    assert (found, cost["scanned_full"], cost["scanned_index"]) == (expected, 0, len(expected))
    assert index_names(db, f"FOR span IN spans FILTER {condition} RETURN span", **bind) == ["service-ms"]


def test_an_index_follows_every_change_of_a_document(db: Any, spans: Any) -> None:
    """Indexes are changed with the document: an updated one is found by its new value and not by its old."""
    persistent(spans, "state")
    spans.insert_many([{"_key": "a", "state": "open"}, {"_key": "b", "state": "open"}])
    assert keys(db, "span.state == 'open'")[0] == ["a", "b"]
    spans.update({"_key": "a", "state": "closed"})
    found, cost = keys(db, "span.state == 'closed'")
    assert (found, cost["scanned_full"]) == (["a"], 0)
    assert keys(db, "span.state == 'open'")[0] == ["b"]
    spans.replace({"_key": "a"})
    spans.delete("b")
    assert keys(db, "span.state IN ['open', 'closed']")[0] == []
    spans.insert({"_key": "b", "state": "open"})
    assert keys(db, "span.state == 'open'")[0] == ["b"]


def test_a_tag_is_found_by_an_index_over_its_list(db: Any, spans: Any) -> None:
    """Array indexes, `tags[*]`: every element is an entry, and a repeated one is one match."""
    persistent(spans, "tags[*]", name="tags")
    spans.insert_many([{"_key": "a", "tags": ["eu", "prod", "eu"]}, {"_key": "b", "tags": ["us"]}, {"_key": "c"}])
    found, cost = keys(db, "@tag IN span.tags", tag="eu")
    assert (found, cost["scanned_full"]) == (["a"], 0)
    assert index_names(db, "FOR span IN spans FILTER @tag IN span.tags RETURN span", tag="eu") == ["tags"]
    spans.update({"_key": "a", "tags": ["prod"]})
    assert keys(db, "@tag IN span.tags", tag="eu")[0] == []


def test_an_expired_document_goes_and_only_that(spans: Any) -> None:
    """TTL indexes: gone once its time and `expireAfter` seconds are over, by the background run, which the stack
    has every second (`--ttl.frequency`). Seconds since 1970 or ISO 8601; what has no time stays."""
    now = time.time()
    spans.add_index({"type": "ttl", "fields": ["at"], "expireAfter": 60})
    early, late = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - age)) for age in (3600, 30))
    spans.insert_many([
        {"_key": "old", "at": now - 61}, {"_key": "old-iso", "at": early}, {"_key": "ancient", "at": 0},
        {"_key": "young", "at": now - 30}, {"_key": "young-iso", "at": late}, {"_key": "later", "at": now + 600},
        {"_key": "never"}, {"_key": "no-time", "at": "yesterday"},
    ])  # fmt: skip
    kept = {"young", "young-iso", "later", "never", "no-time"}

    def only_the_expired_gone() -> None:
        left = {span["_key"] for span in spans.all()}
        assert kept <= left, f"gone before its time: {kept - left}"
        if left != kept:
            raise NotYet(f"still there: {left - kept}")

    poll(only_the_expired_gone, Deadline.after(25), "expired documents to go", interval=0.1)
