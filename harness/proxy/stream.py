"""What flows through a link, and what a toxic may ask of it. Knows no socket, no proxy and no toxic."""

from __future__ import annotations

from enum import Enum, StrEnum
from random import Random
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

Bytes = bytes | memoryview


class Stream(StrEnum):
    """A direction: `upstream` carries what the client sends, `downstream` what it receives."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Chunk(NamedTuple):
    """Bytes and the moment they came to this stage, in the loop's seconds. False when it is the end of the stream."""

    data: Bytes
    at: float

    def __bool__(self) -> bool:
        return len(self.data) > 0


class Ending(Enum):
    """How a stream ended: its source had no more to say, or a toxic closed the connection."""

    END = "end"
    CLOSE = "close"


class Stub(Protocol):
    """A toxic's place in one connection: the only thing it may wait on.

    Its task is cancelled in any of these waits when the toxic is updated or removed. What was not yet forwarded then
    stays with the link: the new settings see it again, or it moves on.
    """

    rng: Random
    """Seeded for this toxic on this connection."""

    @property
    def forwarded(self) -> int:
        """Bytes this toxic has forwarded on this connection, updates included."""

    def now(self) -> float:
        """The clock of `Chunk.at`, in seconds."""

    async def head(self) -> Chunk:
        """Wait for the oldest chunk held here, and leave it held. A false chunk is the end of the stream."""

    async def head_before(self, moment: float) -> Chunk | None:
        """As `head`, but None if nothing is held by `moment`."""

    async def until(self, moment: float) -> None:
        """Wait until `moment`. Infinity waits for a change of toxics; a moment in the past lets others run."""

    async def forward(self, size: int | None = None) -> None:
        """Pass on the first `size` bytes of the head, or all of it; then wait while the next stage is full."""

    def drop(self) -> None:
        """Throw the head away."""

    def close(self) -> None:
        """Throw away everything held and close the connection once what was forwarded has been delivered."""

    def reset(self) -> None:
        """End both sides of the connection with RST, now."""


class Toxic(Protocol):
    """A frozen dataclass of settings, whole numbers all of them, in a file named after its wire name."""

    NAME: ClassVar[str]

    async def pipe(self, stub: Stub) -> None:
        """Carry one stream. Returning at its end passes the end on; returning earlier closes the connection."""


@runtime_checkable
class Buffered(Protocol):
    """Optional: a toxic that must hold more than the usual few chunks to do its work."""

    def buffer_size(self) -> int:
        """Bytes to hold before the source is made to wait."""


@runtime_checkable
class Cleanup(Protocol):
    """Optional: a toxic that has damaged the stream so that it cannot go on after it."""

    def cleanup(self, stub: Stub) -> None:
        """Called instead of passing on what is held, when the toxic is removed."""
