"""Every seeded defect is seen by one check that the sound server passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.emulators.arangodb.auth import Authenticator
from harness.emulators.arangodb.defects import DEFECTS
from harness.emulators.arangodb.documents import WriteOptions
from harness.emulators.arangodb.errors import ArangoError
from harness.emulators.arangodb.index_catalog import create_index
from harness.emulators.arangodb.log import Log


class Bench:
    """One server with its HTTP interface."""

    def __init__(self, server: Any, http: Any, aql: Any) -> None:
        self.server, self.http, self.aql = server, http, aql
        for name, kind in (("c", 2), ("d", 2)):
            self.http("POST", "/_api/collection", {"name": name, "type": kind})

    def begin(self) -> str:
        _, body = self.http("POST", "/_api/transaction/begin", {"collections": {"write": ["c", "d"]}})
        return str(body["result"]["id"])

    def insert(self, name: str, doc: dict[str, Any], trx: str = "") -> int:
        headers = {"x_arango_trx_id": trx} if trx else {}
        return int(self.http("POST", f"/_api/document/{name}", doc, **headers)[0])

    def count(self, name: str) -> int:
        return int(self.http("GET", f"/_api/collection/{name}/count")[1]["count"])


def lost_write(bench: Bench) -> bool:
    return all(bench.insert("c", {"_key": str(i)}) == 202 for i in range(10)) and bench.count("c") == 10


def ignored_if_match(bench: Bench) -> bool:
    bench.insert("c", {"_key": "a"})
    return bool(bench.http("PUT", "/_api/document/c/a", {}, if_match="_old")[0] == 412)


def duplicate_unique(bench: Bench) -> bool:
    bench.http("POST", "/_api/index?collection=c", {"type": "persistent", "fields": ["n"], "unique": True})
    bench.insert("c", {"n": 1})
    return bench.insert("c", {"n": 1}) == 409


def no_write_conflict(bench: Bench) -> bool:
    one, two = bench.begin(), bench.begin()
    bench.insert("c", {"_key": "a"}, one)
    return bench.insert("c", {"_key": "a"}, two) == 409


def partial_commit(bench: Bench) -> bool:
    trx = bench.begin()
    bench.insert("c", {"_key": "a"}, trx)
    bench.insert("d", {"_key": "a"}, trx)
    bench.http("PUT", f"/_api/transaction/{trx}")
    return bench.count("c") == 1 and bench.count("d") == 1


def abort_commits(bench: Bench) -> bool:
    trx = bench.begin()
    bench.insert("c", {"_key": "a"}, trx)
    bench.http("DELETE", f"/_api/transaction/{trx}")
    return bench.count("c") == 0


def dirty_read(bench: Bench) -> bool:
    bench.insert("c", {"_key": "a"}, bench.begin())
    return bool(bench.http("GET", "/_api/document/c/a")[0] == 404)


def dangling_edges(bench: Bench) -> bool:
    definition = {"collection": "e", "from": ["c"], "to": ["c"]}
    bench.http("POST", "/_api/gharial", {"name": "g", "edgeDefinitions": [definition]})
    bench.insert("c", {"_key": "a"})
    bench.insert("e", {"_from": "c/a", "_to": "c/a"})
    bench.http("DELETE", "/_api/gharial/g/vertex/c/a")
    return bench.count("e") == 0


def ttl_never_expires(bench: Bench) -> bool:
    bench.http("POST", "/_api/index?collection=c", {"type": "ttl", "fields": ["at"], "expireAfter": 5})
    bench.insert("c", {"_key": "a", "at": 100})
    bench.insert("c", {"_key": "b", "at": "1970-01-01T00:01:40Z"})
    early = bench.server.expire(104)
    return bool(early == 0 and bench.server.expire(105) == 2)


def stale_index(bench: Bench) -> bool:
    database = bench.server.catalog.database("_system")
    create_index(bench.server.catalog, database, database.find("c"), {"type": "persistent", "fields": ["n"]})
    bench.insert("c", {"_key": "a", "n": 1})
    bench.http("PATCH", "/_api/document/c/a", {"n": 2})
    return bool(bench.aql("FOR d IN c FILTER d.n == 2 RETURN d._key") == ["a"])


def cursor_skips_row(bench: Bench) -> bool:
    _, first = bench.http("POST", "/_api/cursor", {"query": "FOR i IN 1..4 RETURN i", "batchSize": 2})
    _, second = bench.http("POST", f"/_api/cursor/{first['id']}")
    return bool(first["result"] + second["result"] == [1, 2, 3, 4])


def open_auth(bench: Bench) -> bool:
    return Authenticator(bench.server.users, b"s", True).session("root", "wrong") is None


def filter_ignores_last(bench: Bench) -> bool:
    return bool(bench.aql("FOR i IN 1..3 FILTER i > 1 FILTER i < 3 RETURN i") == [2])


CHECKS: dict[str, Callable[[Bench], bool]] = {
    "lost-write": lost_write,
    "ignored-if-match": ignored_if_match,
    "duplicate-unique": duplicate_unique,
    "no-write-conflict": no_write_conflict,
    "partial-commit": partial_commit,
    "abort-commits": abort_commits,
    "dirty-read": dirty_read,
    "dangling-edges": dangling_edges,
    "ttl-never-expires": ttl_never_expires,
    "stale-index": stale_index,
    "cursor-skips-row": cursor_skips_row,
    "open-auth": open_auth,
    "filter-ignores-last": filter_ignores_last,
}


@pytest.mark.parametrize("name", CHECKS)
def test_defect_is_seen(name: str, servers: Any, http: Any, aql_on: Any) -> None:
    def holds(*defects: str) -> bool:
        server = servers(*defects)
        return CHECKS[name](Bench(server, http(server), aql_on(server)))

    assert holds()
    assert not holds(name)


def test_log_not_written(tmp_path: Path, servers: Any) -> None:
    def survives(*defects: str) -> bool:
        directory = tmp_path / "-".join(["d", *defects])
        server = servers(*defects, log=Log(directory))
        collection = server.catalog.create_collection(server.catalog.database("_system"), {"name": "c"})
        trx = server.catalog.store.begin()
        server.documents.insert(trx, collection, {"_key": "a"}, WriteOptions())
        trx.commit()
        server.close()
        return "a" in servers(log=Log(directory)).catalog.database("_system").find("c").current

    assert survives()
    assert not survives("log-not-written")


def test_every_defect_has_its_check() -> None:
    assert set(CHECKS) | {"log-not-written"} == set(DEFECTS)


def test_an_undocumented_defect_is_an_error(servers: Any) -> None:
    with pytest.raises(KeyError):
        assert "no-such-defect" in servers().defects
    assert ArangoError(1200).status == 409
