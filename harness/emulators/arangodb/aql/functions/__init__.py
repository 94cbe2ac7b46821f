"""AQL's functions, one table per family; `FUNCTIONS` is all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.emulators.arangodb.aql.functions.arrays import ARRAYS
from harness.emulators.arangodb.aql.functions.dates import DATES
from harness.emulators.arangodb.aql.functions.numbers import NUMBERS
from harness.emulators.arangodb.aql.functions.objects import OBJECTS
from harness.emulators.arangodb.aql.functions.query import COLLECTION_FUNCTIONS, QUERY
from harness.emulators.arangodb.aql.functions.strings import STRINGS
from harness.emulators.arangodb.aql.functions.types import TYPES
from harness.emulators.arangodb.errors import ArangoError, NotEmulatedError

_NOT_EMULATED_TEXT = """
    ACOS ANALYZER APPLY APPROX_NEAR_COSINE APPROX_NEAR_L2 ASIN ASSERT ATAN ATAN2 BIT_AND BIT_CONSTRUCT BIT_DECONSTRUCT
    BIT_FROM_STRING BIT_NEGATE BIT_OR BIT_POPCOUNT BIT_SHIFT_LEFT BIT_SHIFT_RIGHT BIT_TEST BIT_TO_STRING BIT_XOR BM25
    BOOST CALL CHECK_DOCUMENT COLLECTIONS COS COSINE_SIMILARITY COUNT_UNIQUE CRC32 CURRENT_USER DATE_COMPARE
    DATE_DAYOFYEAR DATE_DAYS_IN_MONTH DATE_FORMAT DATE_ISOWEEK DATE_ISOWEEKYEAR DATE_LEAPYEAR DATE_LOCALTOUTC
    DATE_QUARTER DATE_ROUND DATE_TIMEZONE DATE_TIMEZONES DATE_UTCTOLOCAL DECAY_EXP DECAY_GAUSS DECAY_LINEAR DECODE_REV
    DEGREES DISTANCE ENCODE_URI_COMPONENT ENTRIES EXISTS EXP EXP2 FIND_FIRST FIND_LAST FIRST_DOCUMENT FIRST_LIST FNV64
    FULLTEXT GEO_AREA GEO_CONTAINS GEO_DISTANCE GEO_EQUALS GEO_INTERSECTS GEO_IN_RANGE GEO_LINESTRING
    GEO_MULTILINESTRING GEO_MULTIPOINT GEO_MULTIPOLYGON GEO_POINT GEO_POLYGON HASH INTERLEAVE IN_RANGE IPV4_FROM_NUMBER
    IPV4_TO_NUMBER IS_DOCUMENT IS_IN_POLYGON IS_IPV4 IS_KEY IS_LIST IS_SAME_COLLECTION JACCARD KEEP_RECURSIVE
    L1_DISTANCE L2_DISTANCE LEVENSHTEIN_DISTANCE LEVENSHTEIN_MATCH LOG10 LOG2 MATCHES MD5 MERGE_RECURSIVE MINHASH
    MINHASH_COUNT MINHASH_ERROR MINHASH_MATCH MIN_MATCH NEAR NGRAM_MATCH NGRAM_POSITIONAL_SIMILARITY NGRAM_SIMILARITY
    NOOPT OFFSET_INFO OUTERSECTION PARSE_COLLECTION PASSTHRU PHRASE PI PRODUCT RADIANS RANDOM RANDOM_TOKEN REGEX_MATCHES
    REGEX_REPLACE REGEX_SPLIT REMOVE_NTH REPEAT REPLACE_NTH SCHEMA_GET SCHEMA_VALIDATE SHA1 SHA256 SHA512 SHARD_ID SIN
    SOUNDEX STDDEV STDDEV_POPULATION STDDEV_SAMPLE SUBSTITUTE SUBSTRING_BYTES TAN TFIDF TOKENS TO_BASE64 TO_CHAR TO_HEX
    TO_LIST TRANSLATE UNSET_RECURSIVE V8 VALUE VARIANCE VARIANCE_POPULATION VARIANCE_SAMPLE VERSION WARN WITHIN
    WITHIN_RECTANGLE ZIP
"""
_NOT_EMULATED = frozenset(_NOT_EMULATED_TEXT.split())


@dataclass(frozen=True, slots=True)
class Function:
    """A function, how many arguments it takes (`most` None: any number), and whether it needs the query's context."""

    run: Callable[..., Any]
    least: int
    most: int | None
    needs_context: bool
    takes_collection: bool


def _describe(run: Callable[..., Any], needs_context: bool, takes_collection: bool) -> Function:
    parameters = list(inspect.signature(run).parameters.values())[needs_context:]
    least = sum(item.default is item.empty and item.kind is not item.VAR_POSITIONAL for item in parameters)
    endless = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    return Function(run, least, None if endless else len(parameters), needs_context, takes_collection)


def _all() -> Mapping[str, Function]:
    table: dict[str, Function] = {}
    for family in (ARRAYS, DATES, NUMBERS, OBJECTS, STRINGS, TYPES):
        table.update((name, _describe(run, False, False)) for name, run in family.items())
    for name, run in QUERY.items():
        table[name] = _describe(run, True, name in COLLECTION_FUNCTIONS)
    return table


FUNCTIONS: Mapping[str, Function] = _all()


def function_of(name: str, given: int) -> Function:
    """The function of that name called with `given` arguments. Raises ArangoError 1540, 1541, or NotEmulatedError."""
    found = FUNCTIONS.get(name)
    if found is None:
        if name in _NOT_EMULATED or "::" in name:
            raise NotEmulatedError(f"function {name}()")
        raise ArangoError(1540, f"usage of unknown function '{name}()'")
    if given < found.least or (found.most is not None and given > found.most):
        wanted = f"{found.least}" if found.most == found.least else f"{found.least} to {found.most or 'any'}"
        raise ArangoError(1541, f"invalid number of arguments for function '{name}()', expected: {wanted}")
    return found
