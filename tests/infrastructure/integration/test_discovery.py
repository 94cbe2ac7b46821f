"""Who is called is whom Consul says to call: critical instances are avoided, new ones found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.probes.poll import Deadline, NotYet, poll

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment, Instance, Traces

NOTICED_WITHIN = 8.0
"""Seconds: checks run once a second and may take one; the rest is for a loaded machine."""
CALLS = 30
"""Enough that an instance out of three is left out by chance once in 60 000 times."""


def passing(consul: Any, service: str) -> set[str]:
    """The instances that Consul says may be called."""
    _, found = consul.health.service(service, passing=True)
    return {entry["Service"]["ID"] for entry in found}


def until_passing(consul: Any, service: str, *wanted: Instance) -> None:
    """Wait until exactly these instances may be called."""
    names = {instance.name for instance in wanted}

    def ask() -> None:
        if (seen := passing(consul, service)) != names:
            raise NotYet(f"passing: {sorted(seen)}")

    poll(ask, Deadline.after(NOTICED_WITHIN), f"passing: {sorted(names)}")


def reached(deployment: Deployment, caller: Caller, front: Instance, key: str) -> set[str]:
    """Which instances of `catalogue` answered when `front` asked for an item many times; every call is served."""
    service = deployment.service("catalogue")
    made = [caller.call("GET", f"{front.url}/through/{service}/{key}") for _ in range(CALLS)]
    assert [call.status for call in made] == [200] * CALLS, [call.body for call in made]
    ids = {call.trace_id for call in made}
    lines = [line for one in deployment.instances for line in one.log("request", method="GET", path=f"/items/{key}")]
    return {line["instance"] for line in lines if line["trace_id"] in ids}


def test_calls_avoid_an_instance_that_says_it_is_not_ready(
    deployment: Deployment, caller: Caller, consul: Any, key: str
) -> None:
    """An instance that drains turns critical while it still answers, and is sent nothing more.

    Source: Consul, "Define health checks", HTTP checks; HTTP API "Health", `passing`.
    """
    leaving, staying, front = deployment.start("catalogue", "catalogue", "front")
    service = deployment.service("catalogue")
    until_passing(consul, service, leaving, staying)
    caller.call("PUT", f"{leaving.url}/items/{key}", 1)
    assert reached(deployment, caller, front, key) == {leaving.name, staying.name}

    leaving.post("/drain")
    until_passing(consul, service, staying)
    assert reached(deployment, caller, front, key) == {staying.name}
    assert leaving.get(f"/items/{key}").status_code == 200, "what is under way is still served"
    (check,) = [one for one in consul.health.checks(service)[1] if one["ServiceID"] == leaving.name]
    assert (check["Status"], "draining" in check["Output"]) == ("critical", True)


def test_calls_survive_instances_that_crash_or_hang_and_find_those_that_come(
    deployment: Deployment, caller: Caller, consul: Any, key: str
) -> None:
    """A process that was killed and one that accepts and never answers are both noticed by their check, without a
    word from them; a new one, and the one that moves again, are called as soon as they pass.

    Source: Consul, "Define health checks", `timeout`; HTTP API "Agent - Service", register.
    """
    killed, frozen, staying, front = deployment.start("catalogue", "catalogue", "catalogue", "front")
    service = deployment.service("catalogue")
    until_passing(consul, service, killed, frozen, staying)
    caller.call("PUT", f"{staying.url}/items/{key}", 1)
    killed.child.kill()
    frozen.child.pause()
    until_passing(consul, service, staying)
    assert reached(deployment, caller, front, key) == {staying.name}

    frozen.child.resume()
    (replacement,) = deployment.start("catalogue")
    until_passing(consul, service, frozen, staying, replacement)
    assert reached(deployment, caller, front, key) == {frozen.name, staying.name, replacement.name}


def test_an_instance_that_ends_in_order_leaves_no_entry_and_no_span_behind(
    deployment: Deployment, caller: Caller, consul: Any, traces: Traces, key: str
) -> None:
    """SIGTERM: out of the catalog at once, and the spans that were still in memory are exported.

    Source: Consul HTTP API "Agent - Service", deregister; OpenTelemetry SDK, "Shutdown".
    """
    (instance,) = deployment.start("catalogue")
    call = caller.call("PUT", f"{instance.url}/items/{key}", 1)
    instance.child.stop(10.0)
    assert (instance.child.exit_report(), len(instance.log("ended"))) == ("exited with code 0", 1)
    assert consul.health.service(deployment.service("catalogue"))[1] == []
    assert len(traces.spans(call.trace_id, 4)) == 4


def test_a_call_of_a_service_that_nobody_offers_names_it(shop: Deployment, caller: Caller) -> None:
    """No passing instance is an answer, told to the caller with the name that was looked for.

    Source: Consul HTTP API "Health", list service instances: an empty list.
    """
    call = caller.call("GET", f"{shop.instances[2].url}/through/{shop.name}-nobody/x")
    assert (call.status, call.body) == (404, {"error": f"no passing instance of {shop.name}-nobody"})
