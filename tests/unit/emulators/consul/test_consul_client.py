"""The client library that projects use, python-consul2, against the emulator."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.emulators.consul.consul_rig import Emulator

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]


@pytest.fixture(params=["1.8", "1.22"], scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import consul

        running = Emulator(profile=request.param)
        client = consul.Consul(host="127.0.0.1", port=running.http, timeout=5)
    yield client
    client.http.session.close()
    running.stop()


def test_kv(client: Any) -> None:
    assert client.kv.put("p/a", "x")
    index, entry = client.kv.get("p/a")
    assert (entry["Value"], int(index)) == (b"x", entry["ModifyIndex"])
    assert client.kv.put("p/a", "y", cas=entry["ModifyIndex"])
    assert not client.kv.put("p/a", "z", cas=entry["ModifyIndex"])
    assert client.kv.get("p/", keys=True)[1] == ["p/a"]
    assert client.kv.get("p/", recurse=True)[1][0]["Value"] == b"y"
    assert client.kv.delete("p/", recurse=True)
    assert client.kv.get("p/a")[1] is None


def test_sessions_and_locks(client: Any) -> None:
    session = client.session.create(name="s", ttl=10, lock_delay=0, behavior="delete")
    assert client.kv.put("lock", "me", acquire=session)
    assert client.kv.get("lock")[1]["Session"] == session
    assert client.session.renew(session)["ID"] == session
    assert client.session.destroy(session)
    assert client.kv.get("lock")[1] is None
    assert client.session.info(session)[1] is None


def test_services_checks_and_health(client: Any) -> None:
    import consul

    assert client.agent.service.register("web", service_id="w1", port=80, tags=["a"], check=consul.Check.ttl("30s"))
    assert client.agent.check.ttl_pass("service:w1")
    assert len(client.health.service("web", passing=True)[1]) == 1
    assert client.agent.check.ttl_fail("service:w1", notes="down")
    assert client.health.service("web", passing=True)[1] == []
    assert client.catalog.service("web")[1][0]["ServicePort"] == 80
    assert client.agent.service.maintenance("w1", "true")
    assert client.agent.service.maintenance("w1", "false")
    assert client.agent.service.deregister("w1")
    assert client.catalog.service("web")[1] == []


def test_catalog_events_transactions_and_status(client: Any) -> None:
    assert client.catalog.register("ext", "192.0.2.1", service={"service": "db", "port": 1})
    assert client.catalog.node("ext")[1]["Services"]["db"]["Port"] == 1
    assert client.catalog.deregister("ext")
    assert client.event.fire("deploy", "body")["Name"] == "deploy"
    assert client.event.list("deploy")[1][0]["Payload"] == base64.b64encode(b"body").decode()
    operation = {"KV": {"Verb": "set", "Key": "t", "Value": base64.b64encode(b"v").decode()}}
    assert client.txn.put([operation])["Errors"] is None
    assert client.status.leader() == "127.0.0.1:8300"
    assert client.agent.self()["Config"]["Version"].endswith("+emu")
    assert client.operator.raft_config()["Servers"][0]["Leader"]
    assert client.catalog.datacenters() == ["dc1"]
    snapshot = client.snapshot.get()
    assert snapshot
