"""The plan: order, kinds, fidelity, and the rewriting of addresses. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.compose import ComposeFile
from harness.errors import FidelityError, PlanError
from harness.model import Endpoint, LinkPlan, Mount, RuntimeName, ServicePlan, Source
from harness.plan import (
    Choice,
    bind_kinds,
    make_plan,
    only,
    process_fidelity,
    rewrite,
    rewrite_service,
    variables_for_run,
    waves,
)
from harness.services import SERVICES
from harness.services.base import Binary
from tests.unit.rigs.core_rig import plan_of, service

PROCESS = Choice(RuntimeName.PROCESS, "asked")
DOCKER = Choice(RuntimeName.DOCKER, "asked")
BINARY = Binary(Path("/usr/bin/redis-server"), "7.0.15")


def compose(*services: ServicePlan) -> ComposeFile:
    return ComposeFile("p", {item.name: item for item in services}, (Path("stack.yml"),))


# -- order ----------------------------------------------------------------------------------------------


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, ServicePlan]:
    """Services that need only services drawn before them, in a shuffled file."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 7)))]
    made = [
        service(name, *draw(st.sets(st.sampled_from(names[:n])) if n else st.just(set())))
        for n, name in enumerate(names)
    ]
    return {item.name: item for item in draw(st.permutations(made))}


@given(acyclic())
def test_everything_stands_one_wave_after_the_last_it_needs(services: dict[str, ServicePlan]) -> None:
    found = waves(services)
    wave_of = {name: number for number, wave in enumerate(found) for name in wave}
    assert wave_of.keys() == services.keys()
    for name, item in services.items():
        assert wave_of[name] == max((wave_of[needed] + 1 for needed in item.depends_on), default=0)


@given(acyclic(), st.data())
def test_any_circle_is_named_by_its_members(services: dict[str, ServicePlan], data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 4))
    ring = [service(f"r{n}", f"r{(n + 1) % length}") for n in range(length)]
    with pytest.raises(PlanError, match="depends_on goes in a circle: ") as caught:
        waves({**services, **{item.name: item for item in ring}})
    named = caught.value.message.partition(": ")[2].split(" -> ")
    assert named[0] == named[-1]
    assert set(named) == {item.name for item in ring}


# -- kinds and fidelity ---------------------------------------------------------------------------------


def test_a_kind_is_bound_by_name_else_by_image_else_not() -> None:
    bound = bind_kinds(
        compose(
            service("a", image="me/cache:1", kind="redis"),
            service("b", image="hashicorp/consul:1"),
            service("c", image="me/app:1"),
        )
    )
    assert [item.kind for item in bound.values()] == ["redis", "consul", None]


def test_an_unknown_kind_names_those_that_exist() -> None:
    with pytest.raises(PlanError, match="unknown kind 'rediss': expected one of consul, redis"):
        bind_kinds(compose(service("a", kind="rediss")))


def test_on_the_process_runtime_a_binary_is_real_and_the_rest_emulated() -> None:
    made = make_plan(
        compose(service("a", image="redis:8"), service("b", "a", image="consul:1")), PROCESS, {"a": BINARY}
    )
    assert made.fidelity["a"].source is Source.BINARY
    assert (made.fidelity["a"].version, made.fidelity["a"].pin) == ("7.0.15", "8")
    assert made.emulated == ("b",)
    assert made.waves == (("a",), ("b",))
    assert process_fidelity(service("x"), None).source is Source.EMULATOR


@pytest.mark.parametrize(("kind", "image"), [("arangodb", "arangodb:3"), ("grafana", "grafana/grafana:13")])
def test_an_emulator_that_never_met_its_server_is_known_before_anything_starts(kind: str, image: str) -> None:
    """Consul, Redis, Tempo and the Collector were compared with real servers; these two never."""
    files = compose(service("known", image="consul:1"), service("never", image=image, stand_in=True))
    for choice in (PROCESS, DOCKER):
        made = make_plan(files, choice, {})
        assert (made.services["never"].kind, made.unproven) == (kind, ("never",))
    assert make_plan(compose(service("never", image=image)), DOCKER, {}).unproven == ()
    assert make_plan(compose(service("never", image=image)), PROCESS, {"never": BINARY}).unproven == ()


def test_on_docker_every_image_is_itself() -> None:
    made = make_plan(compose(service("a", image="me/app:3")), DOCKER, {}, ["real"])
    assert (made.fidelity["a"].source, made.fidelity["a"].pin) == (Source.IMAGE, "3")


def test_a_service_of_no_kind_cannot_be_a_process() -> None:
    with pytest.raises(PlanError, match="service a: image 'me/app:3' is of no kind that runs as a process") as caught:
        make_plan(compose(service("a", image="me/app:3")), PROCESS, {})
    assert "x-harness" in caught.value.next_step


@pytest.mark.parametrize("required", ["real", "b", "consul"])
def test_a_required_fidelity_that_cannot_be_met(required: str) -> None:
    stack = compose(service("a", image="redis:8"), service("b", image="consul:1"))
    with pytest.raises(FidelityError, match=rf"--require-fidelity {required}: only an emulator is here for b\n"):
        make_plan(stack, PROCESS, {"a": BINARY}, [required])
    assert make_plan(stack, PROCESS, {"a": BINARY}, ["a"]).emulated == ("b",)


def test_a_required_service_that_is_not_there() -> None:
    with pytest.raises(FidelityError, match="--require-fidelity c: no such service or kind; known: a"):
        make_plan(compose(service("a", image="redis:8")), PROCESS, {"a": BINARY}, ["c"])


def test_certificates_are_drawn_only_for_a_file_that_wants_one() -> None:
    assert "TLS_KEY" not in variables_for_run({}, "image: redis")
    drawn = variables_for_run({}, "content: ${TLS_CERTIFICATE:-}")
    assert all(drawn[name].startswith("-----BEGIN") for name in ("TLS_CA", "TLS_CERTIFICATE", "TLS_KEY"))
    given = variables_for_run({"TLS_CERTIFICATE": "mine"}, "content: ${TLS_CERTIFICATE:-}")
    assert (given["TLS_CERTIFICATE"], "TLS_KEY" in given) == ("mine", False)


def test_every_run_draws_its_own_passwords_unless_the_user_set_them() -> None:
    one, other = variables_for_run({"X": "1"}), variables_for_run({"REDIS_PASSWORD": "mine"})
    names = {name for kind in SERVICES for name in kind.secret_variables}
    assert names | {"X"} == one.keys()
    assert other["REDIS_PASSWORD"] == "mine"
    assert one["ARANGO_ROOT_PASSWORD"] != other["ARANGO_ROOT_PASSWORD"]


# -- addresses ------------------------------------------------------------------------------------------

ADDRESSES = {
    "tempo": {"http": Endpoint("http", "127.0.0.1", 40001), "otlp": Endpoint("otlp", "127.0.0.1", 40002)},
    "tempo-2": {"http": Endpoint("http", "127.0.0.1", 40003)},
}
PORTS = {"tempo": {3200: "http", 4317: "otlp"}, "tempo-2": {3200: "http", 9: "gone"}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tempo:4317", "127.0.0.1:40002"),
        ("http://tempo:3200/x?y=tempo:4317", "http://127.0.0.1:40001/x?y=127.0.0.1:40002"),
        ("redis://:pw@tempo:3200", "redis://:pw@127.0.0.1:40001"),
        ("tempo:3200,tempo-2:3200", "127.0.0.1:40001,127.0.0.1:40003"),
        ("monitor it tempo 3200 2", "monitor it 127.0.0.1 40001 2"),
        ("tempo 3200.5", "tempo 3200.5"),
        ("tempo 9999", "tempo 9999"),
        ("tempo:9999", "tempo:9999"),
        ("tempo-2:9", "tempo-2:9"),
        ("my-tempo:3200", "my-tempo:3200"),
        ("a.tempo:3200", "a.tempo:3200"),
        ("tempo:32000", "tempo:32000"),
        ("tempo", "tempo"),
    ],
)
def test_addresses_of_known_ports_are_rewritten_and_nothing_else(value: str, expected: str) -> None:
    assert rewrite(value, ADDRESSES, PORTS) == expected


def test_a_service_is_told_leased_addresses_wherever_a_compose_file_names_them() -> None:
    mounts = (Mount("content", "/c", "replicaof tempo 3200"), Mount("bind", "/b", "tempo:3200"))
    made = ServicePlan(
        "x", "x:1", None, command=("-join=tempo:4317",), environment={"A": "http://tempo:3200"}, mounts=mounts
    )
    told = rewrite_service(made, ADDRESSES, PORTS)
    assert told.command == ("-join=127.0.0.1:40002",)
    assert told.environment == {"A": "http://127.0.0.1:40001"}
    assert [mount.source for mount in told.mounts] == ["replicaof 127.0.0.1 40001", "tempo:3200"]


def test_only_some_services_bring_what_they_depend_on() -> None:
    plan = plan_of(service("a"), service("b", "a"), service("c"))
    plan = replace(plan, images={item.image: (item.image,) for item in plan.services.values()})
    kept = only(plan, ["b"], [LinkPlan("l", "a", sources=("b",))])
    assert (list(kept.services), kept.waves, list(kept.fidelity)) == (["a", "b"], (("a",), ("b",)), ["a", "b"])
    assert kept.links[0].name == "l"
    assert list(kept.images) == ["a:1.0", "b:1.0"]
    with pytest.raises(PlanError, match="no service 'x'"):
        only(plan, ["x"])
    with pytest.raises(PlanError, match="link l: no service 'c' is started"):
        only(plan, ["b"], [LinkPlan("l", "c")])


def test_without_services_nothing_is_rewritten() -> None:
    assert rewrite("tempo:3200", {}, {}) == "tempo:3200"


@given(st.text(alphabet="tempo-2:319 /@", max_size=30))
def test_rewriting_twice_changes_nothing_more(value: str) -> None:
    once = rewrite(value, ADDRESSES, PORTS)
    assert rewrite(once, ADDRESSES, PORTS) == once
