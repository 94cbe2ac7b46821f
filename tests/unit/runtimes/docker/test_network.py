"""A subnet that nobody uses: neither a network of the engine nor a route of the host, drawn again when one was."""

from __future__ import annotations

import random
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RuntimeUnavailable
from harness.runtimes.docker import network as subject
from harness.runtimes.docker.network import POOLS, create, draw_subnet, gateway, host_routes
from tests.unit.rigs.docker_rig import FakeEngine, refusal

OVERLAP = "Pool overlaps with other one on this address space"
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
"""
subnets = st.builds(lambda pool, at: IPv4Network((int(pool.network_address) + 256 * at, 24)), st.sampled_from(POOLS),
                    st.integers(0, 200))  # fmt: skip


@pytest.fixture(autouse=True)
def no_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own routes stay out."""
    monkeypatch.setattr(subject, "host_routes", lambda table: [])


@given(st.lists(subnets, max_size=30), st.integers())
def test_what_is_drawn_overlaps_with_nothing_that_is_taken(taken: list[IPv4Network], seed: int) -> None:
    drawn = draw_subnet(taken, random.Random(seed))
    assert drawn.prefixlen == 24
    assert drawn.subnet_of(POOLS[0])
    assert not any(drawn.overlaps(other) for other in taken)


def test_a_host_that_routes_all_of_a_pool_gets_one_of_the_next() -> None:
    assert draw_subnet([IPv4Network("10.0.0.0/8")], random.Random(1)).subnet_of(POOLS[1])
    assert draw_subnet([IPv4Network("10.0.0.0/8"), POOLS[1]], random.Random(1)).subnet_of(POOLS[2])


def test_the_last_free_one_is_found_and_none_is_told() -> None:
    pool = IPv4Network("10.0.0.0/22")
    taken = [IPv4Network("10.0.0.0/24"), IPv4Network("10.0.2.0/23")]
    assert draw_subnet(taken, random.Random(3), [pool]) == IPv4Network("10.0.1.0/24")
    with pytest.raises(RuntimeUnavailable, match="every private /24 is taken"):
        draw_subnet(list(POOLS), random.Random(3))


def test_a_network_is_a_labelled_bridge_with_a_gateway(engine: FakeEngine) -> None:
    made = create(engine.client(), "ih-r1", {"a": "b"})
    subnet = IPv4Network(made.attrs["IPAM"]["Config"][0]["Subnet"])
    assert gateway(made) == IPv4Interface(f"{subnet[1]}/24")
    assert made.labels == {"a": "b"}
    _, _, asked = next(call for call in engine.calls if call[0] == "networks.create")
    assert asked["driver"] == "bridge"
    assert made.attrs["IPAM"]["Config"][0]["IPRange"] == str(list(subnet.subnets())[1]), "the rest is for fixed ones"


def test_networks_of_the_engine_are_taken(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def draw(taken: list[IPv4Network], rng: random.Random) -> IPv4Network:
        drawn.append(list(taken))
        return POOLS[0]

    monkeypatch.setattr(subject, "draw_subnet", draw)
    engine.thing("networks", "a", {}, IPAM={"Config": [{"Subnet": "10.200.0.0/16"}, {"Subnet": "fd00::/64"}, {}]})
    engine.thing("networks", "host", {}, IPAM={"Config": None})
    create(engine.client(), "ih-r1", {})
    assert drawn == [[IPv4Network("10.200.0.0/16")]]


def test_an_overlap_that_only_the_engine_knows_is_drawn_again(engine: FakeEngine) -> None:
    engine.refuse("networks.create", refusal(403, OVERLAP), refusal(403, OVERLAP))
    create(engine.client(), "ih-r1", {})
    asked = [call[2]["ipam"]["Config"][0]["Subnet"] for call in engine.calls if call[0] == "networks.create"]
    assert len(asked) == len(set(asked)) == 3


def test_overlaps_without_end_and_any_other_refusal_are_told(engine: FakeEngine) -> None:
    engine.refuse("networks.create", *[refusal(403, OVERLAP)] * 99)
    with pytest.raises(RuntimeUnavailable, match="no network for the stack: Pool overlaps"):
        create(engine.client(), "ih-r1", {})
    assert len(engine.asked("networks.create")) == subject.TRIES
    engine.refuse("networks.create", refusal(500, "plugin is away"))
    with pytest.raises(RuntimeUnavailable, match="no network for the stack: plugin is away"):
        create(engine.client(), "ih-r1", {})


def test_a_subnet_that_the_compose_file_asks_for_is_taken_or_told(engine: FakeEngine) -> None:
    wanted = IPv4Network("172.28.0.0/16")
    made = create(engine.client(), "ih-r1", {}, wanted)
    assert made.attrs["IPAM"]["Config"][0]["Subnet"] == "172.28.0.0/16"
    engine.refuse("networks.create", refusal(403, OVERLAP))
    with pytest.raises(RuntimeUnavailable, match=r"on 172\.28\.0\.0/16, where the compose file fixes addresses: Pool"):
        create(engine.client(), "ih-r2", {}, wanted)
    assert engine.asked("networks.create") == ["ih-r1", "ih-r2"]


def test_routes_of_the_host_are_read_without_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    assert host_routes(tmp_path / "route") == [IPv4Network("172.17.0.0/16"), IPv4Network("10.0.0.0/8")]
    assert host_routes(tmp_path / "none") == []
