"""How much memory and how many open handles processes of this machine have, by /proc, which costs them nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of several processes together. Memory in bytes, pages shared by several of them counted for each; `handles` is
    None when the kernel shows them to nobody but the owner and root."""

    processes: int
    memory: int
    handles: int | None


def family(root: int) -> tuple[int, ...]:
    """A process and all its living descendants; empty when it is gone."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [root] if (PROC / str(root)).exists() else []
    for pid in found:
        found.extend(children.get(pid, ()))
    return tuple(found)


def usage_of(pids: Iterable[int]) -> Usage | None:
    """What these processes have now; those that are gone count nothing. None when all are gone."""
    memory, handles, count = 0, 0, 0
    hidden = False
    for pid in pids:
        resident = _resident(pid)
        if resident is None:
            continue
        count, memory = count + 1, memory + resident
        mine = _handles(pid)
        hidden, handles = hidden or mine is None, handles + (mine or 0)
    return Usage(count, memory, None if hidden else handles) if count else None


def belongs_to(pid: int, container: str) -> bool:
    """Whether a process is the container's: an engine elsewhere (a virtual machine, another host) tells numbers that
    mean other processes here, or none."""
    try:
        return bool(container) and container in (PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return False


def _parent(pid: int) -> int | None:
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _resident(pid: int) -> int | None:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return None


def _handles(pid: int) -> int | None:
    """None when we may not look; zero when it has just gone."""
    try:
        return sum(1 for _ in (PROC / str(pid) / "fd").iterdir())
    except PermissionError:
        return None
    except OSError:
        return 0
