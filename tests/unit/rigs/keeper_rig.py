"""A keeper in this very process, over its real socket, on the runtime without processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import KeeperClient
from harness.keeper.rundir import RunDir
from harness.keeper.server import Server
from harness.keeper.watch import MainLoop
from tests.unit.rigs.core_rig import FakeRuntime


@dataclass
class Keeper:
    """The server, its loop on a thread of its own, and the clients that a test made."""

    server: Server
    loop: MainLoop
    run_dir: RunDir
    runtime: FakeRuntime
    report: Path
    clients: list[KeeperClient] = field(default_factory=list)

    def client(self) -> KeeperClient:
        """A fresh connection."""
        self.clients.append(KeeperClient(self.run_dir))
        return self.clients[-1]

    @property
    def request(self) -> dict[str, Any]:
        """What every start needs beside the plan."""
        return {"report": self.report, "about": {"run": "r"}}


@contextmanager
def keeper_here(state: Path, monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime) -> Iterator[Keeper]:
    """Own a stack as the keeper's process does."""
    made: Callable[..., FakeRuntime] = lambda name, directory, spawner: runtime  # noqa: E731
    monkeypatch.setattr("harness.keeper.owned.make_runtime", made)
    run_dir, report = RunDir(state / "r"), state / "report"
    run_dir.path.mkdir()
    report.mkdir()
    loop = MainLoop(None, None)
    server = Server(run_dir, loop)
    keeper = Keeper(server, loop, run_dir, runtime, report)

    def own() -> None:
        loop.run()
        server.finish(server.owned.close(loop, grace=2.0))
        run_dir.remove()

    threads = [
        threading.Thread(target=server.serve_forever, args=(0.01,)),
        threading.Thread(target=own),
    ]
    for thread in threads:
        thread.start()
    try:
        yield keeper
    finally:
        for client in keeper.clients:
            client.disconnect()
        loop.end("the test is over")
        server.shutdown()
        for thread in threads:
            thread.join(10)
        server.server_close()
