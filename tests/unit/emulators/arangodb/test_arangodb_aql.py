"""AQL: syntax, operators, statements, errors and index use, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.emulators.arangodb.aql.context import Limits
from harness.emulators.arangodb.aql.parser import parse
from harness.emulators.arangodb.errors import ArangoError


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("7 % 4 - -1", 4),
        ("10 / 4", 2.5),
        ("1 / 0", None),
        ("'3' + [2]", 5),
        ("null < false && false < 0 && 9 < '' && 'z' < [] && [9] < {}", True),
        ("1 == 1.0", True),
        ("1 == '1'", False),
        ("{} == {a: null}", True),
        ("[1] == [1, null]", True),
        ("{a: 1} > {b: 1}", True),
        ("1 == 2 < 3", False),
        ("NOT 1 IN [false]", True),
        ("3 NOT IN [1, 2]", True),
        ("'x' IN 'xyz'", False),
        ("null ?: 5", 5),
        ("1 > 2 ? 'a' : 'b'", "b"),
        ("false || 7", 7),
        ("null && 7", None),
        ("3..1", [3, 2, 1]),
        ("'foobar' LIKE 'foo%'", True),
        ("'foobar' NOT LIKE 'f_b%'", True),
        ("'a%' LIKE 'a\\\\%'", True),
        ("'abc' =~ 'b'", True),
        ("'abc' !~ '^b'", True),
        ("'abc' =~ 'b(?=c)'", True),
        (r"'abab' =~ '^(ab)\\1$'", True),
        ("'äb' =~ '^\\\\w+$'", True),
        (r"'ab\n' =~ 'b$'", True),
        (r"'a\nb' LIKE 'a_b'", True),
        ("'ÄB' LIKE 'ä_'", False),
        ("LIKE('ÄB', 'ä_', true)", True),
        ("REGEX_TEST('ABC', 'b', true)", True),
        (f"'{'a' * 5000}!' =~ '(a+)+$'", False),
        (f"'{'a' * 5000}!' LIKE '%a%a%a%a%a%a%b'", False),
        ("[1, 2] ALL IN [1, 2, 3]", True),
        ("[] ANY == 1", False),
        ("[] NONE == 1", True),
        ("[1, 2, 3][-1]", 3),
        ("[1][5]", None),
        ("{a: {b: 1}}.a.b", 1),
        ("{a: 1}['a']", 1),
        ("'x'.a.b", None),
        ("[{a: 1}, {a: 2}][*].a", [1, 2]),
        ("[{f: [{n: 1}, {n: 2}]}, {f: []}][*].f[*].n", [[1, 2], []]),
        ("[1, 2, 3, 4][* FILTER CURRENT > 1 LIMIT 1, 2 RETURN CURRENT * 10]", [30, 40]),
        ("{['a' ]: 1, `b c`: 2, 'd': 3,}", {"a": 1, "b c": 2, "d": 3}),
        ("(FOR i IN 1..2 RETURN i)", [1, 2]),
        ("LENGTH(FOR i IN 1..3 RETURN i)", 3),
        ("0x1F + 0b11", 34),
        ("'\\u00e9' /* c */ // x\n", "é"),
    ],
)
def test_expressions(aql: Any, expression: str, value: Any) -> None:
    assert aql(f"RETURN {expression}") == [value]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("FOR i IN 1..3 FILTER i = 1 RETURN i", 1501),
        ("RETURN nope", 1203),
        ("RETURN NOPE()", 1540),
        ("RETURN LENGTH()", 1541),
        ("RETURN @missing", 1551),
        ("LET a = 1 LET a = 2 RETURN a", 1511),
        ("FOR i IN 1..2 LIMIT i RETURN i", 1501),
        ("RETURN FAIL('x')", 1569),
        ("INSERT {} INTO c FOR d IN c RETURN d", 1579),
        ("REMOVE 'none' IN c", 1202),
        ("UPDATE {} IN c", 1221),
        ("FOR v IN OUTBOUND 'c/1' c RETURN v", 1218),
        ("FOR v IN OUTBOUND 'c/1' GRAPH 'no' RETURN v", 1924),
        ("FOR v IN 1..2 OUTBOUND 'c/1' e OPTIONS {uniqueVertices: 'global'} RETURN v", 10),
        ("RETURN [[1]][**]", 9),
        ("RETURN [1][? FILTER CURRENT > 1]", 9),
        ("FOR d IN c SEARCH d.x == 1 RETURN d", 9),
        ("FOR i IN 1..3 WINDOW {preceding: 1} AGGREGATE s = SUM(i) RETURN s", 9),
        ("FOR p IN 1..2 OUTBOUND K_PATHS 'c/1' TO 'c/2' e RETURN p", 9),
        ("FOR v IN 1..2 OUTBOUND 'c/1' e OPTIONS {order: 'weighted'} RETURN v", 9),
        ("UPSERT FILTER $CURRENT.n == 1 INSERT {} UPDATE {} IN c", 9),
        ("FOR i IN 1..3 COLLECT AGGREGATE b = BIT_OR(i) RETURN b", 9),
        ("FOR i IN 1..3 COLLECT AGGREGATE b = UPPER(i) RETURN b", 1574),
        ("FOR i IN 1..3 COLLECT g = i INTO rows KEEP nothing RETURN g", 1512),
        ("RETURN " + "(" * 60 + "1" + ")" * 60, 1524),
        ("", 1502),
    ],
)
def test_errors(aql: Any, text: str, number: int) -> None:
    aql.collection("c")
    aql.collection("e", 3)
    with pytest.raises(ArangoError) as error:
        aql(text)
    assert error.value.number == number


def test_syntax_error_names_the_place() -> None:
    with pytest.raises(ArangoError) as error:
        parse("FOR i IN 1..100\n  FILTER i = 1 RETURN i", {}).query()
    assert str(error.value) == "syntax error, unexpected assignment near '= 1 RETURN i' at position 2:12"


def test_contextual_words_are_identifiers(aql: Any) -> None:
    assert aql("LET count = 1, keep = 2, options = 3, to = 4 RETURN [count, keep, options, to, {prune: 5}.prune]") == [
        [1, 2, 3, 4, 5]
    ]


def test_warnings(aql: Any) -> None:
    answer = aql.answer("RETURN [1 / 0, DATE_YEAR('never'), SUM(['x'])]")
    assert answer.rows == [[None, None, None]]
    assert [warning["code"] for warning in answer.extra["warnings"]] == [1562, 1572, 1561]
    with pytest.raises(ArangoError) as error:
        aql.answer("RETURN 1 / 0", limits=Limits(fail_on_warning=True))
    assert error.value.number == 1562


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("FOR i IN 1..5 FILTER i != 3 SORT i DESC LIMIT 1, 2 RETURN i", [4, 2]),
        ("FOR x IN [1, 1, 2] RETURN DISTINCT x", [1, 2]),
        ("FOR x IN [[1, 'b'], [1, 'a'], [0, 'c']] SORT x[0], x[1] DESC RETURN x[1]", ["c", "b", "a"]),
        ("FOR i IN 1..6 COLLECT g = i % 2 WITH COUNT INTO n RETURN [g, n]", [[0, 3], [1, 3]]),
        ("FOR i IN 1..4 COLLECT g = i % 2 INTO rows RETURN rows[*].i", [[2, 4], [1, 3]]),
        (
            "FOR i IN 1..4 LET j = i COLLECT g = i % 2 INTO rows KEEP j RETURN rows",
            [[{"j": 2}, {"j": 4}], [{"j": 1}, {"j": 3}]],
        ),
        ("FOR i IN 1..4 COLLECT AGGREGATE s = SUM(i), m = MAX(i), a = AVG(i) RETURN [s, m, a]", [[10, 4, 2.5]]),
        ("FOR i IN [] COLLECT AGGREGATE s = SUM(i), c = COUNT(i) RETURN [s, c]", [[None, 0]]),
        ("FOR i IN [] COLLECT WITH COUNT INTO n RETURN n", [0]),
        ("FOR i IN [] COLLECT g = i RETURN g", []),
        ("FOR i IN 1..2 LET s = (FOR j IN 1..i RETURN j * 10) RETURN s", [[10], [10, 20]]),
    ],
)  # fmt: skip
def test_statements(aql: Any, text: str, rows: list[Any]) -> None:
    assert aql(text) == rows


def test_modifications(aql: Any) -> None:
    aql.collection("c")
    assert aql("FOR i IN 1..3 INSERT {_key: TO_STRING(i), n: i} INTO c RETURN NEW.n") == [1, 2, 3]
    assert aql("FOR d IN c UPDATE d WITH {n: d.n * 10, x: {a: 1}} IN c RETURN [OLD.n, NEW.n]") == [
        [1, 10],
        [2, 20],
        [3, 30],
    ]
    assert aql("UPDATE '1' WITH {x: {b: 2}, n: null} IN c OPTIONS {keepNull: false} RETURN KEEP(NEW, 'x', 'n')") == [
        {"x": {"a": 1, "b": 2}}
    ]
    assert aql("REPLACE '2' WITH {y: 1} IN c RETURN HAS(NEW, 'n')") == [False]
    assert aql("UPSERT {_key: '9'} INSERT {_key: '9', n: 1} UPDATE {n: OLD.n + 1} IN c RETURN [OLD, NEW.n]") == [
        [None, 1]
    ]
    assert aql("UPSERT {_key: '9'} INSERT {} UPDATE {n: OLD.n + 1} IN c RETURN NEW.n") == [2]
    assert aql("REMOVE '9' IN c RETURN OLD.n") == [2]
    answer = aql.answer("FOR k IN ['1', 'none'] REMOVE k IN c OPTIONS {ignoreErrors: true}")
    assert answer.extra["stats"]["writesExecuted"] == 1
    assert answer.extra["stats"]["writesIgnored"] == 1
    assert aql("RETURN LENGTH(c)") == [2]


def test_a_failed_query_leaves_nothing(aql: Any) -> None:
    aql.collection("c")
    with pytest.raises(ArangoError) as error:
        aql("FOR k IN ['a', 'b', 'a'] INSERT {_key: k} INTO c")
    assert error.value.number == 1210
    assert aql("RETURN LENGTH(c)") == [0]


def _tree(aql: Any) -> None:
    aql.collection("v")
    aql.collection("e", 3)
    aql("FOR k IN ['a', 'b', 'c', 'd', 'e'] INSERT {_key: k} INTO v")
    aql(
        "FOR x IN [['a', 'b', 1], ['b', 'd', 1], ['a', 'c', 1], ['c', 'd', 5], ['d', 'e', 1], ['e', 'a', 1]]"
        " INSERT {_from: CONCAT('v/', x[0]), _to: CONCAT('v/', x[1]), w: x[2]} INTO e"
    )


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("FOR x IN OUTBOUND 'v/a' e RETURN x._key", ["b", "c"]),
        ("FOR x IN 1..2 OUTBOUND 'v/a' e RETURN x._key", ["b", "d", "c", "d"]),
        (
            "FOR x IN 1..2 OUTBOUND 'v/a' e OPTIONS {order: 'bfs', uniqueVertices: 'global'} RETURN x._key",
            ["b", "c", "d"],
        ),
        ("FOR x IN INBOUND 'v/d' e SORT x._key RETURN x._key", ["b", "c"]),
        ("FOR x IN ANY 'v/a' e SORT x._key RETURN x._key", ["b", "c", "e"]),
        ("FOR x, y, p IN 0..0 OUTBOUND 'v/a' e RETURN [x._key, y, p.weights]", [["a", None, [0]]]),
        ("FOR x, y, p IN 2 OUTBOUND 'v/a' e RETURN p.vertices[*]._key", [["a", "b", "d"], ["a", "c", "d"]]),
        (
            "FOR x IN 1..9 OUTBOUND 'v/a' e PRUNE x._key == 'd' OPTIONS {uniqueVertices: 'path'} RETURN x._key",
            ["b", "d", "c", "d"],
        ),
        ("FOR x, y, p IN 1..3 OUTBOUND 'v/a' e FILTER p.edges[*].w ALL == 1 RETURN x._key", ["b", "d", "e", "c"]),
        ("FOR x IN 1..2 OUTBOUND 'v/none' e RETURN x", []),
        ("FOR x IN OUTBOUND SHORTEST_PATH 'v/a' TO 'v/e' e RETURN x._key", ["a", "b", "d", "e"]),
        ("FOR p IN OUTBOUND K_SHORTEST_PATHS 'v/a' TO 'v/d' e OPTIONS {weightAttribute: 'w'} RETURN p.weight", [2, 6]),
        ("FOR p IN OUTBOUND ALL_SHORTEST_PATHS 'v/a' TO 'v/d' e RETURN LENGTH(p.edges)", [2, 2]),
    ],
)  # fmt: skip
def test_graph_queries(aql: Any, text: str, rows: list[Any]) -> None:
    _tree(aql)
    assert aql(text) == rows


def _indexed(aql: Any, count: int) -> None:
    from harness.emulators.arangodb.index_catalog import create_index

    aql.collection("c")
    server = aql.server
    database = server.catalog.database("_system")
    collection = database.find("c")
    for fields in (["n"], ["g", "n"], ["tags[*]"]):
        create_index(server.catalog, database, collection, {"type": "persistent", "fields": fields})
    aql(f"FOR i IN 1..{count} INSERT {{_key: CONCAT('k', i), n: i, g: i % 10, tags: [CONCAT('t', i)]}} INTO c")


@pytest.mark.parametrize(
    ("condition", "keys", "most"),
    [
        ("d.n == 5", ["k5"], 1),
        ("d.n IN [5, 6]", ["k5", "k6"], 2),
        ("5 <= d.n && d.n < 8", ["k5", "k6", "k7"], 3),
        ("d.n > 98", ["k99", "k100"], 2),
        ("d.g == 5 && d.n > 80", ["k85", "k95"], 2),
        ("d._key == 'k7'", ["k7"], 1),
        ("d._id == 'c/k7'", ["k7"], 1),
        ("'t8' IN d.tags", ["k8"], 1),
        ("d.n == 3 || d.n == 4", ["k3", "k4"], 2),
    ],
)
def test_index_use(aql: Any, condition: str, keys: list[str], most: int) -> None:
    _indexed(aql, 100)
    answer = aql.answer(f"FOR d IN c FILTER {condition} RETURN d._key")
    assert sorted(answer.rows) == sorted(keys)
    stats = answer.extra["stats"]
    assert stats["scannedFull"] == 0
    assert stats["scannedIndex"] <= most


def test_a_join_uses_the_index_of_the_inner_collection(aql: Any) -> None:
    _indexed(aql, 100)
    answer = aql.answer("FOR a IN 1..3 FOR d IN c FILTER d.n == a RETURN d.n")
    assert answer.rows == [1, 2, 3]
    assert answer.extra["stats"]["scannedIndex"] == 3


def test_full_count_and_memory_limit(aql: Any) -> None:
    assert aql.answer("FOR i IN 1..50 LIMIT 5 RETURN i", full_count=True).extra["stats"]["fullCount"] == 50
    with pytest.raises(ArangoError) as error:
        aql.answer("FOR i IN 1..10000 SORT i RETURN i", limits=Limits(memory=100_000))
    assert error.value.number == 32


def test_max_runtime(aql: Any) -> None:
    with pytest.raises(ArangoError) as error:
        aql.answer("FOR i IN 1..10000000 FILTER i < 0 RETURN i", limits=Limits(max_runtime=0.02))
    assert error.value.number == 1500


def test_upsert_finds_by_any_attribute(aql: Any) -> None:
    aql.collection("c")
    aql("FOR i IN 1..3 INSERT {_key: TO_STRING(i), n: i, where: {zone: 'z', rack: i}} INTO c")
    text = "UPSERT {where: {zone: 'z', rack: 2}} INSERT {n: 0} REPLACE {hit: true} IN c RETURN OLD.n"
    assert aql(text) == [2]
    assert aql("UPSERT @what INSERT {n: 9} UPDATE {} IN c RETURN [OLD, NEW.n]", what={"n": 7}) == [[None, 9]]
    assert aql("FOR d IN c FILTER d['hit'] RETURN d._key") == ["2"]


_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "a", "b"]), st.just([1]))
_DOCS = st.lists(st.fixed_dictionaries({}, optional={"n": _VALUES, "m": _VALUES}), max_size=12)
_OPERATORS = st.sampled_from(["==", "<", "<=", ">", ">="])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(docs=_DOCS, one=_OPERATORS, two=_OPERATORS, values=st.tuples(_VALUES, _VALUES), sparse=st.booleans())
def test_indexes_never_change_a_result(
    make_aql: Any, docs: list[dict[str, Any]], one: str, two: str, values: tuple[Any, Any], sparse: bool
) -> None:
    """The same condition finds the same documents by full scan and by index, also after updates and removals."""
    from harness.emulators.arangodb.index_catalog import create_index

    plain, indexed = make_aql(), make_aql()
    for aql in (plain, indexed):
        aql.collection("c")
        database = aql.server.catalog.database("_system")
        collection = database.find("c")
        if aql is indexed:
            for fields in (["n"], ["m", "n"]):
                create_index(
                    aql.server.catalog, database, collection, {"type": "persistent", "fields": fields, "sparse": sparse}
                )
        for number, doc in enumerate(docs):
            aql("INSERT @doc INTO c", doc={"_key": str(number), **doc})
        aql("FOR d IN c FILTER d.n == 1 UPDATE d WITH {n: 2} IN c")
        aql("FOR d IN c FILTER d.m == 0 REMOVE d IN c")
    text = f"FOR d IN c FILTER d.m {one} @x && d.n {two} @y SORT d._key RETURN d._key"
    bind = {"x": values[0], "y": values[1]}
    assert plain(text, **bind) == indexed(text, **bind)
    either = f"FOR d IN c FILTER d.m {one} @x || d.n {two} @y SORT d._key RETURN d._key"
    assert plain(either, **bind) == indexed(either, **bind)
