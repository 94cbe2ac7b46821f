"""Several engines: each asked whether it is there, all at once, and whether two addresses are one engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.errors import RuntimeUnavailable
from harness.runtimes.docker.engine import Engine, ask


def ask_all(addresses: Sequence[str]) -> list[Engine]:
    """What answers at each address, in their order. Raises RuntimeUnavailable for the first that does not answer
    within two seconds, and for two addresses that are one engine: two stacks of one run would share it."""
    with ThreadPoolExecutor(len(addresses)) as pool:
        found = list(pool.map(lambda address: ask(address=address), addresses))
    for number, engine in enumerate(found):
        for other in found[:number]:
            if engine.address == other.address or (any(engine.identity) and engine.identity == other.identity):
                raise RuntimeUnavailable(_same(other.address, engine.address), "name each engine once")
    return found


def _same(first: str, second: str) -> str:
    if first == second:
        return f"engine {first} is named twice: expected a different one for each stack"
    return f"engines {first} and {second} are one engine: expected a different one for each stack"
