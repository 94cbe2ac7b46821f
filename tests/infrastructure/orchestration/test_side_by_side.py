"""Several runs on one host, a network that comes and goes: nobody is harmed by somebody else's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.keeper import rundir
from harness.probes.poll import Deadline, NotYet, poll

KINDS = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))


def one_redis(engine: Any) -> dict[str, Any]:
    """A stack of one Redis, of the shared stack's image."""
    image = engine.inspect("redis")["Config"]["Image"]
    return {"services": {"cache": {"image": image, "x-harness": {"kind": "redis"}, "command": ["redis-server"]}}}


def client_of(service: dict[str, Any]) -> redis_client.Redis:
    """A client of a service in `harness status --json`."""
    return client_at(service["endpoints"]["redis"].removeprefix("redis://"))


def client_at(address: str) -> redis_client.Redis:
    """A client that gives up soon."""
    host, port = address.split(":")
    return redis_client.Redis(host, int(port), decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def owned(engine: Any, run: str) -> str:
    """Everything that is labelled with a run, in one text."""
    return "".join(engine.docker(*words, "--filter", f"label=dev.infra-harness.run={run}") for words in KINDS)


def containers(engine: Any) -> set[str]:
    """The containers of the shared stack, running ones only."""
    label = f"label=dev.infra-harness.run={engine.run}"
    return set(engine.docker("ps", "-q", "--filter", label).split())


def kill_keeper(state: Path, run: str) -> None:
    """SIGKILL to a run's keeper: what an out-of-memory kill or a closed laptop does to it."""
    directory = next(item for item in rundir.all_runs(rundir.state_root(state)) if item.run == run)
    keeper = directory.keeper()
    assert keeper is not None
    assert keeper.alive
    os.kill(keeper.pid, signal.SIGKILL)

    def gone() -> None:
        if keeper.alive:
            raise NotYet("still there")

    poll(gone, Deadline.after(5), "the keeper's end")


def test_a_killed_run_harms_no_other_and_the_next_one_cleans_up_after_it(
    engine: Any, up: Callable[..., Any], tmp_path: Path
) -> None:
    """The neighbour keeps its containers, its data and its address; what the dead one left goes, and only that."""
    doomed, neighbour = up(one_redis(engine)), up(one_redis(engine))
    client = client_of(neighbour.services["cache"])
    client.set("kept", "yes")
    before = neighbour.engine.inspect("cache")
    shared = containers(engine)

    kill_keeper(tmp_path / "s0", doomed.run)
    assert client.get("kept") == "yes"
    up(one_redis(engine))

    assert owned(engine, doomed.run) == ""
    after = neighbour.engine.inspect("cache")
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert client.get("kept") == "yes"
    assert containers(engine) == shared


def test_a_container_that_was_off_the_network_comes_back_under_its_address_and_names(
    engine: Any, private_stack: Callable[..., Any], tmp_path: Path
) -> None:
    """Isolated, it is reached neither by name nor through its port, and goes on running; rejoined, all is as before.

    Source: Engine API, "Connect a container to a network": what is not named is not given again.
    """
    services = {"cache": {"networks": {"default": {"aliases": ["store"]}}}, "other": {}}
    made = {name: {**one_redis(engine)["services"]["cache"], **more} for name, more in services.items()}
    (tmp_path / "compose.yml").write_text(json.dumps({"services": made, "networks": {"default": {}}}))
    stack = private_stack(compose=[tmp_path / "compose.yml"])
    mine, cache = replace(engine, run=stack.run), stack["cache"]
    before = addresses(mine)
    assert asked_by_other(mine, "cache") == asked_by_other(mine, "store") == "PONG"

    cache.isolate()
    assert addresses(mine) == {}
    assert asked_by_other(mine, before["ih-" + stack.run]) != "PONG"
    with pytest.raises(redis_client.RedisError):
        client_at(cache.endpoint().address).ping()
    assert mine.inspect("cache")["State"]["Running"] is True

    cache.rejoin()
    assert addresses(mine) == before
    assert asked_by_other(mine, "cache") == asked_by_other(mine, "store") == "PONG"
    assert client_at(cache.endpoint().address).ping() is True


def addresses(engine: Any) -> dict[str, str]:
    """The networks that the service `cache` is on, and its address there."""
    networks = engine.inspect("cache")["NetworkSettings"]["Networks"]
    return {name: network["IPAddress"] for name, network in networks.items()}


def asked_by_other(engine: Any, name: str) -> str:
    """What the service `other` is answered at this name or address."""
    asking = ["timeout", "2", "redis-cli", "-h", name, "ping"]
    done = subprocess.run(
        ["docker", "exec", engine.container("other"), *asking], capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout.strip()
