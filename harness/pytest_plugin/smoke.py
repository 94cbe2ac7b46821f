"""Smoke tests: a corner below `smoke/<id>/` whose removal is verified, and a deadline after which nothing is begun."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from harness import journal
from harness.ports import Handle
from harness.pytest_plugin.session import HarnessSession, session_of
from harness.smoke.identity import new_id
from harness.smoke.sweep import remove

ID, DEADLINE = "HARNESS_SMOKE", "HARNESS_DEADLINE"
"""Variables by which `harness smoke` names its run, and says (in seconds since the epoch) when it has to be over."""
READ_ONLY = "not verified: --read-only writes nothing"
NOT_REACHED = "not reached"
IDENTITY = pytest.StashKey[str]()


class SmokeCorner:
    """What a smoke test may touch: `read` a service, or `write` to it below `smoke/<id>/`."""

    def __init__(self, session: HarnessSession, identity: str) -> None:
        self.identity = identity
        self._session = session
        self._written: dict[str, Handle] = {}

    def read(self, kind: str) -> Handle:
        """The service of a kind; the test is skipped when there is none."""
        return self._session.handle_of(kind)

    def write(self, kind: str) -> Handle:
        """The same, to be written to: skipped with --read-only. What is below `smoke/<id>/` goes when the test ends."""
        handle = self.read(kind)
        if self._session.settings["read_only"]:
            pytest.skip(READ_ONLY)
        self._written[kind] = handle
        return handle

    def close(self) -> None:
        """Remove what was written, and see that it is gone. Raises the first failure after trying all."""
        failures = []
        for handle in self._written.values():
            try:
                remove(handle, self.identity)
            except Exception as error:  # one service's failure must not keep the others' corners
                failures.append(error)
        self._written.clear()
        if failures:
            raise failures[0]


@pytest.fixture
def smoke_corner(pytestconfig: pytest.Config) -> Iterator[SmokeCorner]:
    """For tests marked `smoke`: services to read, and to write to below `smoke/<id>/`, gone when the test ends."""
    stash = pytestconfig.stash
    identity = stash.setdefault(IDENTITY, os.environ.get(ID) or new_id())
    corner = SmokeCorner(session_of(pytestconfig), identity)
    yield corner
    corner.close()


class Budget:
    """Registered in a session of `harness smoke`: notes what is to run, and begins nothing after the deadline."""

    def __init__(self, session: HarnessSession, deadline: float, clock: Callable[[], float] = time.time) -> None:
        self._session, self._deadline, self._clock = session, deadline, clock

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is to run, so that what was not is known even when this process is ended."""
        self._session.run.journal.write(journal.SMOKE_PLANNED, tests=[item.nodeid for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Before any fixture of the test."""
        if self._clock() >= self._deadline:
            pytest.skip(f"{NOT_REACHED}: the budget was spent before {item.name}")


def budget_of(session: HarnessSession) -> Budget | None:
    """The deadline that `harness smoke` has set; None in any other session."""
    deadline = os.environ.get(DEADLINE)
    return Budget(session, float(deadline)) if deadline else None
