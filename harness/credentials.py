"""Secrets that redact themselves, and the random ones of a run.

A secret prints as `***` wherever it is formatted, and no JSON encoder takes it: it has to be revealed on purpose.
What leaves the process as text (logs, journal, report) goes through `redact` besides.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

MASK = "***"
CERTIFIED = timedelta(days=30)
"""How long the certificate of a run is valid: longer than any stack is left up."""
_SENSITIVE = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|APIKEY|API_KEY|_AUTH$|REQUIREPASS)", re.IGNORECASE)


class Secret:
    """A text that hides itself. `reveal()` gives it to a client; equality compares the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The plain text. Call it only where a client needs it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__


def random_secret() -> Secret:
    """A fresh secret: 24 bytes of randomness, letters and digits only, so that every config format takes it."""
    return Secret(secrets.token_hex(24))


def certificates(names: Iterable[str]) -> dict[str, str]:
    """An authority of the run's own, and a certificate of it for loopback and these names: PEM texts by the variables
    that a compose file takes them from. Its key is nowhere kept, so nobody can issue another."""
    import trustme

    authority = trustme.CA(organization_name="infra-harness", organization_unit_name="one run")
    ends = datetime.now(UTC) + CERTIFIED
    issued = authority.issue_cert("127.0.0.1", "localhost", *names, not_after=ends)
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    return {
        "TLS_CA": authority.cert_pem.bytes().decode(),
        "TLS_CERTIFICATE": chain.decode(),
        "TLS_KEY": issued.private_key_pem.bytes().decode(),
    }


_IN_ADDRESS = re.compile(r"(://[^/@\s]*?):[^/\s]*@")


def without_password(text: str) -> str:
    """A text as it may be shown: of addresses in it, only the user."""
    return _IN_ADDRESS.sub(r"\1:***@", text)


def is_sensitive(name: str) -> bool:
    """Whether an environment variable's name says that its value is a secret."""
    return bool(_SENSITIVE.search(name))


def sensitive_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values in an environment that must never be shown; short ones are left out, they would mask words."""
    return tuple(value for name, value in environment.items() if is_sensitive(name) and len(value) >= 6)


def redact(text: str, known: Iterable[str]) -> str:
    """`text` with every known secret replaced by a mask."""
    for value in sorted({item for item in known if item}, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text
