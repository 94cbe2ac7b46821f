"""Reading Tempo's configuration: strictness, expansion, the file this project ships, tenants' limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.emulators.runner import ConfigError
from harness.emulators.tempo import settings
from harness.emulators.tempo.limits import Limits, NoTenantError, Overrides, RateLimiter, TenantError, tenants
from tests.unit.emulators.tempo.tempo_replay import CAPTURES

SHIPPED = Path(__file__).parents[4] / "compose/config/tempo/tempo.yaml"
MINIMAL = "storage: {trace: {backend: local, local: {path: /x}}}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server: {}\nnosuch: 1\n", "line 2: field nosuch not found in type app.Config"),
        ("ingester:\n  trace_idle_period: 1s\n", "line 1: field ingester not found in type app.Config"),
        ("compactor: {}\n", "line 1: field compactor not found in type app.Config"),
        ("live_store:\n  max_idle: 1s\n", "line 2: field max_idle not found in type livestore.Config"),
        ("query_frontend:\n  search:\n    foo: 1\n", "line 3: field foo not found in type frontend.SearchConfig"),
        ("server: 5\n", "line 1: cannot unmarshal int into server.Config"),
        ("live_store: {max_trace_idle: soon}\n" + MINIMAL, 'time: invalid duration "soon"'),
    ],
)
def test_what_is_unknown_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="yaml: unmarshal errors:") as refused:
        settings.parse(text)
    assert complaint in str(refused.value)


def test_an_unknown_backend_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown backend floppy"):
        settings.parse("storage: {trace: {backend: floppy}}\n")
    with pytest.raises(ConfigError, match="failed to read configFile"):
        settings.load(str(tmp_path / "no.yaml"), expand_env=True)


@pytest.mark.parametrize("name", ["config-single-binary", "config-multitenant", "config-fast-retention"])
def test_the_captured_configurations_are_valid(name: str) -> None:
    assert settings.load(str(CAPTURES / f"{name}.yaml"), expand_env=False).query_end_cutoff == 0


def test_defaults_are_the_real_ones() -> None:
    found = settings.parse(MINIMAL)
    assert (found.max_trace_idle, found.max_trace_live, found.flush_check_period) == (5, 30, 5)
    assert (found.query_end_cutoff, found.query_backend_after) == (30, 900)
    assert (found.block_retention, found.http_host, found.http_port) == (14 * 86400, "0.0.0.0", 3200)
    assert found.otlp_grpc == found.otlp_http == ""  # without receivers Tempo starts and ingests nothing


def test_the_shipped_file_serves_containers_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = settings.load(str(SHIPPED), expand_env=True)
    assert ((inside.http_host, inside.http_port), (inside.grpc_host, inside.grpc_port)) == (
        ("0.0.0.0", 3200),
        ("0.0.0.0", 9095),
    )
    assert (inside.otlp_grpc, inside.otlp_http) == ("0.0.0.0:4317", "0.0.0.0:4318")
    assert str(inside.blocks_path) == "/var/tempo/blocks"
    for name, value in {
        "TEMPO_HTTP_LISTEN_ADDRESS": "127.0.0.1", "TEMPO_GRPC_LISTEN_ADDRESS": "127.0.0.1", "TEMPO_HTTP_PORT": "1",
        "TEMPO_GRPC_PORT": "2", "TEMPO_OTLP_GRPC_LISTEN": "127.0.0.1:3", "TEMPO_OTLP_HTTP_LISTEN": "127.0.0.1:4",
        "TEMPO_DATA": "/data",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    outside = settings.load(str(SHIPPED), expand_env=True)
    assert ((outside.http_host, outside.http_port), (outside.grpc_host, outside.grpc_port)) == (
        ("127.0.0.1", 1),
        ("127.0.0.1", 2),
    )
    assert (outside.otlp_grpc, outside.otlp_http) == ("127.0.0.1:3", "127.0.0.1:4")
    assert "/var/tempo" not in yaml.dump({"live": str(outside.live_wal), "blocks": str(outside.blocks_path)})


def test_expansion() -> None:
    text = "a: ${A:-x} b: ${B} c: $C d: ${A:-}"
    assert settings.expand(text, {"B": "2", "C": "3"}) == "a: x b: 2 c: 3 d: "


# -- limits


def test_tenant_ids() -> None:
    assert tenants("anything/goes", enabled=False) == ["single-tenant"]
    assert tenants("b|a", enabled=True, several=True) == ["a", "b"]
    for header, error in ((None, NoTenantError), ("", NoTenantError), ("x" * 151, TenantError), ("a|b", TenantError)):
        with pytest.raises(error):
            tenants(header, enabled=True)


def test_a_tenants_block_replaces_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text("overrides: {one: {global: {max_bytes_per_trace: 600}}}\n")
    overrides = Overrides({"ingestion": {"rate_limit_bytes": 9}}, path, 10)
    overrides.tick(0)
    assert overrides.limits("one") == Limits(0, 0, 0, 600, retry_info=False)
    assert overrides.limits("two").rate == 9
    path.write_text("overrides: {one: [broken")
    overrides.tick(5)
    overrides.tick(11)
    assert overrides.limits("one").max_trace_bytes == 600


def test_the_rate_limit_is_a_bucket_that_refills() -> None:
    limiter, limits = RateLimiter(), Limits(100, 200, 0, 0, retry_info=True)
    assert limiter.refusal("t", 200, limits, 0.0) == ""
    assert "exceeded while adding 50 bytes for user t" in limiter.refusal("t", 50, limits, 0.4)
    assert limiter.refusal("t", 50, limits, 1.0) == ""
    assert "batch size (201 bytes) exceeds ingestion limit" in limiter.refusal("t", 201, limits, 60.0)


def test_a_raised_limit_starts_with_an_empty_bucket() -> None:
    limiter = RateLimiter()
    assert limiter.refusal("t", 91, Limits(0, 0, 0, 0, retry_info=True), 0.0) != ""
    raised = Limits(30_000_000, 30_000_000, 0, 0, retry_info=True)
    assert "exceeded while adding 93 bytes" in limiter.refusal("t", 93, raised, 1.0)
    assert limiter.refusal("t", 93, raised, 1.5) == ""
