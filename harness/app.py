"""The composition root: from settings to a running stack. Used by the command line and by the pytest plugin.

The only place where settings, compose files, plan, runtimes and keeper meet.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.config import packaged
from harness.config import settings as config
from harness.config.settings import Settings
from harness.credentials import is_sensitive
from harness.errors import KeeperError, UsageError
from harness.identity import Identity
from harness.journal import FILE_NAME, RUN_STARTED, SERVICE_FAILED, SERVICE_READY, Journal
from harness.journal import read as read_journal
from harness.keeper import rundir
from harness.keeper.client import KeeperClient, Progress, RemoteStack, ignore
from harness.keeper.launch import Lifeline, launch
from harness.keeper.rundir import RunDir
from harness.model import RuntimeName, ServicePlan, StackPlan
from harness.run import Run as Run
from harness.run import join_run as join_run
from harness.run import new_run as new_run

if TYPE_CHECKING:
    from harness.config.compose import ComposeFile
    from harness.runtimes.external import ExternalHandle, ExternalStack

Tell = Callable[[str], None]


def load_settings(flags: Mapping[str, Any], root: Path | None = None) -> Settings:
    """All settings: the seed drawn when none was given, the harness's own stack where the project has none.

    Raises UsageError.
    """
    loaded = config.load(flags, os.environ, root or Path.cwd())
    if loaded.origin("compose") == "default" and not (loaded.root / loaded["compose"][0]).exists():
        loaded = loaded.with_value("compose", (packaged.stack_file(),), packaged.ORIGIN)
    if loaded["seed"] is None:
        loaded = loaded.with_value("seed", secrets.randbelow(2**31), "drawn")
    return loaded


def plan_for(settings: Settings, variables: Mapping[str, str] | None = None) -> tuple[StackPlan, str]:
    """The stack of these settings, and the words that say why this runtime. Raises HarnessError for bad input.

    `variables` interpolate the compose files beside the environment's, and win.
    """
    from harness import plan
    from harness.runtimes.choice import choose_runtime, find_binaries, refuse_engines_without_containers

    refuse_engines_without_containers(settings)
    if settings["runtime"] == RuntimeName.EXTERNAL:
        kinds = {name: handle.kind for name, handle in read_target(settings).items()}
        return plan.plan_of_target(str(settings["target"]), kinds), f"target {settings['target']}"
    read = _read_compose(settings, variables or {})
    places = image_places(settings, read.services.values())
    choice = choose_runtime(settings, places, image_ids(settings))
    binaries = find_binaries(settings, plan.bind_kinds(read)) if choice.runtime is RuntimeName.PROCESS else {}
    made = plan.make_plan(read, choice, binaries, settings["require_fidelity"], settings["ready_timeout"], places)
    own = settings.origin("compose") == packaged.ORIGIN
    return made, f"{choice.reason}; no compose/stack.yml here, so {packaged.ORIGIN}" if own else choice.reason


def _read_compose(settings: Settings, variables: Mapping[str, str] | None = None) -> ComposeFile:
    from harness.config import compose
    from harness.config.env_file import beside
    from harness.plan import variables_for_run

    files = [path if path.is_absolute() else settings.root / path for path in settings["compose"]]
    given = {**beside(files[0], os.environ), **os.environ} if files else os.environ
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    return compose.read(files, variables_for_run({**given, **(variables or {})}, text))


def services_of(settings: Settings) -> dict[str, ServicePlan]:
    """The services of the compose files, bound to their kinds; nothing is chosen or looked for."""
    from harness.plan import bind_kinds

    return bind_kinds(_read_compose(settings))


def image_places(settings: Settings, services: Iterable[ServicePlan]) -> dict[str, tuple[str, ...]]:
    """Where each image of a stack may come from."""
    from harness.runtimes.images import candidates
    from harness.runtimes.registry import Lock

    lock = Lock.read(lock_file(settings))
    replacements = dict(item.partition("=")[::2] for item in settings["images"])
    return {
        service.image: candidates(lock.locked(service.image), replacements, settings["mirror"]) for service in services
    }


def image_ids(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """By which ids an engine may have each locked image: all that is left of a digest after `harness images load`."""
    from harness.runtimes.registry import Lock

    return Lock.read(lock_file(settings)).ids


def read_target(settings: Settings) -> ExternalStack:
    """The environment of the external runtime. Raises UsageError."""
    from harness.runtimes.external import read

    if settings["target"] is None:
        raise UsageError("the external runtime needs a target file", "name one with --target; see docs/external.md")
    return read(settings.root / settings["target"])


def open_external(run: Run) -> ExternalStack:
    """The environment of the external runtime, each service asked once per run: the journal tells what it answered."""
    from harness.runtimes.external import ExternalStack, asked, told

    events = list(read_journal(run.report / FILE_NAME))
    known = {event["service"]: event for event in events if event.type in (SERVICE_READY, SERVICE_FAILED)}
    target = read_target(run.settings)
    if known.keys() >= set(target):
        return ExternalStack({name: told(handle, known[name].data) for name, handle in target.items()})
    stack = ExternalStack({name: asked(handle) for name, handle in target.items()})
    if all(event.type != RUN_STARTED for event in events):
        begin_external(run, stack)
    return stack


def begin_external(run: Run, stack: ExternalStack) -> None:
    """The journal's beginning for an environment that has been asked."""
    from harness.plan import plan_of_target

    kinds = {name: handle.kind for name, handle in stack.items()}
    plan = plan_of_target(str(run.settings["target"]), kinds)
    run.journal.write(RUN_STARTED, **_about(run, plan, f"target {run.settings['target']}"))
    for handle in stack.values():
        _note_external(run.journal, handle)


def _note_external(journal: Journal, handle: ExternalHandle) -> None:
    common = {
        "service": handle.name,
        "kind": handle.kind,
        "fidelity": asdict(handle.fidelity),
    }
    journal.hide(secret.reveal() for secret in handle.credentials.values())
    if handle.cause:
        journal.write(SERVICE_FAILED, **common, cause=handle.cause, state="failed")
    else:
        journal.write(SERVICE_READY, **common, seconds=round(handle.ready_after, 3))


def lock_file(settings: Settings) -> Path:
    """Where the digests of a stack's images are locked: beside its first compose file."""
    return Path(settings.root, settings["compose"][0].parent, "images.lock.json")


# -- the stack of a run ---------------------------------------------------------------------------------------------


def ensure_keeper(run: Run, owner: Identity | None, lifeline: bool = False) -> Lifeline | None:
    """Have a keeper for this run, started by whoever comes first."""
    return launch(run.directory, owner, lifeline, run.environment)


def connect(run: Run) -> KeeperClient:
    """A client of the run's keeper. Raises KeeperError."""
    return KeeperClient(run.directory)


def start_stack(
    run: Run, client: KeeperClient, plan: StackPlan, reason: str, progress: Progress = ignore, tell: Tell = print
) -> RemoteStack:
    """Start the run's stack, or join it when somebody has started it. Failed services are told in their status.

    Images are pulled before, and `tell` gets a line now and then about it. Raises RuntimeUnavailable when one
    cannot be had.
    """
    fresh = not client.stack()
    if plan.runtime is RuntimeName.DOCKER and fresh:
        from harness.runtimes.docker.asking import have_images

        have_images(plan.images, run.settings["pull"], tell, image_ids(run.settings), run.engine)
    stack = client.start(plan, run.report, _about(run, plan, reason), progress)
    if fresh and (ports := _datagrams(stack)):
        tell(f"not verified: UDP, which ssh does not forward from {stack.elsewhere}: {', '.join(ports)}")
    return stack


def _datagrams(stack: RemoteStack) -> list[str]:
    """The ports of services on another machine that take datagrams."""
    ports = [(name, port) for name, handle in stack.items() for port in handle.endpoints.values()]
    found = [f"{name} {port.name}" for name, port in ports if port.scheme == "udp"]
    return found if found and stack.elsewhere else []


def _about(run: Run, plan: StackPlan, reason: str) -> dict[str, Any]:
    """What the journal's first event tells."""
    return {
        "run": run.id,
        "seed": run.seed,
        "runtime": plan.runtime,
        "reason": reason,
        "services": {name: {"kind": item.kind, "image": item.image} for name, item in plan.services.items()},
        "emulated": list(plan.emulated),
        "argv": [_public(word) for word in sys.argv],
        "version": __version__,
        "python": sys.version.split()[0],
        "ci": bool(os.environ.get("CI")),
        **({"engine": _about_engine(run)} if run.engine else {}),
    }


def _about_engine(run: Run) -> dict[str, str]:
    """Which engine a stack runs on, when it was named. Raises RuntimeUnavailable."""
    from harness.runtimes.docker.engine import CALL_TIMEOUT, ask

    return {"stack": run.id, **ask(CALL_TIMEOUT, run.engine).told()}


def _public(word: str) -> str:
    name, equals, _ = word.partition("=")
    return f"{name}=***" if equals and is_sensitive(name) else word


def private_run(run: Run, files: Iterable[Path], name: str) -> Run:
    """A run inside a run: a keeper and leases of its own, its logs below the report of the outer one."""
    from harness.plan import still_required

    directory, origin = RunDir(run.directory.path.parent / rundir.new_run_id()), "private stack"
    settings = run.settings.with_value("compose", tuple(files), origin)
    kept = still_required(run.settings["require_fidelity"], services_of(settings))
    settings = settings.with_value("require_fidelity", kept, origin)
    return Run(settings, directory, run.report / "private" / f"{name}-{directory.run}")


def running(settings: Settings) -> list[RunDir]:
    """The runs of this user whose keeper is alive, oldest first."""
    root = rundir.state_root(settings["state"])
    return [run for run in rundir.all_runs(root) if (keeper := run.keeper()) is not None and keeper.alive]


def pick_running(settings: Settings, run: str = "") -> RunDir:
    """The running stack of that id; the only one when no id is given. Raises UsageError or KeeperError."""
    found = running(settings)
    if run:
        found = [item for item in found if item.run == run]
    if not found:
        raise KeeperError(f"no stack {run or ''} is up".replace("  ", " "), "start one with `harness up`")
    if len(found) > 1:
        raise UsageError(f"{len(found)} stacks are up: {', '.join(item.run for item in found)}", "name one with --run")
    return found[0]
