"""Finding traces: tags, TraceQL, durations, windows, limits, and the names and values that a search can use.

Documents: Tempo HTTP API "Search", "Search tags V2", "Search tag values V2"; Tempo "TraceQL".
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.services.http_session import ServiceSession
from harness.services.otlp_client import MILLISECOND, export_http, make_span, trace_request

SEARCHED_WITHIN = 20.0
"""Seconds from the acknowledgement to the search. Measured with this configuration: 0.5 to 0.9 s."""
ALL = set(range(10))


@dataclass(frozen=True)
class Shop:
    """Ten traces of two services, known by number. Number n: `GET /cart/n` took (n + 1) * 10 ms, the newest is 9.

    All ids begin with a zero, which a search leaves out.
    """

    mark: str
    traces: Mapping[str, int]
    began: int

    @property
    def cart(self) -> str:
        """The service that is called from outside."""
        return f"cart-{self.mark}"

    @property
    def store(self) -> str:
        """The service that `cart` calls."""
        return f"store-{self.mark}"

    def query(self, text: str) -> str:
        """TraceQL in which `MINE` is a condition that only these spans meet."""
        return text.replace("MINE", f'resource.test.namespace = "{self.mark}"')

    def numbers(self, answer: Mapping[str, Any]) -> list[int]:
        """Which traces a search found. Ids come back without leading zeros."""
        return [self.traces[trace["traceID"].zfill(32)] for trace in answer["traces"]]


def order(number: int, trace: str, now: int) -> tuple[Any, list[Any]]:
    """The root span of a trace, and the spans of the service that it calls; 3 and 7 fail and are tried again."""
    end = now - (9 - number) * 100 * MILLISECOND
    attributes = {"number": number, "ratio": number / 10, "vip": number % 2 == 1, "user": f"user-{number}"}
    root = make_span(
        f"GET /cart/{number}", trace=trace, milliseconds=(number + 1) * 10, end=end, kind=Span.SPAN_KIND_SERVER,
        attributes=attributes,
    )  # fmt: skip
    failed = Status(code=Status.STATUS_CODE_ERROR) if number in {3, 7} else Status()
    names = ["read", "retry"] if number in {3, 7} else ["read"]
    return root, [
        make_span(name, trace=trace, parent=root.span_id, end=end, kind=Span.SPAN_KIND_CLIENT, status=failed)
        for name in names
    ]


@pytest.fixture(scope="module")
def shop(stack: RemoteStack, tempo: ServiceSession) -> Shop:
    """The data set, sent once and waited for until every trace is found. Only read by the tests."""
    mark, now = f"t-{secrets.token_hex(6)}", time.time_ns()
    traces = {f"{number:02d}{secrets.token_hex(15)}": number for number in range(10)}
    made = Shop(mark, traces, now // 10**9)
    pairs = [order(number, trace, now) for trace, number in traces.items()]
    request = trace_request({"service.name": made.cart, "test.namespace": mark}, [root for root, _ in pairs])
    calls = trace_request(
        {"service.name": made.store, "test.namespace": mark}, [span for _, spans in pairs for span in spans]
    )
    request.resource_spans.extend(calls.resource_spans)
    assert export_http(stack["tempo"].endpoint("otlp_http"), request).status == 200

    def ask() -> None:
        answer = tempo.get("/api/search", params={"q": made.query("{ MINE }"), "limit": "100"})
        found = len(answer.json()["traces"])
        if found < 10:
            raise NotYet(f"{found} of 10 traces")

    poll(ask, Deadline.after(SEARCHED_WITHIN), "the data set's search")
    return made


def search(tempo: ServiceSession, shop: Shop, **parameters: str) -> dict[str, Any]:
    """A search's answer, in which no trace is twice and none is foreign."""
    answer = tempo.get("/api/search", params={"limit": "100", **parameters})
    assert answer.status_code == 200, f"{parameters}: HTTP {answer.status_code} {answer.text[:200]}"
    found: dict[str, Any] = answer.json()
    numbers = shop.numbers(found)
    assert len(numbers) == len(set(numbers)), f"twice in the result: {numbers}"
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ MINE && span.number = 4 }", {4}),
        ("{ MINE && span.number >= 8 }", {8, 9}),
        ("{ MINE && span.ratio < 0.25 }", {0, 1, 2}),
        ("{ MINE && span.vip = true }", {1, 3, 5, 7, 9}),
        ('{ MINE && span.user = "user-6" }', {6}),
        ('{ MINE && span.user =~ "user-[12]" }', {1, 2}),
        ('{ MINE && span.user =~ "user" }', set()),
        ('{ MINE && span.user !~ "user-[0-8]" }', {9}),
        ("{ MINE && span.user =~ `(?i)USER-\\pN` && span.number > 7 }", {8, 9}),
        ("{ MINE && status = error }", {3, 7}),
        ("{ MINE && kind = server && duration > 85ms }", {8, 9}),
        ('{ MINE && name = "GET /cart/5" }', {5}),
        ('{ MINE && rootName = "GET /cart/2" && kind = client }', {2}),
        ("{ MINE && (span.number = 1 || span.number = 2) && span.vip = false }", {2}),
        ("{ MINE && span.number > 9 }", set()),
    ],
)
def test_a_condition_selects_exactly_the_traces_that_meet_it(
    tempo: ServiceSession, shop: Shop, query: str, expected: set[int]
) -> None:
    """Numbers, floats, booleans, text, anchored expressions and intrinsics. Source: TraceQL, "Selecting spans"."""
    assert set(shop.numbers(search(tempo, shop, q=shop.query(query)))) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ MINE && span.number > 3 } > { MINE && status = error }", {7}),
        ("{ MINE && kind = server } >> { MINE && kind = client }", ALL),
        ("{ MINE && kind = client } > { MINE && kind = server }", set()),
        ('{ MINE && name = "read" } ~ { MINE && name = "retry" }', {3, 7}),
        ("{ MINE && span.number = 4 } && { MINE && kind = client }", {4}),
        ("{ MINE && span.number = 4 } || { MINE && status = error }", {3, 4, 7}),
    ],
)
def test_relations_between_spans_select_traces(
    tempo: ServiceSession, shop: Shop, query: str, expected: set[int]
) -> None:
    """Parent, ancestor, sibling, and, or: how a caller finds what broke below it. Source: TraceQL, "Structural"."""
    assert set(shop.numbers(search(tempo, shop, q=shop.query(query)))) == expected


def test_an_aggregate_over_the_spans_of_a_trace_selects_it(tempo: ServiceSession, shop: Shop) -> None:
    """Traces with a retry, and traces with a slow span, by count() and max(). Source: TraceQL, "Aggregators"."""
    retried = search(tempo, shop, q=shop.query("{ MINE && kind = client } | count() > 1"))
    assert set(shop.numbers(retried)) == {3, 7}
    values = {item["key"]: item["value"] for item in retried["traces"][0]["spanSet"]["attributes"]}
    assert values["count()"] == {"intValue": "2"}

    slow = search(tempo, shop, q=shop.query("{ MINE } | max(duration) >= 90ms"))
    assert set(shop.numbers(slow)) == {8, 9}


def test_a_result_describes_its_trace(tempo: ServiceSession, shop: Shop) -> None:
    """Root, duration, matching spans and errors by service, from the search alone. Source: HTTP API, "Search"."""
    (found,) = search(tempo, shop, q=shop.query('{ MINE && rootName = "GET /cart/7" && kind = client }'))["traces"]

    assert (found["rootServiceName"], found["rootTraceName"]) == (shop.cart, "GET /cart/7")
    assert found["durationMs"] == 80
    assert found["spanSet"]["matched"] == 2
    assert {span["durationNanos"] for span in found["spanSet"]["spans"]} == {"1000000"}
    assert found["serviceStats"] == {shop.cart: {"spanCount": 1}, shop.store: {"spanCount": 2, "errorCount": 2}}


def test_spss_limits_the_spans_shown_and_not_the_spans_counted(tempo: ServiceSession, shop: Shop) -> None:
    """`matched` is the truth where only some spans are shown. Source: HTTP API, "Search", `spss`."""
    query = shop.query('{ MINE && rootName = "GET /cart/3" }')
    (one,) = search(tempo, shop, q=query, spss="1")["traces"]
    (every,) = search(tempo, shop, q=query, spss="10")["traces"]
    assert (len(one["spanSet"]["spans"]), one["spanSet"]["matched"]) == (1, 3)
    assert (len(every["spanSet"]["spans"]), every["spanSet"]["matched"]) == (3, 3)


def test_tags_and_durations_find_traces_without_traceql(tempo: ServiceSession, shop: Shop) -> None:
    """The older search: logfmt tags, least and greatest duration. Source: HTTP API, "Search", `tags`."""
    tags = f"test.namespace={shop.mark}"
    assert set(shop.numbers(search(tempo, shop, tags=tags))) == ALL
    assert set(shop.numbers(search(tempo, shop, tags=f"{tags} user=user-3"))) == {3}
    assert set(shop.numbers(search(tempo, shop, tags=f'{tags} name="GET /cart/4"'))) == {4}
    assert set(shop.numbers(search(tempo, shop, tags=tags, minDuration="85ms"))) == {8, 9}
    between = search(tempo, shop, tags=tags, minDuration="35ms", maxDuration="55ms")
    assert set(shop.numbers(between)) == {3, 4}


def test_a_window_excludes_what_lies_outside_it(tempo: ServiceSession, shop: Shop) -> None:
    """`start` and `end` in Unix seconds. Source: HTTP API, "Search"."""
    inside = {"start": str(shop.began - 60), "end": str(shop.began + 60)}
    before = {"start": str(shop.began - 3600), "end": str(shop.began - 1800)}
    assert set(shop.numbers(search(tempo, shop, q=shop.query("{ MINE }"), **inside))) == ALL
    assert shop.numbers(search(tempo, shop, q=shop.query("{ MINE }"), **before)) == []


def test_a_limit_bounds_the_result_and_can_ask_for_the_newest(tempo: ServiceSession, shop: Shop) -> None:
    """`limit` gives that many, any of them, newest first; `most_recent` gives the newest. Source: TraceQL, hints."""
    some = shop.numbers(search(tempo, shop, q=shop.query("{ MINE }"), limit="4"))
    newest = shop.numbers(search(tempo, shop, q=shop.query("{ MINE } with (most_recent=true)"), limit="4"))
    assert len(some) == 4
    assert some == sorted(some, reverse=True)
    assert newest == [9, 8, 7, 6]


def test_tag_names_are_listed_by_scope(tempo: ServiceSession, shop: Shop) -> None:
    """What an editor offers: attributes of resources apart from those of spans. Source: "Search tags V2"."""
    answer = tempo.get("/api/v2/search/tags", params={"q": shop.query("{ MINE }")})
    scopes = {scope["name"]: scope["tags"] for scope in answer.json()["scopes"]}
    assert {"service.name", "test.namespace"} <= set(scopes["resource"])
    assert {"number", "ratio", "user", "vip"} <= set(scopes["span"])
    assert not {"number", "user"} & set(scopes["resource"])
    assert {"duration", "name", "status", "rootName"} <= set(scopes["intrinsic"])
    only = tempo.get("/api/v2/search/tags", params={"scope": "resource"}).json()["scopes"]
    assert [scope["name"] for scope in only] == ["resource"]


def test_tag_values_are_typed_and_follow_a_query(tempo: ServiceSession, shop: Shop) -> None:
    """The values of an attribute among the spans a query selects. Source: "Search tag values V2"."""

    def values(tag: str, query: str) -> set[tuple[str, str]]:
        answer = tempo.get(f"/api/v2/search/tag/{tag}/values", params={"q": shop.query(query)})
        assert answer.status_code == 200, answer.text
        return {(item["type"], item["value"]) for item in answer.json()["tagValues"]}

    assert values("resource.service.name", "{ MINE }") == {("string", shop.cart), ("string", shop.store)}
    assert values("resource.service.name", "{ MINE && kind = client }") == {("string", shop.store)}
    assert values("span.number", "{ MINE }") == {("int", str(number)) for number in range(10)}
    assert values("span.vip", "{ MINE }") == {("bool", "true"), ("bool", "false")}
    assert values("span.nosuch", "{ MINE }") == set()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"q": "{ span.a = }"}, "parse error at line 1, col 12: syntax error: unexpected }"),
        ({"q": "{ nosuch = 1 }"}, "unknown identifier: nosuch"),
        ({"q": "{ name > 5 }"}, "binary operations must operate on the same type: name > 5"),
        ({"q": "{ name =~ `[` }"}, "invalid regex"),
        ({"q": "{ name =~ `GET(?= )` }"}, "invalid regex: `GET(?= )`"),
        ({"q": "{}", "limit": "0"}, "invalid limit: must be a positive number"),
        ({"q": "{}", "start": "5", "end": "1"}, "http parameter start must be before end. received start=5 end=1"),
        ({"q": "{}", "start": "1", "end": "9999999"}, "range specified by start and end exceeds 168h0m0s"),
        ({"tags": "a=b", "minDuration": "soon"}, 'invalid minDuration: time: invalid duration "soon"'),
        ({"q": "{}", "tags": "a=b"}, "can't specify tags and q in the same query"),
    ],
)
def test_a_wrong_search_is_refused_with_what_is_wrong(
    tempo: ServiceSession, parameters: dict[str, str], said: str
) -> None:
    """The message leads to the character or the parameter. Source: HTTP API, "Search"; messages of Tempo 3.0.3."""
    answer = tempo.get("/api/search", params=parameters)
    assert answer.status_code == 400, f"HTTP {answer.status_code} {answer.text[:200]}"
    assert said in answer.text
