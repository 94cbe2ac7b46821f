"""The otlp receiver's gRPC side: three Export methods, errors with the words of Go's server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.emulators.runner import ConfigError, guard_host, note, split_address

from .failures import INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, Failure
from .otlp_receiver import OtlpReceiver
from .signals import SIGNALS, BadId, Data, Signal

_CODES = {code.value[0]: code for code in grpc.StatusCode}
Call = Callable[[bytes, Any], Awaitable[bytes]]


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Answers every method itself, so that unknown ones get Go's words."""

    def __init__(self, server: GrpcServer) -> None:
        self.server = server

    def service(self, details: Any) -> Any:
        service, _, method = details.method.lstrip("/").partition("/")
        signal = next((found for found in SIGNALS.values() if found.service == service), None)
        if signal is None or not self.server.receiver.knows(signal):
            call = self.server.unknown(f"unknown service {service}")
        elif method != "Export":
            call = self.server.unknown(f"unknown method {method} for service {service}")
        else:
            note("otel_collector", f"gRPC {service}/{method}")
            call = self.server.exporting(signal)
        return grpc.unary_unary_rpc_method_handler(call)


@dataclass
class GrpcServer:
    """The listener. `settings` is the `protocols::grpc` section."""

    receiver: OtlpReceiver
    settings: Mapping[str, Any]
    server: grpc.aio.Server | None = field(default=None, init=False)

    async def start(self) -> None:
        """Bind and serve. Raises ConfigError when the address is taken."""
        host, port = split_address(self.settings["endpoint"])
        self.server = grpc.aio.server(
            handlers=[_Handler(self)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.compression_enabled_algorithms_bitset", 0b101),  # none and gzip: Go's server has no deflate
            ],
        )
        address = f"{guard_host(host)}:{port}"
        try:
            bound = self.server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound:
            raise ConfigError(
                f'Error: cannot start pipelines: failed to start "{self.receiver.id}" receiver: listen tcp {address}: '
                "bind: address already in use"
            )
        await self.server.start()

    async def stop(self) -> None:
        """Take no new call; running ones end."""
        if self.server:
            await self.server.stop(5)

    def unknown(self, words: str) -> Call:
        """A method nobody serves."""

        async def call(_: bytes, context: Any) -> bytes:
            await context.abort(_CODES[UNIMPLEMENTED], words)
            raise AssertionError("abort returns never")

        return call

    def exporting(self, signal: Signal) -> Call:
        """The Export method of a signal."""
        limit = self.settings["max_recv_msg_size_mib"] * 1024 * 1024
        answer = partial_success(signal)

        async def call(body: bytes, context: Any) -> bytes:
            try:
                _check_size(len(body), limit)
                await self.receiver.accept(signal, decode_protobuf(signal, body), "grpc")
            except BadProtobuf as error:
                await context.abort(_CODES[INTERNAL], f"grpc: error unmarshalling request: {error}")
            except Failure as failure:
                await context.abort(_CODES[failure.wire_code], failure.message, _trailer(failure))
            return answer

        return call


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Failure(RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({size} vs. {limit})")


class BadProtobuf(ValueError):
    """Bytes that are not the message; the text is the unmarshaller's."""


def decode_protobuf(signal: Signal, body: bytes) -> Data:
    """A request from its binary form, ids checked. Raises BadProtobuf."""
    try:
        data = signal.request.FromString(body)
        signal.check_ids(data)
    except DecodeError as error:
        raise BadProtobuf("unexpected EOF") from error
    except BadId as error:
        raise BadProtobuf(str(error)) from error
    return data


def partial_success(signal: Signal) -> bytes:
    """The success answer: an empty partial_success that is present, as the Collector sends it."""
    response = signal.response()
    response.partial_success.SetInParent()
    return bytes(response.SerializeToString())


def _trailer(failure: Failure) -> tuple[tuple[str, bytes], ...]:
    if failure.retry_after is None:
        return ()
    return (("grpc-status-details-bin", status(failure).SerializeToString()),)


def status(failure: Failure) -> Any:
    """The google.rpc.Status of a failure, with RetryInfo when the backend gave one."""
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    message = status_pb2.Status(code=failure.wire_code, message=failure.message)
    if failure.retry_after is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromNanoseconds(int(failure.retry_after * 1e9))
        message.details.add().Pack(info)
    return message
