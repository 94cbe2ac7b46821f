"""Every option, declared once: flag, environment variable, key in `pyproject.toml`, help and default come from here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h|)", re.ASCII)
_ENGINE = re.compile(r"unix:///[^ ]+|(tcp|http|https)://[^/ ]+|ssh://[^ ]*")
_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True)
class Option:
    """One option. `name` is its spelling in files (`ready_timeout`); the flag and the variable derive from it."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    help: str
    metavar: str = ""
    repeat: bool = False

    @property
    def flag(self) -> str:
        """`--ready-timeout`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """`HARNESS_READY_TIMEOUT`."""
        return "HARNESS_" + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.parse is boolean


def boolean(text: str) -> bool:
    """`1/true/yes/on` or `0/false/no/off`."""
    lowered = text.strip().lower()
    if lowered not in TRUE | FALSE:
        raise ValueError("expected true or false")
    return lowered in TRUE


def seconds(text: str) -> float:
    """A duration: `90`, `90s`, `2m`, `500ms`. Returns seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError("expected a duration such as 90, 90s, 2m or 500ms")
    return float(match.group(1)) * _FACTORS[match.group(2)]


def choice(*allowed: str) -> Callable[[str], str]:
    """One of the given words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return text

    return parse


def whole(text: str) -> int:
    """A whole number that is not negative."""
    if not re.fullmatch(r"[0-9]+", text.strip()):
        raise ValueError("expected a whole number")
    return int(text)


def words(text: str) -> tuple[str, ...]:
    """A list separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def programs(text: str) -> tuple[str, ...]:
    """A list of kind=path separated by commas."""
    found = words(text)
    for item in found:
        kind, _, program = item.partition("=")
        if not kind or not program:
            raise ValueError(f"expected KIND=PATH, found {item!r}")
    return found


def engine_addresses(text: str) -> tuple[str, ...]:
    """A list of engines separated by commas, each as DOCKER_HOST has it."""
    found = words(text)
    for item in found:
        if not _ENGINE.fullmatch(item):
            raise ValueError(
                "expected addresses such as unix:///run/docker.sock, tcp://127.0.0.1:2375 or ssh://me@host, "
                f"found {item!r}"
            )
    return found


def path(text: str) -> Path:
    """A path, `~` expanded."""
    if not text:
        raise ValueError("expected a path")
    return Path(text).expanduser()


def paths(text: str) -> tuple[Path, ...]:
    """A list of paths separated by commas."""
    return tuple(path(part) for part in words(text))


OPTIONS: tuple[Option, ...] = (
    Option(
        "compose",
        paths,
        (Path("compose/stack.yml"),),
        "Compose file of the stack; give it again for an overlay.",
        "FILE",
        repeat=True,
    ),
    Option(
        "runtime",
        choice("auto", "docker", "process", "external"),
        "auto",
        "Where services run: docker, process (real binaries, else emulators), external (see --target), or auto.",
        "NAME",
    ),
    Option(
        "engines",
        engine_addresses,
        (),
        "Docker engines to shard tests over, a stack and a worker or more for each; addresses as in DOCKER_HOST.",
        "ADDRESS,...",
    ),
    Option(
        "ssh_config",
        path,
        None,
        "Configuration of ssh for engines over ssh, in place of ~/.ssh/config.",
        "FILE",
    ),
    Option(
        "pull",
        choice("always", "missing", "never"),
        "missing",
        "When to pull images (docker runtime).",
        "WHEN",
    ),
    Option(
        "mirror",
        str,
        "",
        "Registry and path that serves Docker Hub's images, tried before it; other registries are left alone.",
        "HOST/PATH",
    ),
    Option(
        "images",
        words,
        (),
        "Images to use instead of the compose file's, as name=replacement; a name without a tag keeps the tag.",
        "NAME=IMAGE",
    ),
    Option(
        "require_fidelity",
        words,
        (),
        "Fail instead of using an emulator: `real` for all services, or names of services or kinds.",
        "real|SERVICE",
    ),
    Option("target", path, None, "TOML file with the endpoints of a running environment (external runtime).", "FILE"),
    Option("read_only", boolean, False, "Against a running environment: write nothing at all (smoke)."),
    Option("budget", seconds, 60.0, "How long a smoke run may take; what is not reached by then is told.", "TIME"),
    Option("allow_emulators", boolean, False, "Let a smoke run or a canary judge emulators, for a rehearsal."),
    Option("reports", path, Path("reports"), "Directory that gets one folder per run.", "DIR"),
    Option("keep", choice("never", "on-failure", "always"), "never", "Leave the stack up after the run.", "WHEN"),
    Option("ready_timeout", seconds, 60.0, "How long all services together may take to be ready.", "TIME"),
    Option("seed", whole, None, "Seed of everything random in the run; drawn and printed when not given.", "N"),
    Option("gate", boolean, True, "Report tests of later layers as blocked when a service they use is red."),
    Option("slow", boolean, False, "Run the tests marked slow too, whose real floor exceeds 10 s (nightly)."),
    Option("soak", seconds, 60.0, "How long the soak test (slow) uses a stack while it looks for growth.", "TIME"),
    Option("retries", whole, 2, "How often a nightly run is tried again when no test ran: images, engine.", "N"),
    Option("history", path, Path("reports/history"), "Directory with a small file per past nightly run.", "DIR"),
    Option(
        "may_emulate",
        words,
        (),
        "What a nightly run may take an emulator for, by service or kind, or `all`: for a rehearsal.",
        "NAME",
    ),
    Option("layers", words, (), "Only these layers, by name (services, integration, ...).", "NAME"),
    Option("state", path, None, "Directory for sockets and data of running stacks.", "DIR"),
    Option("attach", str, "", "Use the running stack of this run id (see `harness status`).", "RUN"),
    Option(
        "allow_degrade",
        boolean,
        False,
        "With CI set, let `auto` fall back to the process runtime when docker does not answer.",
    ),
    Option(
        "binaries",
        programs,
        (),
        "Real servers to use, as kind=path (consul=/opt/consul); kind=emulator for none although one is on PATH.",
        "KIND=PATH",
    ),
)

INTERNAL_VARIABLES = frozenset(
    {
        "HARNESS_RUN_DIR",
        "HARNESS_REPORT_DIR",
        "HARNESS_LAYER",
        "HARNESS_ENABLED",
        "HARNESS_SMOKE",
        "HARNESS_DEADLINE",
        "HARNESS_TUNNELS",
    }
)
"""Variables that one part of the harness sets for another. Not options."""


def option_named(name: str) -> Option:
    """The declared option of that name. Raises UsageError for one that does not exist."""
    for option in OPTIONS:
        if option.name == name:
            return option
    raise UsageError(f"unknown option {name!r}: expected one of {', '.join(option.name for option in OPTIONS)}")
