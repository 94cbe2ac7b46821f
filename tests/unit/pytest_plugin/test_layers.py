"""Layers come from folders below the root; what a test uses, from its fixtures and marks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import UsageError
from harness.pytest_plugin.layers import (
    LAYERS,
    UNLAYERED,
    in_order,
    is_ours,
    is_private,
    kinds_used,
    layer_named,
    layer_of,
)


def item(nodeid: str, *fixtures: str, uses: tuple[str, ...] = ()) -> Any:
    marks = [SimpleNamespace(args=uses)] if uses else []
    return SimpleNamespace(nodeid=nodeid, fixturenames=list(fixtures), iter_markers=lambda name: marks)


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/infrastructure/services/test_redis.py::test_a", "services"),
        ("tests/infrastructure/app/test_a.py::test_a[services/x]", "integration"),
        ("tests/failover/services/test_a.py", "services"),
        ("services.py::test_a", "tests"),
        ("tests/other/test_a.py::T::test_a", "tests"),
    ],
)
def test_the_innermost_folder_decides(nodeid: str, name: str) -> None:
    assert layer_of(nodeid).name == name


def test_layers_are_named_and_numbered_in_order() -> None:
    assert [layer_named(layer.name) for layer in LAYERS] == list(LAYERS)
    assert [layer.number for layer in (*LAYERS, UNLAYERED)] == [1, 2, 3, 4, 9]
    with pytest.raises(UsageError, match="unknown layer 'x': expected one of services, integration"):
        layer_named("x")


def test_a_private_stack_is_ours_and_needs_nothing_of_the_shared_one() -> None:
    assert is_ours(item("a", "private_stack"))
    assert is_private(item("a", "private_stack", "run_experiment"))
    assert not is_private(item("a", "private_stack", "redis"))
    assert not is_private(item("a", "stack"))


def test_what_a_test_uses() -> None:
    assert kinds_used(item("a", "tmp_path", "redis", "consul")) == ("consul", "redis")
    assert kinds_used(item("a", uses=("tempo", "nothing"))) == ("tempo",)
    assert is_ours(item("a", "stack"))
    assert not is_ours(item("a", "tmp_path"))


def test_tests_run_layer_after_layer_after_those_without_stack() -> None:
    given = [
        item("tests/failover/test_f.py", "redis"),
        item("tests/x/test_u.py"),
        item("tests/services/test_b.py", "redis"),
        item("tests/services/test_a.py", "stack"),
    ]
    order = [found.nodeid.rpartition("_")[2] for found in in_order(given)]
    assert order == ["u.py", "b.py", "a.py", "f.py"]


def test_a_test_with_only_a_namespace_is_ours_and_its_file_names_the_service() -> None:
    found = item("tests/infrastructure/services/test_consul_locks.py", "namespace")
    assert is_ours(found)
    assert kinds_used(found) == ("consul",)
    assert kinds_used(item("tests/infrastructure/services/test_otel_collector.py", "stack")) == ("otel_collector",)
    assert kinds_used(item("tests/infrastructure/integration/test_consul_locks.py", "namespace")) == ()
