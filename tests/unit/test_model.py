"""Frozen data: what it says of itself."""

from __future__ import annotations

import pytest

from harness.model import Endpoint, Fidelity, Health, RuntimeName, ServicePlan, Source, StackPlan


@pytest.mark.parametrize(
    ("fidelity", "text"),
    [
        (Fidelity(Source.BINARY, "1.8.7", "1.22"), "binary (1.8.7, pin 1.22)"),
        (Fidelity(Source.IMAGE, "1.22", "1.22"), "image (1.22)"),
        (Fidelity(Source.EMULATOR, "1.22+emu", "1.22"), "emulator (1.22+emu)"),
        (Fidelity(Source.EMULATOR), "emulator (version unknown)"),
        (
            Fidelity(Source.EMULATOR, "3+emu", "3", emulator_unproven=True),
            "emulator (3+emu, unproven against a real server)",
        ),
        (Fidelity(Source.IMAGE, "3", "3", emulator_unproven=True), "image (3)"),
    ],
)
def test_fidelity_in_words(fidelity: Fidelity, text: str) -> None:
    assert str(fidelity) == text


def test_only_an_emulator_verifies_nothing() -> None:
    assert [source for source in Source if not Fidelity(source).verified] == [Source.EMULATOR]


def test_addresses() -> None:
    endpoint = Endpoint("http", "127.0.0.1", 80, "http")
    assert (endpoint.address, endpoint.url) == ("127.0.0.1:80", "http://127.0.0.1:80")


@pytest.mark.parametrize(
    ("image", "pin"),
    [
        ("redis:8.6.3", "8.6.3"),
        ("redis", ""),
        ("host:5000/redis", ""),
        ("host:5000/redis:8", "8"),
        ("redis:8@sha256:abc", "8"),
        ("redis@sha256:abc", ""),
    ],
)
def test_the_pin_is_the_tag(image: str, pin: str) -> None:
    assert ServicePlan("a", image, None).pin == pin


def test_a_health_check_for_the_shell() -> None:
    assert Health(("CMD-SHELL", "x")).needs_shell
    assert not Health(("CMD", "x")).needs_shell
    assert not Health(()).needs_shell


def test_a_plan_knows_what_is_emulated() -> None:
    fidelity = {"a": Fidelity(Source.EMULATOR), "b": Fidelity(Source.BINARY), "c": Fidelity(Source.EMULATOR)}
    assert StackPlan("p", {}, (), RuntimeName.PROCESS, fidelity).emulated == ("a", "c")


def test_unproven_is_an_emulator_of_a_kind_that_never_met_its_server() -> None:
    fidelity = {
        "proven": Fidelity(Source.EMULATOR),
        "real": Fidelity(Source.BINARY, emulator_unproven=True),
        "never": Fidelity(Source.EMULATOR, emulator_unproven=True),
    }
    assert StackPlan("p", {}, (), RuntimeName.PROCESS, fidelity).unproven == ("never",)
