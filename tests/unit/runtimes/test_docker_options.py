"""What the engine is asked for beyond image and ports; and that an engine on loopback is asked directly."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from harness.model import ContainerOptions
from harness.runtimes.docker import engine
from harness.runtimes.docker.request import Joins, Request, request_for
from tests.unit.rigs.core_rig import service

EVERY = ContainerOptions(
    working_dir="/w",
    domainname="d",
    init=True,
    shm_size=64,
    stop_signal="SIGINT",
    sysctls={"net.core.somaxconn": "511"},
    extra_hosts={"db": "10.0.0.1"},
    ulimits={"nofile": (20, 40)},
    dns=("10.0.0.2",),
    dns_search=("a.test",),
    group_add=("7",),
    aliases=("store", "a"),
)


def asked(options: ContainerOptions) -> Request:
    return request_for(replace(service("a"), options=options), {}, {}, [], Joins("net", "10.0.0.3"), {}, {})


def test_options_reach_the_create_request() -> None:
    made = asked(EVERY)
    ulimits = made.more["ulimits"]
    assert [(limit.name, limit.soft, limit.hard) for limit in ulimits] == [("nofile", 20, 40)]
    expected = {
        "working_dir": "/w",
        "domainname": "d",
        "init": True,
        "shm_size": 64,
        "stop_signal": "SIGINT",
        "sysctls": {"net.core.somaxconn": "511"},
        "extra_hosts": {"db": "10.0.0.1"},
        "dns": ["10.0.0.2"],
        "dns_search": ["a.test"],
        "group_add": ["7"],
    }
    assert expected.items() <= made.more.items()
    assert made.endpoint["Aliases"] == ["a", "store"]
    assert made.endpoint["IPAMConfig"] == {"IPv4Address": "10.0.0.3"}


def test_what_the_file_does_not_say_is_left_to_the_image() -> None:
    names = {"working_dir", "domainname", "init", "shm_size", "stop_signal", "ulimits", "dns", "group_add"}
    assert not names & asked(ContainerOptions()).more.keys()


def test_an_engine_on_loopback_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "corp.test,127.0.0.1")
    monkeypatch.setenv("no_proxy", "")
    engine._spare_loopback()
    assert os.environ["NO_PROXY"] == "corp.test,127.0.0.1,localhost,::1"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost,::1"
