"""How each kind logs in over HTTP: from its credentials alone, whatever they are."""

from __future__ import annotations

import pytest

from harness.credentials import Secret
from harness.services import kind_named
from harness.services.base import HEADER, basic
from tests.unit.rigs.core_rig import StubHandle


@pytest.mark.parametrize(
    ("kind", "credentials", "expected"),
    [
        ("consul", {"token": "t"}, {"X-Consul-Token": "t"}),
        ("consul", {}, {}),
        ("arangodb", {"password": "p"}, {"Authorization": basic("root", "p")}),
        ("arangodb", {"password": "p", "username": "u"}, {"Authorization": basic("u", "p")}),
        ("arangodb", {"password": "p", "token": "jwt"}, {"Authorization": "Bearer jwt"}),
        ("tempo", {"tenant": "a"}, {"X-Scope-OrgID": "a"}),
        ("tempo", {"tenant": "a", "token": "t"}, {"X-Scope-OrgID": "a", "Authorization": "Bearer t"}),
        ("otel_collector", {"token": "t", HEADER + "X-Key": "k"}, {"Authorization": "Bearer t", "X-Key": "k"}),
        ("grafana", {"token": "glsa_t"}, {"Authorization": "Bearer glsa_t"}),
        ("grafana", {"password": "p"}, {"Authorization": basic("admin", "p")}),
        ("grafana", {"password": "p", "username": "u"}, {"Authorization": basic("u", "p")}),
    ],
)
def test_the_headers_that_log_in(kind: str, credentials: dict[str, str], expected: dict[str, str]) -> None:
    handle = StubHandle({}, {name: Secret(text) for name, text in credentials.items()})
    assert kind_named(kind).authorization(handle) == expected


def test_basic_authentication_is_base64_of_name_and_password() -> None:
    """RFC 7617, section 2: the example."""
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
