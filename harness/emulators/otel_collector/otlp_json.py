"""OTLP/JSON: protobuf JSON with hex ids. Errors quote the input as the Collector's parser (jsoniter) does."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]

from .signals import Data, Signal

_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8, "trace_id": 16, "span_id": 8, "parent_span_id": 8}


class JsonError(ValueError):
    """Malformed input; the message is what the Collector answers."""


def decode(signal: Signal, body: bytes) -> Data:
    """A request from its JSON form. Raises JsonError."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise JsonError(_syntax_words(text, error.pos)) from error
    if not isinstance(value, dict):
        raise JsonError(_report("ReadObject", f"expect {{ or , or }} or n, but found {text.strip()[:1]}", text, 1))
    _hex_to_base64(value, text)
    request = signal.request()
    try:
        json_format.ParseDict(value, request, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise JsonError(_type_words(value, text, str(error))) from error
    return request


def _hex_to_base64(value: Any, text: str) -> None:
    if isinstance(value, list):
        for item in value:
            _hex_to_base64(item, text)
        return
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in _IDS and isinstance(item, str):
            value[key] = _id(item, _IDS[key], text)
        elif isinstance(item, (dict, list)):
            _hex_to_base64(item, text)


def _id(item: str, length: int, text: str) -> str:
    if not item:
        return item
    if len(item) == 2 * length:
        try:
            return base64.b64encode(bytes.fromhex(item)).decode()
        except ValueError:
            reason = f"encoding/hex: invalid byte: {next(c for c in item if c not in '0123456789abcdefABCDEF')!r}"
    else:
        reason = "length mismatch"
    raise JsonError(_report("ID.UnmarshalJSONIter", reason, text, text.find(f'"{item}"') + len(item) + 2))


def _syntax_words(text: str, position: int) -> str:
    stripped = text[:position].rstrip()
    found = text[position : position + 1] or "\0"
    if stripped.endswith("{"):
        return _report("ReadObject", f'expect " after {{, but found {found}', text, position + 1)
    if position >= len(text.rstrip()):
        return _report("readObjectStart", "unexpected end of input", text, len(text))
    return _report("ReadObject", f"expect {{ or , or }} or n, but found {found}", text, position + 1)


def _type_words(value: dict[str, Any], text: str, reason: str) -> str:
    for key, item in value.items():
        if not isinstance(item, (list, type(None))):
            raw = json.dumps(item)
            at = text.find(raw, text.find(f'"{key}"') + len(key) + 2) + 1
            return _report("ReadArray", f"expect [ or , or ] or n, but found {raw[:1]}", text, at)
    return " ".join(reason.split())


def _report(operation: str, message: str, text: str, head: int) -> str:
    start = max(0, head - 10)
    near, around = text[start : head + 10], text[max(0, head - 50) : head + 50]
    where = f"error found in #{head - start} byte of ...|{near}|..., bigger context ...|{around}|..."
    return f"{operation}: {message}, {where}"
