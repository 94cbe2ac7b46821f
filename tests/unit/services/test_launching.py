"""How each kind is started as a process: nothing of the compose file is silently dropped, everything is on loopback."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

from harness.errors import PlanError
from harness.model import Mount
from harness.services import SERVICES, kind_named, kind_of_image
from harness.services.base import Binary, Kind, environment_for, take_flags
from tests.unit.rigs.core_rig import place_for, service


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("redis:8", "redis"),
        ("docker.io/library/redis:8@sha256:abc", "redis"),
        ("localhost:5000/redis", "redis"),
        ("registry.corp/valkey/valkey:9", "redis"),
        ("hashicorp/consul", "consul"),
        ("grafana/grafana-oss:1", "grafana"),
        ("arangodb:3.12", "arangodb"),
        ("me/redis:8", None),
        ("redis-exporter:1", None),
    ],
)
def test_a_kind_is_known_by_its_image(image: str, kind: str | None) -> None:
    found = kind_of_image(image)
    assert (found.name if found else None) == kind


def launch(kind: str, tmp_path: Path, *command: str, **more: object) -> tuple[str, ...]:
    binary = more.pop("binary", None)
    place = place_for(kind, tmp_path, binary, command=command, **more)  # type: ignore[arg-type]
    return kind_named(kind).launch(place).arguments


def test_consul(tmp_path: Path) -> None:
    mounts = (Mount("bind", "/consul/config/a.json", "/x"), Mount("volume", "/consul/data", "d"))
    words = ("agent", "-server", "-client=0.0.0.0", "-bind", "0.0.0.0", "-node", "n", "-client", "1.2.3.4", "-ui")
    arguments = launch("consul", tmp_path, *words, mounts=mounts)
    assert arguments[:7] == ("agent", "-server", "-node", "n", "-ui", "-bind=127.0.0.1", "-client=127.0.0.1")
    assert "-config-file=/host/consul/config/a.json" in arguments
    assert {"-http-port=20000", "-dns-port=20001", "-server-port=20002", "-serf-lan-port=20003"} <= set(arguments)
    assert not any("0.0.0.0" in word or "1.2.3.4" in word for word in arguments)


@pytest.mark.parametrize(
    ("version", "has"),
    [("1.22.0", True), ("1.14.0", True), ("1.13.9", False), ("", False), ("dev", False), (None, False)],
)
def test_consul_closes_its_second_grpc_port_where_it_has_one(tmp_path: Path, version: str | None, has: bool) -> None:
    binary = Binary(Path("/c"), version) if version is not None else None
    assert ("-grpc-tls-port=-1" in launch("consul", tmp_path, "agent", binary=binary)) is has


def test_redis(tmp_path: Path) -> None:
    arguments = launch("redis", tmp_path, "redis-server", "/etc/redis.conf", "--include", "/etc/auth.conf")
    assert arguments[:3] == ("/host/etc/redis.conf", "--include", "/host/etc/auth.conf")
    assert arguments[3:7] == ("--port", "20000", "--bind", "127.0.0.1")
    assert launch("redis", tmp_path)[:2] == ("--port", "20000")
    with pytest.raises(PlanError, match=r"stack\.yml:1: service redis: command: expected redis-server first"):
        launch("redis", tmp_path, "sh", "-c", "x")


def test_arangodb(tmp_path: Path) -> None:
    arguments = launch("arangodb", tmp_path, "arangod", "--foxx.enable", "false", "--log.level=warn", "--c", "/etc/c")
    assert arguments[:5] == ("--foxx.enable", "false", "--log.level=warn", "--c", "/host/etc/c")
    assert "tcp://127.0.0.1:20000" in arguments
    with pytest.raises(PlanError, match="'upgrade' cannot be carried over"):
        launch("arangodb", tmp_path, "arangod", "upgrade")


@pytest.mark.parametrize(
    ("kind", "command", "expected", "variable"),
    [
        ("tempo", ("-config.file=/etc/t.yaml",), ("-config.file=/host/etc/t.yaml",), "TEMPO_HTTP_PORT"),
        ("tempo", ("-config.file", "/etc/t.yaml"), ("-config.file", "/host/etc/t.yaml"), "TEMPO_OTLP_GRPC_LISTEN"),
        ("otel_collector", ("--config=/c.yaml",), ("--config=/host/c.yaml",), "OTELCOL_METRICS_PORT"),
        ("otel_collector", ("--config", "/c.yaml"), ("--config", "/host/c.yaml"), "OTELCOL_DATA"),
        ("grafana", (), ("server",), "GF_PATHS_PROVISIONING"),
    ],
)
def test_kinds_configured_through_their_environment(
    tmp_path: Path, kind: str, command: tuple[str, ...], expected: tuple[str, ...], variable: str
) -> None:
    made = kind_named(kind).launch(place_for(kind, tmp_path, command=command))
    assert made.arguments == expected
    assert made.environment[variable]
    assert not any("0.0.0.0" in value for value in made.environment.values())


@pytest.mark.parametrize("kind", SERVICES, ids=lambda kind: kind.name)
def test_a_word_that_cannot_be_carried_over_is_told(tmp_path: Path, kind: Kind) -> None:
    first = ("redis-server",) if kind.name == "redis" else ()
    with pytest.raises(
        PlanError, match=r"stack\.yml:1: service \w+: command: 'daemon' cannot be carried over"
    ) as caught:
        kind.launch(place_for(kind.name, tmp_path, command=(*first, *(("--save", "x") if first else ()), "daemon")))
    assert "docker runtime" in caught.value.next_step


def test_flags_keep_their_values() -> None:
    item = service("x", command=("-a", "1", "-b=2", "-c", "-a"))
    assert take_flags("k", item, {"-a": 1, "-b": 1, "-c": 0}) == ["-a", "1", "-b=2", "-c", "-a", ""]
    with pytest.raises(PlanError, match="expected no arguments"):
        take_flags("k", item, {})


def test_a_child_gets_little_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://corp:1")
    monkeypatch.setenv("AWS_SECRET", "x")
    monkeypatch.setenv("COVERAGE_X", "y")
    found = environment_for(place_for("redis", tmp_path, environment={"A": "1", "B": "1"}), {"B": "2"})
    assert (found["A"], found["B"], found["COVERAGE_X"]) == ("1", "2", "y")
    assert "HTTP_PROXY" not in found
    assert "AWS_SECRET" not in found
    assert "PATH" in found


# -- finding real servers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "printed", "version"),
    [
        ("consul", "Consul v1.22.0\nRevision x", "1.22.0"),
        ("redis", "Redis server v=7.0.15 sha=0", "7.0.15"),
        ("redis", "Valkey server v=9.1.2 sha=0", "valkey 9.1.2"),
        ("arangodb", "3.12.10\n\narchitecture: 64bit", "3.12.10"),
        ("tempo", "tempo, version v3.0.3 (branch: x)", "3.0.3"),
        ("otel_collector", "otelcol-contrib version 0.159.0", "0.159.0"),
        ("grafana", "grafana version 13.2.3", "13.2.3"),
        ("grafana", "Version 13.2.3 (commit: x)", "13.2.3"),
    ],
)
def test_versions_are_read(kind: str, printed: str, version: str) -> None:
    assert kind_named(kind).read_version(printed) == version
    assert kind_named(kind).read_version("no idea") == ""


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_server_is_found_on_path_or_where_it_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consul = kind_named("consul")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert consul.find_binary() is None
    found = program(tmp_path / "consul", "print('Consul v1.2.3')")
    assert consul.find_binary() == Binary(found, "1.2.3")
    other = program(tmp_path / "other", "import sys; print('Consul v9.9.9', file=sys.stderr)")
    assert consul.find_binary(str(other)) == Binary(other, "9.9.9")
    with pytest.raises(PlanError, match="consul: configured binary 'none': no such program"):
        consul.find_binary("none")


def test_a_program_that_cannot_tell_its_version(tmp_path: Path) -> None:
    assert kind_named("consul").binary_version(tmp_path / "none") == ""


def test_redis_may_come_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = kind_named("redis")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("harness.services.redis._wheels", lambda: (("no_such_wheel", "x"), ("a_wheel", "bin/server")))
    assert redis.find_binary() is None
    (tmp_path / "a_wheel" / "bin").mkdir(parents=True)
    (tmp_path / "a_wheel" / "__init__.py").touch()
    assert redis.find_binary() is None
    found = program(tmp_path / "a_wheel" / "bin" / "server", "print('Redis server v=1.2.3 x')")
    assert redis.find_binary() == Binary(found, "1.2.3")


def test_an_unknown_kind_is_told_with_those_that_exist() -> None:
    with pytest.raises(PlanError, match=re.escape(", ".join(kind.name for kind in SERVICES))):
        kind_named("x")


def test_every_kind_has_an_emulators_command() -> None:
    assert kind_named("tempo").emulator == (sys.executable, "-m", "harness.emulators.tempo")


# -- over TLS -----------------------------------------------------------------------------------------------------


def test_consul_over_tls_opens_no_plain_port(tmp_path: Path) -> None:
    words = ("agent", "-http-port=-1", "-https-port=8500", '-hcl=ca_file = "/etc/tls/ca.pem"')
    arguments = launch("consul", tmp_path, *words, tls=("http",))
    assert {"-http-port=-1", "-https-port=20000"} <= set(arguments)
    assert [word for word in arguments if word.startswith("-hcl")] == ['-hcl=ca_file = "/host/etc/tls/ca.pem"']


@pytest.mark.parametrize("spelling", [("-hcl={}",), ("-hcl", "{}")])
def test_a_fragment_of_consuls_configuration_is_kept(tmp_path: Path, spelling: tuple[str, ...]) -> None:
    fragment = 'performance { raft_multiplier = 1 } data_dir = "/consul/data"'
    words = [word.format(fragment) for word in spelling]
    arguments = " ".join(launch("consul", tmp_path, "agent", *words))
    assert " ".join(words).replace("/consul/data", "/host/consul/data") in arguments


def test_redis_over_tls_opens_no_plain_port(tmp_path: Path) -> None:
    words = ("redis-server", "--port", "0", "--tls-port", "6379", "--tls-cert-file", "/etc/tls/certificate.pem")
    arguments = launch("redis", tmp_path, *words, tls=("redis",))
    assert "--tls-cert-file /host/etc/tls/certificate.pem --port 0 --tls-port 20000" in " ".join(arguments)
    assert "6379" not in arguments


def test_arangodb_over_tls_listens_with_it_only(tmp_path: Path) -> None:
    words = ("arangod", "--server.endpoint", "ssl://0.0.0.0:8529", "--ssl.keyfile", "/etc/tls/server.pem")
    arguments = " ".join(launch("arangodb", tmp_path, *words, tls=("http",)))
    assert "--ssl.keyfile /host/etc/tls/server.pem --server.endpoint ssl://127.0.0.1:20000" in arguments
    assert "0.0.0.0" not in arguments


def test_grafana_over_tls_is_told_where_its_files_are_here(tmp_path: Path) -> None:
    environment = {"GF_SERVER_CERT_FILE": "/etc/tls/certificate.pem", "GF_SERVER_CERT_KEY": "/etc/tls/key.pem"}
    place = place_for("grafana", tmp_path, environment=environment, tls=("http",))
    told = kind_named("grafana").launch(place).environment
    assert (told["GF_SERVER_CERT_FILE"], told["GF_SERVER_CERT_KEY"]) == (
        "/host/etc/tls/certificate.pem", "/host/etc/tls/key.pem")  # fmt: skip
