"""OTLP/JSON: protobuf's JSON with ids in hex. Errors quote the input as the parser of the Go receivers (jsoniter) does.

Keys may be camelCase or snake_case, 64-bit integers strings or numbers, enums names or numbers; unknown keys are
skipped.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ID_BYTES = {"traceId": 16, "spanId": 8, "parentSpanId": 8, "trace_id": 16, "span_id": 8, "parent_span_id": 8}
WORDS = {"kind": frozenset(Span.SpanKind.keys()), "code": frozenset(Status.StatusCode.keys())}
"""The words of a span's enums by field: any other is refused, a number never."""
INVALID_ARGUMENT, INTERNAL = 3, 13
UNDECODABLE = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
"""What `surrogateescape` makes of bytes that are no UTF-8: each becomes the replacement character."""


class JsonError(ValueError):
    """Not OTLP/JSON; message and gRPC code are what the receiver answers, which fails to quote what is no UTF-8."""

    def __init__(self, message: str) -> None:
        self.code = INVALID_ARGUMENT if message == message.translate(UNDECODABLE) else INTERNAL
        super().__init__("failed to marshal error message" if self.code == INTERNAL else message)


def decode(body: bytes, into: Message) -> None:
    """Fill an export request from its JSON form; what follows it is not looked at. Raises JsonError."""
    text = body.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip())
    try:
        value, _ = json.JSONDecoder().raw_decode(text if text.isascii() else text.translate(UNDECODABLE), start)
        if value is None:
            return
        if not isinstance(value, dict):
            raise JsonError(
                _located(f"ReadObject: expect {{ or , or }} or n, but found {text[start]}", text, start + 1)
            )
        _hex_to_base64(value, text)
        json_format.ParseDict(value, into, ignore_unknown_fields=True)
    except json.JSONDecodeError as error:
        raise JsonError(_syntax(text, error.pos)) from error
    except json_format.ParseError as error:
        raise JsonError(_wrong_type(value, text, str(error))) from error
    except (ValueError, TypeError, RecursionError) as error:  # a lone surrogate, a number past its field, nesting
        raise error if isinstance(error, JsonError) else JsonError(f"ReadObject: {error}") from error


def _hex_to_base64(value: Any, text: str) -> None:
    if isinstance(value, list):
        for item in value:
            _hex_to_base64(item, text)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ID_BYTES and isinstance(item, str):
                value[key] = _id(item, ID_BYTES[key], text)
            elif key in WORDS and isinstance(item, str) and item not in WORDS[key]:
                raise JsonError(
                    _located("ReadEnumValue: unknown string value", text, text.find(f'"{item}"') + len(item) + 2)
                )
            else:
                _hex_to_base64(item, text)


def _id(item: str, length: int, text: str) -> str:
    reason = "length mismatch"
    if not item:
        return item
    if len(item) == 2 * length:
        try:
            return base64.b64encode(bytes.fromhex(item)).decode()
        except ValueError:
            reason = f"encoding/hex: invalid byte: {_wrong_digit(item)}"
    end = text.find(f'"{item}"') + len(item) + 2
    raise JsonError(_located(f"ID.UnmarshalJSONIter: {reason}", text, end))


def _wrong_digit(item: str) -> str:
    wrong = next(char for char in item if char not in "0123456789abcdefABCDEF")
    return f"U+{ord(wrong):04X} {wrong!r}"


def _syntax(text: str, at: int) -> str:
    found = text[at : at + 1] or "\0"
    if text[:at].rstrip().endswith("{"):
        return _located(f'ReadObject: expect " after {{, but found {found}', text, at + 1)
    if at >= len(text.rstrip()):
        return _located("readObjectStart: unexpected end of input", text, len(text))
    return _located(f"ReadObject: expect {{ or , or }} or n, but found {found}", text, at + 1)


def _wrong_type(value: dict[str, Any], text: str, reason: str) -> str:
    for key, item in value.items():
        if not isinstance(item, list | None):
            found = re.compile(r"\s*:\s*").search(text, text.find(f'"{key}"') + len(key) + 2)
            at = found.end() if found else 0
            return _located(f"ReadArray: expect [ or , or ] or n, but found {text[at : at + 1]}", text, at + 1)
    return " ".join(reason.split())


def _located(what: str, text: str, end: int) -> str:
    """The parser's suffix: ten bytes either side of where it stopped, then fifty."""
    start = max(0, end - 10)
    near, far = text[start : end + 10], text[max(0, end - 50) : end + 50]
    return f"{what}, error found in #{end - start} byte of ...|{near}|..., bigger context ...|{far}|..."
