"""The server's one growing tick, and revisions: hybrid logical time in Arango's base64 alphabet."""

from __future__ import annotations

from collections.abc import Callable

_ALPHABET = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_COUNT_BITS = 20


class Ticks:
    """Growing numbers for ids and keys, and growing revisions. `now` gives seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.last = 200
        self._stamp = 0

    def next(self) -> int:
        """A number never given before."""
        self.last += 1
        return self.last

    def revision(self) -> str:
        """A `_rev` greater than every earlier one: six bits per letter, no leading zeros (HybridLogicalClock.h)."""
        self._stamp = stamp = max(self._stamp + 1, int(self._now() * 1000) << _COUNT_BITS)
        letters = ""
        while stamp:
            letters = _ALPHABET[stamp & 63] + letters
            stamp >>= 6
        return letters

    def restore(self, tick: int) -> None:
        """Continue after `tick`, which a data directory remembers."""
        self.last = max(self.last, tick)
