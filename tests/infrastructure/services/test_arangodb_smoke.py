"""ArangoDB on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

import pytest

from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.arangodb import PREFIX, path_of
from harness.smoke.base import granted

pytestmark = pytest.mark.smoke


def test_it_takes_requests_and_shows_its_collections(smoke_corner: SmokeCorner) -> None:
    """`/_admin/server/availability`: 200 with `mode`, or 503 while it starts or its queue is full."""
    arangodb = smoke_corner.read("arangodb")
    available = granted(arangodb, "/_admin/server/availability")
    assert (available.status, available.json()["mode"]) == (200, "default")
    listed = granted(arangodb, path_of(arangodb, "collection?excludeSystem=true"))
    assert (listed.status, listed.json()["error"]) == (200, False)


def test_a_document_is_found_by_a_query_and_gone_with_its_collection(smoke_corner: SmokeCorner) -> None:
    """A collection of this run's own: a document is stored, found by AQL, and dropped with it."""
    arangodb, name = smoke_corner.write("arangodb"), f"{PREFIX}{smoke_corner.identity}"
    assert granted(arangodb, path_of(arangodb, "collection"), "POST", body={"name": name}).status == 200
    stored = granted(arangodb, path_of(arangodb, f"document/{name}"), "POST", body={"_key": "one", "smoke": True})
    assert stored.status in (201, 202)
    query = {"query": "FOR d IN @@c FILTER d.smoke RETURN d._key", "bindVars": {"@c": name}}
    found = granted(arangodb, path_of(arangodb, "cursor"), "POST", body=query)
    assert (found.status, found.json()["result"]) == (201, ["one"])
    assert granted(arangodb, path_of(arangodb, f"collection/{name}"), "DELETE").status == 200
    assert granted(arangodb, path_of(arangodb, f"collection/{name}")).status == 404
