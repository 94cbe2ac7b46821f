"""The otlp receiver's HTTP side: POST /v1/{traces,metrics,logs}, protobuf or JSON, optionally compressed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.emulators import otlp_json
from harness.emulators.bodies import NOT_UNPACKED, TooLargeError, inflate, read_body
from harness.emulators.runner import note

from .failures import INVALID_ARGUMENT, Failure
from .http_answers import Receive, Scope, Send, answer, header, not_found
from .otlp_grpc_receiver import BadProtobuf, decode_protobuf, partial_success, status
from .otlp_receiver import OtlpReceiver
from .signals import SIGNALS, BadId, Data, Signal

JSON, PROTOBUF = "application/json", "application/x-protobuf"


class TooLarge(Failure):
    """A body over the limit; the rest of it is not read and the connection closes."""

    def __init__(self) -> None:
        super().__init__(INVALID_ARGUMENT, "http: request body too large")


@dataclass
class HttpServer:
    """The ASGI application of one receiver. `settings` is the `protocols::http` section."""

    receiver: OtlpReceiver
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        known = (signal for signal in SIGNALS.values() if self.receiver.knows(signal))
        self.routes = {signal.path: signal for signal in known}
        self.success = {
            signal.name: {JSON: b'{"partialSuccess":{}}', PROTOBUF: partial_success(signal)}
            for signal in SIGNALS.values()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        signal = self.routes.get(scope["path"])
        if signal is None:
            return await not_found(send)
        note("otel_collector", f"POST {signal.path}")
        if scope["method"] != "POST":
            return await answer(send, 405, "text/plain", b"405 method not allowed, supported: [POST]")
        media = header(scope, b"content-type").partition(";")[0].strip().lower()
        if media not in {JSON, PROTOBUF}:
            words = f"415 unsupported media type, supported: [{JSON}, {PROTOBUF}]"
            return await answer(send, 415, "text/plain", words.encode())
        encoding = header(scope, b"content-encoding")
        if encoding in NOT_UNPACKED:
            return await answer(send, 501, "text/plain", f"501 Content-Encoding {encoding} is not emulated".encode())
        try:
            await self._export(signal, media, encoding, receive)
        except Failure as failure:
            return await _refuse(send, media, failure)
        return await answer(send, 200, media, self.success[signal.name][media])

    async def _export(self, signal: Signal, media: str, encoding: str, receive: Receive) -> None:
        limit = self.settings["max_request_body_size"]
        try:
            body = inflate(await read_body(receive, limit), encoding, limit)
        except TooLargeError:
            raise TooLarge from None
        except ValueError as error:
            raise Failure(INVALID_ARGUMENT, str(error)) from error
        await self.receiver.accept(signal, _decode(signal, media, body), "http")


def _decode(signal: Signal, media: str, body: bytes) -> Data:
    try:
        if media == PROTOBUF:
            return decode_protobuf(signal, body)
        data = signal.request()
        otlp_json.decode(body, data)
        signal.check_ids(data)
    except otlp_json.JsonError as error:
        raise Failure(error.code, str(error)) from error
    except (BadProtobuf, BadId) as error:
        raise Failure(INVALID_ARGUMENT, str(error)) from error
    return data


async def _refuse(send: Send, media: str, failure: Failure) -> None:
    headers = {"connection": "close"} if isinstance(failure, TooLarge) else {}
    if failure.retry_after is not None and failure.http_status in {429, 503}:
        headers["retry_after"] = str(int(failure.retry_after))
    await answer(send, failure.http_status, media, _encode(media, failure), **headers)


def _encode(media: str, failure: Failure) -> bytes:
    if media == PROTOBUF:
        return bytes(status(failure).SerializeToString())
    body: dict[str, Any] = {"code": failure.wire_code, "message": failure.message}
    if failure.retry_after is not None:
        delay = f"{failure.retry_after:g}s"
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
