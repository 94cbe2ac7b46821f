"""Packets dropped by the kernel in a container's own network namespace, where this machine is the engine's and we may.

A rule in a namespace that ends with its container cannot outlive it, whoever dies: nothing has to be swept. The
namespace of this very process is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from harness.errors import FaultError
from harness.runtimes.docker.container import ContainerInstance

PROGRAMS = ("nsenter", "iptables")
WITHIN = 10.0
RULE = ("OUTPUT", "!", "-o", "lo", "-m", "comment", "--comment", "infra-harness", "-m", "statistic", "--mode", "random")
PROC = Path("/proc")


def possible(address: str) -> bool:
    """Whether namespaces of the engine at this address can be entered: on this machine, by root, with both programs."""
    return address.startswith("unix://") and os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


class LossyContainer(ContainerInstance):
    """A container that can have packets dropped. It is `Lossy`."""

    _losing = False

    def lose_packets(self, percent: float) -> None:
        """Drop so many of the packets that it sends. Raises FaultError where that cannot be."""
        if not 0 < percent <= 100:
            raise FaultError(f"{self.service.name}: {percent:g} % packet loss: expected more than 0 and at most 100")
        with self._lock:
            self._pid()
            self.keep_packets()
            self._losing = True  # before the rule is there: it is to be taken back even when the answer does not come
            done = self._filter("-A", *RULE, "--probability", f"{percent / 100:.4f}", "-j", "DROP")
        if done.returncode:
            self._losing = False
            raise FaultError(f"{self.service.name}: packet loss: {done.stderr.strip()}", "see `harness doctor`")

    def keep_packets(self) -> None:
        """Undo `lose_packets`; nothing to do in a container that has ended, its rules went with it."""
        with self._lock:
            if self._losing and self.alive:
                for rule in self._filter("-S", "OUTPUT").stdout.splitlines():
                    if "infra-harness" in rule:
                        self._filter(*rule.replace("-A", "-D", 1).replace('"', "").split())
            self._losing = False

    def _filter(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", "--target", str(self._pid()), "--net", "iptables", "-w", "2", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False)

    def _pid(self) -> int:
        """Its main process, when that is one of this machine and in a network of its own."""
        pid = int(self._state().get("Pid", 0))
        home = PROC / str(pid)
        if not pid or not home.exists() or self.id not in (home / "cgroup").read_text():
            raise FaultError(f"{self.service.name}: packet loss: its process is not one of this machine")
        if (home / "ns/net").readlink() == (PROC / "self/ns/net").readlink():
            raise FaultError(f"{self.service.name}: packet loss: it has no network of its own")
        return pid
