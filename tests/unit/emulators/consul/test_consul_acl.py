"""ACL rules, tokens and policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.emulators.consul.acl import Authorizer, parse_rules
from harness.emulators.consul.errors import ConsulError, PermissionDenied
from tests.unit.emulators.consul.consul_rig import World, make_world

MASTER = "11111111-aaaa-bbbb-cccc-222222222222"
CONFIG = f'acl {{ enabled = true default_policy = "deny" tokens {{ initial_management = "{MASTER}" }} }}'


@pytest.fixture
def secured() -> World:
    return make_world(f"-hcl={CONFIG}")


def authorizer(*texts: str, default: str = "deny") -> Authorizer:
    return Authorizer([parse_rules(text) for text in texts], default)


@pytest.mark.parametrize(
    ("rules", "key", "access", "granted"),
    [
        ('key_prefix "a/" { policy = "read" }', "a/x", "read", True),
        ('key_prefix "a/" { policy = "read" }', "a/x", "write", False),
        ('key_prefix "a/" { policy = "read" }', "b", "read", False),
        ('key_prefix "" { policy = "write" } key_prefix "a/" { policy = "deny" }', "a/x", "read", False),
        ('key "a/x" { policy = "write" } key_prefix "a/" { policy = "deny" }', "a/x", "write", True),
        ('{"key_prefix": {"": {"policy": "write"}}}', "any", "write", True),
    ],
)
def test_key_rules(rules: str, key: str, access: str, granted: bool) -> None:
    assert authorizer(rules).key(key, access) is granted


def test_deny_wins_over_write_among_policies() -> None:
    rules = authorizer('service "s" { policy = "write" }', 'service "s" { policy = "deny" }')
    assert not rules.allows("service", "read", "s")
    assert authorizer('service "s" { policy = "read" }', 'service "s" { policy = "write" }').allows(
        "service", "write", "s"
    )


def test_a_tree_is_writable_only_when_all_below_it_is() -> None:
    rules = authorizer('key_prefix "" { policy = "write" } key_prefix "a/secret" { policy = "read" }')
    assert rules.key("b", "write", below=True)
    assert not rules.key("a/", "write", below=True)


def test_the_default_policy_covers_what_no_rule_does() -> None:
    assert authorizer(default="allow").key("x", "write")
    assert not authorizer(default="deny").key("x", "read")


def test_no_default_policy_grants_access_control_itself() -> None:
    assert not authorizer(default="allow").allows("acl", "read")
    assert authorizer('acl = "read"', default="allow").allows("acl", "read")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('key "x" { policy = "zz" }', 'Invalid key policy: "zz"'),
        ("key {", "Failed to parse ACL rules: At 1:"),
        ('acl = "maybe"', 'Invalid acl policy: "maybe"'),
    ],
)
def test_bad_rules(rules: str, words: str) -> None:
    with pytest.raises(ConsulError) as refused:
        parse_rules(rules)
    assert words in str(refused.value)


def make_token(world: World, rules: str, **more: Any) -> str:
    policy = world.server.acl.create_policy({"Name": "p", "Rules": rules})
    return world.server.acl.create_token({"Policies": [{"ID": policy.id}], **more}).secret_id


def test_tokens_carry_their_policies(secured: World) -> None:
    acl = secured.server.acl
    secret = make_token(secured, 'key_prefix "ro/" { policy = "read" }')
    assert acl.authorizer(secret).key("ro/x", "read")
    assert not acl.authorizer(secret).key("ro/x", "write")
    assert not acl.authorizer("").key("ro/x", "read"), "the anonymous token has the default policy"
    assert acl.authorizer(MASTER).key("ro/x", "write")


@pytest.mark.parametrize("secret", ["nope", "deleted"])
def test_unknown_and_deleted_tokens_are_not_found(secured: World, secret: str) -> None:
    acl = secured.server.acl
    if secret == "deleted":
        secret = make_token(secured, "")
        acl.delete_token(acl.token_of(secret).accessor_id)
    with pytest.raises(ConsulError, match="ACL not found") as refused:
        acl.authorizer(secret)
    assert refused.value.status == 403


def test_a_token_expires(secured: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acl = secured.server.acl
    secret = make_token(secured, "", ExpirationTTL=60 * 10**9)
    assert acl.token_of(secret).secret_id == secret
    monkeypatch.setattr(acl, "_clock", lambda: datetime.now(UTC) + timedelta(seconds=61))
    with pytest.raises(ConsulError, match="ACL not found"):
        acl.token_of(secret)
    with pytest.raises(ConsulError, match=r"ExpirationTime cannot be less than 1m0s in the future \(was 1s\)"):
        acl.create_token({"ExpirationTTL": 10**9})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Invalid Policy: no Name is set"),
        ({"Name": "global-management"}, 'A Policy with Name "global-management" already exists'),
    ],
)
def test_refused_policies(secured: World, body: dict[str, Any], words: str) -> None:
    with pytest.raises(ConsulError) as refused:
        secured.server.acl.create_policy(body)
    assert words in str(refused.value)


def test_what_is_built_in_stays(secured: World) -> None:
    acl = secured.server.acl
    with pytest.raises(ConsulError, match="anonymous token"):
        acl.delete_token("00000000-0000-0000-0000-000000000002")
    with pytest.raises(ConsulError, match='No such ACL policy with name "zz"'):
        acl.create_token({"Policies": [{"Name": "zz"}]})


def test_need_raises_what_is_missing() -> None:
    with pytest.raises(PermissionDenied) as denied:
        authorizer().need("service", "write", "web", short="Missing service:write on web")
    assert str(denied.value) == "Permission denied: Missing service:write on web"
