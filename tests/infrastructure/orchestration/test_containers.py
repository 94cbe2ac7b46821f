"""What every container of the stack is given and refused, seen by the engine itself."""

from __future__ import annotations

import secrets
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.keeper.client import RemoteStack
from harness.probes.poll import Deadline, NotYet, poll
from harness.services import SERVICES

pytestmark = pytest.mark.uses(*(kind.name for kind in SERVICES))


def test_every_port_is_published_on_loopback_only(engine: Any, stack: RemoteStack) -> None:
    """No service of a test run can be reached from another machine. Source: Engine API, `PortBindings`."""
    for name in stack:
        bindings = engine.inspect(name)["NetworkSettings"]["Ports"]
        published = [binding for entries in bindings.values() if entries for binding in entries]
        assert published, f"{name} publishes nothing"
        assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}, name


def test_a_published_port_is_the_leased_one(engine: Any, stack: RemoteStack) -> None:
    """What the handle says is where the engine publishes: nothing was remapped."""
    for name, handle in stack.items():
        bindings = engine.inspect(name)["NetworkSettings"]["Ports"]
        published = {int(binding["HostPort"]) for entries in bindings.values() if entries for binding in entries}
        assert published == {endpoint.port for endpoint in handle.endpoints.values()}, name


def test_no_container_may_gain_privileges(engine: Any, stack: RemoteStack) -> None:
    """A set-uid program inside a container gains nothing. Source: Engine API, `SecurityOpt`; prctl(2), no_new_privs."""
    for name in stack:
        host = engine.inspect(name)["HostConfig"]
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Privileged"] is False, name


def test_the_main_process_is_the_user_that_the_image_names(engine: Any, stack: RemoteStack) -> None:
    """Services drop root where their image does: Consul to 100, Redis to 999; Tempo and Collector start as 10001.

    Source: the images' Dockerfiles and entrypoints, as recorded in `ImageFacts`.
    """
    if stack.elsewhere:
        pytest.skip("not verified: the services' processes are on another machine")
    expected = {"consul": "100", "redis": "999", "tempo": "10001", "otel-collector": "10001", "grafana": "472"}
    for name, user in expected.items():
        pid = engine.inspect(name)["State"]["Pid"]
        status = Path(f"/proc/{pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("Uid:"))
        assert line.split()[1] == user, f"{name} runs as {line}"


def test_everything_on_the_engine_carries_the_runs_label(engine: Any, stack: RemoteStack) -> None:
    """Clean-up by label finds every container, the network and the volumes."""
    label = f"label=dev.infra-harness.run={stack.run}"
    containers = engine.docker("ps", "-aq", "--filter", label).split()
    assert len(containers) == len(stack)
    assert len(engine.docker("network", "ls", "-q", "--filter", label).split()) == 1
    mounted = {
        mount["Name"] for name in stack for mount in engine.inspect(name)["Mounts"] if mount["Type"] == "volume"
        and len(mount["Name"]) < 64  # anonymous volumes of an image go with their container
    }  # fmt: skip
    labelled = set(engine.docker("volume", "ls", "-q", "--filter", label).split())
    assert mounted <= labelled


def test_health_checks_of_the_compose_file_turn_healthy(engine: Any, stack: RemoteStack) -> None:
    """A service that is ready for us is healthy for the engine too. Source: Compose specification, `healthcheck`."""
    checked = [name for name in stack if engine.inspect(name)["Config"].get("Healthcheck")]
    assert {"consul", "redis", "arangodb", "grafana"} <= set(checked)
    for name in checked:
        poll(lambda name=name: _healthy(engine, name), Deadline.after(30), f"health of {name}")  # type: ignore[misc]


def _healthy(engine: Any, name: str) -> None:
    health = engine.inspect(name)["State"]["Health"]
    if health["Status"] != "healthy":
        raise NotYet(f"{health['Status']}: {health['Log'][-1:]}")


def test_services_find_each_other_by_name(engine: Any, stack: RemoteStack) -> None:
    """A service's name in the compose file is its name on the network. Source: Compose specification, `networks`."""
    address = engine.inspect("tempo")["NetworkSettings"]["Networks"]
    expected = next(iter(address.values()))["IPAddress"]
    found = engine.docker("exec", engine.container("grafana"), "getent", "hosts", "tempo")
    assert found.split()[0] == expected


def test_a_container_outside_the_network_reaches_no_service(
    engine: Any, stack: RemoteStack, request: pytest.FixtureRequest
) -> None:
    """A stack's network is its own: a container beside it can neither resolve nor reach its services."""
    image = engine.inspect("grafana")["Config"]["Image"]
    address = next(iter(engine.inspect("tempo")["NetworkSettings"]["Networks"].values()))["IPAddress"]
    beside = f"ih-beside-{secrets.token_hex(4)}"
    engine.docker("network", "create", beside)
    request.addfinalizer(lambda: engine.docker("network", "rm", beside))
    for target in ("tempo", address):
        done = subprocess.run(
            ["docker", "run", "--rm", "--network", beside, "--entrypoint", "curl", image, "-sS", "-m", "2", f"http://{target}:3200/ready"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode in {6, 7, 28}, f"{target}: {done.stdout}{done.stderr}"


def test_a_receiver_on_the_callback_host_is_reached_from_a_container(engine: Any, stack: RemoteStack) -> None:
    """Webhooks and HTTP checks find receivers of ours at `callback_host`, which is no public address of this host."""
    with (
        socket.create_server((stack.callback_host, 0)) as listener,
        stack.called_at(listener.getsockname()[1]) as address,
    ):
        listener.settimeout(10)
        url = f"http://{address}/hook"
        asking = subprocess.Popen(["docker", "exec", engine.container("grafana"), "curl", "-s", "-m", "5", url])
        connection, (peer, _) = listener.accept()
        with connection:
            assert b"GET /hook" in connection.recv(1000)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert asking.wait(10) == 0
    if stack.elsewhere:
        assert peer == stack.callback_host, "over ssh every caller is ssh itself"
        return
    assert peer == next(iter(engine.inspect("grafana")["NetworkSettings"]["Networks"].values()))["IPAddress"]
