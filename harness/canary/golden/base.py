"""What golden data is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from harness.ports import Handle


class Golden(ABC):
    """The data set and the queries of one kind. `client` is what the kind's `client` gives."""

    kind: ClassVar[str]

    @abstractmethod
    def plant(self, client: Any, handle: Handle) -> list[str]:
        """Write the data set. Returns the name of each write that was acknowledged."""

    @abstractmethod
    def kept(self, client: Any) -> list[str]:
        """The names of those writes that are there, with the value they were given."""

    @abstractmethod
    def ask(self, client: Any) -> Mapping[str, Any]:
        """The answer of each fixed query, as values that compare and print."""
