"""One fault on a service of a running stack, as an experiment: witnessed, held for a while, undone, verified.

What `harness chaos` does. The workload is the plainest there is: a question in the service's own protocol, over a new
connection each time; a Redis is written to as well, so that pressure on memory or disk shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from harness.errors import UsageError
from harness.experiments.actors.answer import Asks
from harness.experiments.actors.redis_calls import Touches, connect
from harness.experiments.checkers import Deadline
from harness.experiments.experiment import Budgets, Experiment, Live
from harness.experiments.witness import disturbed
from harness.experiments.workload import Actor, Workload
from harness.faults import Fault, LinkFault, fault_named
from harness.keeper.client import RemoteHandle, RemoteStack
from harness.model import Endpoint
from harness.probes.answer import answers

LONGEST_CALL = 10.0
"""Seconds that any call of the workload may take, whatever is broken."""


def fault_from(name: str, given: Mapping[str, str]) -> Fault:
    """The fault of that name with these settings. Raises UsageError naming the settings that it has."""
    kind = fault_named(name)
    known = {item.name: item for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, text in given.items():
        if key not in known:
            raise UsageError(f"fault {name} has no setting {key!r}: expected one of {', '.join(known) or '(none)'}")
        default = known[key].default
        try:
            values[key] = type(default)(text) if isinstance(default, int | float) else text
        except ValueError as error:
            raise UsageError(f"fault {name}: {key}={text!r}: expected {type(default).__name__}") from error
    return kind(**values)


def experiment_on(
    stack: RemoteStack, service: str, fault: Fault, seconds: float, tell: Callable[[str], None]
) -> Experiment:
    """The fault on one service for so long. A link fault opens a link in front of it, which `tell` gives the address
    of: only who connects there is affected. Raises UsageError or FaultError for what cannot be done."""
    if service not in stack:
        raise UsageError(f"no service {service!r}: expected one of {', '.join(stack)}")
    handle, target, at = stack[service], stack[service], stack[service].endpoint()
    if isinstance(fault, LinkFault):
        link = stack.links.open(f"chaos-{service}", service)
        target, at = link, link.endpoint  # type: ignore[assignment]  # a link is what a link fault is done to
        tell(f"link {link.name}: whoever connects to {at.address} instead of {handle.endpoint().address} is affected")

    def hold(live: Live) -> None:
        tell(f"witnessed: {live.witnessed}")
        live.for_seconds(seconds)

    return Experiment(
        name=f"chaos-{fault.name.replace('_', '-')}-{service}",
        steady=lambda: answers(at),
        workload=Workload("chaos", partial(_actor, handle, at), interval=0.02),
        fault=fault.inject(target),
        witness=disturbed(),
        observe=hold,
        checkers=(Deadline(LONGEST_CALL),),
        budgets=Budgets(steady=5, recovery=60, healed=30),
    )


def _actor(handle: RemoteHandle, at: Endpoint, number: int) -> Actor:
    if handle.kind == "redis":
        return Touches(lambda: connect(handle, 2.0, at), number, fresh=True)
    return Asks(at)
