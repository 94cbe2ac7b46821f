"""The emulator as python-arango sees it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from arango.exceptions import (
    AQLQueryExecuteError,
    AQLQueryKillError,
    CollectionCreateError,
    CollectionDeleteError,
    DatabaseCreateError,
    DocumentInsertError,
    DocumentReplaceError,
    DocumentRevisionError,
    DocumentUpdateError,
    GraphCreateError,
    TransactionCommitError,
)

from harness.emulators.arangodb.auth import sign


@pytest.fixture
def db(shared: Any, request: pytest.FixtureRequest) -> Any:
    """A fresh database."""
    name = "t" + str(abs(hash(request.node.name)) % 10**9)
    system = shared.database()
    system.create_database(name)
    yield shared.database(name)
    system.delete_database(name)


def test_version_and_health(shared: Any) -> None:
    db = shared.database()
    assert db.version().endswith("+emu")
    assert db.details()["server-version"] == db.version()
    assert db.properties()["name"] == "_system"
    assert "arangodb_server_statistics_server_uptime_total" in db.metrics()


def test_what_is_not_emulated_is_named_in_one_way(shared: Any) -> None:
    refused = shared.call("DELETE", "/_api/gharial/g/vertex/c")
    assert refused.status_code == 501
    expected = {
        "code": 501,
        "error": True,
        "errorNum": 9,
        "errorMessage": "not emulated: DELETE /_api/gharial/g/vertex/c",
    }
    assert refused.json() == expected


def test_availability_needs_no_login_and_version_does(shared: Any) -> None:
    assert shared.call("GET", "/_admin/server/availability", auth=None).json()["mode"] == "default"
    refused = shared.call("GET", "/_api/version", auth=None)
    assert (refused.status_code, refused.json()["errorNum"]) == (401, 11)
    assert "www-authenticate" in refused.headers
    wrong = shared.call("GET", "/_api/version", auth=("root", "no"))
    assert (wrong.status_code, wrong.json()["errorNum"]) == (401, 11)


def test_jwt_login(shared: Any) -> None:
    db = shared.client().db("_system", username="root", password="pw", auth_method="jwt")
    assert db.collections()
    bad = shared.call("POST", "/_open/auth", json={"username": "root", "password": "x"}, auth=None)
    assert (bad.status_code, bad.json()["errorNum"]) == (401, 401)


def test_databases(shared: Any) -> None:
    system = shared.database()
    system.create_database("dbx", users=[{"username": "dbx_user", "password": "p", "active": True}])
    assert "dbx" in system.databases()
    with pytest.raises(DatabaseCreateError) as error:
        system.create_database("dbx")
    assert (error.value.http_code, error.value.error_code) == (409, 1207)
    own = shared.client().db("dbx", username="dbx_user", password="p")
    own.create_collection("mine")
    assert system.delete_database("dbx")
    assert shared.call("GET", "/_db/dbx/_api/version").json()["errorNum"] == 1228


def test_users_and_rights(shared: Any) -> None:
    system = shared.database()
    system.create_user("eve", "secret", extra={"a": 1})
    assert system.update_user("eve", extra={"b": 2})["extra"] == {"a": 1, "b": 2}
    assert system.replace_user("eve", "secret", extra={"a": 1})["extra"] == {"a": 1}
    eve = shared.client().db("_system", username="eve", password="secret")
    refused = shared.call("GET", "/_api/collection", auth=("eve", "secret"))
    assert refused.status_code == 401
    system.update_permission("eve", "ro", "_system")
    assert system.permission("eve", "_system") == "ro"
    with pytest.raises(CollectionCreateError) as error:
        eve.create_collection("nope")
    assert error.value.http_code == 403
    system.create_collection("guarded")
    with pytest.raises(DocumentInsertError) as denied:
        eve.collection("guarded").insert({})
    assert (denied.value.http_code, denied.value.error_code) == (403, 11)
    system.update_permission("eve", "rw", "_system", "guarded")
    assert eve.collection("guarded").insert({"_key": "x"})["_key"] == "x"
    assert system.permissions("eve")["_system"]["collections"]["guarded"] == "rw"
    system.update_permission("eve", "none", "_system", "guarded")
    assert shared.call("GET", "/_api/collection/guarded/properties", auth=("eve", "secret")).status_code == 403
    assert system.reset_permission("eve", "_system")
    assert system.delete_user("eve")
    system.delete_collection("guarded")


def test_collections(db: Any) -> None:
    col = db.create_collection("c", schema={"rule": {"properties": {"n": {"type": "number"}}}, "level": "strict"})
    assert db.has_collection("c")
    with pytest.raises(CollectionCreateError) as error:
        db.create_collection("c")
    assert (error.value.http_code, error.value.error_code) == (409, 1207)
    with pytest.raises(DocumentInsertError) as invalid:
        col.insert({"n": "x"})
    assert invalid.value.error_code == 1620
    col.insert({"_key": "a", "n": 1})
    assert col.count() == 1
    assert col.configure(sync=True)["sync"]
    assert col.truncate()
    assert col.count() == 0
    assert db.delete_collection("c")


def test_documents(db: Any) -> None:
    col = db.create_collection("c")
    made = col.insert({"_key": "a", "x": {"y": 1}, "gone": 1}, return_new=True)
    assert made["new"]["x"] == {"y": 1}
    with pytest.raises(DocumentInsertError) as error:
        col.insert({"_key": "a"})
    assert (error.value.http_code, error.value.error_code) == (409, 1210)
    assert set(error.value.response.body) == {"error", "code", "errorNum", "errorMessage"}
    ignored = col.insert({"_key": "a"}, overwrite_mode="ignore", return_new=True, return_old=True)
    assert ignored == {name: made[name] for name in ("_id", "_key", "_rev")}
    updated = col.update({"_key": "a", "x": {"z": 2}, "gone": None}, keep_none=False, return_old=True)
    assert updated["_old_rev"] == made["_rev"]
    assert {k: v for k, v in col.get("a").items() if k[0] != "_"} == {"x": {"y": 1, "z": 2}}
    with pytest.raises(DocumentRevisionError):
        col.replace({"_key": "a", "_rev": made["_rev"], "n": 1}, check_rev=True)
    with pytest.raises(DocumentReplaceError) as missing:
        col.replace({"_key": "nobody"})
    assert missing.value.error_code == 1202
    assert col.has("a")
    assert not col.has("b")
    assert col.insert({"_key": "a", "n": 5}, overwrite_mode="update")["_key"] == "a"
    assert col.get("a")["n"] == 5
    assert col.delete("a", return_old=True)["old"]["n"] == 5
    assert col.get("a") is None


def test_bulk(db: Any) -> None:
    col = db.create_collection("c")
    results = col.insert_many([{"_key": "1"}, {"_key": "1"}, {"_key": "2"}])
    assert isinstance(results[1], DocumentInsertError)
    assert results[1].error_code == 1210
    assert [doc["_key"] for doc in col.get_many(["1", "2", "3"])] == ["1", "2"]
    old = col.update_many([{"_key": "1", "v": 1}, {"_key": "2", "v": 1}])
    assert isinstance(col.update_many([{"_key": "1", "_rev": old[0]["_old_rev"]}])[0], DocumentRevisionError)
    assert isinstance(
        col.delete_many([{"_key": "1", "_rev": old[0]["_old_rev"]}], check_rev=True)[0], DocumentRevisionError
    )
    [skipped] = col.update_many([{"_key": "1", "v": 0}], version_attribute="v")
    assert (skipped["_old_rev"], skipped["_rev"]) == (old[0]["_rev"], old[0]["_rev"])
    assert col.update_match({"v": 1}, {"w": 2}) == 2
    assert len(list(col.find({"w": 2}))) == 2
    assert len(list(col.all(skip=1, limit=5))) == 1
    assert sorted(col.keys()) == ["1", "2"]
    assert col.random()["_key"] in "12"
    assert col.delete_match({"v": 1}) == 2
    assert col.import_bulk([{"_key": "a"}, {"_key": "a"}], on_duplicate="ignore")["ignored"] == 1


def test_wait_for_sync_decides_the_status(shared: Any, db: Any) -> None:
    db.create_collection("c")
    path = f"/_db/{db.name}/_api/document/c"
    assert shared.call("POST", path, json={"_key": "a"}).status_code == 202
    reply = shared.call("POST", path + "?waitForSync=true", json={"_key": "b"})
    assert reply.status_code == 201
    assert reply.headers["etag"] == f'"{reply.json()["_rev"]}"'
    assert shared.call("DELETE", path + "/b?waitForSync=1").status_code == 200
    rev = shared.call("GET", path + "/a").json()["_rev"]
    assert shared.call("GET", path + "/a", headers={"If-None-Match": rev}).status_code == 304
    refused = shared.call("PUT", path + "/a", json={}, headers={"If-Match": "_x"})
    assert (refused.status_code, refused.json()["errorNum"], refused.json()["_rev"]) == (412, 1200, rev)
    errors = shared.call("POST", path, json=[{"_key": "/"}, {"_key": "ok"}])
    assert errors.headers["x-arango-error-codes"] == '{"1221":1}'


def test_bad_input_is_answered_and_survived(shared: Any) -> None:
    cases = [
        ("POST", "/_api/document/c", b"{", 400, 600, {}),
        ("GET", "/_api/nothing", b"", 404, 404, {}),
        ("PATCH", "/_api/version", b"", 405, 405, {}),
        ("POST", "/_api/cursor", b"", 400, 1502, {}),
        ("POST", "/_api/cursor", b'{"query":"   "}', 400, 1501, {}),
        ("PUT", "/_api/cursor", b"{}", 400, 400, {}),
        ("POST", "/_api/view", b"{}", 501, 9, {}),
        ("GET", "/_api/cursor/1", b"", 405, 405, {}),
        ("GET", "/_api/version", b"", 501, 9, {"x-arango-async": "store"}),
        ("GET", "/_api/collection/c/count", b"", 404, 1655, {"x-arango-trx-id": "99"}),
        ("GET", "/_api/collection/c/count", b"", 400, 10, {"x-arango-trx-id": "x"}),
        ("POST", "/_api/gharial", b'{"name":"q","edgeDefinitions":1}', 400, 10, {}),
        ("POST", "/_api/gharial", b'{"name":"q","edgeDefinitions":[1]}', 400, 1922, {}),
        ("POST", "/_api/database", b'{"name":"zz","users":[1]}', 400, 10, {}),
        ("POST", "/_api/collection", b'{"name":"z","schema":{"rule":{"properties":1}}}', 400, 1621, {}),
        ("POST", "/_api/document/c", b'{"a":"\xff"}', 400, 600, {}),
        ("POST", "/_api/document/c", b'{"a":1e400}', 400, 600, {}),
        ("POST", "/_api/document/c", b'{"a":NaN}', 400, 600, {}),
        ("POST", "/_api/document/c", b'{"a":' + b"9" * 5000 + b"}", 400, 600, {}),
        ("POST", "/_api/cursor", b'{"query":"RETURN 1e999"}', 400, 1504, {}),
        ("POST", "/_api/cursor", b'{"query":"RETURN 1e300..2e300"}', 400, 1504, {}),
        ("POST", "/_api/cursor", b'{"query":"RETURN ' + b"9" * 400 + b'"}', 400, 1504, {}),
        ("POST", "/_api/cursor", b'{"query":"RETURN ' + b"!" * 5000 + b'1"}', 400, 1524, {}),
        ("POST", "/_api/cursor", b'{"query":"RETURN ' + b"1+" * 5000 + b'1"}', 400, 1524, {}),
        ("POST", "/_api/index?collection=c", b'{"type":"persistent","fields":["a"],"name":5}', 400, 10, {}),
        ("POST", "/_api/document/c", b"{}", 501, 9, {"content-encoding": "gzip"}),
        ("PUT", "/_api/collection/c/rename", b'{"name":"d"}', 501, 9, {}),
        ("GET", "/_api/query/slow", b"", 501, 9, {}),
        ("POST", "/_api/transaction", b"{}", 501, 9, {}),
        ("POST", "/_api/import?collection=c", b"[]", 501, 9, {}),
        ("POST", "/_api/explain", b'{"query":"RETURN 1","options":{"allPlans":true}}', 501, 9, {}),
        ("POST", "/_api/index?collection=c", b'{"type":"inverted","fields":["a"]}', 501, 9, {}),
        ("POST", "/_api/cursor/1", b"", 404, 1600, {}),
        ("DELETE", "/_api/query/x", b"", 404, 1591, {}),
    ]
    shared.call("POST", "/_api/collection", json={"name": "c"})
    for method, path, body, status, number, headers in cases:
        reply = shared.call(method, path, data=body, headers=headers)
        assert (reply.status_code, reply.json()["errorNum"]) == (status, number), (method, path, reply.text)
    assert shared.call("GET", "/_api/version").status_code == 200


def test_options_that_are_no_numbers_are_not_heeded(http: Any, servers: Any) -> None:
    call = http(servers())
    for name in ("maxRuntime", "maxWarningCount", "memoryLimit"):
        assert call("POST", "/_api/cursor", {"query": "RETURN 1/0", "options": {name: "x"}})[1]["result"] == [None]


def test_a_whole_number_of_more_than_64_bits_is_a_double(http: Any, servers: Any) -> None:
    call = http(servers())
    for given, kept in ((10**30, 1e30), (2**64 - 1, 2**64 - 1), (-(2**63) - 1, -(2.0**63))):
        [row] = call("POST", "/_api/cursor", {"query": "RETURN @n", "bindVars": {"n": given}})[1]["result"]
        assert (row, type(row)) == (kept, type(kept))


def test_indexes(db: Any) -> None:
    col = db.create_collection("c")
    index = col.add_index({"type": "persistent", "fields": ["n"], "unique": True, "name": "by_n"})
    assert index["isNewlyCreated"]
    assert not col.add_index({"type": "persistent", "fields": ["n"], "unique": True})["isNewlyCreated"]
    older = col.add_index({"type": "hash", "fields": ["n"], "unique": True})
    assert (older["type"], older["isNewlyCreated"]) == ("hash", True)
    col.delete_index(older["name"])
    col.insert({"_key": "a", "n": 1})
    with pytest.raises(DocumentInsertError) as error:
        col.insert({"_key": "b", "n": 1})
    assert error.value.error_code == 1210
    assert "conflicting key: a" in str(error.value)
    assert [item["type"] for item in col.indexes()] == ["primary", "persistent"]
    plan = db.aql.explain("FOR d IN c FILTER d.n == 1 RETURN d")
    assert [node["type"] for node in plan["nodes"]][1] == "IndexNode"
    assert plan["stats"]["executionTime"] > 0
    cursor = db.aql.execute("FOR d IN c FILTER d.n == 1 RETURN d")
    assert cursor.statistics()["scanned_index"] == 1
    assert cursor.statistics()["scanned_full"] == 0
    assert col.delete_index(index["id"])


def test_ttl_index_expires(db: Any) -> None:
    col = db.create_collection("c")
    col.add_index({"type": "ttl", "fields": ["at"], "expireAfter": 0})
    col.insert({"_key": "old", "at": time.time() - 1})
    col.insert({"_key": "new", "at": time.time() + 60})
    deadline = time.monotonic() + 5
    while col.count() == 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(col.keys()) == ["new"]


def test_cursors(db: Any) -> None:
    cursor = db.aql.execute("FOR i IN 1..5 RETURN i", batch_size=2, count=True, ttl=10)
    assert cursor.count() == 5
    assert cursor.has_more()
    assert list(cursor) == [1, 2, 3, 4, 5]
    full = db.aql.execute("FOR i IN 1..50 LIMIT 3 RETURN i", full_count=True)
    assert full.statistics()["fullCount"] == 50
    other = db.aql.execute("FOR i IN 1..5 RETURN i", batch_size=2)
    assert other.close()
    assert db.aql.validate("FOR d IN c FILTER d.x == @v RETURN d")["bind_vars"] == ["v"]


def test_kill_a_running_query(db: Any) -> None:
    errors: list[AQLQueryExecuteError] = []

    def run() -> None:
        try:
            db.aql.execute("RETURN SLEEP(30)")
        except AQLQueryExecuteError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 5
    while not (running := db.aql.queries()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running[0]["query"] == "RETURN SLEEP(30)"
    assert db.aql.kill(running[0]["id"])
    thread.join(5)
    assert (errors[0].http_code, errors[0].error_code) == (410, 1500)
    with pytest.raises(AQLQueryKillError) as error:
        db.aql.kill("123")
    assert error.value.error_code == 1591


def test_stream_transactions(shared: Any, db: Any) -> None:
    col = db.create_collection("c")
    one, two = (db.begin_transaction(write="c") for _ in range(2))
    one.collection("c").insert({"_key": "a"})
    assert one.collection("c").has("a")
    assert not col.has("a")
    with pytest.raises(DocumentInsertError) as error:
        two.collection("c").insert({"_key": "a"})
    assert (error.value.http_code, error.value.error_code) == (409, 1200)
    assert list(one.aql.execute("FOR d IN c RETURN d._key")) == ["a"]
    assert one.transaction_status() == "running"
    assert {"id": one.transaction_id, "state": "running"} in db.list_transactions()
    assert shared.database().list_transactions() == []
    one.commit_transaction()
    assert col.has("a")
    assert not two.collection("c").has("a")
    two.abort_transaction()
    with pytest.raises(TransactionCommitError) as done:
        two.commit_transaction()
    assert done.value.error_code == 1653


def test_undeclared_write_in_a_transaction(db: Any) -> None:
    db.create_collection("c")
    db.create_collection("other")
    trx = db.begin_transaction(write="c")
    with pytest.raises(DocumentInsertError) as error:
        trx.collection("other").insert({})
    assert error.value.error_code == 1652
    trx.abort_transaction()


def test_graphs(db: Any) -> None:
    graph = db.create_graph(
        "g", [{"edge_collection": "e", "from_vertex_collections": ["a"], "to_vertex_collections": ["b"]}]
    )
    with pytest.raises(GraphCreateError) as error:
        db.create_graph("g")
    assert error.value.error_code == 1925
    a, b, e = graph.vertex_collection("a"), graph.vertex_collection("b"), graph.edge_collection("e")
    a.insert({"_key": "1"})
    b.insert({"_key": "2"})
    e.insert({"_key": "x", "_from": "a/1", "_to": "b/2"})
    with pytest.raises(DocumentInsertError) as missing:
        e.insert({"_from": "a/1", "_to": "b/none"})
    assert missing.value.error_code == 1202
    assert e.edges("a/1", direction="out")["edges"][0]["_key"] == "x"
    rows = db.aql.execute("FOR v, e, p IN 1..1 OUTBOUND 'a/1' GRAPH 'g' RETURN [v._key, e._key, LENGTH(p.edges)]")
    assert list(rows) == [["2", "x", 1]]
    assert e.update({"_key": "x", "w": 1})["_old_rev"]
    assert e.get("x")["w"] == 1
    with pytest.raises(DocumentUpdateError) as nowhere:
        e.update({"_key": "x", "_to": "b/none"})
    assert nowhere.value.error_code == 1202
    assert b.delete("2")
    assert not e.has("x")
    graph.create_vertex_collection("lonely")
    assert graph.vertex_collections() == ["a", "b", "lonely"]
    assert graph.delete_edge_definition("e")
    assert graph.vertex_collections() == ["a", "b", "lonely"]
    assert db.delete_graph("g", drop_collections=True)
    assert not db.has_collection("a")


def test_read_only_mode(shared: Any, db: Any) -> None:
    col = db.create_collection("c")
    assert shared.call("PUT", "/_admin/server/mode", json={"mode": "readonly"}).json()["mode"] == "readonly"
    try:
        with pytest.raises(DocumentInsertError) as error:
            col.insert({})
        assert (error.value.http_code, error.value.error_code) == (403, 1004)
        assert col.count() == 0
        assert shared.call("GET", "/_admin/server/availability").json()["mode"] == "readonly"
    finally:
        shared.call("PUT", "/_admin/server/mode", json={"mode": "default"})
    assert col.insert({})


def test_exclusive_lock_waits_and_times_out(shared: Any, db: Any) -> None:
    db.create_collection("c")
    holder = db.begin_transaction(exclusive="c")
    path = f"/_db/{db.name}/_api/transaction/begin"
    began = time.monotonic()
    reply = shared.call("POST", path, json={"collections": {"exclusive": "c"}, "lockTimeout": 0.2})
    assert (reply.status_code, reply.json()["errorNum"]) == (500, 18)
    assert time.monotonic() - began >= 0.2
    holder.abort_transaction()
    assert shared.call("POST", path, json={"collections": {"exclusive": "c"}}).status_code == 201


def test_superuser_token_and_a_used_directory_needs_no_password_variable(tmp_path: Path, arangod: Any) -> None:
    (tmp_path / "secret").write_text("s")
    args = ("--database.directory", str(tmp_path / "data"), "--server.jwt-secret-keyfile", str(tmp_path / "secret"))
    arangod(*args).stop()
    again = arangod(*args, env={"PATH": "/bin"})
    token = sign(b"s", {"iss": "arangodb", "server_id": "tests", "iat": 1})
    db = again.client().db("_system", superuser_token=token)
    assert db.create_database("made_by_superuser")
    assert "made_by_superuser" in again.database().databases()


def test_import_of_lines_and_rows(shared: Any, db: Any) -> None:
    db.create_collection("c")
    path = f"/_db/{db.name}/_api/import?collection=c&details=true"
    lines = '{"_key":"a"}\n\n{"_key":"a"}\n{"_key":"b"}\n'
    reply = shared.call("POST", path + "&type=documents", data=lines)
    facts = reply.json()
    assert reply.status_code == 201
    assert (facts["created"], facts["errors"], facts["empty"]) == (2, 1, 1)
    assert "unique constraint violated" in facts["details"][0]
    rows = shared.call("POST", path + "&type=auto", data='[{"_key":"x"},{"_key":"y"}]').json()
    assert rows["created"] == 2
    whole = shared.call("POST", path + "&type=list&complete=true", data='[{"_key":"z"},{"_key":"a"}]')
    assert (whole.status_code, whole.json()["errorNum"]) == (409, 1210)
    assert sorted(db.collection("c").keys()) == ["a", "b", "x", "y"]


def test_a_graph_vertex_delete_reaches_other_graphs(db: Any) -> None:
    for name, edges in (("g1", "e1"), ("g2", "e2")):
        definition = {"edge_collection": edges, "from_vertex_collections": ["v"], "to_vertex_collections": ["v"]}
        graph = db.create_graph(name, [definition])
        if name == "g1":
            graph.vertex_collection("v").insert_many([{"_key": "a"}, {"_key": "b"}])
        graph.edge_collection(edges).insert({"_from": "v/a", "_to": "v/b"})
    db.graph("g1").vertex_collection("v").delete("b")
    assert db.collection("e1").count() == 0
    assert db.collection("e2").count() == 0
    with pytest.raises(CollectionDeleteError) as error:
        db.delete_collection("v")
    assert error.value.error_code == 1942
