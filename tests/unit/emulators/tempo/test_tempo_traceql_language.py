"""TraceQL where the oracle is silent: error positions, precedence, Go's text forms. Includes random input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulators.go_durations import format_duration, parse_duration
from harness.emulators.tempo.gotext import dumps
from harness.emulators.tempo.traceql import syntax
from harness.emulators.tempo.traceql.check import parse_attribute, parse_query
from harness.emulators.tempo.traceql.parser import NotEmulatedError, TraceQLError


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "parse error : syntax error: unexpected $end"),
        ("{ ", "parse error at line 1, col 3: syntax error: unexpected $end"),
        ("{}\n| by()", "parse error at line 2, col 6: syntax error: unexpected )"),
        ("{ link:foo = 1 }", "parse error at line 1, col 8: syntax error: unexpected IDENTIFIER, "
                             "expecting traceID or spanID"),
        ("{ . }", "parse error at line 1, col 3: syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER"),
        ("{} | rate() by (name", "parse error at line 1, col 21: syntax error: unexpected $end, expecting ) or ,"),
        ("{ span.a } > 5", "parse error at line 1, col 14: syntax error: unexpected INTEGER, expecting { or ("),
        ("{ 1 }", "span filter field expressions must resolve to a boolean: { 1 }"),
        ("{ !1 }", "illegal operation for the given type: !1"),
        ("{ name + 1 = 2 }", "binary operations must operate on the same type: name + 1"),
        ("{ duration =~ `x` }", "binary operations must operate on the same type: duration =~ `x`"),
        ("{ name = nil }", "name=nil is not valid because intrinsics cannot be nil"),
        ("{ resource.service.name = nil }",
         "resource.service.name=nil is not valid because resource.service.name cannot be nil"),
        ("{} | by(1)", "grouping field expressions must reference the span: by(1)"),
        ("{} | quantile_over_time(duration, 2)", "quantile must be between 0 and 1: 2"),
        ("{ parent.x = 1 }", "parent not yet supported"),
    ],
)  # fmt: skip
def test_refusals(query: str, message: str) -> None:
    with pytest.raises(TraceQLError) as refused:
        parse_query(query)
    assert str(refused.value) == message


def test_left_out_is_said() -> None:
    for query in ("{} | compare({status=error})", "({} | rate()) / ({} | rate())", "{" + "!" * 9999 + ".a}"):
        with pytest.raises(NotEmulatedError):
            parse_query(query)


def expression(text: str) -> str:
    """The tree of a filter, with its parentheses."""
    (stage,) = parse_query("{ " + text + " }").pipeline.stages
    assert isinstance(stage, syntax.Filter)
    return str(stage.expr)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (".a = 1 && .b = 2 || .c = 3", "((.a = 1) && (.b = 2)) || (.c = 3)"),
        (".a + .b * 2 > 1", "(.a + (.b * 2)) > 1"),
        ("2 ^ 3 ^ 2 = 1", "(2 ^ (3 ^ 2)) = 1"),
        ("!.a && .b", "(!.a) && .b"),
        ("-.a * 2 < 1", "(-(.a * 2)) < 1"),
        ('span."http method" = "a b"', "span.http method = `a b`"),
        ("duration > 1h30m", "duration > 1h30m0s"),
        ("nil != .a", ".a != nil"),
        (".a = 3.0", ".a = 3.0"),
    ],
)
def test_precedence(text: str, tree: str) -> None:
    assert expression(text) == tree


def test_tag_names() -> None:
    assert parse_attribute("span.http.method") == syntax.Attribute("span", "http.method")
    assert parse_attribute("span:name") == syntax.Attribute("", "name", intrinsic=True)
    with pytest.raises(TraceQLError, match="failed to parse identifier a b"):
        parse_attribute("a b")


@given(st.text(alphabet='{}()|&!=~<>+-*/%^.,:"`\\ \nabnsrate1.5span', max_size=40))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        parse_query(text)
    except (TraceQLError, NotEmulatedError):
        return


@given(st.integers(min_value=0, max_value=10**16))
def test_durations_survive_their_text(nanos: int) -> None:
    assert abs(parse_duration(format_duration(nanos)) - nanos) <= max(1, nanos >> 50)


def test_go_json() -> None:
    assert dumps({"a": [1, 3.0, 1e-9, 0.1, True, None], "h": "<é&"}) == (
        '{"a":[1,3,1e-9,0.1,true,null],"h":"\\u003cé\\u0026"}'
    )
    assert [format_duration(n) for n in (0, 5, 1500, 266666666, 90 * 10**9)] == [
        "0s", "5ns", "1.5µs", "266.666666ms", "1m30s",
    ]  # fmt: skip
