"""Small enough to read: modules of at most 300 lines, functions of at most 40; words that have no business in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.rigs.core_rig import HARNESS, ROOT

MODULE, FUNCTION = 300, 40
FOREIGN = re.compile(
    r"\b(claude|anthropic|openai|chatgpt|copilot|ai assistant|language model|this session|as an ai)\b"
    r"|artifactory|nexus\.|pypi\.|registry\.npmjs|proxy\.golang",
    re.IGNORECASE,
)
MACHINE = re.compile(r"(?<![\w.}])/(work|home|root|Users)/")


def measured() -> list[Path]:
    """Every module; an emulator's from when it can be run."""
    found = []
    for path in sorted(HARNESS.rglob("*.py")):
        parts = path.relative_to(HARNESS).parts
        if (
            parts[0] == "emulators"
            and len(parts) > 2
            and not (HARNESS / "emulators" / parts[1] / "__main__.py").exists()
        ):
            continue
        found.append(path)
    return found


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of every function, its docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            words = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - words


def test_modules_are_small() -> None:
    large = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in measured()}
    assert {name: lines for name, lines in large.items() if lines > MODULE} == {}


def test_functions_are_small() -> None:
    large = [f"{path.relative_to(ROOT)}: {name}: {lines}" for path in measured() for name, lines in functions(path)
             if lines > FUNCTION]  # fmt: skip
    assert large == []


def sources() -> list[Path]:
    files = [*HARNESS.rglob("*.py"), *(ROOT / "compose").rglob("*.yml"), *(ROOT / "compose").rglob("*.yaml")]
    return sorted(path for path in files if path.is_file())


def test_code_says_nothing_of_who_wrote_it_and_where() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := FOREIGN.search(line) or MACHINE.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_for_later(word: str) -> None:
    pattern = re.compile(rf"\b{word}\b")
    assert [str(path) for path in sources() if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path) for path in measured() if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
