"""The HTTP API's toxics: defaults, order, updates, and every refusal in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.proxy.proxy_api_rig import Api, refused
from tests.unit.proxy.proxy_rig import said_back


def test_add_with_defaults_show_and_list(api: Api) -> None:
    api.create()
    expected = {
        "attributes": {"latency": 100, "jitter": 0},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1.0,
    }
    assert api.toxic(attributes={"latency": 100}) == (200, expected)
    assert api("GET", "/proxies/p/toxics") == (200, [expected])
    assert api("GET", "/proxies/p/toxics/latency_downstream") == (200, expected)
    assert api("GET", "/proxies/p")[1]["toxics"] == [expected]


def test_upstream_toxics_are_listed_first_each_in_their_chains_order(api: Api) -> None:
    api.create()
    for name, stream in (("a", "downstream"), ("b", "UPSTREAM"), ("c", "downstream"), ("d", "upstream")):
        assert api.toxic(name=name, stream=stream)[0] == 200
    assert [toxic["name"] for toxic in api("GET", "/proxies/p/toxics")[1]] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"type": "latency", "stream": "sideways"}, 400, "stream was invalid, can be either upstream or downstream"),
        ({"type": "earthquake"}, 400, "invalid toxic type"),
        ({}, 400, "invalid toxic type"),
        ({"type": "latency", "name": "taken"}, 409, "toxic already exists"),
        ({"type": "latency", "toxicity": 1.5}, 400, "bad request body: toxicity must be a number from 0 to 1, not 1.5"),
        (
            {"type": "latency", "attributes": {"latency": "1s"}},
            400,
            "bad request body: latency.latency must be a whole number, 0 or more, not '1s'",
        ),
        (
            {"type": "latency", "attributes": {"latency": -1}},
            400,
            "bad request body: latency.latency must be a whole number, 0 or more, not -1",
        ),
        (
            {"type": "latency", "attributes": {"latncy": 1}},
            400,
            "bad request body: latency has no attribute 'latncy'; it has latency, jitter",
        ),
        ({"type": "latency", "attributes": 5}, 400, "bad request body: attributes must be an object, not 5"),
        (
            {"type": "slicer", "attributes": {"average_size": 5, "size_variation": 5}},
            400,
            "bad request body: slicer: size_variation must be less than average_size (5), not 5",
        ),
    ],
)
def test_a_toxic_that_cannot_be_is_refused_and_nothing_injected(api: Api, body: Any, status: int, words: str) -> None:
    api.create()
    api.toxic(name="taken")
    assert api("POST", "/proxies/p/toxics", body) == refused(status, words)
    assert [toxic["name"] for toxic in api("GET", "/proxies/p/toxics")[1]] == ["taken"]


@pytest.mark.parametrize("verb", ["PATCH", "POST"])
def test_update_changes_what_is_named_and_keeps_the_rest(api: Api, verb: str) -> None:
    api.create()
    api.toxic(attributes={"latency": 100, "jitter": 5}, toxicity=0.5)
    path = "/proxies/p/toxics/latency_downstream"
    status, answer = api(verb, path, {"attributes": {"latency": 7}})
    assert (status, answer["attributes"], answer["toxicity"]) == (200, {"latency": 7, "jitter": 5}, 0.5)
    status, answer = api(verb, path, {"toxicity": 1, "name": "other", "stream": "upstream"})
    assert (answer["toxicity"], answer["name"], answer["stream"]) == (1.0, "latency_downstream", "downstream")
    assert api("GET", path) == (200, answer)


def test_a_bad_update_changes_nothing(api: Api) -> None:
    api.create()
    _, before = api.toxic("slicer", attributes={"average_size": 10, "size_variation": 5})
    path = "/proxies/p/toxics/slicer_downstream"
    assert api("PATCH", path, {"attributes": {"average_size": 5}})[0] == 400
    assert api("PATCH", path, {"toxicity": "often"})[0] == 400
    assert api("GET", path) == (200, before)


def test_remove(api: Api) -> None:
    created = api.create()
    api.toxic("limit_data", attributes={"bytes": 2})
    assert said_back(created["listen"]) == b"pi"
    assert api("DELETE", "/proxies/p/toxics/limit_data_downstream") == (204, None)
    assert said_back(created["listen"]) == b"ping"


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
def test_an_unknown_toxic_is_not_found(api: Api, method: str) -> None:
    api.create()
    assert api(method, "/proxies/p/toxics/none", {}) == refused(404, "toxic not found")
