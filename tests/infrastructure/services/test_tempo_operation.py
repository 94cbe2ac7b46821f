"""Restart, kill, retention, tenants and limits: on servers of a test's own, with a configuration of its own.

Documents: Tempo configuration "live_store", "overrides", "compaction"; Tempo "Multi-tenancy".
"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.keeper.client import RemoteStack
from harness.model import Endpoint
from harness.probes.exposition import total
from harness.probes.http import Answer, ask, expect
from harness.probes.poll import Deadline, NotYet, poll
from harness.runtimes.child import Child
from harness.services.otlp_client import export_http, make_span, trace_request

FOUND_WITHIN = 10.0
STOPS_WITHIN = 20.0
"""Seconds for a graceful stop when nobody queried in the last half minute. Measured: 1 s."""
LOST_AT_MOST = 1.5
"""Seconds before a kill from which acknowledged spans may be lost. By this configuration 0.4; the rest is for load."""


@dataclass(frozen=True)
class Own:
    """A running Tempo of one test."""

    server: Child
    http: Endpoint
    otlp: Endpoint

    def push(self, *traces: str, headers: Mapping[str, str] | None = None, **attributes: str) -> Answer:
        """Send one span for each trace."""
        spans = [make_span("work", trace=trace, attributes=attributes) for trace in traces]
        return export_http(self.otlp, trace_request({"service.name": "own"}, spans), encoding="json", headers=headers)

    def has(self, trace: str, headers: Mapping[str, str] | None = None) -> bool:
        """Whether a trace is found by its id right now."""
        answer = ask(self.http, f"/api/traces/{trace}", headers=headers)
        assert answer.status in {200, 404}, f"HTTP {answer.status} {answer.text[:200]}"
        return answer.status == 200

    def searched(self, headers: Mapping[str, str] | None = None) -> set[str]:
        """The ids that a search without conditions finds right now."""
        answer = expect(200, self.http, "/api/search?limit=1000&q=%7B%7D", headers=headers)
        return {trace["traceID"].zfill(32) for trace in answer.json()["traces"]}

    def wait_searched(self, *traces: str) -> None:
        """Wait until a search finds all of these."""

        def look() -> None:
            if missing := set(traces) - self.searched():
                raise NotYet(f"{len(missing)} of {len(traces)} are not found yet")

        poll(look, Deadline.after(FOUND_WITHIN), "search", self.server.exit_report)

    def wait_ready(self) -> None:
        """Wait until it says that it is ready."""
        poll(lambda: expect(200, self.http, "/ready"), Deadline.after(FOUND_WITHIN), "/ready", self.server.exit_report)

    def discarded(self, reason: str) -> float:
        """How many spans it says it dropped for a reason."""
        return total(expect(200, self.http, "/metrics").text, "tempo_discarded_spans", reason=reason)


def configuration(data: Path, http: Endpoint, otlp: Endpoint, grpc: Endpoint) -> dict[str, Any]:
    """The smallest single binary of Tempo 3 that cuts traces quickly."""
    otlp_http = {"otlp": {"protocols": {"http": {"endpoint": otlp.address}}}}
    return {
        "server": {
            "http_listen_address": http.host, "http_listen_port": http.port,
            "grpc_listen_address": grpc.host, "grpc_listen_port": grpc.port,
        },
        "usage_report": {"reporting_enabled": False},
        "distributor": {"receivers": otlp_http},
        "query_frontend": {"query_end_cutoff": "0s"},
        "live_store": {
            "max_trace_idle": "200ms", "max_trace_live": "1s", "flush_check_period": "200ms",
            "max_block_duration": "1s", "complete_block_timeout": "20m",
            "wal": {"path": str(data / "live")}, "shutdown_marker_dir": str(data / "marker"),
        },
        "storage": {
            "trace": {
                "backend": "local", "blocklist_poll": "1s",
                "wal": {"path": str(data / "wal")}, "local": {"path": str(data / "blocks")},
            }
        },
        "backend_scheduler": {"local_work_path": str(data)},
        "backend_worker": {"finish_on_shutdown_timeout": "1s"},
        "metrics_generator": {"storage": {"path": str(data / "generator")}},
    }  # fmt: skip


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with some of its values changed."""
    both = {key: merged(base[key], value) for key, value in change.items() if isinstance(base.get(key), Mapping)}
    return {**base, **change, **both}


@pytest.fixture
def command(own_server: Callable[[str], list[str]], stack: RemoteStack) -> list[str]:
    """How another Tempo is started."""
    if stack["tempo"].fidelity.version.startswith(("1.", "2.")):
        pytest.skip("not verified: the configurations of these tests are those of Tempo 3")
    return own_server("tempo")


@pytest.fixture
def own_tempo(
    command: list[str], private_process: Callable[..., Child], lease: Callable[..., Endpoint], tmp_path: Path
) -> Callable[..., Own]:
    """`own_tempo(**change)`: start a Tempo whose configuration differs by `change`, and wait until it is ready."""

    def start(**change: Any) -> Own:
        http, otlp, grpc = lease("http"), lease("otlp_http"), lease("grpc", "grpc")
        file = tmp_path / "tempo.yaml"
        file.write_text(yaml.safe_dump(merged(configuration(tmp_path / "data", http, otlp, grpc), change)))
        server = private_process([*command, f"-config.file={file}"], ready=lambda: expect(200, http, "/ready"))
        return Own(server, http, otlp)

    return start


def test_an_acknowledged_trace_is_found_by_id_before_it_is_cut(own_tempo: Callable[..., Own]) -> None:
    """By id at once, from memory; by search only once it was cut. Source: Tempo configuration, `max_trace_idle`."""
    own = own_tempo(live_store={"max_trace_idle": "10m", "max_trace_live": "10m"})
    trace = secrets.token_hex(16)
    assert own.push(trace).status == 200
    assert own.has(trace)
    assert own.searched() == set()


def test_a_kill_loses_nothing_that_was_cut(own_tempo: Callable[..., Own]) -> None:
    """What a search has found is on disk: after SIGKILL it is found by id and by search. Source: "live_store", WAL."""
    own = own_tempo()
    traces = [secrets.token_hex(16) for _ in range(20)]
    assert own.push(*traces).status == 200
    own.wait_searched(*traces)

    own.server.kill()
    own.server.launch()
    own.wait_ready()

    assert [trace for trace in traces if not own.has(trace)] == []
    own.wait_searched(*traces)


def test_a_kill_loses_at_most_what_was_acknowledged_just_before(own_tempo: Callable[..., Own]) -> None:
    """Acknowledged is not yet durable, for `max_trace_idle` plus `flush_check_period`; everything older survives."""
    own, acknowledged = own_tempo(), dict[str, float]()
    end = time.monotonic() + LOST_AT_MOST + 0.5
    while time.monotonic() < end:
        trace = secrets.token_hex(16)
        assert own.push(trace).status == 200
        acknowledged[trace] = time.monotonic()
        time.sleep(0.03)  # the pace of the load
    killed = time.monotonic()
    own.server.kill()

    own.server.launch()
    own.wait_ready()
    ages = {trace: killed - at for trace, at in acknowledged.items() if not own.has(trace)}

    oldest = max(ages.values(), default=0.0)
    assert oldest < LOST_AT_MOST, f"lost {len(ages)} of {len(acknowledged)}, the oldest {oldest:.2f} s before the kill"


def test_a_graceful_stop_keeps_what_is_still_in_memory(own_tempo: Callable[..., Own]) -> None:
    """SIGTERM cuts live traces to the log before the end. Source: "live_store", shutdown."""
    own = own_tempo(live_store={"max_trace_idle": "10m", "max_trace_live": "10m"})
    trace = secrets.token_hex(16)
    assert own.push(trace).status == 200

    own.server.stop(STOPS_WITHIN)
    assert own.server.exit_report() == "exited with code 0"
    own.server.launch()
    own.wait_ready()

    assert own.has(trace)


def test_a_server_shows_what_it_runs_with(own_tempo: Callable[..., Own]) -> None:
    """Version, services and the configuration in force, defaults included. Source: HTTP API, "Status"."""
    own = own_tempo(live_store={"max_trace_idle": "300ms"})
    version, services, config = (
        expect(200, own.http, f"/status/{page}").text for page in ("version", "services", "config")
    )
    everything = expect(200, own.http, "/status").text
    assert all(f"GET /status/{page}\n" in everything for page in ("version", "services", "config"))
    assert "tempo, version" in version
    assert "live-store" in services
    assert "Running" in services
    shown = yaml.safe_load(config.partition("---\n")[2])
    assert (shown["live_store"]["max_trace_idle"], shown["target"]) == ("300ms", "all")


@pytest.mark.slow
def test_retention_removes_old_traces_and_keeps_younger_ones(own_tempo: Callable[..., Own]) -> None:
    """A block is deleted after `block_retention`, not before and not with its neighbours. Measured: 12 to 13 s.

    Source: Tempo configuration, "compaction".
    """
    keep = {"block_retention": "10s", "compacted_block_retention": "2s"}
    own = own_tempo(
        query_frontend={"query_end_cutoff": "0s", "search": {"query_backend_after": "1s"}},
        live_store={"complete_block_timeout": "4s", "block_reclaim_grace": "1s", "flush_op_timeout": "2s"},
        backend_scheduler={
            "maintenance_interval": "1s",
            "provider": {"retention": {"interval": "2s"}, "compaction": {"measure_interval": "1s", "compaction": keep}},
        },
        backend_worker={"compaction": keep},
    )
    old, young = secrets.token_hex(16), secrets.token_hex(16)
    sent = time.monotonic()
    assert own.push(old).status == 200
    own.wait_searched(old)

    def gone() -> None:
        if time.monotonic() - sent > 8 and not own.has(young):
            assert own.push(young).status == 200
        if own.has(old):
            raise NotYet(f"found {time.monotonic() - sent:.1f} s after it was sent")

    poll(gone, Deadline.after(40), "the old trace's end", own.server.exit_report, interval=0.2)
    assert time.monotonic() - sent > 10, "deleted before its retention"
    assert own.has(young), "a trace within its retention was deleted too"


def test_tenants_see_only_their_own_traces(own_tempo: Callable[..., Own]) -> None:
    """By id and by search, alone and together; without a tenant nothing is read or written. Source: "Multi-tenancy"."""
    own = own_tempo(multitenancy_enabled=True)
    a, b, both = ({"X-Scope-OrgID": tenant} for tenant in ("team-a", "team-b", "team-a|team-b"))
    mine, theirs = secrets.token_hex(16), secrets.token_hex(16)
    assert (own.push(mine, headers=a).status, own.push(theirs, headers=b).status) == (200, 200)

    def look() -> None:
        if (found := own.searched(both)) != {mine, theirs}:
            raise NotYet(f"{len(found)} of 2 traces")

    poll(look, Deadline.after(FOUND_WITHIN), "search over both tenants", own.server.exit_report)
    assert (own.searched(a), own.searched(b)) == ({mine}, {theirs})
    assert (own.has(mine, a), own.has(theirs, a), own.has(mine, b), own.has(mine, both)) == (True, False, False, True)
    unnamed = ask(own.http, "/api/search?q=%7B%7D")
    assert (unnamed.status, unnamed.text) == (401, "no org id\n")
    refused = own.push(secrets.token_hex(16))
    assert (refused.status, refused.json()["message"]) == (503, "no org id")
    wrong = ask(own.http, "/api/search?q=%7B%7D", headers={"X-Scope-OrgID": "a/b"})
    assert (wrong.status, "unsupported character '/'" in wrong.text) == (400, True)


def test_more_than_the_rate_limit_is_refused_and_the_client_told_when_to_return(own_tempo: Callable[..., Own]) -> None:
    """429 with Retry-After, nothing of it stored, and counted. Source: Tempo, "overrides", `rate_limit_bytes`."""
    limit = {"rate_strategy": "local", "rate_limit_bytes": 600, "burst_size_bytes": 600, "retry_info_enabled": True}
    own = own_tempo(overrides={"defaults": {"ingestion": limit}})
    fits, large = secrets.token_hex(16), secrets.token_hex(16)
    assert own.push(fits).status == 200

    answer = own.push(large, text="x" * 1000)

    assert (answer.status, answer.headers["retry-after"], answer.json()["code"]) == (429, "5", 8)
    assert "RATE_LIMITED" in answer.json()["message"]
    assert (own.has(fits), own.has(large)) == (True, False)
    assert own.discarded("rate_limited") == 1


def test_a_trace_over_its_size_limit_is_dropped_and_counted(own_tempo: Callable[..., Own]) -> None:
    """The client hears success: only the server's counter tells. Source: Tempo, "overrides", `max_bytes_per_trace`."""
    own = own_tempo(overrides={"defaults": {"global": {"max_bytes_per_trace": 400}}})
    small, large = secrets.token_hex(16), secrets.token_hex(16)
    assert (own.push(small).status, own.push(large, text="x" * 1000).status) == (200, 200)
    assert (own.has(small), own.has(large)) == (True, False)
    assert own.discarded("trace_too_large") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"live_store": {"nosuch": 1}}, "field nosuch not found"),
        ({"ingester": {"lifecycler": {}}}, "field ingester not found"),
        ({"storage": {"trace": {"backend": "floppy"}}}, "floppy"),
        ({"live_store": {"max_trace_idle": "soon"}}, "soon"),
    ],
    ids=["unknown key", "key of Tempo 2", "unknown backend", "no duration"],
)
def test_a_wrong_configuration_refuses_to_start_and_says_why(
    command: list[str], lease: Callable[..., Endpoint], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """At once, with the cause on standard error, not running half configured. Source: Tempo, "-config.verify"."""
    file, places = tmp_path / "tempo.yaml", (lease("http"), lease("otlp_http"), lease("grpc"))
    file.write_text(yaml.safe_dump(merged(configuration(tmp_path / "data", *places), change)))
    ended = subprocess.run([*command, f"-config.file={file}"], capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1, ended
    assert said in ended.stderr + ended.stdout
