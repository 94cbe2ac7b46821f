"""The OTLP/gRPC receiver on 4317, and the internal gRPC port, which answers every call UNIMPLEMENTED.

grpc is imported here, after the HTTP listeners are up: it is the slowest part of a start.
"""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from harness.emulators.runner import ConfigError, guard_host, note, split_address
from harness.emulators.tempo.distributor import INTERNAL, RESOURCE_EXHAUSTED, Refusal, parse_protobuf
from harness.emulators.tempo.http_otlp import push, status_message
from harness.emulators.tempo.instance import Instance

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ACCEPTED = b"\n\x00"
CODES = {code.value[0]: code for code in grpc.StatusCode}
OPTIONS = [
    ("grpc.so_reuseport", 0),  # a port in use must be an error, as it is for the real server
    ("grpc.max_receive_message_length", -1),  # the limit is checked here, for the sake of its message
    ("grpc.compression_enabled_algorithms_bitset", 0b101),  # none and gzip: Go's server has no deflate
]


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    """Calls by method name; bodies stay bytes, so that decoding errors are ours to word."""

    def __init__(self, instance: Instance, *, otlp: bool) -> None:
        self._instance = instance
        self._otlp = otlp

    def service(self, details: Any) -> Any:
        """The handler of a method."""
        if self._otlp and details.method == EXPORT:
            note("tempo", f"gRPC {EXPORT}")
            return grpc.unary_unary_rpc_method_handler(self._export)
        service, _, method = details.method.strip("/").partition("/")
        known = f"unknown service {service}" if self._otlp else f"not emulated: {service}/{method}"
        if self._otlp and EXPORT.startswith(f"/{service}/"):
            known = f"unknown method {method} for service {service}"

        async def refuse(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, known)

        return grpc.unary_unary_rpc_method_handler(refuse)

    async def _export(self, body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        metadata = {str(key).lower(): str(value) for key, value in context.invocation_metadata() or ()}
        try:
            self._take(body, metadata.get("x-scope-orgid"))
        except Refusal as refusal:
            details = (("grpc-status-details-bin", status_message(refusal)),) if refusal.retry_seconds else ()
            await context.abort(CODES[refusal.code], refusal.message, details)
        return ACCEPTED

    def _take(self, body: bytes, tenant: str | None) -> None:
        limit = self._instance.settings.otlp_grpc_max_bytes
        if len(body) > limit:
            raise Refusal(RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({len(body)} vs. {limit})")
        try:
            request = parse_protobuf(body)
        except ValueError as error:
            raise Refusal(INTERNAL, f"grpc: error unmarshalling request: {error}") from error
        push(self._instance, request, tenant, "grpc")


async def start(instance: Instance) -> list[grpc.aio.Server]:
    """Bind and start both ports. Raises ConfigError when one is taken."""
    settings = instance.settings
    wanted = [((settings.grpc_host, settings.grpc_port), False)]
    if settings.otlp_grpc:
        wanted.append((split_address(settings.otlp_grpc), True))
    servers = []
    for (host, port), otlp in wanted:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((_Handlers(instance, otlp=otlp),))
        address = f"{guard_host(host)}:{port}"
        try:
            bound = server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigError(f"listen tcp {address}: bind: address already in use") from error
        if not bound:
            raise ConfigError(f"listen tcp {address}: bind: address already in use")
        await server.start()
        servers.append(server)
    return servers
