"""One way to the terminal: colour only on a terminal, `NO_COLOR` respected, plain and wide text in pipes and CI."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console

PLAIN_WIDTH = 200


def make_console(stream: TextIO | None = None) -> Console:
    """A console on standard output."""
    target = stream or sys.stdout
    terminal = target.isatty() and not os.environ.get("CI")
    width = None if terminal else PLAIN_WIDTH
    return Console(file=target, width=width, force_terminal=terminal, no_color=not terminal or None, highlight=False)
