"""Private stacks and experiments: services for one test alone, broken as one likes, gone at its end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from harness import app
from harness.errors import LeftBehind
from harness.experiments.experiment import Experiment, Outcome
from harness.experiments.run import run
from harness.identity import Identity
from harness.journal import EXPERIMENT_FINISHED
from harness.keeper.client import KeeperClient, RemoteStack
from harness.model import LinkPlan, RuntimeName, ServicePlan
from harness.plan import only
from harness.pytest_plugin.session import HarnessSession

COMPOSE = Path("compose/ha.yml")


class PrivateStacks:
    """`private_stack("redis-primary", "redis-replica-1", links=[...], variables={...})`: a running stack.

    Only the named services and what they depend on are started, from `compose` (`compose/ha.yml`), on the run's own
    runtime, by a keeper of their own. Everything is gone when the test ends. The run's overlays come along: beside
    `compose/offline.yml` lies `compose/offline-ha.yml`.
    """

    def __init__(self, session: HarnessSession, name: str) -> None:
        self._session, self._name = session, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        self._clients: list[KeeperClient] = []

    def __call__(
        self,
        *services: str,
        compose: Iterable[Path | str] = (COMPOSE,),
        links: Iterable[LinkPlan] = (),
        variables: Mapping[str, str] | None = None,
    ) -> RemoteStack:
        """Started and ready. Skips on an external environment; fails with the cause when a service is not ready."""
        if self._session.external:
            pytest.skip("not verified: no private stack is started beside a live environment")
        outer = self._session.run
        outer.prepare()
        root = outer.settings.root
        files = with_overlays([root / file for file in compose], [root / file for file in outer.settings["compose"]])
        inner = app.private_run(outer, files, self._name)
        plan, reason = app.plan_for(inner.settings, variables)
        plan = only(plan, services or plan.services, links)
        inner.prepare()
        app.ensure_keeper(inner, Identity.mine())
        client = app.connect(inner)
        self._clients.append(client)
        stack = app.start_stack(inner, client, plan, reason)
        for handle in stack.failed():
            pytest.fail(f"private stack: {handle.name}: {handle.cause}", pytrace=False)
        return stack

    @property
    def runtime(self) -> RuntimeName:
        """Where private stacks run."""
        return self._session.planned[0].runtime

    def emulates(self, kind: str) -> bool:
        """Whether only an emulator of this kind can be had here."""
        from harness.runtimes.choice import find_binaries

        if self.runtime is not RuntimeName.PROCESS:
            plan = self._session.planned[0]
            return any(service.kind == kind and service.stand_in for service in plan.services.values())
        probe = {kind: ServicePlan(kind, "", kind)}
        return find_binaries(self._session.settings, probe)[kind] is None

    def from_wheel(self, kind: str) -> bool:
        """Whether the only server of this kind here is one that a Python package carries."""
        from harness.runtimes.choice import find_binaries

        if self.runtime is not RuntimeName.PROCESS:
            return False
        found = find_binaries(self._session.settings, {kind: ServicePlan(kind, "", kind)})[kind]
        return found is not None and "site-packages" in found.path.parts

    def close(self) -> None:
        """End them all. Raises LeftBehind naming what is still there."""
        left = []
        while self._clients:
            left += self._clients.pop().close_stack()
        if left:
            raise LeftBehind(f"private stack: still there: {', '.join(left)}", "remove it by hand")


def with_overlays(files: Iterable[Path], run: Iterable[Path]) -> list[Path]:
    """The files of a private stack, each followed by what the run's own files have for it: `offline.yml` of the run
    brings `offline-ha.yml` for `ha.yml`, where that lies beside it; the run's first file brings all its overlays."""
    overlays = list(run)
    found: list[Path] = []
    for file in files:
        if overlays[:1] == [file]:
            found += overlays
            continue
        beside = [file.with_name(f"{overlay.stem}-{file.stem}{file.suffix}") for overlay in overlays]
        found += [file, *(path for path in beside if path.is_file())]
    return found


class ExperimentRunner:
    """`run_experiment(experiment)`: the outcome. Its history and its journal entry are written; a stack whose undo
    failed is ended at once."""

    def __init__(self, session: HarnessSession, test: str, stacks: PrivateStacks) -> None:
        self._session, self._test, self._stacks = session, test, stacks

    def __call__(self, experiment: Experiment) -> Outcome:
        """Run it."""
        directory = self._session.run.report / "histories"
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{experiment.name}-{len(list(directory.iterdir()))}.jsonl"
        outcome = run(experiment, file)
        self._note(outcome, file)
        if outcome.discarded:
            self._stacks.close()
        return outcome

    def _note(self, outcome: Outcome, file: Path) -> None:
        self._session.run.journal.write(
            EXPERIMENT_FINISHED,
            name=outcome.experiment,
            test=self._test,
            verdict=outcome.verdict,
            ending=outcome.ending,
            cause=outcome.cause,
            witness=outcome.witnessed,
            findings=[asdict(found) for found in outcome.findings],
            phases=[asdict(phase) for phase in outcome.phases],
            measured=dict(outcome.measured),
            points=list(outcome.points),
            changes=list(outcome.changes),
            history=str(file.relative_to(self._session.run.report)),
            discarded=outcome.discarded,
        )
