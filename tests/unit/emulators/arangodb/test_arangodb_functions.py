"""AQL's functions, a few facts of each family."""

from __future__ import annotations

from typing import Any

import pytest


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
        ("OUTERSECTION([1, 2], [2, 3])", [1, 3]),
        ("FLATTEN([1, [2, [3]]])", [1, 2, [3]]),
        ("FLATTEN([1, [2, [3]]], 2)", [1, 2, 3]),
        ("SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("SLICE([1, 2, 3, 4], -2)", [3, 4]),
        ("POSITION([1, 2], 2, true)", 1),
        ("SORTED([3, 'a', null, 1])", [None, 1, 3, "a"]),
        ("SORTED_UNIQUE([2, 1, 2])", [1, 2]),
        ("REMOVE_VALUE([1, 2, 1], 1, 1)", [2, 1]),
        ("REPLACE_NTH([1], 3, 9, 0)", [1, 0, 0, 9]),
        ("INTERLEAVE([1, 1, 1], [2, 2], [3])", [1, 2, 3, 1, 2, 1]),
        ("CONCAT('a', null, 1, true)", "a1true"),
        ("CONCAT_SEPARATOR('-', ['a', null, 'b'])", "a-b"),
        ("CONTAINS('foobar', 'ob', true)", 2),
        ("FIND_LAST('foobarfoo', 'foo')", 6),
        ("TRIM('  x ')", "x"),
        ("SUBSTRING('holy guacamole!', -5, 4)", "mole"),
        ("SUBSTITUTE('the quick', {the: 'a', quick: 'slow'})", "a slow"),
        ("SUBSTITUTE('aaa', 'a', 'b', 2)", "bba"),
        ("SPLIT('a,b,c', ',', 2)", ["a", "b"]),
        ("RIGHT('abc', 2)", "bc"),
        ("STARTS_WITH('abc', ['x', 'a'])", True),
        ("REGEX_REPLACE('a1b2', '[0-9]', '#')", "a#b#"),
        ("REGEX_MATCHES('ab12', '([a-z]+)([0-9]+)')", ["ab12", "ab", "12"]),
        ("JSON_PARSE('{\"a\":1}')", {"a": 1}),
        ("JSON_STRINGIFY({a: [1]})", '{"a":[1]}'),
        ("MD5('foobar')", "3858f62230ac3c915f300c664312c63f"),
        ("FNV64('foobar')", "85944171f73967e8"),
        ("TO_BASE64('ABC.')", "QUJDLg=="),
        ("LEVENSHTEIN_DISTANCE('foobar', 'bar')", 3),
        ("IS_IPV4('127.0.0.1') && !IS_IPV4('1.2.3')", True),
        ("ATTRIBUTES({b: 1, a: 2, _x: 3}, true, true)", ["a", "b"]),
        ("HAS({a: null}, 'a')", True),
        ("KEEP({a: 1, b: 2}, 'a')", {"a": 1}),
        ("UNSET_RECURSIVE({a: {b: 1, c: 2}}, 'b')", {"a": {"c": 2}}),
        ("MERGE({a: 1}, {b: 2}, {a: 3})", {"a": 3, "b": 2}),
        ("MERGE_RECURSIVE({a: {x: 1}}, {a: {y: 2}})", {"a": {"x": 1, "y": 2}}),
        ("ZIP(['a', 'b'], [1, 2])", {"a": 1, "b": 2}),
        ("VALUE({a: [1, {b: 2}]}, ['a', 1, 'b'])", 2),
        ("MATCHES({a: 1, b: 2}, [{a: 9}, {a: 1}], true)", 1),
        ("PARSE_IDENTIFIER('c/k')", {"collection": "c", "key": "k"}),
        ("ROUND(-0.5)", 0),
        ("ROUND(2.5)", 3),
        ("MEDIAN([1, 2, 3, 4])", 2.5),
        ("PERCENTILE([1, 2, 3, 4], 50)", 2),
        ("STDDEV([1, 3])", 1.0),
        ("SQRT(-1)", None),
        ("RANGE(1, 2, 0.5)", [1, 1.5, 2]),
        ("SUM([])", 0),
        ("AVG([])", None),
        ("BIT_OR([1, 4])", 5),
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
        ("DATE_ADD('2020-01-01', 'P1Y2M3DT4H')", "2021-03-04T04:00:00.000Z"),
        ("DATE_DIFF('2020-01-01', '2020-01-02T12:00', 'd', true)", 1.5),
        ("DATE_TRUNC('2020-05-17T13:14:15', 'month')", "2020-05-01T00:00:00.000Z"),
        ("DATE_FORMAT('2020-05-07T03:04:05', '%yyyy-%mm-%dd %hh:%ii:%ss %q')", "2020-05-07 03:04:05 2"),
        ("DATE_DAYOFWEEK('2024-03-03')", 0),
        ("DATE_DAYS_IN_MONTH('2024-02-10')", 29),
        ("DATE_COMPARE('2020-01-05', '2021-01-05', 'months', 'days')", True),
        ("DATE_UTCTOLOCAL('2020-06-01T00:00:00Z', 'Europe/Berlin')", "2020-06-01T02:00:00.000Z"),
        ("CURRENT_DATABASE()", "_system"),
        ("CALL('UPPER', 'a')", "A"),
        ("APPLY('CONCAT', ['a', 'b'])", "ab"),
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


def test_revision_holds_its_time(aql: Any) -> None:
    aql.collection("c")
    aql("INSERT {_key: 'a'} INTO c")
    rows = aql("RETURN [DECODE_REV(DOCUMENT('c/a')._rev).date, DATE_ISO8601(DATE_NOW())]")
    assert rows[0][0][:16] == rows[0][1][:16]
