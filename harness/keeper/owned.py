"""What the keeper owns: leases, runtime and stack of one run; started once, whoever asks first."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, KeeperError, UsageError
from harness.identity import Identity
from harness.journal import ENGINE_LOST, FILE_NAME, LEFT_BEHIND, RUN_STARTED, SERVICE_FAILED, SERVICE_READY, Journal
from harness.keeper import wire
from harness.keeper.breaking import LINK, Pressure, break_or_heal, capabilities, settle
from harness.keeper.encryption import over_tls
from harness.keeper.leases import Leases
from harness.keeper.linkhost import LinkedRuntime, LinkHost
from harness.keeper.rundir import RunDir
from harness.keeper.watch import MainLoop
from harness.model import LinkPlan, ServiceStatus, State
from harness.ports import Measurable
from harness.probes.usage import family, usage_of
from harness.runtimes import make_runtime
from harness.stack import Stack, ports_needed

log = logging.getLogger("keeper")
ASKED_GRACE = 2.0
"""Seconds that services get to stop in order, when somebody waits for it. A dead owner waits for nothing."""
KEEPER = "keeper"
"""The name under which the keeper tells its own use."""
LOST_EVERY = 0.25
"""Seconds between two looks at whether services are still within reach."""
Tell = Callable[[Any], None]


class OwnedStack:
    """At most one stack. Safe to use from the threads of many clients."""

    def __init__(self, run_dir: RunDir, loop: MainLoop) -> None:
        self._run_dir, self._loop = run_dir, loop
        self._leases = Leases()
        self._links = LinkHost(self._leases)
        self._pressure = Pressure()
        self._lock = threading.Lock()
        self._stack: Stack | None = None
        self._started = False
        self._children_lock = threading.Lock()
        self._closing = False
        self._closed = threading.Event()
        self._journal: Journal | None = None
        self._engine = ""

    def start(self, request: dict[str, Any], tell: Tell) -> list[Any]:
        """Start the plan in the request, or wait for the start that is under way. Returns the statuses."""
        with self._lock:
            self._refuse_when_closing()
            if not self._started:
                self._begin(request, tell)
                self._started = True
        return self.statuses()

    def _begin(self, request: dict[str, Any], tell: Tell) -> None:
        plan, report = wire.plan_from_wire(request["plan"]), Path(request["report"])
        try:
            leased = {name: self._leases.lease_all(ports) for name, ports in ports_needed(plan).items()}
            addresses = over_tls(plan, leased, self._run_dir.path)
        except HarnessError:
            self._leases.release()
            raise
        self._engine = request["about"].get("engine", {}).get("address", "")
        self._journal = Journal(report / FILE_NAME)
        self._journal.write(RUN_STARTED, **request["about"])
        runtime = make_runtime(plan.runtime, self._run_dir.path, self._spawn)
        linked = LinkedRuntime(runtime, self._links, addresses)
        logs = report / "logs" / (self._run_dir.run if self._engine else "")  # several engines, one report
        self._stack = Stack(plan, linked, addresses, logs)
        self._stack.start(lambda status: self._progress(status, tell))
        if engine := self._stack.runtime.elsewhere:
            self._run_dir.elsewhere.write_text(engine, encoding="utf-8")
            threading.Thread(target=self._watch, args=(self._stack,), daemon=True, name="watch").start()

    def _watch(self, stack: Stack) -> None:
        """Tell, once, when the engine is out of reach: tests of its services say nothing about them any more."""
        while not self._closed.wait(LOST_EVERY) and not self._closing:
            if why := stack.runtime.lost():
                log.error("%s", why)
                unfinished = self._run_dir.path / "lost.new"
                unfinished.write_text(why, encoding="utf-8")
                unfinished.rename(self._run_dir.lost)
                if self._journal:
                    common = {"engine": self._engine} if self._engine else {}
                    self._journal.write(ENGINE_LOST, **common, detail=why)
                return

    def _progress(self, status: ServiceStatus, tell: Tell) -> None:
        log.info("%s: %s %s", status.name, status.state, status.cause)
        if self._journal:
            self._journal.hide(status.credentials.values())
            self._note(self._journal, status)
        try:
            tell(wire.status_to_wire(status))
        except OSError:
            log.info("the client that asked for the start is gone")

    def _note(self, journal: Journal, status: ServiceStatus) -> None:
        common = {"service": status.name, "kind": status.kind, "fidelity": wire.status_to_wire(status)["fidelity"]}
        common |= {"engine": self._engine} if self._engine else {}
        if status.state is State.READY:
            journal.write(SERVICE_READY, **common, seconds=round(status.ready_after, 3))
        elif status.state in {State.FAILED, State.BLOCKED}:
            journal.write(SERVICE_FAILED, **common, cause=status.cause, state=status.state)

    def _spawn(self, start: Callable[[], None]) -> None:
        """Run `start` on the main thread, then note the new children, so that a later run could sweep them."""
        done = threading.Event()
        failure: list[BaseException] = []

        def job() -> None:
            try:
                self._refuse_when_closing()
                start()
            except BaseException as error:  # handed over to the thread that waits
                failure.append(error)
            finally:
                done.set()

        self._refuse_when_closing()
        self._loop.submit(job)
        while not done.wait(0.1):  # after the end nobody runs the job any more
            if self._closed.is_set():
                self._refuse_when_closing()
        if failure:
            raise failure[0]
        self._note_children()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise KeeperError("the stack is being closed")

    def _note_children(self) -> None:
        with self._children_lock:
            services = list(self._stack.services.values()) if self._stack else []
            pids = [getattr(service.instance, "pid", 0) for service in services]
            identities = [identity for identity in map(Identity.of, filter(None, pids)) if identity]
            self._run_dir.children.write_text("".join(identity.to_json() + "\n" for identity in identities))

    def statuses(self) -> list[Any]:
        """The statuses of all services; empty before the start."""
        return [self._to_wire(status) for status in self._stack.statuses()] if self._stack else []

    def _to_wire(self, status: ServiceStatus) -> Any:
        """With what can be done to the service here."""
        known = self._stack.services.get(status.name) if self._stack else None
        return wire.status_to_wire(replace(status, can=capabilities(known)) if known else status)

    def about(self) -> dict[str, str]:
        """The runtime of the stack, what receivers of ours bind, and the engine when that is on another machine."""
        if self._stack is None:
            raise UsageError("no stack is up")
        plan, runtime = self._stack.plan, self._stack.runtime
        return {"runtime": plan.runtime, "callback_host": runtime.callback_host, "elsewhere": runtime.elsewhere}

    def usage(self) -> dict[str, Any]:
        """What this process uses, and every service whose processes this machine sees; None for one it does not."""
        roots = {KEEPER: os.getpid()}
        for name, service in self._stack.services.items() if self._stack else ():
            roots[name] = service.instance.main_process if isinstance(service.instance, Measurable) else 0
        pids = {name: (root,) if name == KEEPER else family(root) for name, root in roots.items()}
        return {name: asdict(used) if (used := usage_of(mine)) else None for name, mine in pids.items()}

    def plan(self) -> Any:
        """The plan that was started."""
        if self._stack is None:
            raise UsageError("no stack is up")
        return wire.plan_to_wire(self._stack.plan)

    def operate(self, verb: str, service: str, request: dict[str, Any]) -> Any:
        """`kill`, `stop`, `start`, `restart`, `pause`, `resume` one service. Returns its status."""
        if self._stack is None:
            raise UsageError("no stack is up")
        if service.startswith(LINK):
            return self._links.operate(verb, service.removeprefix(LINK), request)
        target = self._stack.service(service)
        match verb:
            case "stop":
                target.stop(request.get("grace"))
            case "start":
                target.start(bool(request.get("wait", True)))
            case "kill" | "restart" | "pause" | "resume":
                getattr(target, verb)()
            case "squeeze" | "release":
                self._pressure.operate(verb, target, float(request.get("share", 1)))
            case _:
                break_or_heal(target, verb, request)
        self._note_children()
        told = self._to_wire(target.status())
        settle(target)  # for a start that nobody waits for
        return told

    def links_to_wire(self) -> list[Any]:
        """Every link: its plan and where clients of it connect."""
        return [
            {
                "name": name,
                "target": link.target,
                "sources": list(link.sources),
                "endpoint": asdict(self._links.endpoints[name]),
                "inside": asdict(self._links.inside[name]),
            }
            for name, link in self._links.planned.items()
        ]

    def called_at(self, port: int) -> str:
        """The address by which services reach a receiver that listens on the callback host at this port."""
        if self._stack is None:
            raise UsageError("no stack is up")
        host, number = self._stack.runtime.called_at(port)
        return f"{host}:{number}"

    def called_no_more(self, port: int) -> bool:
        """That receiver is gone."""
        if self._stack is not None:
            self._stack.runtime.called_no_more(port)
        return True

    def open_link(self, request: dict[str, Any]) -> Any:
        """A link in front of a running service, for clients that will use its address."""
        if self._stack is None:
            raise UsageError("no stack is up")
        link = LinkPlan(request["name"], request["target"], request.get("port", ""))
        self._links.open(link, self._stack.addresses)
        return self.links_to_wire()

    def close(self, loop: MainLoop, grace: float = ASKED_GRACE) -> list[str]:
        """Stop everything and give the addresses back. Runs on the main thread. Returns what is left behind."""
        self._closing = True
        left: list[str] = []
        worker = threading.Thread(target=lambda: left.extend(self._close_stack(grace)))
        worker.start()
        loop.drain(lambda: not worker.is_alive())
        self._closed.set()
        self._leases.release()
        return left

    def _close_stack(self, grace: float) -> list[str]:
        if self._stack is None:
            return []
        left = self._stack.close(grace)
        self._links.close()
        if left and self._journal:
            self._journal.write(LEFT_BEHIND, what=left)
        return left
