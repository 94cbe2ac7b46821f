"""A container's output, copied as it comes into one file that only grows, through every restart of the container."""

from __future__ import annotations

import calendar
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from requests import RequestException
from urllib3.exceptions import HTTPError

SETTLE = 0.5
"""Seconds that a dead container's last lines may take to arrive in the file."""


class LogPump:
    """A thread per life of the container. The stream ends by itself when the container does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._stream: Any = None

    def follow(self, container: Any) -> None:
        """Copy everything from this start on."""
        if self._thread is not None:
            self._thread.join(SETTLE)
        since = _started_at(container)
        self._thread = threading.Thread(target=self._copy, args=(container, since), daemon=True, name="log")
        self._thread.start()

    def _copy(self, container: Any, since: float | None) -> None:
        try:
            self._stream = container.logs(stream=True, follow=True, since=since)
            with self._path.open("ab", buffering=0) as file:
                for chunk in self._stream:
                    file.write(chunk)
        except (DockerException, RequestException, HTTPError, OSError, ValueError) as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        with suppress(OSError), self._path.open("a") as file:  # the file itself may be what is wrong
            file.write(f"(log ends here: {type(error).__name__})\n")

    def settle(self) -> None:
        """Wait for the last lines of a container that has died."""
        if self._thread is not None:
            self._thread.join(SETTLE)

    def close(self) -> None:
        """End the stream."""
        if self._stream is not None and self._thread is not None and self._thread.is_alive():
            with suppress(OSError, AttributeError):  # it has come to its end meanwhile
                self._stream.close()
            self._thread.join(SETTLE)


def _started_at(container: Any) -> float | None:
    """When this life began, in seconds since the epoch: lines of an earlier life are in the file already."""
    container.reload()
    whole, _, fraction = container.attrs["State"].get("StartedAt", "").rstrip("Z").partition(".")
    try:
        seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    return seconds + float(f"0.{fraction[:6] or 0}") if seconds > 0 else None  # the year 1: not started yet
