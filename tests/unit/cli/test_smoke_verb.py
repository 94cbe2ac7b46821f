"""`harness smoke` on six services behind gates that note every request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from harness.credentials import Secret
from harness.errors import TargetError, TargetMismatch
from harness.model import Endpoint
from harness.runtimes.external import ExternalHandle
from harness.services import kind_named
from harness.services.base import basic
from harness.smoke import PROBES, probe_of
from harness.smoke.identity import DEAD_AFTER, new_id
from tests.unit.rigs.core_rig import ROOT, harness, short_directory
from tests.unit.rigs.gate_rig import authority_file, http_gate, server_context
from tests.unit.rigs.smoke_rig import address, gates, open_target, six_services, target_file, urls_of, writes_of

Services = list[dict[str, Any]]


@pytest.fixture(scope="module")
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    with six_services(short_directory(request)) as found:
        yield found


def smoke(place: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, page and summary.json of a run on `target.toml`."""
    common = ("--target", "target.toml", "--reports", "r", "--state", "s")
    done = harness("smoke", *common, *words, cwd=place, within=90)
    summary = place / "r" / "latest" / "summary.json"
    return done.returncode, done.stdout + done.stderr, json.loads(summary.read_text()) if summary.exists() else {}


def test_a_whole_run_says_yes_over_tls_and_leaves_nothing(services: Services, state: Path) -> None:
    authority = trustme.CA()
    with gates(services, server_context(authority)) as gated:
        ca = str(authority_file(authority, state / "ca.pem"))
        file = target_file(state, services, urls_of(gated, encrypted=True), ca)
        code, page, summary = smoke(state, "--allow-emulators")
        handles = open_target(file)
        assert (code, summary["exit_code"]) == (0, 0), page
        left = {name: found for name, handle in handles.items() if (found := _probe(handle).leftovers(handle))}
        wrote = writes_of(gated)
    assert page.startswith("YES  all 6 services answer and do their work; what was written is gone; EMULATED")
    assert summary["counts"]["passed"] == summary["counts"]["total"] == 13
    assert left == {}
    identity = summary["smoke"]["identity"]
    assert {one.partition(":")[0] for one in wrote} == {one["name"] for one in services}
    outside = [one for one in wrote if identity not in one and not one.partition(": ")[2].startswith(ALLOWED)]
    assert outside == [], "written elsewhere than below smoke/<id>/"


ALLOWED = (
    *("SET", "DEL", "MULTI", "DISCARD"),
    *("POST /v1/traces", "PUT /v1/session/create", "PUT /v1/session/destroy/"),
    *("POST /_db/_system/_api/collection", "POST /_db/_system/_api/cursor"),
    *("POST /api/folders", "POST /api/dashboards/db"),
)
"""Requests that carry the run's id in their body, or change nothing."""


def test_read_only_sends_nothing_but_reads(services: Services, state: Path) -> None:
    with gates(services) as gated:
        target_file(state, services, urls_of(gated))
        code, page, summary = smoke(state, "--allow-emulators", "--read-only")
        assert code == 0, page
        assert writes_of(gated) == []
        asked = {name: sum(len(gate.seen) for gate in ports.values()) for name, ports in gated.items()}
    assert min(asked.values()) > 0, f"the gates saw nothing of some: {asked}"
    assert (summary["counts"]["passed"], summary["counts"]["skipped"]) == (6, 7)
    assert "nothing was written" in page
    assert "not verified: --read-only writes nothing" in page


def test_emulators_are_refused_and_nothing_is_written(services: Services, state: Path) -> None:
    with gates(services) as gated:
        target_file(state, services, urls_of(gated))
        code, page, summary = smoke(state, "--read-only")
    assert (code, summary["exit_code"]) == (6, 6)
    assert page.startswith("NO  ")
    assert "is an emulator of this harness: smoke judges real services" in page
    assert summary["counts"]["total"] == 0


def test_what_dead_runs_left_is_swept_and_what_others_wrote_is_not(services: Services, state: Path) -> None:
    with gates(services) as gated:
        file = target_file(state, services, urls_of(gated))
        handle = open_target(file)["redis"]
        client = kind_named("redis").client(handle)
        dead, young = new_id(time.time() - DEAD_AFTER - 60), new_id()
        for name in (f"smoke/{dead}/key", f"smoke/{young}/key", "smoke/notes/key"):
            client.set(name, "x", ex=300)
        code, page, summary = smoke(state, "--allow-emulators")
        kept = sorted(client.scan_iter(match="smoke/*"))
        client.delete(*kept)
        client.close()
    assert code == 0, page
    assert summary["smoke"]["swept"] == [f"redis: {dead}"]
    assert f"swept, left by a dead smoke run: redis: {dead}" in page
    assert kept == sorted([f"smoke/{young}/key", "smoke/notes/key"])


def test_a_run_that_is_ended_removes_what_it_wrote(services: Services, state: Path) -> None:
    """SIGTERM while Grafana holds a request back: by then the folder is made."""
    grafana = next(one for one in services if one["kind"] == "grafana")
    begun, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str, headers: Mapping[str, str]) -> None:
        if (method, path) == ("POST", "/api/dashboards/db"):
            begun.set()
            go_on.wait(30)

    with http_gate(address(grafana, "http"), guard=hold) as gate:
        file = target_file(state, [grafana], {"grafana": {"http": f"http://127.0.0.1:{gate.port}"}})
        words = ("smoke", "--target", str(file), "--allow-emulators", "--reports", "r", "--state", "s")
        command, environment = (
            [sys.executable, "-m", "harness.cli.main", *words],
            {**os.environ, "PYTHONPATH": str(ROOT)},
        )
        running = subprocess.Popen(command, cwd=state, stdout=subprocess.PIPE, env=environment, text=True)
        assert begun.wait(60), "the test never came to it"
        handle = open_target(file)["grafana"]
        (identity,) = _probe(handle).leftovers(handle)
        running.terminate()
        page, _ = running.communicate(timeout=60)
        go_on.set()
        assert _probe(handle).leftovers(handle) == ()
    assert running.returncode == 130
    assert f"smoke/{identity}; exit 130" in page
    assert not page.startswith("YES")


def test_a_red_run_shows_no_secret_anywhere(services: Services, state: Path) -> None:
    """pytest's tracebacks have the arguments of every function, the headers that log in among them."""
    grafana = next(one for one in services if one["kind"] == "grafana")
    secret = "the-key-of-the-gateway"

    def hang_up(method: str, path: str, headers: Mapping[str, str]) -> None:
        if (method, path) == ("POST", "/api/dashboards/db"):
            raise ConnectionAbortedError

    with http_gate(address(grafana, "http"), guard=hang_up) as gate:
        file = target_file(state, [grafana], {"grafana": {"http": f"http://127.0.0.1:{gate.port}"}})
        (state / "key").write_text(secret)
        file.write_text(file.read_text() + f'headers.X-Key_file = "{state / "key"}"\n')
        code, page, _ = smoke(state, "--allow-emulators")
    assert code == 1, page
    told = {path.name: path.read_text() for path in (state / "r").rglob("*") if path.is_file()}
    assert "RemoteDisconnected" in told["pytest.log"]
    password = grafana["credentials"]["password"]
    secrets = [secret, password, basic("admin", password)]
    shown = [name for name, text in {**told, "page": page}.items() if any(one in text for one in secrets)]
    assert shown == []


@pytest.mark.parametrize("budget", ["5.5s", "0.001s"])
def test_a_budget_that_is_too_small_is_told_and_never_a_pass(services: Services, state: Path, budget: str) -> None:
    with gates(services) as gated:
        target_file(state, services, urls_of(gated))
        code, page, summary = smoke(state, "--allow-emulators", "--budget", budget)
    assert (code, summary["exit_code"]) == (19, 19), page
    assert "not reached" in page
    assert not page.startswith("YES")


@pytest.mark.parametrize("kind", [probe.kind for probe in PROBES])
def test_every_other_service_behind_the_port_is_told_apart(services: Services, kind: str) -> None:
    """With the login of the one that was expected: a foreign refusal is no expired token."""
    mine = next(one for one in services if one["kind"] == kind)
    port = next(iter(mine["endpoints"]))
    secrets = {name: Secret(text) for name, text in mine["credentials"].items()}
    wrong = {}
    for other in services:
        if other["kind"] != kind:
            host, number = address(other, next(iter(other["endpoints"])))
            scheme = mine["endpoints"][port].partition(":")[0]
            handle = ExternalHandle(mine["name"], kind, {port: Endpoint(port, host, number, scheme)}, secrets)
            wrong[other["kind"]] = _raised(handle)
    assert {type(error) for error in wrong.values()} == {TargetMismatch}, wrong


def _probe(handle: ExternalHandle) -> Any:
    return probe_of(handle.kind)


def _raised(handle: ExternalHandle) -> TargetError | None:
    try:
        _probe(handle).identify(handle)
    except TargetError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[services.redis]\nendpoints.redis = "redis://h"\ncredentials.password = "hunter2"',
            "a secret is never written",
        ),
        ('[services.redis]\nendpoints.redis = "redis://h"\ntls.insecure = true', "verification cannot be switched off"),
        ('[services.redis]\nendpoint = "redis://h"', "unknown key 'endpoint'"),
        ("", "expected at least one"),
    ],
)
def test_a_target_file_that_cannot_be_used_is_one_sentence(state: Path, text: str, told: str) -> None:
    (state / "target.toml").write_text(text)
    code, page, summary = smoke(state)
    assert (code, summary) == (2, {})
    assert told in page
    assert "hunter2" not in page
    assert "Traceback" not in page


def test_without_a_target_there_is_nothing_to_judge(state: Path) -> None:
    done = harness("smoke", cwd=state)
    assert (done.returncode, "name one with --target" in done.stderr) == (2, True)
