"""No connection is left: new clients are turned away at once, connected ones go on, and all is well after release."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.experiments.actors.redis_calls import Appends, connect, options, read_list
from harness.experiments.checkers import Deadline, SetFull
from harness.experiments.experiment import Experiment, Live, valid
from harness.experiments.witness import errors
from harness.experiments.workload import Workload
from harness.faults.connection_exhaustion import ConnectionExhaustion
from harness.probes.answer import answers

MAXCLIENTS = 20


def test_the_servers_limit_turns_away_new_clients_and_keeps_the_old(lone_redis: Any, run_experiment: Any) -> None:
    """Source: redis.io, "Redis client handling", "Maximum concurrent connected clients"."""
    redis = lone_redis(REDIS_MAXCLIENTS=str(MAXCLIENTS))["redis-primary"]

    def client() -> Any:
        return connect(redis)

    def actor(number: int) -> Appends:
        """The first keeps its connection, the second needs a new one for every write."""
        return Appends(client, "log", number, fresh=number == 1)

    def the_old_goes_on(live: Live) -> None:
        live.for_seconds(1.0)
        old = [item for item in live.since() if item.client == "writer-0"]
        assert len(old) > 20
        assert all(item.ok for item in old), [item.error for item in old if not item.ok][:3]

    outcome = run_experiment(
        Experiment(
            name="redis-maxclients",
            steady=lambda: answers(redis.endpoint()),
            workload=Workload("writer", actor),
            fault=ConnectionExhaustion(most=MAXCLIENTS * 3).inject(redis),
            witness=errors(3, "max number of clients"),
            observe=the_old_goes_on,
            final=read_list(client, "log"),
            checkers=(SetFull(), Deadline(1.5)),
        )
    )

    valid(outcome)
    with client() as after:
        assert after.info("stats")["rejected_connections"] > 0
        assert after.info("clients")["connected_clients"] <= 3, "connections were left behind"


def test_a_clients_own_pool_raises_when_it_is_empty_and_works_again_after_release(lone_redis: Any) -> None:
    """A bounded wait, then an error: no deadlock, no leak. Source: redis-py, `BlockingConnectionPool`."""
    import redis as library

    handle = lone_redis()["redis-primary"]
    endpoint, password = handle.endpoint(), handle.credentials["password"].reveal()
    pool: Any = library.BlockingConnectionPool(  # type: ignore[no-untyped-call]
        host=endpoint.host, port=endpoint.port, password=password, max_connections=2, timeout=0.3, **options()
    )
    taken = [pool.get_connection(), pool.get_connection()]
    client = library.Redis(connection_pool=pool)
    started = time.monotonic()
    with pytest.raises(library.ConnectionError, match="No connection available"):
        client.ping()
    assert 0.25 < time.monotonic() - started < 2.0
    for connection in taken:
        pool.release(connection)
    assert all(client.ping() for _ in range(5))
    pool.disconnect()
