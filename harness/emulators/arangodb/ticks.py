"""The server's one growing tick, and revisions: hybrid logical time in Arango's base64 alphabet."""

from __future__ import annotations

from collections.abc import Callable

_ALPHABET = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_VALUE = {letter: index for index, letter in enumerate(_ALPHABET)}
_COUNT_BITS = 20


def encode_revision(stamp: int) -> str:
    """A 64-bit hybrid timestamp as `_rev` text (HybridLogicalClock.h: six bits per letter, no leading zeros)."""
    letters = []
    while stamp:
        letters.append(_ALPHABET[stamp & 63])
        stamp >>= 6
    return "".join(reversed(letters))


def decode_revision(revision: str) -> tuple[int, int]:
    """The milliseconds since 1970 and the counter of a revision. Raises KeyError for a foreign letter."""
    stamp = 0
    for letter in revision:
        stamp = stamp * 64 + _VALUE[letter]
    return stamp >> _COUNT_BITS, stamp & ((1 << _COUNT_BITS) - 1)


class Ticks:
    """Growing numbers for ids and keys, and growing revisions. `now` gives seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.last = 200
        self._stamp = 0

    def next(self) -> int:
        """A number never given before."""
        self.last += 1
        return self.last

    def revision(self) -> str:
        """A revision greater than every earlier one."""
        self._stamp = max(self._stamp + 1, int(self.now() * 1000) << _COUNT_BITS)
        return encode_revision(self._stamp)

    def restore(self, tick: int) -> None:
        """Continue after `tick`, which a data directory remembers."""
        self.last = max(self.last, tick)
