"""What an emulator costs: time to ready, idle memory, simple requests on one core, growth, an index at 10x the data.

    python benchmarks/emulators.py [--requests N] [--kinds consul,tempo]

Each is started by itself, as the process runtime starts it. Ready is the first good answer to a simple request, counted
from the start of the process, by the clock and in processor time. A rate is requests per second of the emulator's own
processor time, which is what one core gives it, whatever else the machine does and however slow the one who asks is; so
is the cost of the indexed query, of which the ratio counts.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config import compose
from harness.keeper.leases import Leases
from harness.model import Endpoint, RuntimeName
from harness.plan import Choice, make_plan, only
from harness.probes.usage import usage_of
from harness.runtimes.process import ProcessInstance, ProcessRuntime
from harness.services import kind_named
from harness.services.tempo import one_span

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = f"{os.getpid()}-of-this-run"
FEW, MANY, ASKED = 1_000, 10_000, 2_000
MIB = 2**20


@dataclass(frozen=True)
class Running:
    """An emulator that answers, and how long it took to."""

    instance: ProcessInstance
    endpoints: Mapping[str, Endpoint]
    ready: float

    @property
    def processor(self) -> float:
        """Seconds of processor time so far, all threads."""
        fields = Path("/proc", str(self.instance.pid), "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        usage = usage_of([self.instance.pid])
        return usage.memory / MIB if usage else 0.0


@dataclass(frozen=True)
class Subject:
    """One emulator: its service in the compose file, a simple request, and its indexed query at two sizes.

    `grow(client, first, last)` stores items, `find(client, number)` asks for one of them by an index.
    """

    service: str
    port: str
    simple: str
    user: str = ""
    grow: Callable[[Client, int, int], None] | None = None
    find: Callable[[Client, int], None] | None = None


@dataclass
class Client:
    """One connection that is kept, to one port or, for `at`, to another of the same emulator."""

    running: Running
    subject: Subject
    open: dict[str, http.client.HTTPConnection] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, at: str = "") -> bytes:
        """The body of a good answer. Raises RuntimeError for any other."""
        port = at or self.subject.port
        if port not in self.open:
            endpoint = self.running.endpoints[port]
            self.open[port] = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        if self.subject.user:
            headers["Authorization"] = "Basic " + b64encode(f"{self.subject.user}:{PASSWORD}".encode()).decode()
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self.open[port].request(method, path, data, headers)
        answer = self.open[port].getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text


# -- what is asked of each


def _keys(client: Client, first: int, last: int) -> None:
    for number in range(first, last):
        client.ask("PUT", f"/v1/kv/bench/{number}", b"v")


def _documents(client: Client, first: int, last: int) -> None:
    if first == 0:
        client.ask("POST", "/_api/collection", {"name": "bench"})
        index = {"type": "persistent", "fields": ["k"], "unique": True}
        client.ask("POST", "/_api/index?collection=bench", index)
    client.ask("POST", "/_api/document/bench", [{"k": number} for number in range(first, last)])


def _document(client: Client, number: int) -> None:
    query = "FOR d IN bench FILTER d.k == @k RETURN d"
    found = json.loads(client.ask("POST", "/_api/cursor", {"query": query, "bindVars": {"k": number}}))
    if len(found["result"]) != 1:
        raise RuntimeError(f"{found}")


def _spans(client: Client, first: int, last: int) -> None:
    for number in range(first, last):
        client.ask("POST", "/v1/traces", one_span(f"{number + 1:032x}"), at="otlp_http")


def _dashboards(client: Client, first: int, last: int) -> None:
    for number in range(first // 10, last // 10):
        client.ask("POST", "/api/dashboards/db", {"dashboard": {"uid": f"b{number}", "title": f"b{number}"}})


SUBJECTS = (
    Subject("consul", "http", "/v1/status/leader", "", _keys, lambda c, n: _get(c, f"/v1/kv/bench/{n}")),
    Subject("arangodb", "http", "/_api/version", "root", _documents, _document),
    Subject("tempo", "http", "/api/echo", "", _spans, lambda c, n: _get(c, f"/api/v2/traces/{n + 1:032x}")),
    Subject("otel-collector", "health", "/"),
    Subject(
        "grafana", "http", "/api/health", "admin", _dashboards, lambda c, n: _get(c, f"/api/dashboards/uid/b{n // 10}")
    ),
)


def _get(client: Client, path: str) -> None:
    client.ask("GET", path)


# -- measuring


@contextmanager
def started(subject: Subject) -> Iterator[Running]:
    """The emulator by itself."""
    variables = {"REDIS_PASSWORD": PASSWORD, "ARANGO_ROOT_PASSWORD": PASSWORD, "GRAFANA_ADMIN_PASSWORD": PASSWORD}
    read = compose.read([ROOT / "compose" / "stack.yml"], variables)
    plan = make_plan(read, Choice(RuntimeName.PROCESS, "benchmark"), {})
    leases = Leases()
    addresses = {
        name: leases.lease_all((*kind.ports, *kind.process_ports))
        for name, kind in ((one.name, kind_named(str(one.kind))) for one in plan.services.values())
    }
    with tempfile.TemporaryDirectory(prefix="be-") as directory:
        runtime = ProcessRuntime(Path(directory, "run"), lambda spawn: spawn())
        runtime.prepare(only(plan, plan.services))
        instance = runtime.create(plan.services[subject.service], addresses, Path(directory, "log"))
        began = time.perf_counter()
        instance.launch()
        try:
            yield _ready(subject, Running(instance, addresses[subject.service], 0.0), began)
        finally:
            instance.kill()
            leases.release()


def _ready(subject: Subject, running: Running, began: float) -> Running:
    while time.perf_counter() - began < 30:
        try:
            Client(running, subject).ask("GET", subject.simple)
        except (OSError, http.client.HTTPException, RuntimeError):
            time.sleep(0.005)
            continue
        return Running(running.instance, running.endpoints, time.perf_counter() - began)
    raise RuntimeError(f"{subject.service}: not ready: {running.instance.log.read_text()[-500:]}")


def rate(client: Client, requests: int) -> float:
    """Simple requests per second of processor time."""
    before = client.running.processor
    for _ in range(requests):
        client.ask("GET", client.subject.simple)
    return requests / (client.running.processor - before or 0.01)


def slowdown(client: Client) -> float:
    """How many times as much the indexed query costs with ten times the data; 0 when there is nothing to store."""
    subject, costs = client.subject, []
    if not subject.grow or not subject.find:
        return 0.0
    for first, last in ((0, FEW), (FEW, MANY)):
        subject.grow(client, first, last)
        before = client.running.processor
        for number in range(ASKED):
            subject.find(client, number * 7 % FEW)
        costs.append(client.running.processor - before)
    return costs[1] / costs[0]


def measure(subject: Subject, requests: int) -> str:
    """One row of the table."""
    with started(subject) as running:
        client, start = Client(running, subject), running.processor
        idle = running.memory
        rate(client, 500)
        before = running.memory
        per_second = rate(client, requests)
        growth = running.memory - before
        ratio = slowdown(client)
    asked = f"{ratio:.2f}" if ratio else "no store"
    cells = (
        f"{running.ready:.2f} s ({start:.2f} s of processor)",
        f"{idle:.0f} MiB",
        f"{per_second:,.0f}",
        f"{growth:+.1f} MiB",
        asked,
    )
    return f"| {subject.service} | {' | '.join(cells)} |"


def main() -> int:
    """Measure each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000, metavar="N", help="simple requests for the growth")
    parser.add_argument("--kinds", default="", metavar="NAMES", help="only these services, separated by commas")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {given.requests:,} requests")
    growth = f"growth over {given.requests:,}"
    columns = ("emulator", "ready", "idle", "requests per second of a core", growth, "indexed query, 10x the data")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for subject in SUBJECTS:
        if not given.kinds or subject.service in given.kinds.split(","):
            print(measure(subject, given.requests), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
