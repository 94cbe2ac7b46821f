"""Queries of ArangoDB. Document: "AQL", and HTTP API "Queries"."""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.keeper.client import RemoteStack
from harness.probes.http import Answer, ask
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")
SERVICES = ("cart", "checkout", "payment", "shipping")
Span = dict[str, Any]


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database."""
    return namespace.of("arangodb")


@pytest.fixture
def spans(db: Any, rng: random.Random) -> list[Span]:
    """300 spans, as they are stored in the collection `spans`."""
    made: list[Span] = [
        {"_key": f"s{n}", "service": rng.choice(SERVICES), "ms": rng.randrange(100), "error": rng.random() < 0.1}
        for n in range(300)
    ]
    for n, span in enumerate(made):
        span["parent"] = f"s{rng.randrange(n)}" if n else None
    db.create_collection("spans").insert_many(made)
    return made


@pytest.fixture
def post(stack: RemoteStack, namespace: Namespace, db: Any) -> Callable[..., Answer]:
    """`post("cursor", {...})` in this test's database."""
    service = stack["arangodb"]
    http, login = service.endpoint("http"), ("root", service.credentials["password"].reveal())

    def send(path: str, body: Any = None, method: str = "POST") -> Answer:
        return ask(http, f"/_db/{namespace.name}/_api/{path}", method, body=body, login=login, timeout=10)

    return send


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def run(db: Any, query: str, **bind: Any) -> list[Any]:
    """All rows."""
    return list(db.aql.execute(query, bind_vars=bind))


def test_filter_sort_and_limit_give_the_page_asked_for(db: Any, spans: list[Span]) -> None:
    """FILTER, SORT (several keys, each its direction), LIMIT offset, count; fullCount says how many matched."""
    query = """FOR s IN spans FILTER s.ms >= @least FILTER s.service IN @services OR s.error
        SORT s.service DESC, s.ms, s._key LIMIT @skip, @count RETURN KEEP(s, '_key', 'ms')"""
    bind = {"least": 20, "services": ["cart", "payment"], "skip": 5, "count": 30}
    matching = [s for s in spans if s["ms"] >= 20 and (s["service"] in ("cart", "payment") or s["error"])]
    ordered = sorted(sorted(matching, key=lambda s: (s["ms"], s["_key"])), key=lambda s: s["service"], reverse=True)
    cursor = db.aql.execute(query, bind_vars=bind, full_count=True)
    assert list(cursor) == [{"_key": s["_key"], "ms": s["ms"]} for s in ordered[5:35]]
    assert cursor.statistics()["fullCount"] == len(matching)


def test_values_of_all_types_have_one_order(db: Any) -> None:
    """Type and value order: null < bool < number < string < array < object; a missing attribute compares as null."""
    ordered = [None, False, True, -1, 0, 0.5, 1, "", "a", "b", [], [0], [1], ["a"], {}, {"a": 1}]
    shuffled = [ordered[(7 * n) % len(ordered)] for n in range(len(ordered))]
    assert run(db, "FOR v IN @values SORT v RETURN v", values=shuffled) == ordered
    below = run(db, "FOR d IN [{v: 1}, {v: -1}, {}, {v: null}, {v: 'x'}] FILTER d.v < 0 RETURN d.v")
    assert sorted(below, key=str) == [-1, None, None], "a filter `< 0` holds for null, too"


def test_collect_counts_and_aggregates_each_group(db: Any, spans: list[Span]) -> None:
    """COLLECT ... AGGREGATE: one row per group; WITH COUNT and DISTINCT agree with it."""
    query = """FOR s IN spans COLLECT service = s.service AGGREGATE n = COUNT(1), worst = MAX(s.ms), total = SUM(s.ms),
        errors = SUM(s.error ? 1 : 0) SORT service RETURN [service, n, worst, total, errors]"""
    groups = defaultdict(list)
    for span in spans:
        groups[span["service"]].append(span)
    expected = [
        [name, len(g), max(s["ms"] for s in g), sum(s["ms"] for s in g), sum(s["error"] for s in g)]
        for name, g in sorted(groups.items())
    ]
    assert run(db, query) == expected
    counts = run(db, "FOR s IN spans COLLECT service = s.service WITH COUNT INTO n RETURN [service, n]")
    assert dict(counts) == Counter(span["service"] for span in spans)
    assert sorted(run(db, "FOR s IN spans RETURN DISTINCT s.service")) == sorted(groups)
    assert run(db, "FOR s IN spans FILTER s.ms < 0 COLLECT WITH COUNT INTO n RETURN n") == [0]


def test_a_join_pairs_each_span_with_its_parent(db: Any, spans: list[Span]) -> None:
    """Joins: a FOR inside a FOR; inner ones drop what has no partner, a subquery keeps it with an empty list."""
    by_key = {span["_key"]: span for span in spans}
    pairs = run(db, "FOR c IN spans FOR p IN spans FILTER p._key == c.parent RETURN [p.service, c.service]")
    expected = Counter((by_key[s["parent"]]["service"], s["service"]) for s in spans if s["parent"])
    assert Counter(map(tuple, pairs)) == expected
    query = (
        "FOR p IN spans LET kids = (FOR c IN spans FILTER c.parent == p._key RETURN 1) RETURN [p._key, LENGTH(kids)]"
    )
    children = Counter(span["parent"] for span in spans)
    assert dict(run(db, query)) == {span["_key"]: children[span["_key"]] for span in spans}


def test_a_query_changes_documents_and_tells_what_they_were(db: Any, spans: list[Span]) -> None:
    """UPDATE, REMOVE and UPSERT with OLD and NEW: the changed rows come back, `writesExecuted` counts them."""
    slow = {span["_key"]: span["ms"] for span in spans if span["ms"] > 90}
    query = "FOR s IN spans FILTER s.ms > 90 UPDATE s WITH {ms: s.ms * 2} IN spans RETURN [OLD._key, OLD.ms, NEW.ms]"
    cursor = db.aql.execute(query)
    assert {key: (before, after) for key, before, after in cursor} == {k: (ms, 2 * ms) for k, ms in slow.items()}
    assert cursor.statistics()["modified"] == len(slow)
    removed = run(db, "FOR s IN spans FILTER s.ms > 180 REMOVE s IN spans RETURN OLD._key")
    assert set(removed) == set(slow)
    assert db.collection("spans").count() == 300 - len(slow)
    upsert = "UPSERT {_key: @key} INSERT {_key: @key, n: 1} UPDATE {n: OLD.n + 1} IN spans RETURN [OLD.n, NEW.n]"
    assert [run(db, upsert, key="counter") for _ in range(3)] == [[[None, 1]], [[1, 2]], [[2, 3]]]


def test_a_query_that_fails_leaves_nothing_of_its_writes(db: Any, spans: list[Span]) -> None:
    """Data modification, "Transactional execution": one query is one transaction; errors of some rows undo all."""
    before = {document["_key"]: document["_rev"] for document in db.collection("spans").all()}
    failing = {
        "a duplicate key": ("FOR n IN 0..50 INSERT {_key: CONCAT('n', n % 50)} INTO spans", (409, 1210)),
        "a missing document": ("FOR k IN ['s1', 's2', 'none'] UPDATE k WITH {ms: 0} IN spans", (404, 1202)),
        "an own FAIL": ("FOR s IN spans UPDATE s WITH {ms: s._key == 's200' ? FAIL('no') : 0} IN spans", (400, 1569)),
    }
    for what, (query, expected) in failing.items():
        assert refusal(lambda query=query: db.aql.execute(query)) == expected, what  # type: ignore[misc]
        after = {document["_key"]: document["_rev"] for document in db.collection("spans").all()}
        assert after == before, what
    kept = "FOR n IN 0..50 INSERT {_key: CONCAT('n', n % 50)} INTO spans OPTIONS {ignoreErrors: true}"
    assert db.aql.execute(kept).statistics()["ignored"] == 1
    assert db.collection("spans").count() == 350


def test_a_bound_value_is_never_read_as_query_text(db: Any, spans: list[Span]) -> None:
    """Bind parameters: values and collection names come in as such; missing, unknown and mistyped ones are errors."""
    hostile = "x' OR true RETURN s //"
    query = "FOR s IN @@collection FILTER s.service == @service RETURN s._key"
    assert run(db, query, service=hostile, **{"@collection": "spans"}) == []
    assert len(run(db, query, service="cart", **{"@collection": "spans"})) == sum(s["service"] == "cart" for s in spans)
    assert run(db, "RETURN {[@name]: @value}", name="`a`.b", value=[hostile]) == [{"`a`.b": [hostile]}]
    assert refusal(lambda: run(db, query, service="cart"))[1] == 1551
    assert refusal(lambda: run(db, "RETURN @a", a=1, b=2))[1] == 1552
    assert refusal(lambda: run(db, query, service="cart", **{"@collection": 7}))[1] in (1550, 1553)
    assert refusal(lambda: run(db, query, service="cart", **{"@collection": "spans; REMOVE"}))[1] in (1203, 1208)


def test_paging_gives_every_row_once_and_as_of_the_start(
    db: Any, spans: list[Span], post: Callable[..., Answer]
) -> None:
    """Cursors: batches of `batchSize` until `hasMore` is false, over a snapshot; then the cursor is gone (1600)."""
    first = post("cursor", {"query": "FOR s IN spans SORT s._key RETURN s", "batchSize": 70, "count": True})
    batch, rows, sizes = first.json(), [], []
    cursor = batch["id"]
    run(db, "FOR s IN spans UPDATE s WITH {ms: -1} IN spans")
    run(db, "INSERT {_key: 's999'} INTO spans")
    while True:
        rows += batch["result"]
        sizes.append(len(batch["result"]))
        assert batch["count"] == 300
        if not batch["hasMore"]:
            break
        batch = post(f"cursor/{cursor}").json()
    assert sizes == [70, 70, 70, 70, 20]
    assert [(s["_key"], s["ms"]) for s in rows] == sorted((s["_key"], s["ms"]) for s in spans)
    assert post(f"cursor/{cursor}").json()["errorNum"] == 1600


def test_a_lost_answer_can_be_fetched_again(spans: list[Span], post: Callable[..., Answer]) -> None:
    """`allowRetry` (3.11): the last batch stays available under its id, so a broken connection loses no row."""
    body = {"query": "FOR s IN spans SORT s._key RETURN s._key", "batchSize": 100, "options": {"allowRetry": True}}
    first = post("cursor", body).json()
    where = f"cursor/{first['id']}"
    second = post(f"{where}/{first['nextBatchId']}").json()
    again = post(f"{where}/{first['nextBatchId']}").json()
    assert again["result"] == second["result"]
    third = post(f"{where}/{second['nextBatchId']}").json()
    assert (third["hasMore"], post(f"{where}/{second['nextBatchId']}").json()["result"]) == (False, third["result"])
    assert first["result"] + second["result"] + third["result"] == sorted(s["_key"] for s in spans)
    assert post(f"{where}/7").json()["errorNum"] == 1600
    assert post(where, method="DELETE").status == 202
    assert post(where, method="DELETE").json()["errorNum"] == 1600


def test_a_forgotten_cursor_ends_by_itself(spans: list[Span], post: Callable[..., Answer]) -> None:
    """Cursors, `ttl`: an unused one is removed after that many seconds; each fetch starts the time again."""
    body = {"query": "FOR s IN spans RETURN 1", "batchSize": 1, "ttl": 2}
    *forgotten, used = [post("cursor", body).json()["id"] for _ in range(60)]
    began = fetched = time.monotonic()

    def ended() -> float:
        nonlocal used, fetched
        unused, fetched = time.monotonic() - fetched, time.monotonic()
        if post(f"cursor/{used}").status != 200:
            assert unused > 1.9, f"a cursor in use ended after {unused:.1f} s"
            used = post("cursor", body).json()["id"]  # this machine came too late
        asked = forgotten.pop()
        if post(f"cursor/{asked}").status == 200:
            raise NotYet(f"one unused for {time.monotonic() - began:.1f} s still gives rows")
        return time.monotonic() - began

    assert poll(ended, Deadline.after(14), "an unused cursor to end", interval=0.25) > 1.9


def test_a_syntax_error_tells_where_it_is(db: Any, post: Callable[..., Answer]) -> None:
    """Error 1501: the text names line and column; nothing is run. POST /_api/query parses only."""
    db.create_collection("notes")
    wrong = {
        "FOR i IN 1..100 FILTER i = 1 RETURN i": (1, 26),
        "INSERT {a: 1} INTO notes\nRETURN NEW\n  RETURN 2": (3, 3),
        "FOR n IN notes\n FILTER n.a ==\nRETURN n": (3, 1),
    }
    for query, position in wrong.items():
        for path in ("cursor", "query", "explain"):
            answer = post(path, {"query": query}).json()
            assert (answer["code"], answer["errorNum"]) == (400, 1501), (path, query)
            found = re.search(r"at position (\d+):(\d+)", answer["errorMessage"])
            assert found, answer["errorMessage"]
            assert tuple(map(int, found.groups())) == position, answer["errorMessage"]
    assert db.collection("notes").count() == 0
    parsed = post("query", {"query": "FOR n IN notes FILTER n.a == @a RETURN n"}).json()
    assert (parsed["collections"], parsed["bindVars"]) == (["notes"], ["a"])


def test_what_a_query_refers_to_must_exist(db: Any) -> None:
    """Error codes of AQL: each kind of mistake has its number, so a client can tell a typo from an outage."""
    mistakes = {
        "FOR x IN nothing RETURN x": (404, 1203),
        "FOR x IN [1] RETURN y": (404, 1203),
        "RETURN NO_SUCH_FUNCTION(1)": (400, 1540),
        "RETURN LENGTH()": (400, 1541),
        "LET x = 1 LET x = 2 RETURN x": (400, 1511),
        "FOR v IN OUTBOUND 'a/b' GRAPH 'nothing' RETURN v": (404, 1924),
    }
    assert {query: refusal(lambda query=query: run(db, query)) for query in mistakes} == mistakes  # type: ignore[misc]


def test_a_doubtful_value_warns_and_fails_only_where_asked(db: Any) -> None:
    """Warnings: division by zero gives null and warning 1562; with failOnWarning it is an error."""
    cursor = db.aql.execute("RETURN 1 / 0")
    assert list(cursor) == [None]
    assert [warning["code"] for warning in cursor.warnings()] == [1562]
    assert refusal(lambda: db.aql.execute("RETURN 1 / 0", fail_on_warning=True)) == (400, 1562)


def test_a_query_ends_at_its_limits_and_no_other_is_harmed(db: Any, spans: list[Span]) -> None:
    """`maxRuntime`: 410 with 1500, and its writes are undone; `memoryLimit`: 32. Both are per query."""
    began = time.monotonic()
    slow = "FOR s IN spans UPDATE s WITH {ms: -1} IN spans LET slept = SLEEP(0.05 * LENGTH(s._key)) RETURN slept"
    assert refusal(lambda: db.aql.execute(slow, max_runtime=0.3)) == (410, 1500)
    assert time.monotonic() - began < 5, "it ran on after its time"
    wide = "FOR n IN 1..200000 LET text = CONCAT('some text ', n) SORT text RETURN text"
    assert refusal(lambda: db.aql.execute(wide, memory_limit=100_000)) == (500, 32)
    assert sum(run(db, "FOR s IN spans RETURN s.ms")) == sum(span["ms"] for span in spans)


def test_a_running_query_is_seen_and_can_be_killed(db: Any, namespace: Namespace) -> None:
    """GET /_api/query/current, DELETE /_api/query/{id}: the query ends with 1500; an unknown id is 1591."""
    query = f"FOR n IN 1..1000 LET slept = SLEEP(MIN([0.05, n])) RETURN '{namespace.name}'"

    def current() -> dict[str, Any]:
        found = [running for running in db.aql.queries() if namespace.name in running["query"]]
        if not found:
            raise NotYet("it is not among the running queries")
        return dict(found[0])

    with ThreadPoolExecutor(1) as pool:
        victim = pool.submit(refusal, lambda: db.aql.execute(query))
        running = poll(current, Deadline.after(5), "the query to run", interval=0.02)
        assert (running["database"], running["user"]) == (namespace.name, "root")
        assert db.aql.kill(running["id"])
        assert victim.result(8) == (410, 1500)
    assert refusal(lambda: db.aql.kill("1")) == (404, 1591)
