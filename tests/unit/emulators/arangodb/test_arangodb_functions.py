"""AQL's functions, a few facts of each family."""

from __future__ import annotations

from typing import Any

import pytest

from harness.emulators.arangodb.errors import NotEmulatedError


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("LENGTH({a: 1, b: 2})", 2),
        ("FIRST([])", None),
        ("NTH([1, 2], 1)", 2),
        ("PUSH([1], 1, true)", [1]),
        ("APPEND([1], [1, 2], true)", [1, 2]),
        ("UNION_DISTINCT([1, 2], [2, 3])", [1, 2, 3]),
        ("INTERSECTION([1, 2, 3], [2, 3], [3])", [3]),
        ("MINUS([1, 2], [2])", [1]),
        ("FLATTEN([1, [2, [3]]])", [1, 2, [3]]),
        ("FLATTEN([1, [2, [3]]], 2)", [1, 2, 3]),
        ("SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("SLICE([1, 2, 3, 4], -2)", [3, 4]),
        ("POSITION([1, 2], 2, true)", 1),
        ("SORTED([3, 'a', null, 1])", [None, 1, 3, "a"]),
        ("SORTED_UNIQUE([2, 1, 2])", [1, 2]),
        ("CONCAT('a', null, 1, true)", "a1true"),
        ("CONCAT_SEPARATOR('-', ['a', null, 'b'])", "a-b"),
        ("CONTAINS('foobar', 'ob', true)", 2),
        ("TRIM('  x ')", "x"),
        ("SUBSTRING('holy guacamole!', -5, 4)", "mole"),
        ("SPLIT('a,b,c', ',', 2)", ["a", "b"]),
        ("RIGHT('abc', 2)", "bc"),
        ("STARTS_WITH('abc', ['x', 'a'])", True),
        ("JSON_PARSE('{\"a\":1}')", {"a": 1}),
        ("JSON_STRINGIFY({a: [1]})", '{"a":[1]}'),
        ("ATTRIBUTES({b: 1, a: 2, _x: 3}, true, true)", ["a", "b"]),
        ("HAS({a: null}, 'a')", True),
        ("KEEP({a: 1, b: 2}, 'a')", {"a": 1}),
        ("MERGE({a: 1}, {b: 2}, {a: 3})", {"a": 3, "b": 2}),
        ("PARSE_IDENTIFIER('c/k')", {"collection": "c", "key": "k"}),
        ("ROUND(-0.5)", 0),
        ("ROUND(2.5)", 3),
        ("MEDIAN([1, 2, 3, 4])", 2.5),
        ("PERCENTILE([1, 2, 3, 4], 50)", 2),
        ("SQRT(-1)", None),
        ("RANGE(1, 2, 0.5)", [1, 1.5, 2]),
        ("SUM([])", 0),
        ("AVG([])", None),
        ("TO_NUMBER(' 12.5 ')", 12.5),
        ("TO_NUMBER('12x')", 0),
        ("TO_STRING([1, 'a'])", '[1,"a"]'),
        ("TO_ARRAY({a: 1})", [1]),
        ("TO_BOOL('')", False),
        ("TYPENAME({})", "object"),
        ("NOT_NULL(null, 2)", 2),
        ("IS_DATESTRING('2020-13-01')", False),
        ("DATE_ISO8601(0)", "1970-01-01T00:00:00.000Z"),
        ("DATE_TIMESTAMP('2014-05-07T14:19:09.522')", 1399472349522),
        ("DATE_ADD('2024-02-28', 2, 'day')", "2024-03-01T00:00:00.000Z"),
        ("DATE_DIFF('2020-01-01', '2020-01-02T12:00', 'd', true)", 1.5),
        ("DATE_TRUNC('2020-05-17T13:14:15', 'month')", "2020-05-01T00:00:00.000Z"),
        ("DATE_TRUNC('2024-05-15', 'week')", "2024-05-13T00:00:00.000Z"),
        ("DATE_ISO8601('2020-01-01T02:00:00+02:00')", "2020-01-01T00:00:00.000Z"),
        ("DATE_SUBTRACT('2024-03-31', 1, 'month')", "2024-03-02T00:00:00.000Z"),
        ("IS_DATESTRING('2020-01') && !IS_DATESTRING('20200101')", True),
        ("DATE_DAYOFWEEK('2024-03-03')", 0),
        ("CURRENT_DATABASE()", "_system"),
    ],
)
def test_functions(aql: Any, call: str, value: Any) -> None:
    assert aql(f"RETURN {call}") == [value]


def test_document(aql: Any) -> None:
    aql.collection("c")
    aql("FOR k IN ['a', 'b'] INSERT {_key: k} INTO c")
    assert aql("RETURN [DOCUMENT('c/a')._key, DOCUMENT(c, 'b')._key, DOCUMENT('c/none')]") == [["a", "b", None]]
    assert aql("RETURN DOCUMENT(['c/a', 'c/none', 'c/b'])[*]._key") == [["a", "b"]]
    assert aql("RETURN COLLECTION_COUNT(c)") == [2]


@pytest.mark.parametrize("name", ["GEO_DISTANCE", "SUBSTRING_BYTES", "NS::OWN", "REGEX_REPLACE", "DATE_FORMAT"])
def test_a_function_that_is_not_emulated_is_named(aql: Any, name: str) -> None:
    with pytest.raises(NotEmulatedError, match=rf"function {name}\(\)") as error:
        aql(f"RETURN {name}(1)")
    assert error.value.status == 501


def test_a_value_a_function_has_no_meaning_for_is_null_with_a_warning(aql: Any) -> None:
    answer = aql.answer("RETURN [FIRST(1), KEEP('x', 'y'), PARSE_KEY('x'), DATE_YEAR([]), RANGE(1, 2, 0)]")
    assert answer.rows == [[None] * 5]
    assert [warning["code"] for warning in answer.extra["warnings"]] == [1542] * 5
