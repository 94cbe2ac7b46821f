"""The OTLP/HTTP receiver on 4318."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.emulators import otlp_json
from harness.emulators.bodies import NOT_UNPACKED, Receive, TooLargeError, inflate, read_body
from harness.emulators.runner import note
from harness.emulators.tempo.distributor import INVALID_ARGUMENT, UNAVAILABLE, Refusal, parse_protobuf
from harness.emulators.tempo.instance import Instance
from harness.emulators.tempo.limits import NoTenantError, TenantError, tenants
from harness.emulators.tempo.wire import NOT_FOUND, Request, Response, Scope, Send, request_of, respond

JSON, PROTOBUF = "application/json", "application/x-protobuf"
BODY_LIMIT = 20 << 20
STATUS_OF = {3: 400, 8: 429, 13: 500, 14: 503}


def status_message(refusal: Refusal) -> bytes:
    """A refusal as a serialised google.rpc.Status, with RetryInfo when there is one."""
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    status = Status(code=refusal.code, message=refusal.message)
    if refusal.retry_seconds:
        info = RetryInfo()
        info.retry_delay.seconds = refusal.retry_seconds
        status.details.add().Pack(info)
    encoded: bytes = status.SerializeToString()
    return encoded


def _refused(refusal: Refusal, content_type: str) -> Response:
    headers = (("Retry-After", str(refusal.retry_seconds)),) if refusal.retry_seconds else ()
    status = STATUS_OF[refusal.code]
    if content_type == PROTOBUF:
        return Response(status, status_message(refusal), PROTOBUF, headers)
    body = f'{{"code":{refusal.code}, "message":{json.dumps(refusal.message, ensure_ascii=False)}'
    if refusal.retry_seconds:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        body += f', "details":[{{"@type":"{kind}", "retryDelay":"{refusal.retry_seconds}s"}}]'
    return Response(status, (body + "}").encode(), JSON, headers)


def decode(body: bytes, content_type: str, encoding: str) -> ExportTraceServiceRequest:
    """The request in a body. Raises Refusal and TooLargeError."""
    try:
        raw = inflate(body, encoding, BODY_LIMIT)
        if content_type == PROTOBUF:
            return parse_protobuf(raw)
        request = ExportTraceServiceRequest()
        otlp_json.decode(raw, request)
    except ValueError as error:
        raise Refusal(getattr(error, "code", INVALID_ARGUMENT), str(error)) from error
    return request


def push(instance: Instance, export: ExportTraceServiceRequest, tenant: str | None, transport: str) -> None:
    """Take a request in the name of a tenant. Raises Refusal."""
    if instance.closed:
        raise Refusal(UNAVAILABLE, "the distributor is shutting down")
    try:
        (name,) = tenants(tenant, enabled=instance.settings.multitenancy)
    except NoTenantError as error:
        raise Refusal(UNAVAILABLE, str(error)) from error
    except TenantError as error:
        raise Refusal(INVALID_ARGUMENT, str(error)) from error
    instance.distributor.push(name, export, transport, instance.clock())


async def _traces(instance: Instance, request: Request, receive: Receive) -> Response:
    note("tempo", "POST /v1/traces")
    if request.method != "POST":
        return Response(405, b"405 method not allowed, supported: [POST]", "text/plain")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in {JSON, PROTOBUF}:
        supported = b"415 unsupported media type, supported: [application/json, application/x-protobuf]"
        return Response(415, supported, "text/plain")
    encoding = request.headers.get("content-encoding", "")
    if encoding in NOT_UNPACKED:
        return Response(501, f"501 Content-Encoding {encoding} is not emulated".encode(), "text/plain")
    try:
        export = decode(await read_body(receive, BODY_LIMIT), content_type, encoding)
        push(instance, export, request.headers.get("x-scope-orgid"), "http")
    except TooLargeError:
        return _refused(Refusal(INVALID_ARGUMENT, "http: request body too large"), content_type)
    except Refusal as refusal:
        return _refused(refusal, content_type)
    return Response(200, b"\n\x00" if content_type == PROTOBUF else b'{"partialSuccess":{}}', content_type)


def app(instance: Instance) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope)
        known = request.path == "/v1/traces"
        await respond(send, await _traces(instance, request, receive) if known else NOT_FOUND, request)

    return application
