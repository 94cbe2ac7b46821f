"""One direction of a link: from a source through the stages of the toxics that struck it, into an outlet."""

from __future__ import annotations

from random import Random
from typing import Protocol

from harness.proxy.endpoint import Traffic
from harness.proxy.entry import Entry
from harness.proxy.stage import Outlet, Stage
from harness.proxy.stream import Ending


class Source(Protocol):
    """What a pipe reads from."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read."""


class Owner(Protocol):
    """The connection that a pipe belongs to."""

    def reset(self) -> None:
        """End it with RST."""

    def fail(self, error: Exception) -> None:
        """A toxic of it broke."""


class Pipe:
    """Holds bytes only in its stages; without any, what is fed goes straight into the outlet.

    `key` names this direction of this connection and the seed: with a toxic's serial it decides the draws.
    """

    def __init__(self, source: Source, outlet: Outlet, traffic: Traffic, owner: Owner, key: str) -> None:
        self._source = source
        self._outlet = outlet
        self._first = outlet
        self._traffic = traffic
        self._owner = owner
        self._key = key
        self._stages: dict[int, Stage] = {}
        self._abandoned = False

    # -- bytes ------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take what the source read."""
        self._traffic.received += len(data)
        self._first.put(data)

    def end(self) -> None:
        """The source has ended; the end travels behind the bytes. May be called again."""
        self._first.finish(Ending.END)

    def poke(self) -> None:
        """Room has come or gone somewhere: let the source and the stages look again."""
        if self._first.full():
            self._source.pause()
        else:
            self._source.resume()
        for stage in self._stages.values():
            stage.poke()

    # -- toxics -----------------------------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Add a toxic, or give it new settings. One dice throw per toxic and connection, however often it is read."""
        rng = Random(f"{self._key}/{entry.serial}")
        stage = self._stages.get(entry.serial)
        if rng.random() >= entry.toxicity:
            self.retract(entry.serial)
        elif stage is None:
            self._insert(entry, rng)
        elif stage.toxic != entry.toxic:
            stage.run(entry.toxic)

    def retract(self, serial: int) -> None:
        """Remove a toxic, if it struck this connection. What it held moves on."""
        stage = self._stages.pop(serial, None)
        if stage is not None:
            stage.retire()
            self._connect()

    def abandon(self) -> None:
        """The outlet is gone: nothing is held any more, and what still comes is read and thrown away."""
        self._abandoned = True
        for stage in self._stages.values():
            stage.stop()
        self._stages.clear()
        self._connect()

    def _insert(self, entry: Entry, rng: Random) -> None:
        if self._abandoned:
            return
        stage = Stage(entry.toxic, rng, self._outlet, self)
        self._stages[entry.serial] = stage
        self._connect()
        stage.run(entry.toxic)

    def _connect(self) -> None:
        """Order the chain as the toxics were added and let each stage know what follows it."""
        self._stages = dict(sorted(self._stages.items()))
        following = self._outlet
        for stage in reversed(self._stages.values()):
            stage.outlet = following
            following = stage
        self._first = following
        self.poke()

    # -- for the stages ---------------------------------------------------------------------------------------

    def reset(self) -> None:
        """End the connection with RST."""
        self._owner.reset()

    def fail(self, error: Exception) -> None:
        """A toxic broke."""
        self._owner.fail(error)
