"""The one error that travels back through a pipeline, and what it becomes on the OTLP wire.

The mapping follows the receiver's `internal/errors` and the exporter's error handling of the Collector's core.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.emulators.go_durations import format_seconds

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS = range(7)
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE = range(7, 12)
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = range(12, 17)

CODE_NAMES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip

RETRYABLE = frozenset({CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS})
_HTTP_OF_CODE = {
    RESOURCE_EXHAUSTED: 429, INVALID_ARGUMENT: 400, UNAUTHENTICATED: 401, PERMISSION_DENIED: 403, UNIMPLEMENTED: 404,
}  # fmt: skip
_CODE_OF_HTTP = {
    400: INVALID_ARGUMENT, 401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: UNIMPLEMENTED, 429: RESOURCE_EXHAUSTED,
    502: UNAVAILABLE, 503: UNAVAILABLE, 504: UNAVAILABLE,
}  # fmt: skip


@dataclass
class Failure(Exception):
    """Why data was not consumed.

    `code` is a gRPC status code, None when the cause carries none. `message` is what a client is told, `text` what the
    log says. `retry_after` (seconds) is set when the backend gave RetryInfo; `shutdown` when the Collector is stopping.
    """

    code: int | None
    message: str
    text: str = ""
    permanent: bool = False
    retry_after: float | None = None
    shutdown: bool = False

    def __post_init__(self) -> None:
        self.text = self.text or self.message

    def __str__(self) -> str:
        return self.text

    def wrapped(self, prefix: str, *, shutdown: bool = False) -> Failure:
        """The same failure with a prefix, as Go's `%w` prints it; a status keeps its code, its message grows."""
        text = f"{prefix}: {self.text}"
        return replace(self, message=text, text=text, shutdown=shutdown or self.shutdown)

    @property
    def wire_code(self) -> int:
        """The gRPC code a receiver answers with: causes without a status are retryable unless permanent."""
        if self.code is not None:
            return self.code
        return INTERNAL if self.permanent else UNAVAILABLE

    @property
    def http_status(self) -> int:
        """The HTTP status a receiver answers with."""
        return 503 if self.wire_code in RETRYABLE else _HTTP_OF_CODE.get(self.wire_code, 500)

    @property
    def error_type(self) -> str:
        """The value of the own metric's `error_type` label."""
        if self.shutdown:
            return "Shutdown"
        return "_OTHER" if self.code is None else CODE_NAMES[self.code]


def from_grpc(code: int, description: str, retry_after: float | None, has_retry_info: bool) -> Failure:
    """What the otlp_grpc exporter makes of a status: retryable, throttled or permanent."""
    text = f"rpc error: code = {CODE_NAMES[code]} desc = {description}"
    if code in RETRYABLE or (code == RESOURCE_EXHAUSTED and has_retry_info):
        return (
            throttled(Failure(code, description, text), retry_after)
            if retry_after
            else Failure(code, description, text)
        )
    return Failure(code, f"Permanent error: {text}", permanent=True)


def from_http(url: str, status: int, message: str | None, retry_after: float | None) -> Failure:
    """What the otlp_http exporter makes of an answer outside 2xx."""
    text = f"error exporting items, request to {url} responded with HTTP Status Code {status}"
    if message is not None:
        text += f", Message={message}, Details=[]"
    code = _CODE_OF_HTTP.get(status, UNKNOWN)
    rpc = f"rpc error: code = {CODE_NAMES[code]} desc = {text}"
    if status not in {429, 502, 503, 504}:
        return Failure(code, f"Permanent error: {rpc}", permanent=True)
    plain = Failure(code, text, rpc)
    return plain if retry_after is None else throttled(plain, retry_after)


def throttled(failure: Failure, delay: float) -> Failure:
    """A failure whose backend asked for `delay` seconds of peace."""
    text = f"Throttle ({format_seconds(delay)}), error: {failure.text}"
    return replace(failure, message=text, text=text, retry_after=delay)
