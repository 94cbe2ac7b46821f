"""Consul: service discovery, health checks, key/value store, sessions."""

from __future__ import annotations

import re
import uuid
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from harness.credentials import Secret
from harness.model import Port, Reading, ServicePlan
from harness.ports import Handle
from harness.probes.http import Answer, expect
from harness.probes.poll import NotYet
from harness.services.base import ImageFacts, Kind, Launch, Place, take_flags, without

if TYPE_CHECKING:
    import consul

TIMEOUT = 5.0
"""Seconds that any call of the client may take. python-consul2 itself would wait for ever."""
FLAGS = {
    "agent": 0,
    "-server": 0,
    "-ui": 0,
    "-dev": 0,
    "-bootstrap-expect": 1,
    "-node": 1,
    "-client": 1,
    "-bind": 1,
    "-hcl": 1,
    "-http-port": 1,
    "-https-port": 1,
    "-log-level": 1,
    "-datacenter": 1,
    "-retry-join": 1,
    "-retry-interval": 1,
}
"""Flags that a compose command may have, and how many values each takes."""


class Consul(Kind):
    """A single server, with its data on disk (not `-dev`, which keeps nothing)."""

    name: ClassVar[str] = "consul"
    fixture: ClassVar[str] = "consul"
    images: ClassVar[tuple[str, ...]] = ("hashicorp/consul", "consul")
    programs: ClassVar[tuple[str, ...]] = ("consul",)
    ports: ClassVar[tuple[Port, ...]] = (Port("http", 8500, "http"), Port("dns", 8600, "udp"))
    members_by_address: ClassVar[bool] = True
    process_ports: ClassVar[tuple[Port, ...]] = (Port("server", 8300), Port("serf_lan", 8301))
    secret_variables: ClassVar[tuple[str, ...]] = ("CONSUL_TOKEN",)
    version_arguments: ClassVar[tuple[str, ...]] = ("version",)
    facts: ClassVar[ImageFacts] = ImageFacts(
        user="consul (uid 100), dropped to by the entrypoint",
        has_shell=True,
        writable=("/consul/data", "/consul/config"),
        entrypoint=("docker-entrypoint.sh",),
        licence="BUSL-1.1 since 1.17.0, MPL-2.0 before",
        source="https://github.com/hashicorp/docker-consul",
    )

    def read_version(self, printed: str) -> str:
        """`Consul v1.22.0` on the first line."""
        match = re.search(r"v(\d+\.\d+\.\d+\S*)", printed)
        return match.group(1) if match else ""

    def launch(self, place: Place) -> Launch:
        """`agent ...` as the compose file has it, bound to loopback; files under /consul/config become -config-file."""
        words = take_flags(self.name, place.service, FLAGS)
        kept = [_on_host(word, place) for word in without(words, ("-client", "-bind", "-http-port", "-https-port"))]
        files = [mount for mount in place.service.mounts if mount.target.startswith("/consul/config/")]
        ports = {
            "https" if place.service.tls else "http": "http",
            "dns": "dns",
            "server": "server",
            "serf-lan": "serf_lan",
        }
        return Launch(
            (
                *kept,
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                f"-data-dir={place.data}",
                *(f"-config-file={place.host_path(mount.target)}" for mount in files),
                *(f"-{flag}-port={place.port(name)}" for flag, name in ports.items()),
                *(("-http-port=-1",) if place.service.tls else ()),
                "-serf-wan-port=-1",
                "-grpc-port=-1",
                *(("-grpc-tls-port=-1",) if _has_grpc_tls(place) else ()),
            )
        )

    def credentials(self, service: ServicePlan) -> dict[str, Secret]:
        """`CONSUL_HTTP_TOKEN`, which the consul command and so the health check read too."""
        token = service.environment.get("CONSUL_HTTP_TOKEN", "")
        return {"token": Secret(token)} if token else {}

    def ready(self, handle: Handle) -> str:
        """A leader, a write that it accepted, the same bytes read back, and its own entry in the catalog."""
        call = self._caller(handle)
        key, value = f"harness/ready/{uuid.uuid4().hex}", uuid.uuid4().hex
        if not call("/v1/status/leader").json():
            raise NotYet("no leader yet")
        call(f"/v1/kv/{key}", "PUT", body=value.encode())
        found = call(f"/v1/kv/{key}?consistent").json()
        call(f"/v1/kv/{key}", "DELETE")
        if b64decode(found[0]["Value"] or "").decode() != value:
            raise NotYet("a key read back different from what was written")
        if not call("/v1/catalog/service/consul").json():
            raise NotYet("the server is not in its own catalog yet")
        return str(call("/v1/agent/self").json()["Config"]["Version"])

    def authorization(self, handle: Handle) -> dict[str, str]:
        """The ACL token in Consul's own header, where it has one."""
        found = super().authorization(handle)
        if token := handle.credentials.get("token"):
            found["X-Consul-Token"] = token.reveal()
            del found["Authorization"]
        return found

    def _caller(self, handle: Handle) -> Callable[..., Answer]:
        """`expect` of 200 at its HTTP port, logged in."""
        return partial(expect, 200, handle.endpoint("http"), headers=self.authorization(handle))

    def saturation(self, handle: Handle) -> tuple[Reading, ...]:
        """Who leads, and how many checks of anybody are critical: those are the registered services' trouble."""
        call = self._caller(handle)
        leader, critical = call("/v1/status/leader").json(), call("/v1/health/state/critical").json()
        return (Reading("leader", leader or "none"), Reading("critical checks", len(critical)))

    def client(self, handle: Handle) -> consul.Consul:
        """python-consul2's client with a time-out on every call and no proxy or .netrc from the environment."""
        from harness.services.consul_client import connect

        return connect(handle.endpoint("http"), TIMEOUT, handle.credentials.get("token"))

    def close_client(self, client: Any) -> None:
        """Close the session of its HTTP adapter."""
        client.http.session.close()

    def open_namespace(self, handle: Handle, name: str) -> str:
        """A key prefix, ending in a slash; it needs no making."""
        del handle
        return f"{name}/"

    def close_namespace(self, handle: Handle, name: str) -> None:
        """Delete every key under the prefix, and deregister services whose name begins with it."""
        call = self._caller(handle)
        call(f"/v1/kv/{name}/?recurse", "DELETE")
        for identity, service in call("/v1/agent/services").json().items():
            if service["Service"].startswith(name):
                call(f"/v1/agent/service/deregister/{identity}", "PUT")


def _has_grpc_tls(place: Place) -> bool:
    """Consul opens a second gRPC port since 1.14, and refuses the flag before."""
    match = re.match(r"(\d+)\.(\d+)", place.binary.version) if place.binary else None
    return match is not None and (int(match[1]), int(match[2])) >= (1, 14)


def _on_host(word: str, place: Place) -> str:
    """A word of the command, with the paths that an `-hcl` fragment has in quotes where they are on this machine."""
    return re.sub(r'"(/[^"]+)"', lambda found: f'"{place.host_path(found[1])}"', word)
