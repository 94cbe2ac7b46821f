"""Secrets hide themselves."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from harness.credentials import (
    MASK,
    Secret,
    certificates,
    is_sensitive,
    random_secret,
    redact,
    sensitive_values,
    without_password,
)


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter22")
    assert secret.reveal() == "hunter22"
    assert (str(secret), repr(secret), f"{secret}", f"{[secret]}") == (MASK, MASK, MASK, f"[{MASK}]")
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_by_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_random_secrets_differ_and_suit_every_file() -> None:
    one, other = random_secret(), random_secret()
    assert one != other
    assert one.reveal().isalnum()
    assert len(one.reveal()) == 48


def test_names_that_say_that_their_value_is_a_secret() -> None:
    secret = ["REDIS_PASSWORD", "MY_TOKEN", "x_secret", "API_KEY", "REDISCLI_AUTH", "requirepass"]
    assert all(map(is_sensitive, secret))
    assert not any(map(is_sensitive, ["PATH", "AUTHOR", "GF_PATHS_DATA"]))


def test_short_values_are_not_masked() -> None:
    assert sensitive_values({"A_TOKEN": "longer", "B_TOKEN": "short", "C": "longest"}) == ("longer",)


def test_redaction_masks_the_longest_first() -> None:
    assert redact("abc abcdef", ["abc", "abcdef", ""]) == f"{MASK} {MASK}"
    assert redact("nothing", []) == "nothing"


def test_the_certificate_of_a_run_is_of_its_own_authority_for_loopback_and_the_services(tmp_path: Path) -> None:
    """Verified by a handshake of OpenSSL's, not by reading it back."""
    run, other = certificates(["consul"]), certificates(["consul"])
    for name, text in run.items():
        (tmp_path / name).write_text(text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "TLS_CERTIFICATE", tmp_path / "TLS_KEY")
    for name in ("127.0.0.1", "localhost", "consul"):
        assert handshake(server, ssl.create_default_context(cadata=run["TLS_CA"]), name) == ""
    assert "IP address mismatch" in handshake(server, ssl.create_default_context(cadata=run["TLS_CA"]), "127.0.0.2")
    assert "verify failed" in handshake(server, ssl.create_default_context(cadata=other["TLS_CA"]), "127.0.0.1")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Both sides in memory; what the client found wrong with the server, empty for nothing."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return str(error)
    return ""


def test_a_password_in_an_address_is_not_shown() -> None:
    text = "--engines='ssh://me:hunter2@host:22,tcp://host:2375': expected ssh://me@host"
    assert without_password(text) == "--engines='ssh://me:***@host:22,tcp://host:2375': expected ssh://me@host"
    assert without_password("ssh://me:p@ss@host") == "ssh://me:***@host"
