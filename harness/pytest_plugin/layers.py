"""Layers: what is proven first, and by which folder a test belongs to one. Which services a test uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.services import SERVICES

USES = "uses"
PRIVATE = "private_stack"
"""The fixture that starts services for one test alone."""
SMOKE = "smoke_corner"
"""The fixture of tests that are safe on a live environment."""
NEEDS_STACK = frozenset({"stack", "namespace", PRIVATE, SMOKE})
"""Fixtures beside those of the kinds that need services."""


@dataclass(frozen=True)
class Layer:
    """One layer. Tests of a higher number build on what a lower one proves. `folders` belong to it."""

    number: int
    name: str
    folders: tuple[str, ...]


LAYERS: tuple[Layer, ...] = (
    Layer(1, "services", ("services",)),
    Layer(2, "integration", ("integration", "orchestration", "app")),
    Layer(3, "failover", ("failover",)),
    Layer(4, "performance", ("performance", "agents")),
)
UNLAYERED = Layer(9, "tests", ())
"""Tests outside the known folders: a user's own, which build on everything."""


def layer_of(nodeid: str) -> Layer:
    """The layer of a test by its pytest id, which begins with its file below the root directory: by the innermost
    folder that is one of a layer's. Folders above the root (`/app`) say nothing."""
    path = Path(nodeid.partition("::")[0])
    for part in reversed(path.parts[:-1]):
        for layer in LAYERS:
            if part in layer.folders:
                return layer
    return UNLAYERED


def layer_named(name: str) -> Layer:
    """The layer of that name. Raises UsageError naming those that exist."""
    for layer in LAYERS:
        if layer.name == name:
            return layer
    raise UsageError(f"unknown layer {name!r}: expected one of {', '.join(layer.name for layer in LAYERS)}")


def kinds_used(item: pytest.Item) -> tuple[str, ...]:
    """The kinds of service that a test uses: fixtures in its closure, the `uses` marker, and in the first layer the
    file's name (`test_consul_locks.py`), so that a test that takes only `stack` is its service's all the same."""
    closure = set(getattr(item, "fixturenames", ()))
    by_fixture = {kind.name for kind in SERVICES if kind.fixture in closure}
    by_marker = {name for marker in item.iter_markers(USES) for name in marker.args}
    by_file = _named_by_file(item) if closure & NEEDS_STACK and layer_of(item.nodeid).number == 1 else set()
    return tuple(kind.name for kind in SERVICES if kind.name in by_fixture | by_marker | by_file)


def _named_by_file(item: pytest.Item) -> set[str]:
    stem = item.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py").removeprefix("test_")
    return {kind.name for kind in SERVICES if stem == kind.name or stem.startswith(f"{kind.name}_")}


def is_ours(item: pytest.Item) -> bool:
    """Whether a test needs the stack at all."""
    return bool(kinds_used(item)) or not NEEDS_STACK.isdisjoint(getattr(item, "fixturenames", ()))


def is_private(item: pytest.Item) -> bool:
    """Whether a test starts a stack of its own and asks for nothing of the shared one."""
    closure = set(getattr(item, "fixturenames", ()))
    return PRIVATE in closure and closure.isdisjoint({"stack", *(kind.fixture for kind in SERVICES)})


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Tests that need no stack first, as they stand; then by layer, keeping the order within one."""
    return sorted(items, key=lambda item: layer_of(item.nodeid).number if is_ours(item) else 0)
