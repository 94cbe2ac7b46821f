"""Who depends on whom: as declared, as traced, as stored, and as the Collector counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.probes.exposition import total
from harness.probes.poll import Deadline, NotYet, poll
from harness.pytest_plugin.fixtures import Namespace
from harness.services.otel_client import CollectorClient

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Call, Caller, Deployment, Traces

CALLS = 4
SPANS = 8
"""Of one read that misses: caller, front with Consul and the call, catalogue with Redis twice and ArangoDB."""
DECLARED = {
    ("caller", "front"),
    ("front", "consul"),
    ("front", "catalogue"),
    ("catalogue", "redis"),
    ("catalogue", "arangodb"),
}
AFFECTED = """
FOR service IN 1..9 INBOUND @failed GRAPH "dependencies" OPTIONS { uniqueVertices: "global", order: "bfs" }
SORT service._key RETURN service._key
"""


def edges_of(spans: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Calls between services that a trace shows: a child in another service, or a peer that sent no span."""
    roles = {span["spanId"]: span["service"].rpartition("-")[2] for span in spans}
    parents = {span["spanId"]: span.get("parentSpanId", "") for span in spans}
    crossing = {(roles[parent], roles[own]) for own, parent in parents.items() if parent}
    peers = {span["spanId"]: span["about"]["peer.service"] for span in spans if "peer.service" in span["about"]}
    silent = {(roles[own], peer) for own, peer in peers.items() if own not in parents.values()}
    return {(source, target) for source, target in crossing | silent if source != target}


@pytest.fixture
def called(shop: Deployment, caller: Caller, consul: Any, key: str) -> list[Call]:
    """Reads through `front`, each of which misses the cache."""
    catalogue, _, front = shop.instances

    def found() -> None:
        if not consul.health.service(shop.service("catalogue"), passing=True)[1]:
            raise NotYet("no passing instance")

    poll(found, Deadline.after(8), "catalogue in Consul")
    caller.call("PUT", f"{catalogue.url}/items/{key}", 1)
    calls = []
    for _ in range(CALLS):
        shop.forget(key)
        calls.append(caller.call("GET", f"{front.url}/through/{shop.service('catalogue')}/{key}"))
    assert [call.status for call in calls] == [200] * CALLS, calls
    return calls


def test_the_graph_that_traces_show_is_stored_and_equals_the_declared_one(
    namespace: Namespace, traces: Traces, called: list[Call]
) -> None:
    """No undeclared dependency and none that is only on paper; the stored graph answers who suffers from a failure.

    Source: Tempo HTTP API, "Query V2"; ArangoDB, "Graph traversals in AQL".
    """
    seen = set[tuple[str, str]]()
    for call in called:
        seen |= edges_of(traces.spans(call.trace_id, SPANS))
    database = namespace.of("arangodb")
    definition = {
        "edge_collection": "calls",
        "from_vertex_collections": ["services"],
        "to_vertex_collections": ["services"],
    }
    database.create_graph("dependencies", edge_definitions=[definition])
    database.collection("services").insert_many([{"_key": name} for name in {name for edge in seen for name in edge}])
    database.collection("calls").insert_many(
        [{"_from": f"services/{source}", "_to": f"services/{target}"} for source, target in seen]
    )

    stored = database.aql.execute("FOR e IN calls RETURN [PARSE_IDENTIFIER(e._from).key, PARSE_IDENTIFIER(e._to).key]")
    assert {tuple(edge) for edge in stored} == DECLARED
    affected = list(database.aql.execute(AFFECTED, bind_vars={"failed": "services/redis"}))
    assert affected == ["caller", "catalogue", "front"]
    assert list(database.aql.execute(AFFECTED, bind_vars={"failed": "services/consul"})) == ["caller", "front"]


@pytest.mark.usefixtures("scraping")
def test_the_collector_counts_the_same_calls_between_services(
    shop: Deployment, namespace: Namespace, otel_collector: CollectorClient, called: list[Call]
) -> None:
    """The service graph's request counts are the calls that were made: by this caller of front, and by front, over all
    that it was asked, of catalogue.

    Source: opentelemetry-collector-contrib, servicegraph connector, README.
    """
    caller, front, catalogue = f"{namespace}-caller", shop.service("front"), shop.service("catalogue")
    passed_on = [line for line in shop.instances[2].log("request", status=200) if f"/{catalogue}/" in line["path"]]
    wanted = [len(called), len(passed_on)]

    def ask() -> None:
        page = otel_collector.prometheus.get("/metrics").text
        counts = [
            total(page, "traces_service_graph_request", client=client, server=server)
            for client, server in ((caller, front), (front, catalogue))
        ]
        if counts != wanted:
            raise NotYet(f"{counts}, expected {wanted}")

    poll(ask, Deadline.after(15), "calls in the service graph")
