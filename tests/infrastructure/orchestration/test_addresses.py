"""Fixed addresses on a stack's network: kept through kill and reconnect, given to nobody else, and told when taken."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RuntimeUnavailable


@pytest.fixture
def subnet() -> str:
    """The first three bytes of a network that neither the harness nor an engine draws from (RFC 2544)."""
    return f"198.18.{secrets.randbelow(254) + 1}"


@pytest.fixture
def compose(engine: Any, subnet: str, tmp_path: Path) -> Path:
    """Two services of the image that the shared stack's Redis runs; `fixed` asks for an address, `free` for none."""
    redis = {"image": engine.inspect("redis")["Config"]["Image"], "x-harness": {"kind": "redis"}}
    asked = {"back": {"ipv4_address": f"{subnet}.77"}}
    file = tmp_path / "addresses.yml"
    file.write_text(json.dumps({
        "services": {"fixed": {**redis, "networks": asked}, "free": {**redis, "networks": ["back"]}},
        "networks": {"back": {"ipam": {"config": [{"subnet": f"{subnet}.0/24"}]}}},
    }))  # fmt: skip
    return file


def address(engine: Any, service: str) -> str:
    """By the engine's own account; empty for a container that is off its network or does not run."""
    joined = engine.inspect(service)["NetworkSettings"]["Networks"].values()
    return "".join(found["IPAddress"] for found in joined)


@contextmanager
def stranger(engine: Any, like: str) -> Iterator[None]:
    """A container that somebody starts by hand on the stack's network."""
    name, image = f"ih-stranger-{secrets.token_hex(4)}", engine.inspect(like)["Config"]["Image"]
    engine.docker("run", "-d", "--rm", "--name", name, "--network", engine.network(), image)
    try:
        yield
    finally:
        engine.docker("kill", name)


def test_an_address_outlives_kill_and_isolation(engine: Any, private_stack: Any, compose: Path, subnet: str) -> None:
    """What the file asks for is had, and each service has the same address after every fault, even when somebody else
    has joined meanwhile. Source: Compose specification, `ipv4_address`."""
    stack = private_stack(compose=[compose])
    mine = replace(engine, run=stack.run)
    before = {name: address(mine, name) for name in stack}
    assert before["fixed"] == f"{subnet}.77"
    assert before == {name: handle.inside().host for name, handle in stack.items()}
    for name, handle in stack.items():
        handle.kill()
        with stranger(mine, name):
            handle.start()
        assert address(mine, name) == before[name], f"{name} after kill"
        handle.isolate()
        assert address(mine, name) == ""
        with stranger(mine, name):
            handle.rejoin()
        assert address(mine, name) == before[name], f"{name} after isolation"


def test_a_subnet_that_is_taken_is_told_in_one_sentence(
    engine: Any, private_stack: Any, compose: Path, subnet: str
) -> None:
    """Two stacks that fix the same addresses cannot share an engine: the second one says why, the first goes on."""
    first = private_stack(compose=[compose])
    told = rf"no network for the stack on {subnet}\.0/24, where the compose file fixes addresses: "
    with pytest.raises(RuntimeUnavailable, match=told):
        private_stack(compose=[compose])
    assert address(replace(engine, run=first.run), "fixed") == f"{subnet}.77"
