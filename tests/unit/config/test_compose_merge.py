"""Overlays: what is replaced, what is added, by the Compose specification's "Merge"."""

from __future__ import annotations

from typing import Any

import pytest

from harness.config.compose_merge import merged

OTHER = {"source": "b", "target": "/x"}
BIND = {"type": "bind", "source": "/mine", "target": "/data"}


@pytest.mark.parametrize(
    ("key", "base", "over", "expected"),
    [
        ("volumes", ["d:/data", "c:/conf:ro"], [BIND], ["c:/conf:ro", BIND]),
        ("volumes", ["d:/data/"], ["e:/data:ro"], ["e:/data:ro"]),
        ("volumes", ["/data"], ["d:/data"], ["d:/data"]),
        ("volumes", ["a:/a", "b:/b"], ["a:/a", "c:/c"], ["a:/a", "b:/b", "c:/c"]),
        ("configs", [{"source": "a", "target": "/x"}], [OTHER], [OTHER]),
        ("secrets", ["a", "b"], ["b", "c"], ["a", "b", "c"]),
        ("ports", ["80:80"], ["81:80"], ["80:80", "81:80"]),
        ("command", ["a"], ["b"], ["b"]),
        ("volumes", {"data": {}}, {"data": {"external": True}}, {"data": {"external": True}}),
    ],
)  # fmt: skip
def test_an_overlay(key: str, base: Any, over: Any, expected: Any) -> None:
    assert merged(base, over, key) == expected
