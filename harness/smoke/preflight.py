"""Before anything is written: who answers at every address, as whom we are known there, and what we may do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.errors import FidelityError, HarnessError
from harness.ports import Handle
from harness.probes.poll import Deadline
from harness.smoke import probe_of
from harness.smoke.at_once import at_once
from harness.smoke.reach import reach

EMULATOR = "+emu"
"""How the version of one of our emulators ends."""


@dataclass(frozen=True)
class Seen:
    """What a service showed. `certificate_until` is empty without TLS, `version` where none is told; `error` is why it
    cannot be judged."""

    name: str
    kind: str
    version: str = ""
    certificate_until: str = ""
    seconds: float = 0.0
    error: HarnessError | None = None

    @property
    def emulated(self) -> bool:
        """Whether one of our emulators answers."""
        return self.version.endswith(EMULATOR)


def look(
    handles: Mapping[str, Handle], identity: str, deadline: Deadline, writes: bool, allow_emulators: bool = False
) -> dict[str, Seen]:
    """Ask every service at once; `writes` asks for the right to write too, without writing. Never raises."""
    outcomes = at_once(handles, lambda handle: _examine(handle, identity, writes, allow_emulators), deadline)
    return {
        name: outcome.answer or Seen(name, handles[name].kind or "", error=outcome.error)
        for name, outcome in outcomes.items()
    }


def _examine(handle: Handle, identity: str, writes: bool, allow_emulators: bool) -> Seen:
    seen, started = Seen(handle.name, handle.kind or ""), time.monotonic()
    try:
        ends = [reach(endpoint) for endpoint in handle.endpoints.values()]
        seen = replace(seen, certificate_until=next(filter(None, ends), ""))
        if probe := probe_of(seen.kind):
            seen = replace(seen, version=probe.identify(handle))
            _refuse_emulator(seen, allow_emulators)
            if writes:
                probe.permitted(handle, identity)
    except HarnessError as error:
        seen = replace(seen, error=error)
    return replace(seen, seconds=time.monotonic() - started)


def _refuse_emulator(seen: Seen, allowed: bool) -> None:
    if seen.emulated and not allowed:
        raise FidelityError(
            f"{seen.kind} {seen.version} is an emulator of this harness: smoke judges real services",
            "name the real one in the target file; for a rehearsal, --allow-emulators",
        )
