"""Secrets hide themselves."""

from __future__ import annotations

import json

import pytest

from harness.credentials import MASK, Secret, is_sensitive, random_secret, redact, sensitive_values


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
