"""The id of a smoke run: its beginning and something random, so that a later run can tell how old its leftovers are.

`20261121-053312-a1b2c3`: digits, lower-case letters and hyphens, which every service takes in a name.
"""

from __future__ import annotations

import calendar
import re
import secrets
import time

ROOT = "smoke"
"""What everything that a smoke run writes is named under."""
DEAD_AFTER = 3600.0
"""Seconds after its beginning from which on a smoke run is taken for dead: it may take minutes at most."""
TTL = 600
"""Seconds after which a service that can forgets by itself what a smoke run wrote."""
_FORM = "%Y%m%d-%H%M%S"
_ID = re.compile(r"(\d{8}-\d{6})-[0-9a-f]{6}")


def new_id(now: float | None = None) -> str:
    """A fresh id of a run that begins `now` (seconds since the epoch)."""
    return f"{time.strftime(_FORM, time.gmtime(now))}-{secrets.token_hex(3)}"


def begun(identity: str) -> float | None:
    """When the run of that id began, in seconds since the epoch; None for what is no such id."""
    match = _ID.fullmatch(identity)
    if not match:
        return None
    try:
        return float(calendar.timegm(time.strptime(match.group(1), _FORM)))
    except ValueError:
        return None


def is_id(text: str) -> bool:
    """Whether this is the id of a smoke run."""
    return begun(text) is not None


def is_dead(identity: str, now: float) -> bool:
    """Whether what this run wrote may be swept. Never for a name that is no id: it is somebody else's."""
    started = begun(identity)
    return started is not None and now - started > DEAD_AFTER
