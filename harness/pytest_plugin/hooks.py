"""Enabling the harness in one pytest process, whether it is alone, an xdist controller, or a worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness import app
from harness.app import Run
from harness.config.settings import Settings
from harness.errors import HarnessError, UsageError
from harness.identity import Identity
from harness.pytest_plugin import fixtures
from harness.pytest_plugin.ending import Ending
from harness.pytest_plugin.engines import Engines, live_on, stack_of
from harness.pytest_plugin.gate import Gate
from harness.pytest_plugin.layers import LAYERS, USES, in_order, is_ours
from harness.pytest_plugin.recorder import Recorder, Windows
from harness.pytest_plugin.session import KEY, HarnessSession, flags_of
from harness.pytest_plugin.smoke import budget_of

WORKER_KEY = "infra_harness"
MARKERS = (
    f"{USES}(*kinds): services that a test uses without asking for their fixture.",
    "slow: its real floor exceeds 10 s; left to the nightly run.",
    "smoke: safe on a live environment: writes only below smoke/<id>/, and removes it.",
)
SLOW = "not verified: slow, left to the nightly run (--slow)"


def enable(config: pytest.Config) -> None:
    """Register markers, fixtures, gate, recorder and ending. Bad settings are a usage error of pytest's own kind."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        session = _make_session(config)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[KEY] = session
    live_on(session.run)
    manager = config.pluginmanager
    manager.register(fixtures.make_module(), "infra-harness-fixtures")
    manager.register(Order(session), "infra-harness-order")
    manager.register(Gate(session), "infra-harness-gate")
    if budget := budget_of(session):
        manager.register(budget, "infra-harness-budget")
    manager.register(Windows(session), "infra-harness-windows")
    if not hasattr(config, "workerinput"):
        manager.register(Recorder(session), "infra-harness-recorder")
        manager.register(Ending(session), "infra-harness-ending")
        if session.run.engine:
            manager.register(Engines(session), "infra-harness-engines")
        if manager.hasplugin("xdist"):
            manager.register(ToWorkers(session), "infra-harness-workers")


def _make_session(config: pytest.Config) -> HarnessSession:
    # `harness test` starts pytest in the project, whose root is not pytest's when the tests are those we bring along.
    ours = "HARNESS_RUN_DIR" in os.environ
    settings = app.load_settings(flags_of(config), config.invocation_params.dir if ours else config.rootpath)
    given: dict[str, Any] | None = getattr(config, "workerinput", {}).get(WORKER_KEY)
    if given:
        settings = settings.with_value("seed", given["seed"], "controller")
        settings = settings.with_value("engines", tuple(given["engines"]), "controller")
        run = app.join_run(settings, Path(given["directory"]), Path(given["report"]))
        return HarnessSession(settings, run, Identity.from_json(given["owner"]), owns_run=False)
    run, owns = _own_or_join(settings)
    return HarnessSession(settings, run, Identity.mine(), owns)


def _own_or_join(settings: Settings) -> tuple[Run, bool]:
    """A run of our own; or the one of `harness test`, or a stack that is up."""
    directory, report = os.environ.get("HARNESS_RUN_DIR"), os.environ.get("HARNESS_REPORT_DIR")
    if directory and report:
        return app.join_run(settings, Path(directory), Path(report)), False
    fresh = app.new_run(settings, several=True)
    if settings["attach"]:
        _refuse_engines(settings)
        found = app.pick_running(settings, settings["attach"])
        return app.join_run(settings, found.path, fresh.report), True
    return fresh, True


def _refuse_engines(settings: Settings) -> None:
    if settings["engines"]:
        raise UsageError(
            f"engines by {settings.origin('engines')}, and a running stack by {settings.origin('attach')}: expected "
            "one of the two, for a running stack has its engine",
            "leave one of the two away",
        )


class ToWorkers:
    """Tells each xdist worker which run it belongs to, and which of its stacks is the worker's."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session

    def pytest_configure_node(self, node: Any) -> None:
        """Called by xdist before a worker starts."""
        run = stack_of(self._session.run, node.gateway.id)
        node.workerinput[WORKER_KEY] = {
            "engines": run.settings["engines"],
            "directory": str(run.directory.path),
            "report": str(run.report),
            "owner": self._session.owner.to_json(),
            "seed": run.seed,
        }


class Order:
    """Layer after layer, as far as one pytest session can."""

    def __init__(self, session: HarnessSession) -> None:
        self._session = session

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort by layer; leave slow tests to the nightly run, and say so in the report."""
        items[:] = in_order(items)
        if not self._session.settings["slow"]:
            for item in items:
                if item.get_closest_marker("slow") and is_ours(item):
                    item.add_marker(pytest.mark.skip(reason=SLOW))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Bad input ends the run in one sentence, before any test. In an xdist worker each test tells it instead."""
        config = session.config
        if config.option.collectonly or hasattr(config, "workerinput") or not any(map(is_ours, session.items)):
            return
        try:
            config.stash[KEY].service_names(())
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_report_header(self, config: pytest.Config) -> str:
        """One line above the tests."""
        names = ", ".join(layer.name for layer in LAYERS)
        return f"infra-harness: seed {config.stash[KEY].run.seed}, layers {names}"
