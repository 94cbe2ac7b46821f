"""A target file: what it may say, what it is refused for, and secrets that nobody ever sees."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.credentials import Secret
from harness.errors import UsageError
from harness.model import Endpoint, Source
from harness.ports import Handle, Killable, Pausable, Stoppable
from harness.runtimes import external
from harness.runtimes.external import ExternalHandle, ExternalStack, asked, read
from harness.services import SERVICES, kind_named

HIDDEN = "s3cr3t-of-the-test"
REDIS = '[services.redis]\nendpoints.redis = "redis://cache.test:6380"\n'


def reading(tmp_path: Path, text: str, **environment: str) -> ExternalStack:
    file = tmp_path / "target.toml"
    file.write_text(text)
    return read(file, environment)


def refused(tmp_path: Path, text: str, **environment: str) -> str:
    with pytest.raises(UsageError) as refusal:
        reading(tmp_path, text, **environment)
    assert str(tmp_path / "target.toml") in refusal.value.message
    assert HIDDEN not in str(refusal.value)
    return refusal.value.message


def test_services_are_handles_without_a_lifecycle(tmp_path: Path) -> None:
    stack = reading(tmp_path, REDIS)
    assert list(stack) == ["redis"]
    assert len(stack) == 1
    handle = stack["redis"]
    assert handle.endpoint() == handle.endpoint("redis") == Endpoint("redis", "cache.test", 6380, "redis")
    assert isinstance(handle, Handle)
    assert not any(isinstance(handle, capability) for capability in (Killable, Stoppable, Pausable))
    assert handle.fidelity.source is Source.LIVE
    assert stack.of_kind("redis") is handle
    assert stack.of_kind("tempo") is None


def test_a_service_of_another_name_says_its_kind_and_what_it_needs(tmp_path: Path) -> None:
    text = REDIS + '[services.traces]\nkind = "tempo"\nneeds = ["redis"]\nendpoints.http = "http://t"\n'
    traces = reading(tmp_path, text)["traces"]
    assert (traces.kind, traces.needs) == ("tempo", ("redis",))
    assert traces.endpoint("http").port == 80
    with pytest.raises(UsageError, match="traces: no endpoint 'otlp_grpc' in the target file; given: http"):
        traces.endpoint("otlp_grpc")


@pytest.mark.parametrize("name", ["otel_collector", "otel-collector"])
def test_a_kind_may_be_written_as_compose_files_do(tmp_path: Path, name: str) -> None:
    stack = reading(tmp_path, f'[services.{name}]\nendpoints.otlp_http = "http://c"\n')
    assert stack[name].kind == "otel_collector"


@pytest.mark.parametrize(
    ("service", "endpoint", "port"),
    [
        ("redis", 'redis = "rediss://h"', 6379),
        ("consul", 'http = "https://h"', 443),
        ("consul", 'http = "http://h"', 80),
        ("consul", 'dns = "udp://h"', 8600),
        ("tempo", 'otlp_grpc = "grpcs://h/"', 4317),
        ("grafana", 'http = "https://[::1]:3000"', 3000),
    ],
)
def test_a_port_that_is_not_given_is_the_usual_one(tmp_path: Path, service: str, endpoint: str, port: int) -> None:
    stack = reading(tmp_path, f"[services.{service}]\nendpoints.{endpoint}\n")
    assert next(iter(stack[service].endpoints.values())).port == port


def test_a_private_authority_is_handed_to_every_endpoint(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    stack = reading(tmp_path, REDIS + f'tls.ca = "{authority}"\n')
    assert stack["redis"].endpoint().authority == str(authority)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not toml", "Expected '='"),
        ("", "expected at least one [services.<name>]"),
        ("services = 3", "expected at least one [services.<name>]"),
        ("servces = 3", "unknown key 'servces': expected services.<name>"),
        ("[services]\nredis = 3", "services.redis: expected a table"),
        (
            REDIS + "endpoint = 3",
            "unknown key 'endpoint': expected credentials, endpoints, headers, kind, needs, options, tls",
        ),
        ('[services.cache]\nendpoints.redis = "redis://h"', "unknown kind 'cache': expected one of"),
        ('[services.a]\nkind = ["redis"]\nendpoints.redis = "redis://h"', "unknown kind ['redis']"),
        ("[services.redis]", "expected endpoints, such as endpoints.redis"),
        ('[services.redis]\nendpoints = "redis://h"', "endpoints: expected a table"),
        ('[services.redis]\nendpoints.http = "redis://h"', "endpoints.http: expected one of redis"),
        (REDIS + "credentials = 3", "credentials: expected a table"),
        (REDIS + 'tls = "ca.pem"', "tls: expected a table"),
        (REDIS + "tls.verify = false", "tls.verify: unknown key: expected ca; verification cannot be switched off"),
        (REDIS + 'tls.ca = "/none/ca.pem"', "tls.ca = '/none/ca.pem': no such file"),
        (REDIS + 'needs = ["tempo"]', "needs = ['tempo']: expected a list of (none)"),
        (REDIS + 'needs = "redis"', "needs = 'redis': expected a list"),
        (REDIS + 'options.database = "a"', "options.database = 'a': expected a text for one of (none)"),
        (
            '[services.arangodb]\nendpoints.http = "http://h"\noptions.database = 3',
            "expected a text for one of database",
        ),
        (REDIS + 'headers.X-Key = "k"', "headers.X-Key: a secret is never written here: expected X-Key_file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_service_and_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("cache.test:6379", "scheme 'cache.test'|expected SCHEME"),
        ("//cache.test", "expected SCHEME://HOST"),
        ("redis://", "expected SCHEME://HOST"),
        ("http://cache.test", "scheme 'http': expected redis or rediss"),
        ("redis://u:p@cache.test", "without credentials"),
        ("redis://cache.test/3", "without credentials or path"),
        ("redis://cache.test:99999", "Port out of range"),
        ("redis://cache.test:six", "Port could not be cast"),
        ("redis://[::1", "Invalid IPv6 URL"),
    ],
)
def test_an_address_that_cannot_be_used_is_told(tmp_path: Path, address: str, told: str) -> None:
    message = refused(tmp_path, f'[services.redis]\nendpoints.redis = "{address}"\n')
    assert "services.redis: endpoints.redis: " in message
    assert any(part in message for part in told.split("|"))


def test_a_missing_file_and_one_of_another_coding_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(UsageError, match="invalid start byte"):
        read(tmp_path / "latin.toml")


# -- secrets ------------------------------------------------------------------------------------------------------


def test_a_secret_comes_from_a_file_a_variable_or_a_command_and_never_shows(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{HIDDEN}\n")
    printing = "import os; print(os.environ['WORD'])"
    command = f'["{sys.executable}", "-c", "{printing}"]'
    for entry in (f'password_file = "{tmp_path}/secret"', 'password_env = "WORD"', f"password_command = {command}"):
        handle = reading(tmp_path, f"{REDIS}credentials.{entry}\n", WORD=HIDDEN)["redis"]
        assert handle.credentials["password"] == Secret(HIDDEN), entry
        assert HIDDEN not in f"{handle!r} {handle} {handle.credentials}"


def test_the_environment_is_that_of_the_process_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PROCESS", HIDDEN)
    file = tmp_path / "t.toml"
    file.write_text(REDIS + 'credentials.password_env = "OF_THE_PROCESS"')
    assert read(file)["redis"].credentials["password"].reveal() == HIDDEN


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (f'password = "{HIDDEN}"', "a secret is never written here: expected password_file, password_env"),
        (f'_env = "{HIDDEN}"', "a secret is never written here"),
        ('password_env = "UNSET"', "credentials.password_env: variable UNSET is not set"),
        ('password_file = "/none/secret"', "credentials.password_file: No such file or directory"),
        ('password_command = "pass x"', "expected a list: the program and its arguments"),
        ('password_command = ["/none/pass"]', "No such file or directory"),
        ('password_command = ["false"]', "the command ended with exit code 1"),
        (f'password_command = ["sh", "-c", "echo {HIDDEN} >&2; exit 3"]', "the command ended with exit code 3"),
        ('password_command = ["sleep", "5"]', "timed out"),
        ('password_command = ["true"]', "expected one line, found 0"),
        (f'password_command = ["printf", "{HIDDEN}\\n{HIDDEN}"]', "expected one line, found 2"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_and_one_in_the_file_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, told: str
) -> None:
    monkeypatch.setattr(external, "COMMAND_TIMEOUT", 0.3)
    assert told in refused(tmp_path, f"{REDIS}credentials.{entry}\n", PATH="/usr/bin:/bin")


def test_headers_of_a_gateway_and_a_database_of_ones_own_are_handed_on(tmp_path: Path) -> None:
    text = '[services.arangodb]\nendpoints.http = "https://h"\noptions.database = "orders"\nheaders.X-Key_env = "KEY"\n'
    handle = reading(tmp_path, text + 'credentials.token_env = "TOKEN"\n', KEY=HIDDEN, TOKEN="jwt")["arangodb"]
    assert handle.options == {"database": "orders"}
    assert kind_named("arangodb").authorization(handle) == {"X-Key": HIDDEN, "Authorization": "Bearer jwt"}
    assert HIDDEN not in repr(handle)


# -- asked --------------------------------------------------------------------------------------------------------


@pytest.fixture
def handle(tmp_path: Path) -> ExternalHandle:
    return reading(tmp_path, REDIS)["redis"]


@pytest.mark.parametrize(("version", "source"), [("8.6.3", Source.LIVE), ("8.6.3+emu", Source.EMULATOR)])
def test_a_service_that_answers_tells_its_version(
    handle: ExternalHandle, monkeypatch: pytest.MonkeyPatch, version: str, source: Source
) -> None:
    monkeypatch.setattr(type(kind_named("redis")), "ready", lambda self, handle: version)
    told = asked(handle)
    assert (told.fidelity.version, told.fidelity.source, told.cause) == (version, source, "")
    assert told.ready_after >= 0


@pytest.mark.parametrize(("version", "unproven"), [("13.2.3", False), ("13.2.3+emu", True)])
def test_a_live_emulator_that_never_met_its_server_is_told(
    handle: ExternalHandle, monkeypatch: pytest.MonkeyPatch, version: str, unproven: bool
) -> None:
    monkeypatch.setattr(type(kind_named("grafana")), "ready", lambda self, handle: version)
    assert asked(replace(handle, kind="grafana")).fidelity.unproven is unproven


def test_a_service_that_does_not_answer_has_a_cause(handle: ExternalHandle) -> None:
    nobody = replace(handle, endpoints={"redis": Endpoint("redis", "127.0.0.1", 1, "redis")})
    told = asked(nobody)
    assert told.cause
    assert told.fidelity.version == ""


def test_every_kind_can_be_given_all_its_ports(tmp_path: Path) -> None:
    """So that no kind's scheme is refused."""
    for kind in SERVICES:
        lines = "".join(f'endpoints.{port.name} = "{port.scheme}://h:1"\n' for port in kind.ports)
        assert len(reading(tmp_path, f"[services.{kind.name}]\n{lines}")[kind.name].endpoints) == len(kind.ports)
