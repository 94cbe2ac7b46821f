"""What a database tells of its own structure, and a graph changed through its own interface.

Documents: HTTP API "Databases", "Collections", "Indexes", "Users", "Named graphs"; AQL "REPLACE".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.keeper.client import RemoteStack
from harness.probes.http import ask, expect
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database."""
    return namespace.of("arangodb")


@pytest.fixture
def reader(arangodb: Any, namespace: Namespace) -> Iterator[str]:
    """A user of this test's own who may read its database, and write its collection `notes`."""
    name = f"{namespace.name}-reader"
    namespace.of("arangodb").create_collection("notes")
    arangodb.create_user(name, "secret")
    arangodb.update_permission(name, "ro", namespace.name)
    arangodb.update_permission(name, "rw", namespace.name, "notes")
    yield name
    arangodb.delete_user(name)


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def test_a_database_a_collection_and_an_index_tell_what_they_are(db: Any, namespace: Namespace) -> None:
    """/_api/database/current, /_api/collection/{name}/properties, /_api/index/{id}: as they were made."""
    spans = db.create_collection("spans", sync=True)
    made = spans.add_index({"type": "persistent", "fields": ["service", "at"], "unique": True, "name": "by-service"})
    assert (db.properties()["name"], db.properties()["system"]) == (namespace.name, False)
    assert (spans.properties()["name"], spans.properties()["sync"], spans.properties()["edge"]) == (
        "spans",
        True,
        False,
    )
    told = spans.get_index(made["id"])
    assert (told["name"], told["fields"], told["unique"]) == ("by-service", ["service", "at"], True)
    assert refusal(lambda: db.collection("gone").properties()) == (404, 1203)


def test_a_users_rights_are_told_as_they_were_given(arangodb: Any, reader: str, namespace: Namespace) -> None:
    """/_api/user: the narrower right is told for the collection, the wider one for the rest; a stranger has none."""
    assert reader in {user["username"] for user in arangodb.users()}
    assert arangodb.permission(reader, namespace.name) == "ro"
    assert arangodb.permission(reader, namespace.name, "notes") == "rw"
    rights = arangodb.permissions(reader)[namespace.name]
    assert (rights["permission"], rights["collections"]["notes"]) == ("ro", "rw")
    assert refusal(lambda: arangodb.permissions(f"{reader}-not")) == (404, 1703)


def test_a_server_tells_its_mode_and_its_figures(arangodb: Any) -> None:
    """/_admin/server/mode, /_admin/metrics: not read-only, and counters for a scraper."""
    assert arangodb.mode() == "default"
    assert "# TYPE arangodb_" in arangodb.metrics()


def test_a_graphs_own_interface_keeps_its_vertices_and_edges_in_step(db: Any) -> None:
    """/_api/gharial: update keeps what it does not name, replace does not; an edge needs both ends (1202 for a
    vertex that is not there) and goes by itself."""
    ends = {"from_vertex_collections": ["services"], "to_vertex_collections": ["services"]}
    graph = db.create_graph("topology", edge_definitions=[{"edge_collection": "calls", **ends}])
    services, calls = graph.vertex_collection("services"), graph.edge_collection("calls")
    for name in ("cart", "payment"):
        services.insert({"_key": name, "team": "shop", "tier": 1})
    services.update({"_key": "cart", "tier": 2})
    services.replace({"_key": "payment", "tier": 3})
    shown = [{key: value for key, value in services.get(name).items() if key[0] != "_"} for name in ("cart", "payment")]
    assert shown == [{"team": "shop", "tier": 2}, {"tier": 3}]
    both = {"_from": "services/cart", "_to": "services/payment"}
    calls.insert({"_key": "c1", **both, "ms": 5})
    calls.update({"_key": "c1", "errors": 1})
    assert (calls.get("c1")["ms"], calls.get("c1")["errors"]) == (5, 1)
    calls.replace({"_key": "c1", **both, "errors": 2})
    assert ("ms" in calls.get("c1"), calls.get("c1")["errors"]) == (False, 2)
    assert refusal(lambda: calls.insert({"_from": "services/cart", "_to": "services/gone"})) == (404, 1202)
    assert calls.delete("c1")
    assert (calls.count(), services.count()) == (0, 2)
    assert [(one["name"], one["edge_definitions"]) for one in db.graphs()] == [
        ("topology", [{"edge_collection": "calls", **ends}])
    ]


def test_a_graph_lists_its_edge_collections(stack: RemoteStack, db: Any, namespace: Namespace) -> None:
    """GET /_api/gharial/{graph}/edge: the collections whose edges belong to it."""
    ends = {"from_vertex_collections": ["services"], "to_vertex_collections": ["services"]}
    db.create_graph("topology", edge_definitions=[{"edge_collection": name, **ends} for name in ("calls", "owns")])
    service = stack["arangodb"]
    http, login = service.endpoint("http"), ("root", service.credentials["password"].reveal())
    found = expect(200, http, f"/_db/{namespace.name}/_api/gharial/topology/edge", login=login).json()
    assert found["collections"] == ["calls", "owns"]


def test_a_query_replaces_whole_documents(db: Any) -> None:
    """REPLACE keeps the key and nothing else; NEW and OLD tell both."""
    db.create_collection("notes").insert({"_key": "a", "text": "old", "tag": "x"})
    query = "REPLACE 'a' WITH {text: 'new'} IN notes RETURN [OLD.tag, NEW.tag, NEW.text]"
    assert list(db.aql.execute(query)) == [["x", None, "new"]]


def test_an_older_client_pages_by_another_verb(stack: RemoteStack, db: Any, namespace: Namespace) -> None:
    """PUT /_api/cursor/{id} gives the next batch, as POST does since 3.11; without an id it is refused with 400."""
    service = stack["arangodb"]
    http, login = service.endpoint("http"), ("root", service.credentials["password"].reveal())
    where = f"/_db/{db.name}/_api/cursor"
    body = {"query": "FOR n IN 1..3 RETURN n", "batchSize": 2}
    first = expect(201, http, where, "POST", body=body, login=login).json()
    second = expect(200, http, f"{where}/{first['id']}", "PUT", login=login).json()
    assert (first["result"], second["result"], second["hasMore"]) == ([1, 2], [3], False)
    assert ask(http, where, "PUT", login=login).status == 400
