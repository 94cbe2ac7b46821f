"""Documents of ArangoDB: writing, revisions, bulk, schemas. Document: HTTP API "Documents"."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.at_once import at_once
from harness.probes.http import Answer, ask
from harness.pytest_plugin.fixtures import Namespace

pytestmark = pytest.mark.uses("arangodb")
Call = Callable[..., Answer]


@pytest.fixture
def db(namespace: Namespace) -> Any:
    """This test's database, with an empty collection `things`."""
    database = namespace.of("arangodb")
    database.create_collection("things")
    return database


@pytest.fixture
def call(stack: RemoteStack, namespace: Namespace, db: Any) -> Call:
    """`call("PATCH", "document/things/one", {...}, headers=..., waitForSync=True)` in this test's database."""
    service = stack["arangodb"]
    http, login = service.endpoint("http"), ("root", service.credentials["password"].reveal())

    def send(method: str, path: str, body: Any = None, headers: Any = None, **parameters: Any) -> Answer:
        query = urlencode({name: str(value).lower() for name, value in parameters.items()})
        where = f"/_db/{namespace.name}/_api/{path}?{query}"
        return ask(http, where, method, body=body, headers=headers, login=login, timeout=10)

    return send


def verdict(answer: Answer) -> tuple[int, int]:
    """Status and errorNum of an answer; 0 when it is no error."""
    return answer.status, answer.json().get("errorNum", 0)


def plain(document: Any) -> dict[str, Any]:
    """A document without the attributes that the server adds."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def test_a_document_is_read_back_exactly_as_written(call: Call) -> None:
    """Documents, "Data types": what JSON can say is stored as it is; `_id` is collection and key."""
    written: dict[str, Any] = {
        "text": "żółw 🐢 'quoted' \"double\" \\ \n\t", "long": "x" * 100_000, "empty": "", "fraction": -0.1,
        "big": 2**53 + 1, "none": None, "yes": True, "no": False, "list": [1, "two", [3, [4.5, None]], {}],
        "object": {"a": {"b": []}}, "naïve.name with spaces": 1,
    }  # fmt: skip
    made = call("POST", "document/things", {"_key": "one:@.-_", **written})
    assert (made.status, made.json()["_id"]) == (202, "things/one:@.-_")
    read = call("GET", "document/things/one:@.-_")
    assert plain(read.json()) == written
    assert read.headers["etag"] == f'"{made.json()["_rev"]}"' == f'"{read.json()["_rev"]}"'


def test_every_acknowledged_insert_is_there(call: Call, db: Any) -> None:
    """POST /_api/document: 201 or 202 means stored; generated keys never repeat, whoever writes at the same time."""

    def writer(number: int) -> list[tuple[str, str]]:
        values = [f"{number}.{step}" for step in range(15)]
        answers = [call("POST", "document/things", {"value": value}) for value in values]
        return [(answer.json()["_key"], value) for answer, value in zip(answers, values, strict=True)]

    with ThreadPoolExecutor(4) as pool:
        acknowledged = dict(pair for pairs in pool.map(writer, range(4)) for pair in pairs)
    assert len(acknowledged) == 60, "two documents got the same key"
    stored = {document["_key"]: document["value"] for document in db.collection("things").all()}
    assert stored == acknowledged, f"lost: {sorted(set(acknowledged.values()) - set(stored.values()))}"


def test_a_key_is_given_to_one_of_many_inserts(call: Call) -> None:
    """Error 1210 (1200 while the other insert is under way): a key is unique, and the first document stays."""
    answers = at_once(8, lambda number: call("POST", "document/things", {"_key": "one", "by": number}))
    won = [number for number, answer in enumerate(answers) if answer.status == 202]
    lost = {verdict(answer) for answer in answers if answer.status != 202}
    assert len(won) == 1, answers
    assert lost <= {(409, 1210), (409, 1200)}
    assert call("GET", "document/things/one").json()["by"] == won[0]
    assert verdict(call("POST", "document/things", {"_key": "one"})) == (409, 1210)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_change_from_an_outdated_revision_is_refused(call: Call, method: str) -> None:
    """If-Match: 412 with errorNum 1200 and the current `_rev`, and nothing is changed; the current one passes."""
    first = call("POST", "document/things", {"_key": "one", "value": 1}).json()["_rev"]
    second = call("PATCH", "document/things/one", {"value": 2}).json()
    assert second["_oldRev"] == first != second["_rev"]
    refused = call(method, "document/things/one", {"value": 3}, headers={"If-Match": f'"{first}"'})
    assert verdict(refused) == (412, 1200)
    assert refused.json()["_rev"] == second["_rev"]
    assert call("GET", "document/things/one").json()["value"] == 2
    passed = call(method, "document/things/one", {"value": 3}, headers={"If-Match": f'"{second["_rev"]}"'})
    assert passed.status == 202
    expected = (404, 1202) if method == "DELETE" else (200, 0)
    assert verdict(call("GET", "document/things/one")) == expected


def test_of_concurrent_changes_to_one_revision_one_wins(call: Call) -> None:
    """If-Match makes a change conditional and atomic: 412 to who comes late, 409 to who collides."""
    revision = call("POST", "document/things", {"_key": "one", "by": None}).json()["_rev"]
    condition = {"If-Match": f'"{revision}"'}
    answers = at_once(8, lambda number: call("PATCH", "document/things/one", {"by": number}, headers=condition))
    won = [number for number, answer in enumerate(answers) if answer.status == 202]
    assert len(won) == 1, [answer.status for answer in answers]
    assert {verdict(answer) for answer in answers if answer.status != 202} <= {(412, 1200), (409, 1200)}
    assert call("GET", "document/things/one").json()["by"] == won[0]


def test_a_cached_copy_is_confirmed_until_the_document_changes(call: Call) -> None:
    """If-None-Match: 304 without a body for the revision the reader has, the document and a new ETag otherwise."""
    made = call("POST", "document/things", {"_key": "one", "value": 1})
    condition = {"If-None-Match": made.headers["etag"]}
    same = call("GET", "document/things/one", headers=condition)
    assert (same.status, same.body) == (304, b"")
    call("PATCH", "document/things/one", {"value": 2})
    changed = call("GET", "document/things/one", headers=condition)
    assert (changed.status, changed.json()["value"]) == (200, 2)
    assert changed.headers["etag"] != made.headers["etag"]
    head = call("HEAD", "document/things/one")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", changed.headers["etag"])


def test_an_update_merges_and_a_replacement_forgets(call: Call) -> None:
    """PATCH: objects merge recursively unless mergeObjects=false, null deletes with keepNull=false; PUT replaces."""
    call("POST", "document/things", {"_key": "one", "kept": 1, "labels": {"a": 1, "b": {"c": 2}}})
    steps: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ("PATCH", {"labels": {"b": {"d": 3}}}, {}, {"kept": 1, "labels": {"a": 1, "b": {"c": 2, "d": 3}}}),
        ("PATCH", {"labels": {"a": None}}, {}, {"kept": 1, "labels": {"a": None, "b": {"c": 2, "d": 3}}}),
        ("PATCH", {"labels": {"b": None}}, {"keepNull": False}, {"kept": 1, "labels": {"a": None}}),
        ("PATCH", {"labels": {"e": 5}}, {"mergeObjects": False}, {"kept": 1, "labels": {"e": 5}}),
        ("PUT", {"only": True}, {}, {"only": True}),
    ]
    for method, body, parameters, expected in steps:
        made = call(method, "document/things/one", body, returnNew=True, **parameters)
        assert plain(made.json()["new"]) == expected, (method, body, parameters)
        assert plain(call("GET", "document/things/one").json()) == expected


def test_a_bulk_insert_reports_each_failure_and_keeps_the_rest(call: Call, db: Any) -> None:
    """Documents, "Multiple documents": answers stand in the order of the items; a header counts what went wrong."""
    call("POST", "document/things", {"_key": "taken", "value": "old"})
    items = [{"_key": "a"}, {"_key": "taken", "value": "new"}, {"_key": "not/a/key"}, {"_key": "b"}]
    answer = call("POST", "document/things", items)
    assert answer.status == 202
    assert [answer.json()[at]["_key"] for at in (0, 3)] == ["a", "b"]
    assert [item.get("errorNum", 0) for item in answer.json()] == [0, 1210, 1221, 0]
    assert json.loads(answer.headers["x-arango-error-codes"]) == {"1210": 1, "1221": 1}
    assert {document["_key"] for document in db.collection("things").all()} == {"taken", "a", "b"}
    assert call("GET", "document/things/taken").json()["value"] == "old"


def test_a_bulk_change_skips_only_what_is_gone_or_outdated(call: Call) -> None:
    """Multiple documents with ignoreRevs=false: an item with an old `_rev` is 1200, a missing one 1202."""
    made = call("POST", "document/things", [{"_key": key, "value": 1} for key in "abc"]).json()
    call("PATCH", "document/things/b", {"value": 2})
    items = [{"_key": "gone", "value": 9}, *({"_key": item["_key"], "_rev": item["_rev"], "value": 9} for item in made)]
    changed = call("PATCH", "document/things", items, ignoreRevs=False).json()
    assert [item.get("errorNum", 0) for item in changed] == [1202, 0, 1200, 0]
    read = call("PUT", "document/things", ["a", "b", "c", "gone"], onlyget=True).json()
    assert [item.get("value", item.get("errorNum")) for item in read] == [9, 2, 9, 1202]
    removed = call("DELETE", "document/things", ["a", "gone", "c"]).json()
    assert [item.get("errorNum", 0) for item in removed] == [0, 1202, 0]
    assert call("GET", "collection/things/count").json()["count"] == 1


def test_inserting_an_existing_key_does_what_its_mode_says(call: Call) -> None:
    """`overwriteMode`: conflict refuses, ignore leaves, update merges, replace replaces; returnOld tells what was."""
    call("POST", "document/things", {"_key": "one", "old": 1, "labels": {"a": 1}})
    new = {"_key": "one", "labels": {"b": 2}}
    assert verdict(call("POST", "document/things", new, overwriteMode="conflict")) == (409, 1210)
    assert call("POST", "document/things", new, overwriteMode="ignore").status in (200, 201, 202)
    assert plain(call("GET", "document/things/one").json()) == {"old": 1, "labels": {"a": 1}}
    updated = call("POST", "document/things", new, overwriteMode="update", returnOld=True, returnNew=True).json()
    assert plain(updated["old"]) == {"old": 1, "labels": {"a": 1}}
    assert plain(updated["new"]) == {"old": 1, "labels": {"a": 1, "b": 2}}
    replaced = call("POST", "document/things", new, overwriteMode="replace").json()
    assert replaced["_oldRev"] == updated["_rev"]
    assert plain(call("GET", "document/things/one").json()) == {"labels": {"b": 2}}


def test_a_late_report_does_not_overwrite_a_newer_one(call: Call) -> None:
    """`versionAttribute` (3.12): an update or replacement with a lower number is acknowledged and ignored."""
    reports = [(3, "third"), (1, "first"), (4, "fourth"), (2, "second")]
    for version, state in reports:
        body = {"_key": "one", "seen": version, "state": state}
        made = call("POST", "document/things", body, overwriteMode="update", versionAttribute="seen")
        assert made.status in (200, 201, 202), verdict(made)
    assert plain(call("GET", "document/things/one").json()) == {"seen": 4, "state": "fourth"}


SPAN_SCHEMA = {
    "rule": {
        "properties": {"service": {"type": "string", "minLength": 1}, "ms": {"type": "number", "minimum": 0}},
        "required": ["service", "ms"],
    },
    "message": "a span names its service and its duration",
}


def test_a_schema_keeps_wrong_documents_out_by_every_way_in(call: Call) -> None:
    """Schema validation, level `strict`: 1620 with the schema's own message, for insert, update, bulk and AQL."""
    made = call("POST", "collection", {"name": "spans", "schema": {**SPAN_SCHEMA, "level": "strict"}})
    assert made.status == 200, made.text
    assert call("POST", "document/spans", {"_key": "one", "service": "cart", "ms": 1.5}).status == 202
    wrong = call("POST", "document/spans", {"service": "cart", "ms": -1})
    assert (*verdict(wrong), wrong.json()["errorMessage"]) == (400, 1620, SPAN_SCHEMA["message"])
    assert verdict(call("PATCH", "document/spans/one", {"service": ""})) == (400, 1620)
    assert verdict(call("PUT", "document/spans/one", {"service": "cart"})) == (400, 1620)
    query = {"query": "FOR ms IN [1, 2, 'three'] INSERT {service: 'cart', ms} INTO spans"}
    assert verdict(call("POST", "cursor", query)) == (400, 1620)
    bulk = call("POST", "document/spans", [{"service": "cart", "ms": 2}, {"service": 7, "ms": 2}]).json()
    assert [item.get("errorNum", 0) for item in bulk] == [0, 1620]
    assert call("GET", "collection/spans/count").json()["count"] == 2, "a refused query left a part of its writes"


def test_a_schemas_level_decides_about_documents_that_are_already_wrong(call: Call) -> None:
    """Schema levels: `new` looks at inserts only, `moderate` lets a wrong document stay wrong, `strict` does not."""
    call("POST", "document/things", {"_key": "old", "service": "", "ms": 1})
    outcome = {}
    for level in ("none", "new", "moderate", "strict"):
        call("PUT", "collection/things/properties", {"schema": {**SPAN_SCHEMA, "level": level}})
        call("POST", "document/things", {"_key": "good", "service": "cart", "ms": 1}, overwriteMode="ignore")
        answers = (
            call("POST", "document/things", {"service": ""}),
            call("PATCH", "document/things/old", {"level": level}),
            call("PATCH", "document/things/good", {"ms": -1}),
        )
        outcome[level] = [answer.status == 202 for answer in answers]
        call("DELETE", "document/things/good")
    assert outcome == {
        "none": [True, True, True], "new": [False, True, True],
        "moderate": [False, True, False], "strict": [False, False, False],
    }  # fmt: skip
    assert verdict(call("PUT", "collection/things/properties", {"schema": {"rule": "no object"}})) == (400, 1621)


def test_the_status_tells_whether_a_write_has_reached_the_disk(call: Call) -> None:
    """waitForSync: 201 (200 for a removal) once synced, by request or by collection; 202 when not waited for."""
    assert call("POST", "document/things", {"_key": "one"}).status == 202
    assert call("PATCH", "document/things/one", {"value": 1}, waitForSync=True).status == 201
    assert call("DELETE", "document/things/one", waitForSync=True).status == 200
    call("POST", "collection", {"name": "durable", "waitForSync": True})
    assert call("POST", "document/durable", {"_key": "one"}).status == 201
    assert call("POST", "document/durable", [{"_key": "two"}]).status == 201
    assert call("DELETE", "document/durable/one").status == 200


def test_an_import_is_all_or_nothing_when_asked(call: Call) -> None:
    """POST /_api/import: `complete=true` rolls back on the first error; else good lines are kept and errors counted."""
    call("POST", "document/things", {"_key": "b", "value": "old"})
    lines = b'{"_key": "a", "value": "new"}\n{"_key": "b", "value": "new"}\n\n{"_key": "c", "value": "new"}\n'
    whole = {"collection": "things", "type": "documents"}
    assert verdict(call("POST", "import", lines, complete=True, **whole)) == (409, 1210)
    assert call("GET", "collection/things/count").json()["count"] == 1
    loaded = call("POST", "import", lines, **whole).json()
    assert {name: loaded[name] for name in ("created", "errors", "empty")} == {"created": 2, "errors": 1, "empty": 1}
    assert call("GET", "document/things/b").json()["value"] == "old"
    again = call("POST", "import", lines, onDuplicate="update", **whole).json()
    assert (again["created"], again["updated"], again["errors"]) == (0, 3, 0)
    assert call("GET", "document/things/b").json()["value"] == "new"


def test_keys_and_ends_of_edges_are_checked_before_anything_is_stored(call: Call) -> None:
    """Naming of keys: 1221 for an illegal one, 1222 where only the server makes them, 1233 for an edge without ends."""
    call("POST", "collection", {"name": "numbered", "keyOptions": {"type": "autoincrement", "allowUserKeys": False}})
    call("POST", "collection", {"name": "calls", "type": 3})
    for key in ("", "a b", "a/b", "x" * 255, 7, None):
        assert verdict(call("POST", "document/things", {"_key": key})) == (400, 1221), key
    assert call("POST", "document/things", {"_key": "x" * 254}).status == 202
    assert verdict(call("POST", "document/numbered", {"_key": "mine"})) == (400, 1222)
    keys = [int(call("POST", "document/numbered", {}).json()["_key"]) for _ in range(3)]
    assert keys == list(range(keys[0], keys[0] + 3))
    for ends in ({}, {"_from": "things/a"}, {"_from": "things/a", "_to": "b"}):
        assert verdict(call("POST", "document/calls", ends)) == (400, 1233), ends
    assert call("GET", "collection/calls/count").json()["count"] == 0
