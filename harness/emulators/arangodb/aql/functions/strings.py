"""String functions."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import secrets
import string
import uuid
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from harness.emulators.arangodb.aql.context import AqlWarning
from harness.emulators.arangodb.aql.operators import like, regex
from harness.emulators.arangodb.aql.values import sort_key, to_number, to_string, truth

_MAX_TEXT = 16 * 1024 * 1024
_MAX_TOKEN = 65536
_SPACE = " \t\r\n\0\x0b"


def concat(*parts: Any) -> str:
    """All parts joined; null counts for nothing; one array is taken apart."""
    if len(parts) == 1 and isinstance(parts[0], list):
        parts = tuple(parts[0])
    return "".join(to_string(part) for part in parts if part is not None)


def concat_separator(separator: Any, *parts: Any) -> str:
    """All parts joined with a separator, nulls left out."""
    if len(parts) == 1 and isinstance(parts[0], list):
        parts = tuple(parts[0])
    return to_string(separator).join(to_string(part) for part in parts if part is not None)


def contains(text: Any, part: Any, where: Any = False) -> Any:
    """Whether (or where, -1 for nowhere) the part is in the text."""
    at = to_string(text).find(to_string(part)) if part != "" else -1
    return at if truth(where) else at >= 0


def find_first(text: Any, part: Any, start: Any = 0, end: Any = None) -> int:
    """The first position of the part between two others, both included, or -1."""
    stop = None if end is None else int(to_number(end)) + 1
    return to_string(text).find(to_string(part), int(to_number(start)), stop)


def find_last(text: Any, part: Any, start: Any = 0, end: Any = None) -> int:
    """The last position of the part between two others, both included, or -1."""
    stop = None if end is None else int(to_number(end)) + 1
    return to_string(text).rfind(to_string(part), int(to_number(start)), stop)


def trim(text: Any, kind: Any = 0) -> str:
    """Without spaces or given letters: at both ends (0), the left (1) or the right (2)."""
    letters = kind if isinstance(kind, str) else _SPACE
    side = 0 if isinstance(kind, str) else int(to_number(kind))
    plain = to_string(text)
    plain = plain.lstrip(letters) if side in (0, 1) else plain
    return plain.rstrip(letters) if side in (0, 2) else plain


def substring(text: Any, offset: Any, count: Any = None) -> str:
    """A part; a negative offset counts from the end."""
    plain, at = to_string(text), int(to_number(offset))
    at = max(len(plain) + at, 0) if at < 0 else at
    return plain[at:] if count is None else plain[at : at + max(int(to_number(count)), 0)]


def substitute(text: Any, search: Any, replacement: Any = "", limit: Any = None) -> str:
    """With search values replaced, at most `limit` times."""
    if isinstance(search, dict):
        pairs, limit = {key: to_string(value) for key, value in search.items()}, replacement or limit
    else:
        keys = search if isinstance(search, list) else [search]
        values = replacement if isinstance(replacement, list) else [replacement] * len(keys)
        pairs = {
            to_string(key): to_string(value) for key, value in zip(keys, [*values, *[""] * len(keys)], strict=False)
        }
    alternatives = "|".join(re.escape(key) for key in sorted(pairs, key=len, reverse=True) if key)
    if not alternatives:
        return to_string(text)
    many = 0 if limit is None else int(to_number(limit))
    if limit is not None and many <= 0:
        return to_string(text)
    return re.sub(alternatives, lambda match: pairs[match.group()], to_string(text), count=many)


def split(text: Any, separator: Any = None, limit: Any = None) -> Any:
    """The parts between separators, at most `limit` of them."""
    if separator is None:
        return [to_string(text)]
    separators = [to_string(item) for item in (separator if isinstance(separator, list) else [separator])]
    plain = to_string(text)
    parts = list(plain) if "" in separators else re.split("|".join(map(re.escape, separators)), plain)
    return parts if limit is None else parts[: int(to_number(limit))]


def starts_with(text: Any, prefix: Any, least: Any = 1) -> bool:
    """Whether the text begins with the prefix, or with at least so many of several."""
    if isinstance(prefix, list):
        return sum(to_string(text).startswith(to_string(item)) for item in prefix) >= to_number(least)
    return to_string(text).startswith(to_string(prefix))


def regex_replace(text: Any, pattern: Any, replacement: Any, insensitive: Any = False) -> str:
    """With every match replaced; `$1` and `\\1` are groups."""
    template = re.sub(r"\$(\d)", r"\\\1", to_string(replacement))
    return regex(to_string(pattern), truth(insensitive)).sub(template, to_string(text))


def regex_matches(text: Any, pattern: Any, insensitive: Any = False) -> Any:
    """The whole first match and its groups, or null."""
    match = regex(to_string(pattern), truth(insensitive)).search(to_string(text))
    return None if match is None else [match.group(), *(group or "" for group in match.groups())]


def regex_split(text: Any, pattern: Any, insensitive: Any = False, limit: Any = None) -> list[str]:
    """The parts between matches."""
    parts = regex(to_string(pattern), truth(insensitive)).split(to_string(text))
    return parts if limit is None else parts[: int(to_number(limit))]


def json_parse(text: Any) -> Any:
    """The value of JSON text. Raises AqlWarning 1542 for anything else."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        raise AqlWarning(1542, "invalid argument type in call to function 'JSON_PARSE()'") from None


def fnv64(text: Any) -> str:
    """The 64-bit FNV-1a hash in hex."""
    value = 0xCBF29CE484222325
    for byte in to_string(text).encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return f"{value:x}"


def levenshtein(one: Any, two: Any) -> int:
    """The Damerau-Levenshtein distance (neighbours may be swapped)."""
    a, b = to_string(one), to_string(two)
    rows = [list(range(len(b) + 1))]
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def repeat(text: Any, count: Any, separator: Any = "") -> str:
    """The text so many times, with a separator between. Raises AqlWarning 1542 for a result over 16 MiB."""
    plain, many = to_string(text), max(int(to_number(count)), 0)
    if many * (len(plain) + len(to_string(separator))) > _MAX_TEXT:
        raise AqlWarning(1542, "invalid argument type in call to function 'REPEAT()'")
    return to_string(separator).join([plain] * many)


def is_ipv4(text: Any) -> bool:
    """Whether this is an IPv4 address in dotted decimal without leading zeros."""
    try:
        return isinstance(text, str) and bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def ipv4_to_number(text: Any) -> int:
    """An IPv4 address as a number."""
    if not is_ipv4(text):
        raise AqlWarning(1542, "invalid argument type in call to function 'IPV4_TO_NUMBER()'")
    return int(ipaddress.IPv4Address(text))


def ipv4_from_number(number: Any) -> str:
    """A number as an IPv4 address."""
    if not isinstance(number, int) or not 0 <= number < 2**32:
        raise AqlWarning(1542, "invalid argument type in call to function 'IPV4_FROM_NUMBER()'")
    return str(ipaddress.IPv4Address(number))


def random_token(length: Any) -> str:
    """Random letters and digits, up to 65536. Raises AqlWarning 1542 for more."""
    if not 0 <= to_number(length) <= _MAX_TOKEN:
        raise AqlWarning(1542, "invalid argument type in call to function 'RANDOM_TOKEN()'")
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(int(to_number(length))))


def hash_value(value: Any) -> int:
    """The same number for equal values."""
    digest = hashlib.sha256(
        repr(sort_key(value) if not isinstance(value, dict) else to_string(value)).encode()
    ).digest()
    return int.from_bytes(digest[:6], "big")


def _digest(name: str) -> Callable[[Any], str]:
    def hexdigest(text: Any) -> str:
        return hashlib.new(name, to_string(text).encode(), usedforsecurity=False).hexdigest()

    return hexdigest


STRINGS: Mapping[str, Callable[..., Any]] = {
    "CONCAT": concat,
    "CONCAT_SEPARATOR": concat_separator,
    "CONTAINS": contains,
    "FIND_FIRST": find_first,
    "FIND_LAST": find_last,
    "LOWER": lambda text: to_string(text).lower(),
    "UPPER": lambda text: to_string(text).upper(),
    "TRIM": trim,
    "LTRIM": lambda text, letters=_SPACE: to_string(text).lstrip(to_string(letters)),
    "RTRIM": lambda text, letters=_SPACE: to_string(text).rstrip(to_string(letters)),
    "SUBSTRING": substring,
    "SUBSTITUTE": substitute,
    "SPLIT": split,
    "LEFT": lambda text, count: to_string(text)[: max(int(to_number(count)), 0)],
    "RIGHT": lambda text, count: to_string(text)[max(len(to_string(text)) - int(to_number(count)), 0) :],
    "STARTS_WITH": starts_with,
    "LIKE": lambda text, pattern, insensitive=False: like(text, pattern, truth(insensitive)),
    "REGEX_TEST": lambda text, pattern, ci=False: bool(regex(to_string(pattern), truth(ci)).search(to_string(text))),
    "REGEX_REPLACE": regex_replace,
    "REGEX_MATCHES": regex_matches,
    "REGEX_SPLIT": regex_split,
    "CHAR_LENGTH": lambda text: len(to_string(text)),
    "REPEAT": repeat,
    "JSON_PARSE": json_parse,
    "JSON_STRINGIFY": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "MD5": _digest("md5"),
    "SHA1": _digest("sha1"),
    "SHA256": _digest("sha256"),
    "SHA512": _digest("sha512"),
    "CRC32": lambda text: f"{zlib.crc32(to_string(text).encode()):x}",
    "FNV64": fnv64,
    "HASH": hash_value,
    "UUID": lambda: str(uuid.uuid4()),
    "RANDOM_TOKEN": random_token,
    "TO_HEX": lambda text: to_string(text).encode().hex(),
    "TO_BASE64": lambda text: base64.b64encode(to_string(text).encode()).decode(),
    "TO_CHAR": lambda code: "".join(chr(int(to_number(c))) for c in (code if isinstance(code, list) else [code])),
    "ENCODE_URI_COMPONENT": lambda text: quote(to_string(text), safe="!'()*-._~"),
    "LEVENSHTEIN_DISTANCE": levenshtein,
    "IS_IPV4": is_ipv4,
    "IPV4_TO_NUMBER": ipv4_to_number,
    "IPV4_FROM_NUMBER": ipv4_from_number,
}
