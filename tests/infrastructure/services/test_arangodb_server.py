"""What an ArangoDB server keeps through its death, and what is set for all of it: these need a server of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from arango.exceptions import ArangoServerError

from harness.credentials import Secret
from harness.model import Endpoint
from harness.probes.http import ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child
from harness.services.arangodb_client import connect

pytestmark = pytest.mark.uses("arangodb")


class Private:
    """A server of one test, without passwords, whose data directory outlives it."""

    def __init__(self, http: Endpoint, child: Child) -> None:
        self.http, self.child = http, child

    @property
    def db(self) -> Any:
        """Its `_system` database."""
        return connect(self.http, Secret(""), "_system", 10.0)

    def crash(self) -> None:
        """SIGKILL, then start it on the same data and wait until it serves."""
        self.child.kill()
        self.child.launch()
        poll(lambda: serving(self.http), Deadline.after(20), "the private server", died=self.child.exit_report)


Start = Callable[..., Private]


def serving(http: Endpoint) -> None:
    """Raises NotYet or OSError until it does."""
    expect(200, http, "/_admin/server/availability")
    expect(200, http, "/_api/version")


@pytest.fixture
def command(own_server: Callable[[str], list[str]], tmp_path: Path) -> Callable[..., list[str]]:
    """The command of a server on this test's data directory: `command(http, "--flag", "value")`."""

    def words(http: Endpoint, *flags: str) -> list[str]:
        address = ["--server.endpoint", f"tcp://127.0.0.1:{http.port}", "--server.authentication", "false"]
        return [*own_server("arangodb"), *address, "--database.directory", str(tmp_path / "data"), *flags]

    return words


@pytest.fixture
def start(
    command: Callable[..., list[str]], private_process: Callable[..., Child], lease: Callable[..., Endpoint]
) -> Start:
    """`start("--flag", "value")`: a server of this test's own."""

    def launch(*flags: str) -> Private:
        http = lease("http")
        return Private(http, private_process(command(http, *flags), ready=lambda: serving(http)))

    return launch


def refusal(action: Callable[[], Any]) -> tuple[int, int]:
    """Status and errorNum of what must not succeed."""
    with pytest.raises(ArangoServerError) as caught:
        action()
    return int(caught.value.http_code), int(caught.value.error_code or 0)


def contents(db: Any, *names: str) -> dict[str, dict[str, Any]]:
    """Every document of these collections by its id, with its revision."""
    return {document["_id"]: document for name in names for document in db.collection(name).all()}


def test_what_was_committed_survives_a_kill_and_nothing_else(start: Start) -> None:
    """Durability: documents, indexes, graphs and databases are there again, as they were; an open transaction and an
    open cursor are not. Acknowledged without waiting for the disk is enough when only the process dies."""
    own = start()
    db = own.db
    ends = {"from_vertex_collections": ["services"], "to_vertex_collections": ["services"]}
    db.create_graph("topology", edge_definitions=[{"edge_collection": "calls", **ends}])
    db.collection("services").add_index({"type": "persistent", "fields": ["port"], "unique": True, "name": "port"})
    db.create_database("other")
    done = db.begin_transaction(write=["services", "calls"])
    done.collection("services").insert_many([{"_key": key, "port": port} for port, key in enumerate("abc")])
    done.collection("calls").insert({"_from": "services/a", "_to": "services/b"})
    done.commit_transaction()
    db.collection("services").update({"_key": "a", "port": 7})
    db.collection("services").delete("c")
    before = contents(db, "services", "calls")
    lost = db.begin_transaction(write=["services", "calls"])
    lost.collection("services").insert({"_key": "d"})
    lost.collection("calls").truncate()
    cursor = expect(201, own.http, "/_api/cursor", "POST", body={"query": "FOR n IN 1..9 RETURN n", "batchSize": 2})
    own.crash()
    db = own.db
    assert contents(db, "services", "calls") == before
    assert refusal(lambda: db.collection("services").insert({"port": 7})) == (409, 1210)
    assert list(db.aql.execute("FOR v IN OUTBOUND 'services/a' GRAPH 'topology' RETURN v._key")) == ["b"]
    assert db.has_database("other")
    assert refusal(lost.commit_transaction) == (404, 1655)
    assert ask(own.http, f"/_api/cursor/{cursor.json()['id']}", "POST").json()["errorNum"] == 1600


def test_a_kill_amid_writes_loses_no_acknowledged_one(start: Start) -> None:
    """Of a write without an answer the outcome is unknown, one per writer at most; what was answered is there."""
    own = start()
    own.db.create_collection("things")
    acknowledged: list[str] = []
    enough = threading.Event()

    def writer(number: int) -> None:
        for step in range(1_000_000):
            key = f"{number}-{step}"
            try:
                answer = ask(own.http, "/_api/document/things", "POST", body={"_key": key, "text": "x" * 500})
            except (OSError, NotYet):
                return
            assert answer.status in (201, 202), answer.text
            acknowledged.append(key)
            if len(acknowledged) > 150:
                enough.set()

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(writer, number) for number in range(4)]
        assert enough.wait(15), f"only {len(acknowledged)} writes were acknowledged"
        own.child.kill()
    assert [done.exception() for done in writers] == [None] * 4
    own.crash()
    stored = {document["_key"] for document in own.db.collection("things").all()}
    assert set(acknowledged) - stored == set(), "acknowledged, and lost"
    assert len(stored - set(acknowledged)) <= 4, "there is what nobody was writing"
    assert own.db.collection("things").count() == len(stored)


def test_a_forgotten_transaction_gives_its_locks_back(start: Start) -> None:
    """`--transaction.streaming-idle-timeout`: after so many seconds unused it is aborted, and others may write."""
    db = start("--transaction.streaming-idle-timeout", "0.5").db
    db.create_collection("things").insert({"_key": "a", "value": 0})
    idle = db.begin_transaction(write=["things"])
    idle.collection("things").update({"_key": "a", "value": 1})
    began = time.monotonic()

    def free() -> float:
        try:
            db.collection("things").update({"_key": "a", "value": 2})
        except ArangoServerError as error:
            raise NotYet(f"error {error.error_code} after {time.monotonic() - began:.1f} s") from error
        return time.monotonic() - began

    assert poll(free, Deadline.after(15), "the lock to be given back") > 0.4
    assert refusal(idle.commit_transaction)[1] in (1653, 1654, 1655)
    assert db.collection("things").get("a")["value"] == 2


def test_a_read_only_server_answers_and_changes_nothing(start: Start) -> None:
    """PUT /_admin/server/mode: writes of every kind are 403 with 1004 (or 11), reads go on, availability tells."""
    own = start()
    db = own.db
    things = db.create_collection("things")
    things.insert({"_key": "a"})
    expect(200, own.http, "/_admin/server/mode", "PUT", body={"mode": "readonly"})
    assert ask(own.http, "/_admin/server/availability").json()["mode"] == "readonly"
    writes: tuple[Callable[[], Any], ...] = (
        lambda: things.insert({}),
        lambda: things.delete("a"),
        lambda: db.create_collection("more"),
        lambda: db.aql.execute("UPDATE 'a' WITH {value: 1} IN things"),
    )
    for write in writes:
        status, number = refusal(write)
        assert (status, number in (1004, 11)) == (403, True), number
    assert list(db.aql.execute("FOR t IN things RETURN KEEP(t, '_key')")) == [{"_key": "a"}]
    expect(200, own.http, "/_admin/server/mode", "PUT", body={"mode": "default"})
    assert things.insert({"_key": "b"})["_key"] == "b"


def test_two_servers_never_share_a_data_directory(
    start: Start,
    command: Callable[..., list[str]],
    private_process: Callable[..., Child],
    lease: Callable[..., Endpoint],
) -> None:
    """Exit codes: 22, could not lock; the first one goes on unharmed."""
    own = start()
    own.db.create_collection("things").insert({"_key": "a"})
    second = private_process(command(lease("second")))

    def ended() -> str:
        if not second.exit_report():
            raise NotYet("it runs")
        return second.exit_report()

    assert poll(ended, Deadline.after(20), "the second server to end") == "exited with code 22"
    assert own.db.collection("things").has("a")
