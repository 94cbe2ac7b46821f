"""Documents, transactions, indexes, cursors and journal without sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.emulators.arangodb.auth import Authenticator, sign
from harness.emulators.arangodb.cursors import Cursor, Cursors
from harness.emulators.arangodb.documents import WriteOptions
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.index_catalog import create_index, listing
from harness.emulators.arangodb.log import DirectoryBusyError, Log
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.streams import Streams
from harness.emulators.arangodb.ticks import Ticks

_OPTIONS = WriteOptions()


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(servers: Any) -> Server:
    """A fresh server."""
    made: Server = servers()
    return made


def make(server: Server, name: str = "c", **facts: Any) -> Any:
    return server.catalog.create_collection(server.catalog.database("_system"), {"name": name, **facts})


def put(server: Server, collection: Any, doc: dict[str, Any], trx: Any = None, **options: Any) -> Any:
    work = trx or server.catalog.store.begin()
    try:
        outcome = server.documents.insert(work, collection, doc, WriteOptions(**options))
    except ArangoError:
        if trx is None:
            work.abort()
        raise
    if trx is None:
        work.commit()
    return outcome


def number_of(call: Any, *args: Any, **kwargs: Any) -> int:
    with pytest.raises(ArangoError) as error:
        call(*args, **kwargs)
    return error.value.number


def test_revisions_grow_though_the_clock_stands_or_goes_back() -> None:
    clock = Clock()
    ticks = Ticks(clock)
    revisions = [ticks.revision() for _ in range(3)]
    clock.now = 2_000_000_000.0
    revisions.append(ticks.revision())
    clock.now = 1_000_000_000.0
    revisions.append(ticks.revision())
    alphabet = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    ordered = [[alphabet.index(letter) for letter in revision.rjust(11, "-")] for revision in revisions]
    assert ordered == sorted(ordered)
    assert len(set(revisions)) == 5
    assert (revisions[-1][0], len(revisions[-1])) == ("_", 11)


def test_snapshot_isolation(server: Server) -> None:
    col, store = make(server), server.catalog.store
    put(server, col, {"_key": "a", "n": 1})
    reader = store.begin()
    put(server, col, {"_key": "b"})
    writer = store.begin()
    server.documents.update(writer, col, "a", {"n": 2}, _OPTIONS)
    writer.commit()
    assert reader.count(col) == 1
    assert (reader.get(col, "a") or {})["n"] == 1
    reader.abort()
    assert col.history == {}
    assert store.begin().count(col) == 2


def test_write_write_conflicts(server: Server) -> None:
    col, store = make(server), server.catalog.store
    put(server, col, {"_key": "a", "n": 1})
    one, two, late = store.begin(), store.begin(), store.begin()
    server.documents.update(one, col, "a", {"n": 2}, _OPTIONS)
    assert number_of(server.documents.update, two, col, "a", {"n": 3}, _OPTIONS) == 1200
    one.commit()
    assert number_of(server.documents.update, late, col, "a", {"n": 3}, _OPTIONS) == 1200
    two.abort()
    put(server, col, {"_key": "other"}, late)
    late.commit()
    assert {key: doc.get("n") for key, doc in col.current.items()} == {"a": 2, "other": None}


def test_unique_index_across_transactions(server: Server) -> None:
    col = make(server)
    create_index(
        server.catalog, server.catalog.database("_system"), col, {"type": "persistent", "fields": ["n"], "unique": True}
    )
    one, two = server.catalog.store.begin(), server.catalog.store.begin()
    put(server, col, {"_key": "a", "n": 1}, one)
    assert number_of(put, server, col, {"_key": "b", "n": 1}, two) == 1200
    one.commit()
    assert number_of(put, server, col, {"_key": "b", "n": 1}, two) == 1210
    assert number_of(put, server, col, {"_key": "b", "n": 1}) == 1210
    two.abort()
    trx = server.catalog.store.begin()
    server.documents.remove(trx, col, "a")
    put(server, col, {"_key": "b", "n": 1}, trx)
    trx.commit()
    assert list(col.current) == ["b"]


def test_unique_index_and_null(server: Server) -> None:
    col = make(server)
    create_index(
        server.catalog,
        server.catalog.database("_system"),
        col,
        {"type": "persistent", "fields": ["n"], "unique": True, "sparse": True},
    )
    put(server, col, {})
    put(server, col, {"n": None})
    other = make(server, "d")
    create_index(
        server.catalog,
        server.catalog.database("_system"),
        other,
        {"type": "persistent", "fields": ["n"], "unique": True},
    )
    put(server, other, {})
    assert number_of(put, server, other, {"n": None}) == 1210


def test_building_a_unique_index_over_duplicates_fails_with_400(server: Server) -> None:
    col = make(server)
    put(server, col, {"n": 1})
    put(server, col, {"n": 1})
    with pytest.raises(ArangoError) as error:
        create_index(
            server.catalog,
            server.catalog.database("_system"),
            col,
            {"type": "persistent", "fields": ["n"], "unique": True},
        )
    assert (error.value.number, error.value.status) == (1210, 400)
    assert [item["type"] for item in listing(col)] == ["primary"]


def test_rollback_restores_index_entries(server: Server, aql_on: Any) -> None:
    col = make(server)
    create_index(server.catalog, server.catalog.database("_system"), col, {"type": "persistent", "fields": ["n"]})
    put(server, col, {"_key": "a", "n": 1})
    trx = server.catalog.store.begin()
    server.documents.update(trx, col, "a", {"n": 2}, _OPTIONS)
    mark = trx.savepoint()
    server.documents.update(trx, col, "a", {"n": 3}, _OPTIONS)
    trx.rollback(mark)
    assert (trx.get(col, "a") or {})["n"] == 2
    trx.abort()
    rows = aql_on(server)("RETURN (FOR n IN 1..3 FOR d IN c FILTER d.n == n RETURN n)")
    assert rows == [[1]]


@pytest.mark.parametrize(
    ("facts", "doc", "number"),
    [
        ({}, {"_key": "a/b"}, 1221),
        ({}, {"_key": "x" * 255}, 1221),
        ({}, "text", 1227),
        ({"keyOptions": {"allowUserKeys": False}}, {"_key": "a"}, 1222),
        ({"type": 3}, {"_from": "a/1"}, 1233),
        ({"type": 3}, {"_from": "a", "_to": "b/1"}, 1233),
        ({"schema": {"rule": {"required": ["n"]}}}, {}, 1620),
    ],
)
def test_refused_documents(server: Server, facts: dict[str, Any], doc: Any, number: int) -> None:
    assert number_of(put, server, make(server, **facts), doc) == number


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"name": "_x"}, 1208),
        ({"name": "1x"}, 1208),
        ({"name": "c", "keyOptions": {"type": "magic"}}, 1232),
        ({"name": "c", "keyOptions": {"increment": 2}}, 9),
        ({"name": "c", "keyOptions": {"type": "uuid"}}, 9),
        ({"name": "c", "keyOptions": 1}, 10),
        ({"name": "c", "waitForSync": 1}, 10),
        ({"name": "c", "schema": {"rule": {"oneOf": []}}}, 9),
        ({"name": "c", "schema": {"rule": 1}}, 1621),
        ({"name": "c", "schema": {"rule": {"properties": {"": {"pattern": "["}}}}}, 1621),
        ({"name": "c", "type": 7}, 1218),
        ({"name": "c", "isSystem": True}, 9),
        ({"name": "c", "computedValues": [{}]}, 9),
    ],
)
def test_refused_collections(server: Server, body: dict[str, Any], number: int) -> None:
    assert number_of(server.catalog.create_collection, server.catalog.database("_system"), body) == number


def test_autoincrement_keys(server: Server) -> None:
    col = make(server, keyOptions={"type": "autoincrement"})
    keys = [put(server, col, {}).new["_key"] for _ in range(2)]
    put(server, col, {"_key": "42"})
    keys.append(put(server, col, {}).new["_key"])
    assert keys == ["1", "2", "43"]


def test_overwrite_modes_and_version_attribute(server: Server) -> None:
    col = make(server)
    put(server, col, {"_key": "a", "v": 5, "x": {"y": 1}})
    assert number_of(put, server, col, {"_key": "a"}) == 1210
    assert not put(server, col, {"_key": "a", "v": 9}, overwrite_mode="ignore").written
    assert not put(server, col, {"_key": "a", "v": 5, "x": 0}, overwrite_mode="update", version_attribute="v").written
    merged = put(server, col, {"_key": "a", "v": 6, "x": {"z": 2}}, overwrite_mode="update").new
    assert merged["x"] == {"y": 1, "z": 2}
    flat = put(server, col, {"_key": "a", "x": {"q": 1}}, overwrite_mode="update", merge_objects=False).new
    assert flat["x"] == {"q": 1}
    assert "v" not in put(server, col, {"_key": "a"}, overwrite_mode="replace").new


def test_moderate_schema_lets_old_faults_stay(server: Server) -> None:
    col = make(server)
    put(server, col, {"_key": "bad"})
    put(server, col, {"_key": "good", "n": 1})
    server.catalog.configure(
        server.catalog.database("_system"), col, {"schema": {"rule": {"required": ["n"]}, "level": "moderate"}}
    )
    trx = server.catalog.store.begin()
    server.documents.update(trx, col, "bad", {"x": 1}, _OPTIONS)
    assert number_of(server.documents.replace, trx, col, "good", {}, _OPTIONS) == 1620
    trx.abort()


def test_idle_stream_transactions_end(server: Server) -> None:
    clock, col = Clock(), make(server)
    streams = Streams(server.catalog.store, server.ticks, clock, 60)
    database = server.catalog.database("_system")
    stream = streams.begin(database, "root", {"collections": {"write": "c"}})
    put(server, col, {"_key": "a"}, stream.trx)
    clock.now += 59
    assert streams.use(stream.id, "_system") is stream
    clock.now += 59
    streams.sweep()
    assert stream.status == "running"
    clock.now += 2
    assert number_of(streams.finish, stream.id, "_system", "committed") == 1654
    assert col.current == {}
    assert col.pending == {}
    clock.now += 601
    assert number_of(streams.get, stream.id, "_system") == 1655


def test_exclusive_lock_and_declarations(server: Server) -> None:
    make(server)
    database = server.catalog.database("_system")
    first = server.streams.begin(database, "root", {"collections": {"exclusive": ["c"]}})
    assert number_of(server.streams.begin, database, "root", {"collections": {"write": ["c"]}}) == 18
    assert number_of(put, server, database.find("c"), {}) == 18
    server.streams.finish(first.id, "_system", "aborted")
    assert put(server, database.find("c"), {}).written
    assert number_of(server.streams.begin, database, "root", {}) == 10
    assert number_of(server.streams.begin, database, "root", {"collections": {"read": "no"}}) == 1203


def test_cursor_batches_time_and_retry() -> None:
    clock = Clock()
    cursors = Cursors(Ticks(clock), clock)

    def open_one(**facts: Any) -> dict[str, Any]:
        return cursors.open(Cursor("_system", [1, 2, 3], {}, 2, 30, **{"allow_retry": False, **facts}))

    first = open_one()
    assert (first["result"], first["hasMore"], first["nextBatchId"]) == ([1, 2], True, "2")
    last = cursors.next(first["id"], "_system")
    assert (last["result"], last["hasMore"], "id" in last) == ([3], False, False)
    assert number_of(cursors.next, first["id"], "_system") == 1600
    again = open_one()
    assert number_of(cursors.next, again["id"], "_system", "1") == 400
    idle = open_one()
    clock.now += 31
    assert number_of(cursors.next, idle["id"], "_system") == 1600
    retry = open_one(allow_retry=True)
    again = cursors.next(retry["id"], "_system", "2")
    assert {"id", "nextBatchId"}.isdisjoint(again)
    assert cursors.next(retry["id"], "_system", "2") == again
    assert number_of(cursors.next, retry["id"], "_system", "5") == 1600
    cursors.close(retry["id"], "_system")


def test_tokens(server: Server) -> None:
    server.users.create("eve", {"passwd": "pw"})
    auth = Authenticator(server.users, b"secret", True)
    token = auth.session("eve", "pw")
    assert auth.user(f"bearer {token}") == "eve"
    assert auth.session("eve", "no") is None
    assert auth.user("bearer " + sign(b"other", {"iss": "arangodb", "preferred_username": "eve"})) is None
    assert auth.user("bearer " + sign(b"secret", {"iss": "arangodb", "server_id": "x"})) == "root"
    assert auth.user("bearer " + sign(b"secret", {"iss": "arangodb", "preferred_username": "eve", "exp": 1})) is None
    assert auth.user("Basic !!!") is None


def test_everything_survives_a_restart(tmp_path: Path, servers: Any, aql_on: Any) -> None:
    def restart(server: Server | None) -> Server:
        if server is not None:
            server.close()
        made: Server = servers(log=Log(tmp_path))
        return made

    server = restart(None)
    database = server.catalog.create_database("db")
    server.users.create("eve", {"passwd": "pw"})
    server.users.grant("eve", "db", "ro")
    col = server.catalog.create_collection(database, {"name": "c"})
    create_index(server.catalog, database, col, {"type": "persistent", "fields": ["n"], "unique": True, "name": "by_n"})
    put(server, col, {"_key": "a", "n": 1})
    put(server, col, {"_key": "b", "n": 2})
    trx = server.catalog.store.begin()
    server.documents.remove(trx, col, "b")
    trx.commit()
    server.graphs.create(database, {"name": "g", "edgeDefinitions": [{"collection": "e", "from": ["c"], "to": ["c"]}]})
    server.catalog.drop_collection(database, server.catalog.create_collection(database, {"name": "gone"}))
    server.catalog.create_database("gone")
    server.catalog.drop_database("gone")
    before = col.current
    for _ in range(2):
        server = restart(server)
    database = server.catalog.database("db")
    kept = database.find("c")
    assert kept.current == before
    assert "gone" not in (*database.collections, *server.catalog.databases)
    assert number_of(put, server, kept, {"n": 1}) == 1210
    assert server.users.check("eve", "pw")
    assert server.users.right("eve", "db") == "ro"
    assert [graph["_key"] for graph in server.graphs.all(database)] == ["g"]
    assert int(put(server, kept, {}).new["_key"]) > int(kept.id)


def test_a_long_journal_is_rewritten_short_and_says_the_same(
    tmp_path: Path, servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers(log=Log(tmp_path))
    col = make(server)
    create_index(server.catalog, server.catalog.database("_system"), col, {"type": "persistent", "fields": ["n"]})
    for number in range(50):
        put(server, col, {"_key": "a", "n": number}, overwrite_mode="replace")
    before, size = col.current, (tmp_path / "journal.ndjson").stat().st_size
    server.close()
    monkeypatch.setattr("harness.emulators.arangodb.server._REWRITE_FROM", 10)
    servers(log=Log(tmp_path)).close()
    assert (tmp_path / "journal.ndjson").stat().st_size < size / 2
    again = servers(log=Log(tmp_path))
    kept = again.catalog.database("_system").find("c")
    assert kept.current == before
    assert [item["type"] for item in listing(kept)] == ["primary", "persistent"]
    assert again.users.check("root", "")


def test_a_torn_last_line_is_dropped(tmp_path: Path, servers: Any) -> None:
    server = servers(log=Log(tmp_path))
    put(server, make(server), {"_key": "a"})
    server.close()
    with (tmp_path / "journal.ndjson").open("ab") as journal:
        journal.write(b'{"t":999,"k":"trx","w":[["1"')
    again = servers(log=Log(tmp_path))
    assert list(again.catalog.database("_system").find("c").current) == ["a"]
    put(again, again.catalog.database("_system").find("c"), {"_key": "b"})
    again.close()
    assert len(servers(log=Log(tmp_path)).catalog.database("_system").find("c").current) == 2


def test_one_server_per_directory(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with pytest.raises(DirectoryBusyError):
        Log(tmp_path)
    log.close()
