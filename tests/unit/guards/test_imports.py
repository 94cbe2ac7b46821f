"""Who may import whom: DESIGN.md's "Import direction", read from the code itself; lazy imports count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.rigs.core_rig import HARNESS

ORDER = [
    *("errors", "model", "credentials", "ports", "journal", "telemetry", "config", "probes", "emulators", "proxy"),
    *("links", "services", "plan", "runtimes", "stack", "keeper", "health", "smoke", "faults", "experiments"),
    *("load", "report", "live", "run", "app", "canary", "pytest_plugin", "cli"),
]
"""Each imports only what stands to its left. `identity` is told apart: it says who a process is, and needs nothing."""
FREE = {"identity": "model"}
ENGINE = {"docker", "testcontainers"}


def part_of(path: Path) -> str:
    """The part of the harness that a file belongs to."""
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


@cache
def imports() -> tuple[tuple[str, int, str], ...]:
    """File, line and full name of every import of every module."""
    return tuple(found for path in sorted(HARNESS.rglob("*.py")) for found in _of(path))


def _of(path: Path) -> Iterator[tuple[str, int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield str(path), node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = [*(_base(path, node.level) if node.level else ()), node.module or ""]
            for alias in node.names:
                yield str(path), node.lineno, ".".join([*filter(None, base), alias.name])


def _base(path: Path, level: int) -> list[str]:
    """The package that a relative import starts from."""
    parts = ["harness", *path.relative_to(HARNESS).parts]
    return parts[:-level]


def rank(part: str) -> int:
    return ORDER.index(FREE.get(part, part))


def ours() -> Iterator[tuple[str, str, str]]:
    """Place, importing part and imported part, for imports between parts of the harness."""
    for file, line, name in imports():
        words = name.split(".")
        if words[0] != "harness" or Path(file) == HARNESS / "__init__.py":
            continue
        known = (HARNESS / words[1]).is_dir() or (HARNESS / f"{words[1]}.py").exists()
        if known:
            yield f"{file}:{line}", part_of(Path(file)), words[1]


def test_every_part_has_its_place_in_the_order() -> None:
    parts = {part_of(path) for path in HARNESS.rglob("*.py")} - {"__init__"}
    assert parts - set(ORDER) - set(FREE) == set()


def test_each_part_imports_only_what_stands_to_its_left() -> None:
    wrong = [f"{place}: {part} imports {other}" for place, part, other in ours() if rank(other) > rank(part)]
    assert wrong == []


@pytest.mark.parametrize(
    ("part", "allowed"),
    [
        ("emulators", {"emulators"}),
        ("report", {"report", "model", "journal", "errors", "credentials"}),
        ("identity", set()),
    ],
)
def test_parts_that_are_kept_further_apart(part: str, allowed: set[str]) -> None:
    wrong = [f"{place}: imports {other}" for place, mine, other in ours() if mine == part and other not in allowed]
    assert wrong == []


@pytest.mark.parametrize(("part", "forbidden"), [("stack", "runtimes"), ("faults", "runtimes"), ("runtimes", "faults")])
def test_parts_that_meet_only_in_ports(part: str, forbidden: str) -> None:
    assert [place for place, mine, other in ours() if (mine, other) == (part, forbidden)] == []


def test_only_the_docker_runtime_knows_an_engine() -> None:
    allowed = (HARNESS / "runtimes" / "docker", HARNESS / "runtimes" / "docker.py")
    wrong = [
        f"{file}:{line}: {name}"
        for file, line, name in imports()
        if name.split(".")[0] in ENGINE and not any(Path(file).is_relative_to(path) for path in allowed)
    ]
    assert wrong == []


def test_heavy_libraries_are_imported_inside_what_uses_them() -> None:
    """`harness --help` and collecting tests load no client library: none is imported at a kind's top level."""
    heavy = {"redis", "arango", "consul", "opentelemetry", "grpc", "celery"}
    clients = {"otel_client.py", "consul_client.py", "arangodb_client.py"}
    wrong = []
    for path in (HARNESS / "services").glob("*.py"):
        if path.name in clients:
            continue
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{path.name}: {name}" for name in names if name.split(".")[0] in heavy]
    assert wrong == []
