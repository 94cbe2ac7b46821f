"""What the harness brings along for projects that have none of their own: its stack, and its infrastructure tests.

In an installed wheel both lie inside the package; in a checkout they are where they are written.
"""

from __future__ import annotations

from pathlib import Path

ORIGIN = "the harness's own stack"
"""Where the setting `compose` came from, when neither the user nor the project names a file."""
PACKAGE = Path(__file__).resolve().parents[1]


def stack_file() -> Path:
    """The compose file of the harness's own stack."""
    return _first(PACKAGE / "_compose" / "stack.yml", PACKAGE.parent / "compose" / "stack.yml")


def infrastructure_tests() -> Path:
    """The folder of the harness's own infrastructure tests, by layer."""
    return _first(PACKAGE / "_tests" / "infrastructure", PACKAGE.parent / "tests" / "infrastructure")


def pytest_settings() -> Path:
    """The pytest settings that these tests run under."""
    return infrastructure_tests().with_name("packaged.ini")


def _first(installed: Path, written: Path) -> Path:
    return installed if installed.exists() else written
