"""What every part of one Grafana shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .config import Settings
from .store import Store


class Faults(Protocol):
    """A set of names that can be asked for one."""

    def __contains__(self, name: str, /) -> bool:
        """Whether this seeded defect is switched on."""


@dataclass(frozen=True)
class Site:
    """One running Grafana: its database, its configuration, its clock (seconds), its seeded defects."""

    store: Store
    settings: Settings
    clock: Callable[[], float]
    defects: Faults
