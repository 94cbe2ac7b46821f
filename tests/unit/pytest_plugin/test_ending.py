"""The end of a stack whose keeper dies in the middle of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import app, journal
from harness.errors import KeeperError
from harness.identity import Identity
from harness.pytest_plugin.ending import close_stack


class Lost:
    """A client whose keeper dies after it was connected to."""

    def close_stack(self) -> list[str]:
        raise KeeperError("run r: lost its keeper: [Errno 104] Connection reset by peer")


def test_a_keeper_that_dies_while_its_stack_is_closed_leaves_no_directory(state: Path) -> None:
    run = app.new_run(app.load_settings({"state": str(state / "s"), "reports": str(state / "r")}, state))
    run.prepare()
    run.directory.owner.write_text(replace(Identity.mine(), started=1).to_json())
    client: Any = Lost()
    close_stack(run, client)
    (event,) = [event for event in journal.read(run.report / journal.FILE_NAME) if event.type == journal.LEFT_BEHIND]
    assert event["what"] == ["run r: lost its keeper: [Errno 104] Connection reset by peer"]
    assert not run.directory.path.exists()
