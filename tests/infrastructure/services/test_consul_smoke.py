"""Consul on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

from base64 import b64decode

import pytest

from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import folder, granted
from harness.smoke.identity import ROOT, TTL

pytestmark = pytest.mark.smoke


def test_the_leader_is_among_the_peers_and_in_its_own_catalog(smoke_corner: SmokeCorner) -> None:
    """`/v1/status/leader` and `/peers` ("Status"): the leader is one of the voters; the catalog has the service."""
    consul = smoke_corner.read("consul")
    leader, peers = granted(consul, "/v1/status/leader").json(), granted(consul, "/v1/status/peers").json()
    assert leader in peers, f"leader {leader!r}, peers {peers}"
    assert granted(consul, "/v1/catalog/service/consul").json(), "the servers are not in their own catalog"


def test_a_key_of_a_session_is_read_back_and_gone_when_deleted(smoke_corner: SmokeCorner) -> None:
    """A write that Raft took is read by a consistent read. Its session's `TTL` with `Behavior: delete` ("Sessions")
    removes the key even when this run dies."""
    consul, key = smoke_corner.write("consul"), f"/v1/kv/{folder(smoke_corner.identity)}key"
    body = {"Name": f"{ROOT}/{smoke_corner.identity}", "TTL": f"{TTL}s", "Behavior": "delete", "LockDelay": "0s"}
    session = granted(consul, "/v1/session/create", "PUT", body=body).json()["ID"]
    assert granted(consul, f"{key}?acquire={session}", "PUT", body=b"smoke").json() is True
    (found,) = granted(consul, f"{key}?consistent").json()
    assert (b64decode(found["Value"]), found["Session"]) == (b"smoke", session)
    assert granted(consul, key, "DELETE").json() is True
    assert granted(consul, f"{key}?consistent").status == 404
