"""Leaving nothing behind: what dead smoke runs left, and whether this one left something."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.errors import LeftBehind
from harness.ports import Handle
from harness.smoke import probe_of
from harness.smoke.identity import is_dead


def sweep(handle: Handle, clock: Callable[[], float] = time.time) -> list[str]:
    """Remove what smoke runs left that began over an hour ago. Returns `service: id` of what went.

    A name below `smoke/` that is no id of ours is somebody else's and stays. Raises TargetError, LeftBehind.
    """
    probe = probe_of(handle.kind or "")
    dead = [identity for identity in probe.leftovers(handle) if is_dead(identity, clock())] if probe else []
    for identity in dead:
        remove(handle, identity)
    return [f"{handle.name}: {identity}" for identity in dead]


def remove(handle: Handle, identity: str) -> None:
    """Remove what one run wrote to one service, and see that it is gone. Raises LeftBehind when it is not."""
    probe = probe_of(handle.kind or "")
    if probe is None:
        return
    probe.remove(handle, identity)
    if identity in probe.leftovers(handle):
        raise LeftBehind(f"what the smoke run {identity} wrote is still there: {probe.what_it_writes}")


def verify(handle: Handle, identity: str) -> None:
    """See that nothing of a run is there, and remove what is: a test that was ended could not. Raises as `remove`."""
    probe = probe_of(handle.kind or "")
    if probe is not None and identity in probe.leftovers(handle):
        remove(handle, identity)
