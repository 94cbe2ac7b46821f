"""Packet loss in a container's own namespace: the rules, their removal, and that no other namespace is ever touched."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import FaultError
from harness.ports import Lossy
from harness.runtimes.docker import packets
from harness.runtimes.docker.packets import LossyContainer

NAME = "c" * 64
KEPT = "-A OUTPUT -p tcp -j ACCEPT"


class Kernel:
    """Holds the rules of one namespace; `refuse` is what it says to the next change."""

    def __init__(self) -> None:
        self.rules, self.entered, self.refuse = [KEPT], set[str](), ""

    def run(self, command: list[str], **how: Any) -> SimpleNamespace:
        self.entered.add(command[2])
        verb, *words = command[command.index("2") + 1 :]
        if self.refuse and verb == "-A":
            return SimpleNamespace(returncode=1, stderr=f"{self.refuse}\n", stdout="")
        if verb == "-A":
            self.rules.append(f"-A {' '.join(words)}")
        elif verb == "-D":
            self.rules.remove(f"-A {' '.join(words)}")
        return SimpleNamespace(returncode=0, stderr="", stdout="\n".join(["-P OUTPUT ACCEPT", *self.rules]))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for pid, net in (("41", "net:[2]"), ("self", "net:[1]")):
        (tmp_path / pid / "ns").mkdir(parents=True)
        (tmp_path / pid / "ns" / "net").symlink_to(net)
    (tmp_path / "41" / "cgroup").write_text(f"0::/docker/{NAME}\n")
    monkeypatch.setattr(packets, "PROC", tmp_path)
    return tmp_path


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LossyContainer:
    service: Any = SimpleNamespace(name="cache")
    made = LossyContainer(service, SimpleNamespace(), tmp_path / "log")  # type: ignore[arg-type]
    made._container = SimpleNamespace(id=NAME)
    monkeypatch.setattr(made, "_state", lambda: {"Running": True, "Pid": 41})
    return made


def test_packets_are_dropped_in_its_own_namespace_and_every_rule_is_taken_back(
    container: LossyContainer, kernel: Kernel, proc: Path
) -> None:
    assert isinstance(container, Lossy)
    container.lose_packets(12.5)
    assert kernel.rules[1].endswith("--mode random --probability 0.1250 -j DROP")
    container.lose_packets(50)
    assert len(kernel.rules) == 2, "the second takes the place of the first"
    container.keep_packets()
    container.keep_packets()
    assert (kernel.rules, kernel.entered) == ([KEPT], {"41"})


def test_what_ended_has_nothing_to_take_back(
    container: LossyContainer, kernel: Kernel, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.lose_packets(30)
    monkeypatch.setattr(container, "_state", lambda: {"Running": False, "Pid": 0})
    kernel.entered.clear()
    container.keep_packets()
    assert kernel.entered == set()


@pytest.mark.parametrize("percent", [0, -1, 100.5])
def test_a_share_that_is_none_is_refused(container: LossyContainer, kernel: Kernel, percent: float) -> None:
    with pytest.raises(FaultError, match="expected more than 0 and at most 100"):
        container.lose_packets(percent)
    assert kernel.rules == [KEPT]


def test_a_kernel_that_cannot_is_told_and_nothing_is_left(
    container: LossyContainer, kernel: Kernel, proc: Path
) -> None:
    kernel.refuse = "Couldn't load match `statistic'"
    with pytest.raises(FaultError, match="cache: packet loss: Couldn't load match"):
        container.lose_packets(30)
    container.keep_packets()
    assert kernel.rules == [KEPT]


@pytest.mark.parametrize("wrong", ["our own network", "somebody else's process", "nobody's process"])
def test_no_other_namespace_is_touched(
    container: LossyContainer, kernel: Kernel, proc: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    if wrong == "our own network":
        (proc / "41/ns/net").unlink()
        (proc / "41/ns/net").symlink_to("net:[1]")
    elif wrong == "somebody else's process":
        (proc / "41/cgroup").write_text("0::/user.slice\n")
    else:
        monkeypatch.setattr(container, "_state", lambda: {"Running": True, "Pid": 42})
    with pytest.raises(FaultError, match=r"packet loss: its process is not|packet loss: it has no network"):
        container.lose_packets(30)
    container.keep_packets()
    assert kernel.entered == set()


@pytest.mark.parametrize(
    ("address", "user", "programs", "expected"),
    [
        ("unix:///var/run/docker.sock", 0, ("nsenter", "iptables"), True),
        ("tcp://10.0.0.1:2375", 0, ("nsenter", "iptables"), False),
        ("unix:///var/run/docker.sock", 1000, ("nsenter", "iptables"), False),
        ("unix:///var/run/docker.sock", 0, ("nsenter",), False),
    ],
)
def test_only_root_beside_the_engine_with_both_programs_can(
    monkeypatch: pytest.MonkeyPatch, address: str, user: int, programs: tuple[str, ...], expected: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda name: name if name in programs else None)
    assert packets.possible(address) is expected
