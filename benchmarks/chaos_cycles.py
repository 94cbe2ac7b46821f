"""Random inject / undo cycles over all faults on one Redis: every undo verified, steady state after each, nothing left.

    python benchmarks/chaos_cycles.py -n 200 [--seed 7] [--state DIR]

Exit code 0 when every cycle healed and nothing is left behind. Faults that the runtime cannot do are told once.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness import app
from harness.errors import HarnessError
from harness.experiments.actors.redis_calls import connect
from harness.experiments.measure import percentile
from harness.faults import FAULTS, Fault, Injection, LinkFault
from harness.faults.connection_exhaustion import ConnectionExhaustion
from harness.identity import Identity
from harness.keeper.client import RemoteStack
from harness.model import LinkPlan
from harness.plan import only
from harness.probes.poll import Deadline, NotYet, poll

SERVICE, LINK = "redis-primary", "client"
HEALED_WITHIN, STEADY_WITHIN = 15.0, 15.0
LONGEST_HOLD = 0.2


def main() -> int:
    """Run the cycles and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=200, help="cycles (%(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--state", default="", help="directory for the stack's state")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cc-") as scratch:
        flags = {"runtime": "process", "reports": f"{scratch}/r", "state": arguments.state or f"{scratch}/s",
                 "compose": [str(Path(__file__).parents[1] / "compose" / "ha.yml")]}  # fmt: skip
        run = app.new_run(app.load_settings(flags))
        run.prepare()
        plan, reason = app.plan_for(run.settings, {"REDIS_MAXCLIENTS": "32"})
        app.ensure_keeper(run, Identity.mine())
        client = app.connect(run)
        left: list[str] = []
        try:
            stack = app.start_stack(run, client, only(plan, [SERVICE], [LinkPlan(LINK, SERVICE)]), reason)
            failures = cycles(stack, arguments.n, random.Random(arguments.seed))
            broken = client.call("broken")
        finally:
            left = client.close_stack()
    print(f"still broken: {broken or 'nothing'}; left behind: {left or 'nothing'}")
    return 1 if failures or broken or left else 0


def cycles(stack: RemoteStack, wanted: int, rng: random.Random) -> list[str]:
    """So many cycles. Returns what went wrong, in words."""
    faults = [(fault, target) for fault, target in _all(stack) if _possible(fault, target)]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    undos, heals = [], []
    began = time.monotonic()
    for number in range(wanted):
        fault, target = rng.choice(faults)
        counts[fault.name] += 1
        try:
            undo, heal = cycle(stack, fault.inject(target), rng.uniform(0, LONGEST_HOLD))
        except HarnessError as error:
            failures.append(f"cycle {number}, {fault.name}: {error.message}")
            print(failures[-1])
            break  # the stack is to be thrown away
        undos.append(undo)
        heals.append(heal)
    print(f"{sum(counts.values())} cycles in {time.monotonic() - began:.1f} s: " + ", ".join(
        f"{name} {count}" for name, count in sorted(counts.items())))  # fmt: skip
    for name, values in (("undo", undos), ("steady again", heals)):
        print(f"{name}: median {percentile(values, 0.5):.3f} s, p99 {percentile(values, 0.99):.3f} s, "
              f"longest {max(values, default=0):.3f} s")  # fmt: skip
    return failures


def cycle(stack: RemoteStack, injection: Injection, hold: float) -> tuple[float, float]:
    """Apply, hold, undo, verify, steady. Returns seconds of the undo, and from it to the steady state."""
    try:
        injection.apply()
        time.sleep(hold)
    finally:
        started = time.monotonic()
        injection.undo()
        undone = time.monotonic()
    expected = (NotYet, OSError, HarnessError)
    poll(injection.healed, Deadline.after(HEALED_WITHIN), f"undo of {injection.text}", interval=0.01, expected=expected)
    poll(lambda: steady(stack), Deadline.after(STEADY_WITHIN), "steady state", interval=0.01)
    return undone - started, time.monotonic() - undone


def steady(stack: RemoteStack) -> None:
    """A write and a read through the link, no flaw on it, no connection too many. Raises NotYet."""
    link = stack.links[LINK]
    if flaws := link.flaws():
        raise NotYet(f"the link has {flaws}")
    client = connect(stack[SERVICE], 1.0, link.endpoint)
    try:
        client.set("steady", "yes", px=1000)
        clients = client.info("clients")["connected_clients"]
    except Exception as error:
        raise NotYet(f"{type(error).__name__}: {error}") from error
    finally:
        client.close()
    if clients > 3:
        raise NotYet(f"{clients} connections")


def _all(stack: RemoteStack) -> list[tuple[Fault, Any]]:
    made: list[Fault] = [ConnectionExhaustion(64) if kind is ConnectionExhaustion else kind() for kind in FAULTS]
    return [(fault, stack.links[LINK] if isinstance(fault, LinkFault) else stack[SERVICE]) for fault in made]


def _possible(fault: Fault, target: Any) -> bool:
    reason = fault.obstacle(target)
    if reason:
        print(f"not verified: {reason}")
    return not reason


if __name__ == "__main__":
    sys.exit(main())
