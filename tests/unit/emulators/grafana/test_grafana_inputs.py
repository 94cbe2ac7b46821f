"""Bodies as Go's decoder takes them, and query parameters as Grafana reads their numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.emulators.grafana.inputs import read_object, whole
from tests.unit.emulators.grafana.grafana_rig import refused


@pytest.mark.parametrize(
    "body",
    [
        {"title": "x", "version": None, "tags": ["a"], "unknown": {"title": 5}},
        {"dashboard": {"title": 5, "time": {"from": "now-1h"}}},
        {"queries": [{"refId": "A", "datasource": "td", "intervalMs": 1.5}]},
    ],
)
def test_what_fits_is_taken_as_it_is(body: dict[str, Any]) -> None:
    assert read_object(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"title":5}', b'{"tags":{}}', b'{"isPaused":"yes"}',
        b'{"queries":[5]}', b'{"queries":[{"intervalMs":"often"}]}', b'{"rules":[{"data":[{"model":5}]}]}',
        b'{"tags":[["a"]]}', b'{"time":1e400}', b'{"time":NaN}', b'{"data":{"x":-Infinity}}',
    ],
)  # fmt: skip
def test_any_other_body_is_bad_request_data(body: bytes) -> None:
    error = refused(read_object, body)
    assert (error.status, error.message) == (400, "bad request data")


def test_what_is_no_character_is_replaced() -> None:
    assert read_object(b'{"text":"a\xffb"}') == {"text": "a\ufffdb"}
    assert read_object(b'{"text":"\\ud800 \\ud83d\\ude00","data":{"\\udc00":1}}') == {
        "text": "\ufffd \U0001f600",
        "data": {"\ufffd": 1},
    }


def test_a_parameter_that_is_no_number_is_its_default() -> None:
    query = {"limit": "5", "page": "x", "start": ["7"], "perpage": "-1"}
    assert [whole(query, name, 1) for name in ("limit", "page", "start", "perpage", "absent")] == [5, 1, 7, 1, 1]
