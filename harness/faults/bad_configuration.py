"""A restart with a configuration that the service refuses: the most common outage of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import Handle, Reconfigurable


@dataclass(frozen=True)
class BadConfiguration(Fault):
    """`word` goes to the end of the command line. Undone by a start with the command line as it was."""

    name: ClassVar[str] = "bad_configuration"
    needs: ClassVar[tuple[type, ...]] = (Handle, Reconfigurable)
    word: str = "--no-such-setting"

    def on(self, target: Any) -> Injection:
        """Restart it broken; restart it whole."""
        return Injection(
            f"restart {target.name} with {self.word}",
            lambda: target.misconfigure(self.word),
            target.reconfigure,
            lambda: answering(target),
        )
