"""A Unix socket's address has at most 108 bytes (unix(7), `sun_path`); a directory that users choose may have more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 107
"""Bytes of a path that fit an address, beside the zero that ends it."""


@contextmanager
def address(path: Path) -> Iterator[str]:
    """An address by which to bind or connect to the socket at `path`, good inside the block.

    A path that is too long is named through a descriptor of its directory. Raises OSError when that does not exist.
    """
    if len(os.fsencode(path)) <= LIMIT:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
