"""Asks one address for an answer, each time over a new connection: a workload for any kind of service."""

from __future__ import annotations

from harness.experiments.history import Result
from harness.experiments.workload import Careful, Record
from harness.model import Endpoint
from harness.probes.answer import answers


class Asks(Careful):
    """Records `ask`: acknowledged when the service answers in its protocol within `within` seconds."""

    def __init__(self, endpoint: Endpoint, within: float = 1.0) -> None:
        self.endpoint, self.within = endpoint, within

    def step(self, number: int, record: Record) -> None:
        """One question."""
        record("ask", self.endpoint.name, number, lambda: answers(self.endpoint, self.within))

    def classify(self, error: Exception) -> Result:
        """A question has no effect that could still come."""
        del error
        return Result.FAIL
