"""Redis on a live environment: what may be asked and written there without harm."""

from __future__ import annotations

import pytest

from harness.pytest_plugin.smoke import SmokeCorner
from harness.smoke.base import folder
from harness.smoke.identity import TTL
from harness.smoke.redis import logged_in

pytestmark = pytest.mark.smoke


def test_its_last_writes_to_disk_went_well_and_its_replication_is_up(smoke_corner: SmokeCorner) -> None:
    """INFO, "Persistence" and "Replication": what would lose data at the next restart or failover."""
    with logged_in(smoke_corner.read("redis"), "INFO") as client:
        persistence, replication = client.info("persistence"), client.info("replication")
    assert persistence.get("loading", 0) == 0
    assert persistence.get("rdb_last_bgsave_status", "ok") == "ok"
    assert persistence.get("aof_last_write_status", "ok") == "ok"
    assert replication["role"] == "master" or replication["master_link_status"] == "up"


def test_a_value_that_expires_is_read_back_and_gone_when_deleted(smoke_corner: SmokeCorner) -> None:
    """SET with EX, GET, TTL, DEL, EXISTS."""
    redis, key = smoke_corner.write("redis"), f"{folder(smoke_corner.identity)}key"
    with logged_in(redis, "SET, GET and DEL below smoke/") as client:
        assert client.set(key, "smoke", ex=TTL) is True
        assert client.get(key) == "smoke"
        assert 0 < client.ttl(key) <= TTL
        assert client.delete(key) == 1
        assert client.exists(key) == 0
