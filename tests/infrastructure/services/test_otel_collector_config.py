"""Configurations: a wrong one refuses to start and says why, a right one can be checked without starting.

Documents: opentelemetry-collector "Configuration", `validate`.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.model import Endpoint
from harness.probes.http import ask


def configuration(otlp: str, grpc: str, metrics: Endpoint) -> dict[str, Any]:
    """A right configuration: one pipeline to a backend that nobody needs."""
    reader = {"host": metrics.host, "port": metrics.port, "without_type_suffix": True, "without_units": True}
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": otlp}, "grpc": {"endpoint": grpc}}}},
        "exporters": {"otlp_http": {"endpoint": "http://127.0.0.1:1"}},
        "service": {
            "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": reader}}}]}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }


def processor(name: str, **settings: Any) -> dict[str, Any]:
    """A change that puts one processor into the pipeline."""
    return {"processors": {name: settings}, "service": {"pipelines": {"traces": {"processors": [name]}}}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown component": ({"processors": {"nosuch": {}}}, "nosuch"),
    "undefined exporter": ({"service": {"pipelines": {"traces": {"exporters": ["debug/gone"]}}}}, "debug/gone"),
    "unknown key": ({"exporters": {"otlp_http": {"endpiont": "x"}}}, "endpiont"),
    "no duration": ({"exporters": {"otlp_http": {"timeout": "soon"}}}, "'timeout' time: invalid duration\n"),
    "batch sizes": (
        processor("batch", send_batch_size=10, send_batch_max_size=5),
        "send_batch_max_size must be greater or equal to send_batch_size",
    ),
    "no limit": (processor("memory_limiter", check_interval="1s"), "limit_mib"),
    "no exporter": ({"service": {"pipelines": {"traces": {"exporters": []}}}}, "must have at least one exporter"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_configuration_refuses_to_start_and_says_why(
    own_server: Callable[[str], list[str]],
    lease: Callable[..., Endpoint],
    collector_file: Callable[..., Path],
    name: str,
) -> None:
    """Exit code 1 at once, with the cause on standard error. Source: "Configuration"."""
    change, said = WRONG[name]
    file = collector_file(configuration(lease("otlp").address, lease("grpc").address, lease("metrics")), change)
    command = [*own_server("otel_collector"), f"--config={file}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1, ended
    assert said in ended.stderr, ended.stderr


def test_a_configuration_is_validated_without_starting(
    own_server: Callable[[str], list[str]], lease: Callable[..., Endpoint], collector_file: Callable[..., Path]
) -> None:
    """A deployment checks a file first: exit code 0 or 1, and no port opened. Source: "Configuration", validate."""
    otlp = lease("otlp")
    right = configuration(otlp.address, lease("grpc").address, lease("metrics"))
    ended = []
    for change in ({}, {"exporters": {"otlp_http": {"endpiont": "x"}}}):
        file = collector_file(right, change)
        command = [*own_server("otel_collector"), "validate", f"--config={file}"]
        ended.append(subprocess.run(command, capture_output=True, text=True, timeout=20, check=False))
    assert [one.returncode for one in ended] == [0, 1]
    assert "endpiont" in ended[1].stderr
    with pytest.raises(OSError):
        ask(otlp, "/v1/traces")


def test_a_port_in_use_refuses_to_start_and_names_it(
    own_server: Callable[[str], list[str]], lease: Callable[..., Endpoint], collector_file: Callable[..., Path]
) -> None:
    """Two Collectors on one port do not share it by accident. Source: otlpreceiver, Start."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file = collector_file(configuration(address, lease("grpc").address, lease("metrics")))
        command = [*own_server("otel_collector"), f"--config={file}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert address in ended.stderr
    assert "address already in use" in ended.stderr
