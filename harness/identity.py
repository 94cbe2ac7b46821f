"""Who a process is, beyond its number: numbers are reused, an identity is not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A process of this host: boot, pid namespace, number and start time (clock ticks since boot)."""

    boot: str
    namespace: str
    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a living process, None when there is none of that number."""
        started = _start_ticks(pid)
        if started is None:
            return None
        return cls(_boot_id(), _namespace(), pid, started)

    @classmethod
    def mine(cls) -> Identity:
        """This process."""
        found = cls.of(os.getpid())
        if found is None:
            raise OSError("/proc is not mounted: the harness needs it to know its processes")
        return found

    @property
    def here(self) -> bool:
        """Whether it belongs to this boot and pid namespace, so that its number means something."""
        return self.boot == _boot_id() and self.namespace == _namespace()

    @property
    def foreign(self) -> bool:
        """Whether it belongs to another container of this host's boot: nothing can be known of it from here."""
        return self.boot == _boot_id() and self.namespace != _namespace()

    @property
    def alive(self) -> bool:
        """Whether the very same process still runs (a zombie does not)."""
        return self.here and _start_ticks(self.pid) == self.started

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Identity:
        """The reverse of `to_json`. Raises ValueError, KeyError or TypeError for anything else."""
        return cls(**json.loads(text))


def _start_ticks(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
