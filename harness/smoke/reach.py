"""Does something answer at an address, and over TLS, with a certificate to trust? Sockets alone, nothing is sent."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing

from harness.errors import TargetDown, TargetError, TargetExpired, TargetMismatch, TargetUntrusted
from harness.model import Endpoint

WITHIN = 5.0
"""Seconds to connect, and again for the TLS handshake."""
OUT_OF_DATE = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED. Source: OpenSSL, x509_vfy.h."""


def reach(endpoint: Endpoint, within: float = WITHIN) -> str:
    """When the certificate ends (`Nov 21 05:33:12 2027 GMT`), empty without TLS. Raises TargetError."""
    if endpoint.scheme == "udp":
        return ""
    try:
        plain = socket.create_connection((endpoint.host, endpoint.port), timeout=within)
    except OSError as error:
        raise TargetDown(f"{endpoint.url}: {_why(error)}", "is the address right, and may we reach it?") from error
    with closing(plain):
        return _handshake(endpoint, plain) if endpoint.encrypted else ""


def _handshake(endpoint: Endpoint, plain: socket.socket) -> str:
    context = ssl.create_default_context(cafile=endpoint.authority or None)
    if endpoint.scheme == "grpcs":
        context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(plain, server_hostname=endpoint.host) as connection:
            return str((connection.getpeercert() or {}).get("notAfter", ""))
    except OSError as error:
        raise refusal(endpoint, error) from error


def refusal(endpoint: Endpoint, error: OSError) -> TargetError:
    """What a failed handshake says of the other side."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in OUT_OF_DATE:
            return TargetExpired(f"{endpoint.url}: {error.verify_message}", "renew the certificate")
        vouching = endpoint.authority or "the system's authorities"
        return TargetUntrusted(
            f"{endpoint.url}: {error.verify_message}, checked against {vouching}",
            "name its authority with tls.ca in the target file",
        )
    if isinstance(error, TimeoutError):
        return TargetDown(f"{endpoint.url}: accepts connections and does not answer", "is it paused or overloaded?")
    return TargetMismatch(f"{endpoint.url}: does not speak TLS: {_why(error)}", "is it another service's port?")


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "reason", None) or error.strerror or str(error) or type(error).__name__
