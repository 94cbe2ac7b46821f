"""`otelcol-contrib` as the real one is called: `--config F`, `validate --config F`, `--version`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from harness.emulators.runner import ConfigError, Defects, GoFlags, parse_go_flags, refuse, take_defects

from . import COMMAND, VERSION
from .config_source import load
from .defects import DEFECTS
from .settings import Settings, decode

_FLAGS = frozenset({"config", "version", "help", "h", "v"})
_REFUSED = frozenset({"feature-gates", "set"})
_BOOLEANS = frozenset({"version", "help", "h", "v"})
_COMMANDS = frozenset({"validate"})
_REFUSED_COMMANDS = frozenset({"components", "print-config", "featuregate", "completion"})


def _read_settings(flags: GoFlags) -> Settings:
    locations = flags.all("config")
    if not locations:
        raise ConfigError("Error: at least one config flag must be provided")
    return decode(load(locations, os.environ))


def _parse(words: Sequence[str]) -> tuple[GoFlags, str]:
    flags = parse_go_flags(words, _BOOLEANS)
    for name in flags.values:
        if name in _REFUSED:
            raise ConfigError(f"Error: --{name} is not emulated (501)")
        if name not in _FLAGS:
            raise ConfigError(f"Error: unknown flag: --{name}")
    command = flags.rest[0] if flags.rest else ""
    if command in _REFUSED_COMMANDS:
        raise ConfigError(f"Error: command {command} is not emulated (501)")
    if command and command not in _COMMANDS:
        raise ConfigError(f'Error: unknown command "{command}" for "{COMMAND}"')
    return flags, command


def _validate(settings: Settings, defects: Defects) -> None:
    from .graph import Graph
    from .logs import Log
    from .telemetry import Telemetry

    async def build() -> None:
        Graph(settings, Telemetry(), Log(level="error"), defects, opens_queues=False).build()

    asyncio.run(build())


def main(argv: Sequence[str]) -> None:
    """Run until SIGTERM. Exits 1 with `Error: ...` on a bad start."""
    words, defects = take_defects(argv, DEFECTS)
    try:
        flags, command = _parse(words)
        if flags.on("version") or flags.on("v"):
            return print(f"{COMMAND} version {VERSION}")
        if flags.on("help") or flags.on("h"):
            return print(
                f"Usage:\n  {COMMAND} [flags]\n  {COMMAND} validate --config F\n\nFlags: --config --version --help"
            )
        settings = _read_settings(flags)
        if command == "validate":
            return _validate(settings, defects)
        from .service import Collector

        return asyncio.run(Collector(settings, defects).run())
    except ConfigError as error:
        # `validate` is asked about nothing but the configuration, and does not say so again.
        refuse(str(error).replace("invalid configuration: ", "", 1) if "validate" in words else str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
