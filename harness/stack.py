"""A stack: start services in waves, wait until each truly works, operate them, close in reverse. Handed a Runtime.

Lives in the keeper. One failed service does not stop the others: what does not depend on it goes on, what does is
blocked, and both are told as such.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.credentials import Secret
from harness.errors import HarnessError, NotReady, ServiceError, UsageError
from harness.model import Endpoint, Fidelity, Port, RuntimeName, ServicePlan, ServiceStatus, Source, StackPlan, State
from harness.ports import COMPLETED, Instance, Runtime
from harness.probes.poll import Deadline, NotYet, poll
from harness.services import kind_named

LOG_LINES = 12
"""How many last lines of a log go into an error."""

Progress = Callable[[ServiceStatus], None]


def no_progress(status: ServiceStatus) -> None:
    """For callers that do not want to be told."""
    del status


@dataclass
class Service:
    """One service of a running stack, as its owner holds it. It is a `ManagedHandle`."""

    plan: ServicePlan
    instance: Instance
    endpoints: Mapping[str, Endpoint]
    fidelity: Fidelity
    log: Path
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    inside: Mapping[str, Endpoint] = field(default_factory=dict)
    state: State = State.PENDING
    ready_after: float = 0.0
    cause: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def name(self) -> str:
        """The service's name in the compose file."""
        return self.plan.name

    @property
    def kind(self) -> str | None:
        """What the harness knows it as."""
        return self.plan.kind

    def endpoint(self, name: str = "") -> Endpoint:
        """One address; the first when no name is given. Raises UsageError for an unknown name."""
        return pick_endpoint(self.name, self.endpoints, name)

    def status(self) -> ServiceStatus:
        """What is told to clients."""
        revealed = {name: secret.reveal() for name, secret in self.credentials.items()}
        state = self.state
        if state is State.READY and not self.instance.alive and not self.completed:
            state, self.cause = State.FAILED, self.instance.exit_report()
        return ServiceStatus(
            self.name,
            self.kind,
            state,
            self.fidelity,
            dict(self.endpoints),
            revealed,
            self.ready_after,
            self.cause,
            self.log,
            inside=dict(self.inside),
        )

    @property
    def completed(self) -> bool:
        """Whether it ran to its end with exit code 0, and was no server: of no kind, without a health check."""
        return not self.kind and self.instance.healthy() is None and self.instance.exit_report() == COMPLETED

    def wait(self, deadline: Deadline) -> None:
        """Until it works, or for one that is to run to its end, until it has ended with exit code 0.

        Raises ServiceExited at once when it died, NotReady at the deadline.
        """
        version = poll(self._ask, deadline, self.name, self._died)
        if version.endswith("+emu"):  # an emulator inside a container is an emulator, whatever the compose file says
            self.fidelity = replace(self.fidelity, source=Source.EMULATOR)
        if self.fidelity.source is Source.EMULATOR and not version.endswith("+emu"):
            raise ServiceError(f"{self.name}: an emulator calls itself {version!r}: its version has to end in +emu")
        self.fidelity = replace(self.fidelity, version=version or self.fidelity.version)
        self.state, self.cause = State.READY, ""

    def _ask(self) -> str:
        if self.kind:
            return kind_named(self.kind).ready(self)
        if self.plan.one_shot:
            if self.instance.exit_report() != COMPLETED:
                raise NotYet("it has not come to its end yet")
        elif self.instance.healthy() is False:
            raise NotYet("its health check does not pass yet")
        return ""

    def _died(self) -> str:
        ending = self.instance.exit_report()
        if ending == COMPLETED and (self.plan.one_shot or self.completed):
            return ""
        return f"{ending}; last lines of {self.log}:\n{tail(self.log)}" if ending else ""

    def kill(self) -> None:
        """SIGKILL."""
        with self.lock:
            self.instance.kill()
            self.state = State.STOPPED

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        with self.lock:
            self.instance.stop(self.plan.stop_grace if grace is None else grace)
            self.state = State.STOPPED

    def start(self, wait: bool = True, within: float = 30.0) -> None:
        """Start again on the same address with the same data."""
        with self.lock:
            self.instance.launch()
            self.state = State.STARTING
            if wait:
                self.wait(Deadline.after(within))

    def restart(self) -> None:
        """`stop`, `start`, ready again."""
        with self.lock:
            self.stop()
            self.start()

    def pause(self) -> None:
        """Freeze."""
        with self.lock:
            self.instance.pause()
            self.state = State.PAUSED

    def resume(self) -> None:
        """Undo `pause`."""
        with self.lock:
            self.instance.resume()
            if self.state is State.PAUSED:
                self.state = State.READY


def pick_endpoint(service: str, endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """The endpoint of that name, the first when it is empty. Raises UsageError naming those that exist."""
    if not name and endpoints:
        return next(iter(endpoints.values()))
    if name not in endpoints:
        raise UsageError(f"{service}: no endpoint {name!r}: expected one of {', '.join(endpoints) or '(none)'}")
    return endpoints[name]


def tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log, indented; a note when it is empty or missing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 32_768))
            last = file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        last = []
    return "\n".join(f"    {line}" for line in last) or "    (the log is empty)"


class Stack:
    """All services of a plan. `start` once, then operate by name, then `close`."""

    def __init__(
        self, plan: StackPlan, runtime: Runtime, addresses: Mapping[str, Mapping[str, Endpoint]], logs: Path
    ) -> None:
        self.plan, self.runtime, self.addresses, self.logs = plan, runtime, addresses, logs
        self.services: dict[str, Service] = {}
        self._blocked: dict[str, ServiceStatus] = {}

    def start(self, progress: Progress = no_progress) -> None:
        """Start each service as soon as what it needs is ready. Never raises for a service: its status says it.

        Raises HarnessError when nothing can be started at all (the runtime does not prepare).
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self.runtime.prepare(self.plan)
        deadline = Deadline.after(self.plan.ready_timeout)
        started: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=len(self.plan.services)) as pool:  # as many as may wait for each other
            for name in (name for wave in self.plan.waves for name in wave):
                needed = [started[other] for other in self.plan.services[name].depends_on]
                started[name] = pool.submit(self._start_after, needed, name, deadline, progress)
        for future in started.values():
            future.result()

    def _start_after(self, needed: Iterable[Future[None]], name: str, deadline: Deadline, progress: Progress) -> None:
        wait(needed)
        self._start_one(name, deadline, progress)

    def _start_one(self, name: str, deadline: Deadline, progress: Progress) -> None:
        started = time.monotonic()
        culprit = next((needed for needed in self.plan.services[name].depends_on if not self.is_ready(needed)), "")
        if culprit:
            self._block(name, f"needs {culprit}, which is not ready", State.BLOCKED, progress)
            return
        try:
            service = self._create(name)
            progress(service.status())
            service.instance.launch()
            service.wait(deadline)
            service.ready_after = time.monotonic() - started
        except Exception as error:  # whatever it is, it is this service's failure, and the others go on
            self._failed(name, error, progress)
        else:
            progress(service.status())

    def _create(self, name: str) -> Service:
        plan = self.plan.services[name]
        log = self.logs / f"{name}.log"
        log.touch()
        instance = self.runtime.create(plan, self.addresses, log)
        public = {port.name for port in kind_named(plan.kind).ports} if plan.kind else set(self.addresses[name])
        endpoints = {port: endpoint for port, endpoint in self.addresses[name].items() if port in public}
        credentials = kind_named(plan.kind).credentials(plan) if plan.kind else {}
        inside = self.runtime.inside(plan, endpoints)
        service = Service(plan, instance, endpoints, self.plan.fidelity[name], log, credentials, inside, State.STARTING)
        self.services[name] = service
        return service

    def _failed(self, name: str, error: Exception, progress: Progress) -> None:
        cause = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        if isinstance(error, NotReady):
            cause += f"; last lines of its log:\n{tail(self.logs / f'{name}.log')}"
        if name in self.services:
            service = self.services[name]
            service.state, service.cause = State.FAILED, cause
            progress(service.status())
        else:
            self._block(name, cause, State.FAILED, progress)

    def _block(self, name: str, cause: str, state: State, progress: Progress) -> None:
        plan = self.plan.services[name]
        log = self.logs / f"{name}.log"
        log.touch()
        status = ServiceStatus(name, plan.kind, state, self.plan.fidelity[name], {}, {}, 0.0, cause, log)
        self._blocked[name] = status
        progress(status)

    def is_ready(self, name: str) -> bool:
        """Whether a service has become ready and still runs."""
        return name in self.services and self.services[name].status().state is State.READY

    def statuses(self) -> list[ServiceStatus]:
        """The status of every service of the plan that was reached, in start order."""
        order = [name for wave in self.plan.waves for name in wave]
        known = {**self._blocked, **{name: service.status() for name, service in list(self.services.items())}}
        return [known[name] for name in order if name in known]

    def service(self, name: str) -> Service:
        """One service. Raises UsageError naming those that exist."""
        if name not in self.services:
            raise UsageError(f"no service {name!r} is up: expected one of {', '.join(self.services) or '(none)'}")
        return self.services[name]

    def close(self, grace: float = 2.0) -> list[str]:
        """Stop what still runs, last wave first, then remove everything. Returns what is left behind.

        With no grace nothing is asked to stop: nobody waits for what services would still write.
        """
        for wave in reversed(self.plan.waves) if grace else ():
            living = [self.services[name] for name in wave if name in self.services]
            if living:
                with ThreadPoolExecutor(max_workers=len(living)) as pool:
                    list(pool.map(lambda service: _stop_quietly(service, grace), living))
        return self.runtime.close()


def _stop_quietly(service: Service, grace: float) -> None:
    try:
        service.instance.stop(grace)
    except Exception as error:  # the others are stopped all the same; the runtime's close tells what is left
        service.cause = f"{type(error).__name__}: {error}"


def ports_needed(plan: StackPlan) -> dict[str, tuple[Port, ...]]:
    """Which ports of each service need an address, on the plan's runtime."""
    wanted = {}
    for name, service in plan.services.items():
        kind = kind_named(service.kind) if service.kind else None
        ports = kind.ports if kind else service.ports
        extra = kind.process_ports if kind and plan.runtime is RuntimeName.PROCESS else ()
        wanted[name] = (*ports, *extra)
    return wanted
