"""What the middle of the harness asks of its edges: runtimes, handles, and what a handle can have done to it.

Faults ask for these capabilities, never for a runtime; the stack sees only `Runtime`. A handle without lifecycle
(`Handle`, an environment that is not ours) has no destructive operation in its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.credentials import Secret
from harness.model import Endpoint, Fidelity, ServicePlan, StackPlan


@runtime_checkable
class Handle(Protocol):
    """A running service as its clients see it."""

    @property
    def name(self) -> str:
        """The service's name in the compose file."""
        ...

    @property
    def kind(self) -> str | None:
        """What the harness knows it as, or None."""
        ...

    @property
    def fidelity(self) -> Fidelity:
        """What answers here, and in which version."""
        ...

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Every address, by the port's name in the kind."""
        ...

    @property
    def credentials(self) -> Mapping[str, Secret]:
        """What clients need to log in, by the names that the kind declares."""
        ...

    def endpoint(self, name: str = "") -> Endpoint:
        """One address; the kind's first when no name is given. Raises UsageError for an unknown name."""
        ...


@runtime_checkable
class Killable(Protocol):
    """Can be ended at once, as by a crash, and started again on the same address with the same data."""

    def kill(self) -> None:
        """SIGKILL. Returns when the process or container is gone."""
        ...

    def start(self, wait: bool = True) -> None:
        """Start again after `kill` or `stop`; with `wait`, return when ready. Raises ServiceError."""
        ...


@runtime_checkable
class Stoppable(Protocol):
    """Can be asked to end in order."""

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds (the service's own grace when None)."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """Can be frozen: the kernel goes on accepting connections, nothing answers."""

    def pause(self) -> None:
        """Freeze every process of the service. Returns when frozen."""
        ...

    def resume(self) -> None:
        """Undo `pause`. Harmless when not paused."""
        ...


@runtime_checkable
class Restartable(Protocol):
    """Can be stopped and started again in one go."""

    def restart(self) -> None:
        """`stop`, `start`, ready again."""
        ...


@runtime_checkable
class Isolatable(Protocol):
    """Can be taken off the stack's network: nobody reaches it, it reaches nobody, and it goes on running."""

    def isolate(self) -> None:
        """Disconnect. Returns when done."""
        ...

    def rejoin(self) -> None:
        """Undo `isolate`, on the same addresses. Harmless when not isolated."""
        ...


@runtime_checkable
class Reconfigurable(Protocol):
    """Can be started again with a word too many on its command line."""

    def misconfigure(self, word: str) -> None:
        """Stop it, and start it with `word` appended: what a bad change of configuration does. Does not wait."""
        ...

    def reconfigure(self) -> None:
        """Undo `misconfigure`: start it as it was. Does not wait. Harmless when not misconfigured."""
        ...


@runtime_checkable
class DiskLimitable(Protocol):
    """Can be kept from writing: the kernel refuses to let its files grow."""

    def fill_disk(self) -> None:
        """From now on every write that would enlarge a file fails."""
        ...

    def free_disk(self) -> None:
        """Undo `fill_disk`. Harmless when not filled."""
        ...


@runtime_checkable
class Squeezable(Protocol):
    """Can have its memory limit lowered below what it holds."""

    def squeeze(self, share: float) -> None:
        """From now on it may use so much of what it uses now."""
        ...

    def release(self) -> None:
        """Undo `squeeze`: the limit that it had. Harmless when not squeezed."""
        ...


@runtime_checkable
class Lossy(Protocol):
    """Can have packets dropped by the kernel, in its own network namespace."""

    def lose_packets(self, percent: float) -> None:
        """Drop so many of the packets that it sends."""
        ...

    def keep_packets(self) -> None:
        """Undo `lose_packets`."""
        ...


@runtime_checkable
class Linkable(Protocol):
    """A link: one edge of the stack that goes through a fault proxy. Toxics as Toxiproxy names them."""

    @property
    def name(self) -> str:
        """The link's name."""
        ...

    @property
    def endpoint(self) -> Endpoint:
        """Where clients of this edge connect."""
        ...

    def poison(self, toxic: str, stream: str, attributes: Mapping[str, int]) -> str:
        """Add a toxic to `upstream` or `downstream` (towards the client); returns its name."""
        ...

    def cut(self) -> None:
        """Refuse new connections and close the living ones."""
        ...

    def mend(self) -> None:
        """Remove every toxic and let connections through again. Harmless when whole."""
        ...

    def flaws(self) -> tuple[str, ...]:
        """The names of its toxics, and `down` when it is cut: empty when it is whole."""
        ...


@runtime_checkable
class Loggable(Protocol):
    """Keeps what the service printed, in one file that only grows during a run."""

    @property
    def log(self) -> Path:
        """The file. Its size before and after a test cuts out the test's window."""
        ...


@runtime_checkable
class ManagedHandle(Handle, Killable, Stoppable, Pausable, Loggable, Protocol):
    """A service that the harness itself runs."""

    def restart(self) -> None:
        """`stop`, `start`, ready again."""
        ...


@runtime_checkable
class Measurable(Protocol):
    """An instance whose processes this machine can see."""

    @property
    def main_process(self) -> int:
        """The number of its main process here; 0 when it is gone, or runs where we cannot see it."""
        ...


COMPLETED = "exited with code 0"
"""What an instance's `exit_report` is when it did what it had to and ended."""


class Instance(Protocol):
    """One started service inside its runtime: what the keeper holds. Not a client's view."""

    @property
    def alive(self) -> bool:
        """Whether it runs (a paused one does)."""
        ...

    def exit_report(self) -> str:
        """How it ended (exit code or signal, out of memory) in words, `COMPLETED` for success; empty while it lives."""
        ...

    def launch(self) -> None:
        """Start it, at first or again. Returns at once; readiness is asked elsewhere."""
        ...

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        ...

    def stop(self, grace: float) -> None:
        """SIGTERM, SIGKILL after `grace` seconds, and wait until it is gone."""
        ...

    def pause(self) -> None:
        """Freeze it."""
        ...

    def resume(self) -> None:
        """Undo `pause`."""
        ...

    def healthy(self) -> bool | None:
        """The answer of its own health check; None when it has none that this runtime can run."""
        ...


class Runtime(Protocol):
    """Where services run: containers, processes."""

    @property
    def callback_host(self) -> str:
        """What receivers of ours bind; `called_at` says where services reach them. Known after `prepare`."""
        ...

    @property
    def elsewhere(self) -> str:
        """The address of the machine that services run on; empty when it is this one. Known after `prepare`."""

    def called_at(self, port: int) -> tuple[str, int]:
        """Host and port by which services reach what listens on `callback_host` at this port. Raises HarnessError."""

    def called_no_more(self, port: int) -> None:
        """That receiver is gone. Harmless when it was not called."""

    def lost(self) -> str:
        """Why no service is reached any more, whatever becomes of it; empty while they are."""

    def prepare(self, plan: StackPlan) -> None:
        """What is needed once before any service: networks, volumes. Raises HarnessError."""
        ...

    def create(self, service: ServicePlan, addresses: Mapping[str, Mapping[str, Endpoint]], log: Path) -> Instance:
        """An instance that is not launched yet, to answer at its leased addresses (by service, by port name)."""
        ...

    def inside(self, service: ServicePlan, endpoints: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        """A service's leased endpoints as the stack's own services reach them: what a cluster's members announce."""
        ...

    def close(self) -> list[str]:
        """Remove everything. Returns what could not be removed, empty when all is gone."""
        ...


Spawner = Callable[[Callable[[], None]], None]
"""Runs a callable on the keeper's main thread and waits: a child dies with the *thread* that started it."""
