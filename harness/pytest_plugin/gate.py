"""Gating: a test that builds on something red is blocked, which is neither red nor green, and says by what."""

from __future__ import annotations

from typing import Any

import pytest

from harness import journal
from harness.errors import HarnessError
from harness.model import Outcome
from harness.pytest_plugin.layers import is_ours, is_private, kinds_used, layer_of
from harness.pytest_plugin.session import HarnessSession

FIRST = 1
RED = (Outcome.FAILED, Outcome.ERROR)


BLOCKED = pytest.StashKey[bool]()
"""Set on a test that was not run because something it builds on is red."""


class Gate:
    """Blocks tests of services that are not ready, and tests of later layers whose services' first layer is red."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session
        self._red: dict[str, str] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Before any fixture of the test."""
        if not is_ours(item):
            return
        if lost := self._session.run.directory.loss():
            _block(item, lost)
        try:
            names = self._session.service_names(kinds_used(item))
            if not is_private(item):  # what happens to the shared stack is nothing to it
                self._check_ready(item, names)
        except HarnessError as error:
            pytest.fail(str(error), pytrace=False)
        if self._session.settings["gate"] and layer_of(item.nodeid).number > FIRST:
            self._check_first_layer(item, names)

    def _check_ready(self, item: pytest.Item, names: tuple[str, ...]) -> None:
        handles = [self._session.stack[name] for name in names if name in self._session.stack]
        for handle in handles:
            if handle.cause:
                _block(item, f"{handle.name}: {_first_line(handle.cause)}")

    def _check_first_layer(self, item: pytest.Item, names: tuple[str, ...]) -> None:
        red = self._known_red()
        for name in names:
            if name in red:
                _block(item, f"{name}: {red[name]} is red")

    def _known_red(self) -> dict[str, str]:
        """Services whose first layer is red, with the test that says so: earlier sessions', then this one's."""
        if self._red is None:
            self._red = {}
            for event in journal.read(self._session.run.report / journal.FILE_NAME):
                if event.type == journal.TEST_FINISHED and event["layer"] == "services":
                    self._note(tuple(event["uses"]), event["outcome"], event["test"])
        return self._red

    def _note(self, uses: tuple[str, ...], outcome: str, test: str) -> None:
        if outcome in RED and self._red is not None:
            for name in uses:
                self._red.setdefault(name, test)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Learn from this process's own first-layer tests."""
        report = yield
        if report.failed and is_ours(item) and layer_of(item.nodeid).number == FIRST:
            self._known_red()
            self._note(self._session.known_names(kinds_used(item)), Outcome.FAILED, item.nodeid)
        if item.stash.get(BLOCKED, False):
            report.harness_blocked = True
        return report


def _block(item: pytest.Item, cause: str) -> None:
    item.stash[BLOCKED] = True
    pytest.skip(f"blocked by {cause}")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
