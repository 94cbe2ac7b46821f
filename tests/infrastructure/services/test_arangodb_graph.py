"""The telemetry graph: services and the calls between them, built from spans. Documents: "Graphs", "AQL" traversals.

Each answer of the server is compared with one that Python works out from the same spans.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")

Pair = tuple[str, str]
CALLS = {
    "gateway": ("cart", "search", "checkout"), "cart": ("redis", "catalog"), "search": ("catalog",),
    "checkout": ("cart", "payment", "shipping"), "payment": ("bank", "ledger"), "shipping": ("ledger", "carrier"),
    "catalog": ("db",), "ledger": ("db",), "carrier": ("shipping",), "island": ("island-db",),
}  # fmt: skip
"""Which service calls which; `shipping` and `carrier` call each other, and `island` is apart."""
BUILD = """
FOR span IN spans FILTER span.parent != null
    FOR parent IN spans FILTER parent._key == span.parent AND parent.service != span.service
        COLLECT caller = parent.service, callee = span.service
        AGGREGATE seen = COUNT(1), errors = SUM(span.error ? 1 : 0), ms = MAX(span.ms)
        INSERT {_key: CONCAT(caller, ':', callee), _from: CONCAT('services/', caller), _to: CONCAT('services/', callee),
            calls: seen, errors, ms} INTO calls
"""


@dataclass(frozen=True)
class Telemetry:
    """A database with the graph, and the spans that it was built from."""

    db: Any
    graph: Any
    spans: list[dict[str, Any]]

    def names(self, query: str, **bind: Any) -> list[str]:
        """The keys that a query returns, in the order in which it does."""
        return [str(key) for key in self.db.aql.execute(query, bind_vars=bind)]

    def edges(self) -> dict[Pair, dict[str, Any]]:
        """What is stored of each call."""
        rows = self.db.aql.execute("FOR e IN calls RETURN [PARSE_KEY(e._from), PARSE_KEY(e._to), e]")
        return {(caller, callee): edge for caller, callee, edge in rows}


def make_spans(rng: random.Random, calls: Iterable[Pair]) -> list[dict[str, Any]]:
    """One to four traces per call: a span of the caller, one inside it, and one of the callee."""
    spans: list[dict[str, Any]] = []
    for caller, callee in calls:
        for _ in range(rng.randint(1, 4)):
            root = {"_key": f"s{len(spans)}", "service": caller, "parent": None, "ms": 50, "error": False}
            inner = {**root, "_key": f"s{len(spans) + 1}", "parent": root["_key"], "ms": 40}
            far = {"_key": f"s{len(spans) + 2}", "service": callee, "parent": inner["_key"], "ms": rng.randint(1, 40)}
            spans += [root, inner, {**far, "error": rng.random() < 0.3}]
    return spans


@pytest.fixture
def telemetry(namespace: Namespace, rng: random.Random) -> Telemetry:
    """The graph `topology` of `CALLS`."""
    db = namespace.of("arangodb")
    spans = make_spans(rng, [(caller, callee) for caller, callees in CALLS.items() for callee in callees])
    db.create_collection("spans").insert_many(spans)
    ends = {"from_vertex_collections": ["services"], "to_vertex_collections": ["services"]}
    graph = db.create_graph("topology", edge_definitions=[{"edge_collection": "calls", **ends}])
    db.aql.execute("FOR s IN spans COLLECT name = s.service INSERT {_key: name} INTO services")
    db.aql.execute(BUILD)
    return Telemetry(db, graph, spans)


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def depths(pairs: Iterable[Pair], start: str) -> dict[str, int]:
    """How many calls away from `start` each reachable service is."""
    onward = defaultdict(list)
    for caller, callee in pairs:
        onward[caller].append(callee)
    found, queue = {start: 0}, deque([start])
    while queue:
        service = queue.popleft()
        for callee in onward[service]:
            if callee not in found:
                found[callee] = found[service] + 1
                queue.append(callee)
    return found


def pairs_of(calls: dict[str, tuple[str, ...]]) -> list[Pair]:
    """Caller and callee of each call."""
    return [(caller, callee) for caller, callees in calls.items() for callee in callees]


def test_the_graph_holds_exactly_the_calls_that_the_spans_show(telemetry: Telemetry) -> None:
    """A call is a span whose parent is another service's: each pair once, with its count, errors and slowest."""
    by_key = {span["_key"]: span for span in telemetry.spans}
    shown: dict[Pair, list[dict[str, Any]]] = defaultdict(list)
    for span in telemetry.spans:
        parent = by_key.get(str(span["parent"]))
        if parent and parent["service"] != span["service"]:
            shown[parent["service"], span["service"]].append(span)
    expected = {
        pair: {"calls": len(s), "errors": sum(x["error"] for x in s), "ms": max(x["ms"] for x in s)}
        for pair, s in shown.items()
    }
    stored = {
        pair: {name: edge[name] for name in ("calls", "errors", "ms")} for pair, edge in telemetry.edges().items()
    }
    assert stored == expected
    assert set(stored) == set(pairs_of(CALLS))
    assert refusal(lambda: telemetry.db.aql.execute(BUILD)) == (409, 1210), "a second build counted the calls twice"


@pytest.mark.parametrize(("direction", "start"), [("OUTBOUND", "checkout"), ("INBOUND", "db"), ("ANY", "cart")])
def test_a_traversal_reaches_every_dependency_at_its_distance(telemetry: Telemetry, direction: str, start: str) -> None:
    """Traversals: breadth-first with global uniqueness gives each vertex once, at its least depth, in any direction."""
    calls = pairs_of(CALLS)
    back = [(callee, caller) for caller, callee in calls]
    expected = depths({"OUTBOUND": calls, "INBOUND": back, "ANY": calls + back}[direction], start)
    query = f"""FOR v, e, p IN 0..10 {direction} @start GRAPH 'topology'
        OPTIONS {{order: 'bfs', uniqueVertices: 'global'}} RETURN [v._key, LENGTH(p.edges)]"""
    rows = list(telemetry.db.aql.execute(query, bind_vars={"start": f"services/{start}"}))
    assert len(rows) == len(expected), "a vertex came twice, or not at all"
    assert dict(rows) == expected
    assert [depth for _, depth in rows] == sorted(expected.values()), "it was not breadth-first"


def test_a_traversal_keeps_to_its_depths(telemetry: Telemetry) -> None:
    """`min..max`: only vertices of those depths; the default is the direct neighbours; no start, no rows."""
    query = "FOR v IN {} OUTBOUND 'services/gateway' GRAPH 'topology' RETURN v._key"
    assert sorted(telemetry.names(query.format(""))) == sorted(CALLS["gateway"])
    second = [callee for service in CALLS["gateway"] for callee in CALLS[service]]
    assert Counter(telemetry.names(query.format("2..2"))) == Counter(second), "a vertex comes once per path to it"
    assert telemetry.names(query.format("0..0")) == ["gateway"]
    assert telemetry.names("FOR v IN 1..9 OUTBOUND 'services/none' GRAPH 'topology' RETURN v._key") == []


def test_services_that_call_each_other_do_not_trap_a_traversal(telemetry: Telemetry) -> None:
    """Uniqueness: no path uses an edge twice (the default), nor a vertex with uniqueVertices 'path'."""
    query = """FOR v, e, p IN 1..50 OUTBOUND 'services/shipping' calls OPTIONS {}
        RETURN CONCAT_SEPARATOR('>', p.vertices[*]._key)"""
    by_edge = telemetry.names(query.replace("{}", "{uniqueEdges: 'path'}"))
    by_vertex = telemetry.names(query.replace("{}", "{uniqueVertices: 'path'}"))
    simple = {"shipping>ledger", "shipping>ledger>db", "shipping>carrier"}
    assert set(by_vertex) == simple
    assert set(by_edge) == simple | {
        "shipping>carrier>shipping", "shipping>carrier>shipping>ledger", "shipping>carrier>shipping>ledger>db"
    }  # fmt: skip
    assert len(by_edge) == 6
    assert len(by_vertex) == 3


def test_an_outage_is_followed_only_along_failing_calls(telemetry: Telemetry) -> None:
    """A condition on the path (`p.edges[*].errors ALL > 0`) keeps what is hit by errors from below; PRUNE goes no
    further than the first service that is not, which is still returned."""
    calls = telemetry.db.collection("calls")
    calls.update_match({}, {"errors": 0})
    failing = ("ledger:db", "payment:ledger", "checkout:payment", "gateway:search")
    calls.update_many([{"_key": key, "errors": 3} for key in failing])
    start = "FOR v, e, p IN 1..10 INBOUND 'services/db' GRAPH 'topology'"
    hit = telemetry.names(f"{start} FILTER p.edges[*].errors ALL > 0 RETURN v._key")
    assert hit == ["ledger", "payment", "checkout"]
    seen = telemetry.names(f"{start} PRUNE e != null AND e.errors == 0 RETURN v._key")
    assert sorted(seen) == sorted([*hit, "catalog", "shipping", "gateway"])


def test_the_shortest_path_is_the_one_with_the_fewest_calls(telemetry: Telemetry) -> None:
    """SHORTEST_PATH: vertices in order, the first without an edge; nothing at all when there is no way."""
    query = "FOR v, e IN OUTBOUND SHORTEST_PATH @a TO @b GRAPH 'topology' RETURN [v._key, e._key]"
    calls = pairs_of(CALLS)
    for start, target in (("gateway", "bank"), ("gateway", "db"), ("checkout", "redis"), ("carrier", "db")):
        bind = {"a": f"services/{start}", "b": f"services/{target}"}
        rows = list(telemetry.db.aql.execute(query, bind_vars=bind))
        path = [vertex for vertex, _ in rows]
        assert (path[0], path[-1], len(path) - 1) == (start, target, depths(calls, start)[target]), path
        assert [edge for _, edge in rows] == [None, *(f"{a}:{b}" for a, b in pairwise(path))]
        assert set(pairwise(path)) <= set(calls)
    none = {"a": "services/db", "b": "services/gateway"}
    assert list(telemetry.db.aql.execute(query, bind_vars=none)) == []
    apart = {"a": "services/gateway", "b": "services/island"}
    assert list(telemetry.db.aql.execute(query, bind_vars=apart)) == []


def test_the_cheapest_path_goes_by_the_weight_of_its_calls(telemetry: Telemetry) -> None:
    """`weightAttribute`: K_SHORTEST_PATHS comes cheapest first, and SHORTEST_PATH takes that one."""
    calls = telemetry.db.collection("calls")
    calls.update_match({}, {"ms": 10})
    calls.update({"_key": "checkout:payment", "ms": 100})
    options = "OPTIONS {weightAttribute: 'ms'}"
    where = f"'services/checkout' TO 'services/ledger' GRAPH 'topology' {options}"
    query = f"FOR p IN OUTBOUND K_SHORTEST_PATHS {where} LIMIT 5 RETURN [p.weight, p.vertices[*]._key]"
    assert list(telemetry.db.aql.execute(query)) == [
        [20, ["checkout", "shipping", "ledger"]], [110, ["checkout", "payment", "ledger"]]
    ]  # fmt: skip
    equal = f"FOR p IN OUTBOUND ALL_SHORTEST_PATHS {where.removesuffix(options)} RETURN p.vertices[1]._key"
    assert sorted(telemetry.names(equal)) == ["payment", "shipping"], "not every path of the fewest calls"
    best = telemetry.names(f"FOR v IN OUTBOUND SHORTEST_PATH {where} RETURN v._key")
    assert best == ["checkout", "shipping", "ledger"]
    calls.update({"_key": "checkout:shipping", "ms": 200})
    assert telemetry.names(f"FOR v IN OUTBOUND SHORTEST_PATH {where} RETURN v._key")[1] == "payment"


def test_removing_a_service_removes_its_calls_and_no_others(telemetry: Telemetry) -> None:
    """Removing a vertex through the graph removes the edges at it, in either direction and in every graph's edges."""
    db, calls = telemetry.db, pairs_of(CALLS)
    ends = {"from_vertex_collections": ["hosts"], "to_vertex_collections": ["services"]}
    db.create_graph("placement", edge_definitions=[{"edge_collection": "runs", **ends}])
    db.collection("hosts").insert({"_key": "h1"})
    for name in ("payment", "cart"):
        db.collection("runs").insert({"_key": name, "_from": "hosts/h1", "_to": f"services/{name}"})
    assert telemetry.graph.delete_vertex("services/payment")
    assert set(telemetry.edges()) == {pair for pair in calls if "payment" not in pair}
    assert [edge["_key"] for edge in db.collection("runs").all()] == ["cart"], "an edge of another graph dangles"
    reached = telemetry.names("FOR v IN 1..9 OUTBOUND 'services/checkout' GRAPH 'topology' RETURN DISTINCT v._key")
    assert set(reached) == set(depths([pair for pair in calls if "payment" not in pair], "checkout")) - {"checkout"}
    assert refusal(lambda: telemetry.graph.delete_vertex("services/payment")) == (404, 1202)


def test_a_call_needs_both_of_its_services(telemetry: Telemetry) -> None:
    """Edges through the graph: 1202 when an end does not exist, an error when its collection is not of the graph."""
    before = set(telemetry.edges())
    link = telemetry.graph.edge_collection("calls").insert
    assert refusal(lambda: link({"_from": "services/cart", "_to": "services/none"})) == (404, 1202)
    assert refusal(lambda: link({"_from": "services/none", "_to": "services/cart"})) == (404, 1202)
    assert refusal(lambda: link({"_from": "services/cart", "_to": "spans/s0"}))[1] in (1947, 1949, 1906)
    assert refusal(lambda: link({"_from": "services/cart"})) == (400, 1233)
    assert set(telemetry.edges()) == before
    made = link({"_key": "new", "_from": "services/db", "_to": "services/bank"})
    assert telemetry.graph.edge("calls/new")["_rev"] == made["_rev"]


def test_a_services_own_calls_are_found_by_direction(telemetry: Telemetry) -> None:
    """GET /_api/edges: in, out or both; by the edge index, so that only those are read."""
    for direction, expected in (
        ("out", {("cart", "redis"), ("cart", "catalog")}),
        ("in", {("gateway", "cart"), ("checkout", "cart")}),
        (None, {("cart", "redis"), ("cart", "catalog"), ("gateway", "cart"), ("checkout", "cart")}),
    ):
        found = telemetry.graph.edges("calls", "services/cart", direction=direction)
        assert {(edge["_from"][9:], edge["_to"][9:]) for edge in found["edges"]} == expected, direction
    cursor = telemetry.db.aql.execute("FOR c IN calls FILTER c._to == 'services/cart' RETURN c")
    assert len(list(cursor)) == 2
    assert (cursor.statistics()["scanned_index"], cursor.statistics()["scanned_full"]) == (2, 0)


def test_a_graphs_definition_is_kept_and_its_name_taken_once(telemetry: Telemetry) -> None:
    """/_api/gharial: 1925 for a second of the name; dropping a graph keeps what another one uses."""
    db = telemetry.db
    ends = {"from_vertex_collections": ["services"], "to_vertex_collections": ["services"]}
    assert refusal(lambda: db.create_graph("topology")) == (409, 1925)
    assert telemetry.graph.edge_definitions() == [{"edge_collection": "calls", **ends}]
    other = {"edge_collection": "calls", "from_vertex_collections": ["hosts"], "to_vertex_collections": ["services"]}
    assert refusal(lambda: db.create_graph("other", edge_definitions=[other])) == (400, 1921)
    owners = {"edge_collection": "owns", "from_vertex_collections": ["teams"], "to_vertex_collections": ["services"]}
    db.create_graph("ownership", edge_definitions=[owners])
    assert db.delete_graph("topology", drop_collections=True)
    names = {found["name"] for found in db.collections() if not found["system"]}
    assert names == {"spans", "services", "owns", "teams"}
    assert refusal(lambda: telemetry.names("FOR v IN OUTBOUND 'services/cart' GRAPH 'topology' RETURN v")) == (
        404,
        1924,
    )


def test_a_graph_takes_in_new_collections_and_refuses_what_it_has(telemetry: Telemetry) -> None:
    """/_api/gharial/{graph}/vertex and /edge: collections join with their rules (1938, 1920 for a second time), and
    one that leaves keeps its documents."""
    graph = telemetry.graph
    graph.create_vertex_collection("teams").insert({"_key": "shop"})
    owns = {"from_vertex_collections": ["teams"], "to_vertex_collections": ["services"]}
    graph.create_edge_definition("owns", **owns).insert({"_from": "teams/shop", "_to": "services/cart"})
    assert graph.vertex_collections() == ["services", "teams"]
    assert refusal(lambda: graph.create_vertex_collection("teams")) == (400, 1938)
    assert refusal(lambda: graph.create_edge_definition("owns", **owns)) == (400, 1920)
    assert telemetry.names("FOR v IN OUTBOUND 'teams/shop' GRAPH 'topology' RETURN v._key") == ["cart"]
    assert graph.delete_edge_definition("owns")
    assert telemetry.names("FOR v IN OUTBOUND 'teams/shop' GRAPH 'topology' RETURN v._key") == []
    assert telemetry.db.collection("owns").count() == 1
