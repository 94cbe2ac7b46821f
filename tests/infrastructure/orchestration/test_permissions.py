"""Consul with access control, as `compose/secure.yml` makes it: a token does what its policy says, and nothing else.

Source: https://developer.hashicorp.com/consul/docs/security/acl; answers compared with a real 1.8.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from requests import Response

from harness.keeper.client import RemoteHandle
from harness.pytest_plugin.private import PrivateStacks
from harness.services.http_session import IsolatedSession

FILES = ("compose/stack.yml", "compose/secure.yml")
FORBIDDEN = 403
Call = Callable[..., Response]


@pytest.fixture
def consul_handle(private_stack: PrivateStacks) -> RemoteHandle:
    """A Consul of this test alone that denies by default."""
    return private_stack("consul", compose=FILES)["consul"]


@pytest.fixture
def call(consul_handle: RemoteHandle) -> Iterator[Call]:
    """`call("PUT", "/v1/kv/x", "token", data=...)`: an answer of the server, whatever its status."""
    endpoint = consul_handle.endpoint("http")
    with IsolatedSession(5.0, endpoint.authority) as session:

        def ask(method: str, path: str, token: str = "", **more: Any) -> Response:
            headers = {"X-Consul-Token": token} if token else {}
            return session.request(method, endpoint.url + path, headers=headers, **more)

        yield ask


@pytest.fixture
def management(consul_handle: RemoteHandle) -> str:
    """The token that may do everything."""
    (token,) = consul_handle.credentials.values()
    return token.reveal()


@pytest.fixture
def token_for(call: Call, management: str) -> Callable[[str], str]:
    """The secret of a new token that has just these rules."""

    def make(rules: str) -> str:
        policy = call("PUT", "/v1/acl/policy", management, json={"Name": "mine", "Rules": rules})
        assert policy.status_code == 200, policy.text
        token = call("PUT", "/v1/acl/token", management, json={"Policies": [{"ID": policy.json()["ID"]}]})
        assert token.status_code == 200, token.text
        return str(token.json()["SecretID"])

    return make


def test_without_a_token_nothing_is_read_or_written(call: Call, management: str) -> None:
    """`default_policy = "deny"`: what no rule grants is forbidden, to the anonymous token too."""
    assert call("PUT", "/v1/kv/plans/launch", management, data="secret").json() is True
    assert call("PUT", "/v1/kv/plans/launch", data="mine").status_code == FORBIDDEN
    assert call("GET", "/v1/kv/plans/launch").status_code == FORBIDDEN
    assert call("PUT", "/v1/agent/service/register", json={"Name": "intruder"}).status_code == FORBIDDEN
    assert call("PUT", "/v1/acl/policy", json={"Name": "mine", "Rules": ""}).status_code == FORBIDDEN
    assert call("GET", "/v1/kv/plans/launch?raw", management).text == "secret"


def test_a_read_only_token_reads_its_prefix_and_changes_nothing(
    call: Call, management: str, token_for: Callable[[str], str]
) -> None:
    """`key_prefix "app/" {policy = "read"}`: reading there, writing nowhere, and no sight of what lies beside."""
    for key in ("app/setting", "other/setting"):
        assert call("PUT", f"/v1/kv/{key}", management, data="kept").json() is True
    reader = token_for('key_prefix "app/" { policy = "read" }')
    assert call("GET", "/v1/kv/app/setting?raw", reader).text == "kept"
    assert call("GET", "/v1/kv/other/setting", reader).status_code == FORBIDDEN
    assert call("PUT", "/v1/kv/app/setting", reader, data="changed").status_code == FORBIDDEN
    assert call("DELETE", "/v1/kv/app/setting", reader).status_code == FORBIDDEN
    assert call("GET", "/v1/kv/?keys", management).json() == ["app/setting", "other/setting"]
    assert call("GET", "/v1/kv/app/setting?raw", management).text == "kept"


def test_a_service_registers_under_its_own_name_only(call: Call, token_for: Callable[[str], str]) -> None:
    """`service "web" {policy = "write"}`: a stolen token of one service cannot stand in for another."""
    web = token_for('service "web" { policy = "write" }')
    assert call("PUT", "/v1/agent/service/register", web, json={"Name": "web", "Port": 80}).status_code == 200
    assert call("PUT", "/v1/agent/service/register", web, json={"Name": "payments"}).status_code == FORBIDDEN
    assert call("PUT", "/v1/agent/service/deregister/web", web).status_code == 200


def test_a_deleted_token_opens_nothing(call: Call, management: str, token_for: Callable[[str], str]) -> None:
    """A token is gone when it is deleted; one that never was is answered alike."""
    writer = token_for('key_prefix "" { policy = "write" }')
    assert call("PUT", "/v1/kv/x", writer, data="1").json() is True
    accessor = call("GET", "/v1/acl/token/self", writer).json()["AccessorID"]
    assert call("DELETE", f"/v1/acl/token/{accessor}", management).json() is True
    assert call("PUT", "/v1/kv/x", writer, data="2").status_code == FORBIDDEN
    assert call("PUT", "/v1/kv/x", "11111111-2222-3333-4444-555555555555", data="2").status_code == FORBIDDEN
    assert call("GET", "/v1/kv/x?raw", management).text == "1"
