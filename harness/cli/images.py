"""`harness images`: what a stack needs, pulled, carried to a site without a network, and under which licence."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from harness import app
from harness.cli.verb import Verb, add_options, flags_of
from harness.config.settings import Settings
from harness.errors import RuntimeUnavailable, UsageError
from harness.report.console import make_console
from harness.runtimes.ssh.reach import DOCKER_HOST, reach

if TYPE_CHECKING:
    from harness.runtimes.registry import Described

ACTIONS = ("list", "pull", "save", "load", "lock")
PLATFORMS = ("linux/amd64", "linux/arm64")
"""What every locked image has to be built for."""


def configure(parser: argparse.ArgumentParser) -> None:
    """What to do, and for which stack."""
    parser.add_argument(
        "action", choices=ACTIONS, help="list; pull; save FILE (from this engine); load FILE (into it); lock"
    )
    parser.add_argument("file", nargs="?", type=Path, help="the archive of save and load")
    add_options(parser, ("compose", "pull", "mirror", "images", "ssh_config"))


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    settings = app.load_settings(flags_of(arguments))
    if arguments.action in {"save", "load"} and arguments.file is None:
        raise UsageError(f"harness images {arguments.action}: expected a FILE")
    if arguments.action != "lock":  # which asks registries, and no engine
        reach(os.environ.get(DOCKER_HOST, ""), settings["ssh_config"])
    return {"list": _list, "pull": _pull, "save": _save, "load": _load, "lock": _lock}[arguments.action](
        settings, arguments.file
    )


def _list(settings: Settings, file: Path | None) -> int:
    del file
    from harness.runtimes.docker.images import on_engine
    from harness.services import kind_named

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("service", "image", "on the engine", "licence"):
        table.add_column(column, overflow="fold")
    services = app.services_of(settings)
    sizes = on_engine([service.image for service in services.values()])
    for name, service in services.items():
        size = sizes.get(service.image)
        there = f"{size / 1e6:.0f} MB" if size else "[yellow]no[/]"
        licence = kind_named(service.kind).facts.licence if service.kind else "see the image"
        table.add_row(name, service.image, there, licence)
    make_console().print(table)
    return 0


def _pull(settings: Settings, file: Path | None) -> int:
    del file
    from harness.runtimes.docker.asking import have_images

    console = make_console()
    policy = "missing" if settings["pull"] == "never" else settings["pull"]
    places = app.image_places(settings, app.services_of(settings).values())

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    have_images(places, policy, tell, app.image_ids(settings))
    console.print(f"{len(places)} images are on the engine", markup=False)
    return 0


def _save(settings: Settings, file: Path | None) -> int:
    from harness.runtimes.docker.images import save

    names = sorted({service.image for service in app.services_of(settings).values()})
    size = save(names, file or Path())
    make_console().print(f"{file}: {len(names)} images, {size / 1e6:.0f} MB", markup=False)
    return 0


def _lock(settings: Settings, file: Path | None) -> int:
    """Ask the registries for the digests of the multi-architecture indexes, and write them beside the compose file."""
    del file
    from harness.runtimes.registry import write_lock

    images = sorted({service.image for service in app.services_of(settings).values()})
    write_lock(app.lock_file(settings), [_described(image, settings["mirror"]) for image in images], PLATFORMS)
    make_console().print(f"{app.lock_file(settings)}: {len(images)} images", markup=False)
    return 0


def _described(image: str, mirror: str) -> Described:
    """What the mirror says of an image or, where it does not, its own registry: a digest is the same everywhere."""
    from harness.runtimes.images import candidates
    from harness.runtimes.registry import describe

    refusals = []
    for place in candidates(image, {}, mirror):
        try:
            return replace(describe(place), image=image)
        except RuntimeUnavailable as error:
            refusals.append(error)
    raise refusals[-1]


def _load(settings: Settings, file: Path | None) -> int:
    """An archive carries no digests. An image's id is one of its content, and the lock has it too."""
    from harness.runtimes.docker.images import load

    locked = app.image_ids(settings)
    for name, identity in load(file or Path()).items():
        verdict = "as locked" if identity in locked.get(name, ()) else "NOT the locked one"
        make_console().print(f"{name}: {verdict if name in locked else 'not locked'}", markup=False)
    return 0


VERB = Verb(
    configure,
    run,
    "examples:\n"
    "  harness images list                       what the stack needs, and the licences\n"
    "  harness images pull && harness images save stack.tar\n"
    "  harness images load stack.tar             on the machine without a network\n"
    "  harness images lock                       digests of today's images, beside the compose file\n",
)
