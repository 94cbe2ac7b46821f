from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from harness.emulators.grafana.auth import Identity
from harness.emulators.grafana.grafana import Grafana, HealthCheck
from harness.emulators.grafana.store import Store, new_uid
from tests.unit.emulators.grafana.grafana_rig import Clock, make, refused


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> Grafana:
    return make(clock=clock)


def basic(login: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def test_store_keeps_order_and_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", wal=True)
    for name in "bca":
        store.put("k", 1, name, {"name": name})
    store.put("k", 1, "b", {"name": "b", "again": True})
    assert [body["name"] for body in store.all("k", 1)] == ["b", "c", "a"]
    assert (store.next_id("n"), store.next_id("n")) == (1, 2)
    store.close()
    again = Store(tmp_path / "x.db", wal=True)
    assert again.get("k", 1, "b") == {"name": "b", "again": True}
    assert again.next_id("n") == 3


def test_store_rolls_back_a_failed_block() -> None:
    store = Store()
    with pytest.raises(TypeError), store.atomic(), store.atomic():
        store.put("k", 1, "x", {"before": [store.put("k", 1, "y", {}), object()]})
    assert store.all("k") == []
    assert not store.delete("k", 1, "x")


def test_store_check_sees_a_lost_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db")
    assert store.check()
    (tmp_path / "x.db").unlink()
    assert not store.check()
    store.close()
    assert not store.check()
    with pytest.raises(sqlite3.ProgrammingError):
        store.all("k")


def test_health_is_remembered_for_five_seconds(clock: Clock) -> None:
    findings = [True, False]
    health = HealthCheck(lambda: findings.pop(0), clock)
    assert health.ok()
    clock.now += 4.9
    assert health.ok()
    clock.now += 0.1
    assert not health.ok()


def test_uids_have_grafanas_form() -> None:
    assert len({new_uid() for _ in range(100)}) == 100
    assert all(len(uid) == 14 and uid.isalnum() and uid == uid.lower() for uid in [new_uid()])


def test_password_only_counts_on_an_empty_database() -> None:
    first = make(GF_SECURITY_ADMIN_PASSWORD="first")
    again = make(store=first.site.store, GF_SECURITY_ADMIN_PASSWORD="second")
    assert again.auth.identify(basic("admin", "first"), "").server_admin
    assert refused(again.auth.identify, basic("admin", "second"), "").status == 401


def test_five_wrong_passwords_lock_the_name(world: Grafana, clock: Clock) -> None:
    for _ in range(5):
        body = refused(world.auth.identify, basic("admin", "wrong"), "").body
        assert body is not None
        assert body["messageId"] == "password-auth.failed"
    assert refused(world.auth.identify, basic("admin", "admin"), "").status == 401
    clock.now += 301
    assert world.auth.identify(basic("admin", "admin"), "").login == "admin"


def test_lockout_can_be_switched_off() -> None:
    world = make(GF_SECURITY_DISABLE_BRUTE_FORCE_LOGIN_PROTECTION="true")
    for _ in range(7):
        refused(world.auth.identify, basic("admin", "wrong"), "")
    assert world.auth.identify(basic("admin", "admin"), "").id == 1


def test_anonymous_has_the_configured_role() -> None:
    assert refused(make().auth.identify, {}, "").status == 401
    who = make(GF_AUTH_ANONYMOUS_ENABLED="true", GF_AUTH_ANONYMOUS_ORG_ROLE="Editor").auth.identify({}, "")
    assert (who.role, who.may("Editor"), who.may("Admin"), who.may("Server admin")) == ("Editor", True, False, False)


def test_login_session_and_logout(world: Grafana, clock: Clock) -> None:
    assert refused(world.auth.login, {"username": "admin", "password": "admin"}).status == 400
    token, ends = world.auth.login({"user": "admin", "password": "admin"})
    assert ends == int(clock.now + 30 * 86400)
    assert world.auth.identify({}, token).by_cookie
    world.auth.logout(token)
    assert refused(world.auth.identify, {}, token).status == 401


def test_users_passwords_and_who_is_disabled(world: Grafana) -> None:
    people = world.accounts
    made = people.create_user({"login": "ann", "password": "pass", "email": "ann@x"})
    assert refused(people.create_user, {"login": "ANN", "password": "pass"}).status == 412
    assert refused(people.create_user, {"login": "bob", "password": "pass", "OrgId": 2}).status == 501
    assert world.auth.identify(basic("ann", "pass"), "").role == "Viewer"
    people.set_password(made["id"], "other")
    assert refused(world.auth.identify, basic("ann", "pass"), "").status == 401
    people.set_disabled(made["id"], True)
    assert refused(world.auth.identify, basic("ann", "other"), "").status == 401
    people.delete_user(made["id"])
    assert refused(people.user, made["id"]).message == "user not found"


def test_tokens_expire_and_are_kept_hashed(world: Grafana, clock: Clock) -> None:
    accounts = world.service_accounts
    account = accounts.create(1, {"name": "ci", "role": "Editor"})
    assert (account["login"], account["tokens"]) == ("sa-1-ci", 0)
    assert refused(accounts.create, 1, {"name": "ci", "role": "Editor"}).status == 400
    number = str(account["id"])
    made = accounts.create_token(1, number, {"name": "t", "secondsToLive": 60})
    assert len(made["key"]) == len("glsa_") + 32 + 1 + 8
    assert made["key"] not in str(world.site.store.all("token"))
    assert refused(accounts.create_token, 1, number, {"name": "t"}).status == 409
    who = world.auth.identify({"authorization": f"Bearer {made['key']}"}, "")
    assert (who.role, who.server_admin) == ("Editor", False)
    assert accounts.tokens(1, number)[0]["secondsUntilExpiration"] == 60
    clock.now += 60
    assert accounts.tokens(1, number)[0]["hasExpired"]
    body = refused(world.auth.identify, {"authorization": f"Bearer {made['key']}"}, "").body
    assert body is not None
    assert body["messageId"] == "api-key.expired"


def test_service_accounts_search_update_delete(world: Grafana) -> None:
    accounts = world.service_accounts
    number = str(accounts.create(1, {"name": "ci", "role": "Viewer"})["id"])
    key = accounts.create_token(1, number, {"name": "t"})["key"]
    assert accounts.search(1, {"query": "c"})["totalCount"] == 1
    assert accounts.update(1, number, {"isDisabled": True})["serviceaccount"]["isDisabled"]
    assert accounts.by_key(key) is None
    token = str(accounts.tokens(1, number)[0]["id"])
    accounts.delete_token(1, number, token)
    assert refused(accounts.delete_token, 1, number, token).status == 404
    accounts.delete(1, number)
    assert refused(accounts.get, 1, number).status == 404


def test_me_is_whoever_signed_in(world: Grafana) -> None:
    assert world.me(world.auth.identify(basic("admin", "admin"), ""))["isGrafanaAdmin"]
    account = world.me(Identity(77, "sa-1-x", "Admin"))
    shown = [account[key] for key in ("id", "uid", "login", "orgId", "isGrafanaAdmin")]
    assert shown == [0, "service-account:77", "sa-1-x", 1, False]
    assert refused(world.me, Identity(0, "", "Viewer")).status == 401


def test_pages_start_at_one_and_none_is_empty(world: Grafana) -> None:
    for name in "abc":
        world.service_accounts.create(1, {"name": name})

    def names(**query: str) -> list[str]:
        return [one["name"] for one in world.service_accounts.search(1, query)["serviceAccounts"]]

    assert names(perpage="2", page="2") == ["c"]
    assert names(perpage="0", page="0") == ["a", "b", "c"]
