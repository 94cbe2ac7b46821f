"""redis-server's command line and configuration files, as far as an emulator without a disk can follow them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.emulators.runner import ConfigError

WITHOUT_EFFECT = frozenset({
    "appendonly", "appendfsync", "save", "dir", "daemonize", "protected-mode", "tcp-keepalive", "timeout", "maxmemory",
    "maxmemory-policy", "notify-keyspace-events", "latency-monitor-threshold", "loglevel", "databases",
})  # fmt: skip
"""Directives that are read and change nothing: there is no disk, no memory limit and no second user."""


@dataclass(frozen=True)
class Options:
    """Where to listen, and the password; empty for none."""

    host: str = "127.0.0.1"
    port: int = 6379
    password: str = ""


def read_options(argv: Sequence[str]) -> Options:
    """Read `[config-file] [--directive value...]`, the command line last. Raises ConfigError in the server's words."""
    words = list(argv)
    directives: list[tuple[str, str]] = []
    if words and not words[0].startswith("-"):
        directives += _from_file(Path(words.pop(0)))
    directives += _expanded(_from_words(words))
    options = Options()
    for number, (name, value) in enumerate(directives, 1):
        options = _applied(options, name, value, number)
    return options


def _from_words(words: Iterable[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            found.append((word[2:].lower(), []))
        elif found:
            found[-1][1].append(word)
    return [(name, " ".join(values)) for name, values in found]


def _from_file(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"Fatal error, can't open config file '{path}': {error.strerror}") from error
    stripped = (line.strip() for line in lines)
    split = [line.partition(" ") for line in stripped if line and not line.startswith("#")]
    return _expanded([(name.lower(), value.strip().strip('"')) for name, _, value in split])


def _expanded(directives: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each `include` replaced by what the file says."""
    return [
        item
        for name, value in directives
        for item in (_from_file(Path(value)) if name == "include" else [(name, value)])
    ]


def _applied(options: Options, name: str, value: str, number: int) -> Options:
    match name:
        case "port" if value.isdigit():
            return Options(options.host, int(value), options.password)
        case "bind":
            return Options(value.split()[0], options.port, options.password)
        case "requirepass":
            return Options(options.host, options.port, value)
        case _ if name in WITHOUT_EFFECT:
            return options
    reason = "argument couldn't be parsed into an integer" if name == "port" else "Bad directive or wrong arguments"
    raise ConfigError(
        f"*** FATAL CONFIG FILE ERROR ***\nReading the configuration, at line {number}\n>>> '{name} {value}'\n{reason}"
    )
