"""The configuration: expansion, what is refused and in which words, the stack's own file."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.emulators.otel_collector import schema
from harness.emulators.otel_collector.config_source import expand_text, load
from harness.emulators.otel_collector.settings import Settings, decode
from harness.emulators.runner import ConfigError
from tests.unit.emulators.otel_collector.otel_collector_rig import CAPTURES, CONFIG, ROOT, command, configuration

ENV = {"PORT": "8888", "HOST": "tempo", "QUOTED": "a$b", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:PORT}", 8888),
        ("${PORT}", 8888),
        ("${env:PORT:-1}", 8888),
        ("${env:NONE:-1}", 1),
        ("${env:NONE:-0.0.0.0:4317}", "0.0.0.0:4317"),
        ("${env:NONE}", None),
        ("${env:EMPTY:-x}", None),
        ("${env:HOST}:${env:PORT}", "tempo:8888"),
        ("${env:NONE:-${env:HOST}}", "tempo"),
        ("$${env:PORT}", "${env:PORT}"),
        ("x${QUOTED}", "xa$b"),
        ("true", "true"),
    ],
)
def test_expansion(text: str, value: Any) -> None:
    """A whole reference takes its YAML type; inside a text it is text; `$$` is a dollar."""
    assert expand_text(text, ENV) == value


@pytest.mark.parametrize("text", ["${env:1X}", "${http://x}", "${file:x}"])
def test_expansion_refuses(text: str) -> None:
    """Bad names and foreign schemes stop the start."""
    with pytest.raises(ConfigError, match="cannot resolve the configuration"):
        expand_text(text, ENV)


def test_files_merge_in_order(tmp_path: Path) -> None:
    """Maps are merged, lists replaced, the later file wins."""
    (tmp_path / "a.yaml").write_text("a: {x: 1, l: [1, 2]}\nb: 1\n")
    (tmp_path / "b.yaml").write_text("a: {y: 2, l: [3]}\n")
    merged = load([str(tmp_path / "a.yaml"), f"file:{tmp_path / 'b.yaml'}"], {})
    assert merged == {"a": {"x": 1, "y": 2, "l": [3]}, "b": 1}


def pipelines(**lists: list[str]) -> dict[str, Any]:
    """A service with one traces pipeline."""
    return {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"], **lists}}}


def decoded(**changes: Any) -> Settings:
    """The smallest configuration, changed."""
    raw: dict[str, Any] = {
        "receivers": {"otlp": {"protocols": {"grpc": None}}},
        "exporters": {"debug": None},
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
    }
    return decode({**raw, **changes})


def retrying(**settings: Any) -> dict[str, Any]:
    """A change of how an exporter tries again."""
    return {"exporters": {"otlp_http": {"endpoint": "http://x:1", "retry_on_failure": settings}}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exporters": {"nosuch": None}}, '\'exporters\' unknown type: "nosuch" for id: "nosuch"'),
        (
            {"exporters": {"otlp_grpc": {"endpoint": "x:1", "nosuch": 1}}},
            "'otlpexporter.Config' has invalid keys: nosuch",
        ),
        ({"exporters": {"otlp_grpc": {"tls": {"bad": 1}}}}, "'tls' has invalid keys: bad"),
        ({"exporters": {"otlp_grpc": {"endpoint": "x:1", "timeout": "5"}}}, "'timeout' time: missing unit in duration"),
        ({"exporters": {"otlp_grpc": None}}, 'exporters::otlp_grpc: requires a non-empty "endpoint"'),
        ({"exporters": {"otlp_http": None}}, "at least one endpoint must be specified"),
        (
            {"exporters": {"otlp_grpc": {"endpoint": "http://x:1", "sending_queue": {"queue_size": 0}}}},
            "exporters::otlp_grpc::sending_queue: `queue_size` must be positive",
        ),
        ({"exporters": {"otlp_grpc": {"endpoint": "x:1", "sending_queue": {"batch": {"min_size": 1}}}}}, "(501)"),
        (
            {"exporters": {"otlp_grpc": {"endpoint": "x:1", "tls": {"insecure": True}, "compression": "zstd"}}},
            "compression: 'zstd' is not emulated",
        ),
        ({"exporters": ["debug"]}, "'exporters' expected a map or struct, got \"slice\""),
        ({"connectors": {"spanmetrics": {"histogram": {"unit": "s"}}}}, "'histogram' is not emulated (501)"),
        ({"connectors": {"forward": None}}, "'forward' of id 'forward' is not emulated (501)"),
        ({"exporters": {"otlp_grpc": {"endpoint": "x:1"}}}, "tls: only insecure connections are emulated (501)"),
        ({"exporters": {"otlp_http": {"endpoint": "https://x"}}}, "only http:// is emulated (501)"),
        ({"exporters": {"prometheus": {"endpoint": "x:1"}}}, "without_scope_info as false is not emulated (501)"),
        ({"exporters": {"debug": {"verbosity": "detailed"}}}, "only basic is emulated (501)"),
        ({"service": {**pipelines(), "telemetry": {"metrics": {"level": "x"}}}}, "'level' unknown metrics level \"x\""),
        ({"exporters": {"kafka": None}}, "'kafka' of id 'kafka' is not emulated (501)"),
        ({"processors": {"probabilistic_sampler": None}}, "is not emulated (501)"),
        ({"processors": {"memory_limiter": {"limit_mib": 1}}}, "'check_interval' must be greater than zero"),
        ({"processors": {"memory_limiter": {"check_interval": "1s"}}}, "'limit_mib' or 'limit_percentage' must be"),
        ({"processors": {"batch": {"send_batch_max_size": 1}}}, "send_batch_max_size must be greater or equal"),
        ({"processors": {"attributes": None}}, 'missing required field "actions"'),
        ({"receivers": {"otlp": None}}, "must specify at least one protocol when using the OTLP receiver"),
        ({"receivers": {}}, "no receiver configuration specified in config"),
        ({"exporters": {}}, "no exporter configuration specified in config"),
        ({"nosuch": {}}, "'otelcol.configSettings' has invalid keys: nosuch"),
        ({"service": {"pipelines": {}}}, "service must have at least one pipeline"),
        (
            {"service": {"pipelines": {"spans": {}}}},
            '\'service.pipelines\' in "spans" id: unknown pipeline signal: "spans"',
        ),
        ({"service": {"pipelines": {"traces/": {}}}}, 'in "traces/" id: the part after / should not be empty'),
        ({"exporters": {"debug/": {}}}, "'exporters' '' in \"debug/\" id: the part after / should not be empty"),
        ({"processors": {"batch": {"send_batch_size": -1}}}, "cannot parse value as 'uint32': -1 overflows uint"),
        (
            {"processors": {"batch": {"send_batch_size": "x"}}},
            "expected type 'uint32', got unconvertible type 'string'",
        ),
        ({"processors": {"batch": {"timeout": [1]}}}, "expected type 'time.Duration', got unconvertible type '[]int"),
        ({"service": {**pipelines(), "extensions": "x"}}, "source data must be an array or slice, got string"),
        ({"service": {**pipelines(), "telemetry": {"logs": {"level": "x"}}}}, "'level' unrecognized level: \"x\""),
        (retrying(initial_interval="-1s"), "retry_on_failure: 'initial_interval' must be non-negative"),
        (retrying(multiplier=-1), "retry_on_failure: 'multiplier' must be non-negative"),
        (retrying(randomization_factor=3), "retry_on_failure: 'randomization_factor' must be within [0, 1]"),
        (retrying(max_elapsed_time="1s"), "'max_elapsed_time' must not be less than 'initial_interval'"),
        ({"service": pipelines(exporters=["x"])}, 'pipelines::traces: references exporter "x" which is not configured'),
        ({"service": pipelines(receivers=[])}, "service::pipelines::traces: must have at least one receiver"),
        ({"service": pipelines(processors=["b"])}, 'references processor "b" which is not configured'),
        ({"service": {**pipelines(), "extensions": ["x"]}}, 'references extension "x" which is not configured'),
        ({"service": {**pipelines(), "nosuch": 1}}, "'service' has invalid keys: nosuch"),
    ],
)
def test_refused(changes: dict[str, Any], words: str) -> None:
    """What the real one refuses is refused, in its words; what is not emulated says 501."""
    with pytest.raises(ConfigError) as caught:
        decoded(**changes)
    assert words in str(caught.value)
    assert str(caught.value).startswith("Error: ")


def test_defaults_are_the_real_ones() -> None:
    """Spot checks against `print-config` of the real 0.159."""
    grpc = decoded(exporters={"otlp/x": {"endpoint": "http://x:1"}, "debug": None}).components["exporters"]["otlp/x"]
    assert grpc.type == "otlp_grpc"
    assert grpc.settings["retry_on_failure"]["max_elapsed_time"] == 300
    assert grpc.settings["sending_queue"]["num_consumers"] == 10
    assert grpc.settings["compression"] == "gzip"


def test_the_captured_configuration_is_understood_but_for_what_is_not_emulated() -> None:
    """Of a full configuration that ran on the real one, only keys outside the emulated scope have to leave."""
    raw = yaml.safe_load((CAPTURES / "config-full-example.yaml").read_text())
    for _ in range(100):
        try:
            settings = decode(raw)
            break
        except ConfigError as error:
            if "(501)" not in str(error):
                raise
            _leave_out(raw, str(error))
    assert '"otlp" alias is deprecated; use "otlp_grpc" instead' in settings.warnings
    connectors = {component.type for component in settings.components["connectors"].values()}
    assert connectors <= set(schema.KINDS["connectors"])


def _leave_out(raw: dict[str, Any], error: str) -> None:
    """Take what an error names out of a configuration."""
    if found := re.search(r"'(\w+)' type '\w+' of id '([^']+)'", error):
        del raw[found[1]][found[2]]
        lists = [raw["service"].get("extensions", [])]
        lists += [names for pipeline in raw["service"]["pipelines"].values() for names in pipeline.values()]
        for names in lists:
            names[:] = [name for name in names if name != found[2]]
    elif found := re.search(
        r'\'(\w+)\' error reading configuration for "([^"]+)".*\'([\w.]+)\' is not', error, re.DOTALL
    ):
        *path, last = found[3].split(".")
        section = raw[found[1]][found[2]]
        for name in path:
            section = section[name]
        del section[last]
    elif found := re.search(r"(\w+)::([^:]+): without_scope_info", error):
        raw[found[1]][found[2]]["without_scope_info"] = True
    else:
        service = re.search(r"'service\.([\w.]+)' is not", error)
        assert service, error
        *path, last = service[1].split(".")
        section = raw["service"]
        for name in path:
            section = section[name]
        del section[last]


def test_stack_file_is_valid_and_takes_every_address_from_the_environment() -> None:
    """No address, port or path is fixed in the stack's file."""
    settings = decode(load([str(CONFIG)], {"OTELCOL_METRICS_PORT": "1", "TEMPO_OTLP_ENDPOINT": "t:2"}))
    assert settings.reader is not None
    assert settings.reader["port"] == 1
    assert settings.components["exporters"]["otlp_grpc/tempo"].settings["endpoint"] == "t:2"
    fixed = [line for line in CONFIG.read_text().splitlines() if ":4317" in line or ":8889" in line or "/var/" in line]
    assert all("${env:" in line for line in fixed)


def test_core_file_uses_core_components_only() -> None:
    """The variant for a Collector without contrib parts names none of them."""
    raw = yaml.safe_load(CONFIG.with_name("core.yaml").read_text())
    assert set(raw["exporters"]) == {"otlp_grpc/tempo", "debug"}
    assert set(raw.get("extensions", {})) == set()
    assert "connectors" not in raw
    decode(load([str(CONFIG.with_name("core.yaml"))], {}))


# -- the command line -----------------------------------------------------------------------------------------


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the emulator to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=10, env=env, cwd=cwd, check=False)


def test_version(tmp_path: Path) -> None:
    """The real program's line, marked."""
    assert run("--version", cwd=tmp_path).stdout == "otelcol-contrib version 0.159.0+emu\n"


def test_validate(tmp_path: Path) -> None:
    """0 and silent when good; 1 and `Error:` when not; nothing is written or opened."""
    good = run("validate", "--config", str(CONFIG), cwd=tmp_path)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = tmp_path / "bad.yaml"
    config = configuration()
    config["service"]["pipelines"]["metrics"]["receivers"] = ["otlp", "servicegraph"]
    bad.write_text(yaml.safe_dump(config))
    refused = run("validate", f"--config={bad}", cwd=tmp_path)
    assert refused.returncode == 1
    words = (
        'connector "spanmetrics" used as exporter in [traces] pipeline but not used in any supported receiver pipeline'
    )
    assert refused.stderr == f"Error: failed to build pipelines: {words}\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "Error: at least one config flag must be provided"),
        (["--nosuch=1"], "Error: unknown flag: --nosuch"),
        (["--set=a=b"], "Error: --set is not emulated (501)"),
        (["components"], "Error: command components is not emulated (501)"),
        (["--config", "/nosuch.yaml"], "open /nosuch.yaml: no such file or directory"),
    ],
)
def test_bad_command_line(words: list[str], error: str, tmp_path: Path) -> None:
    """Exit 1 and the reason on stderr."""
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert error in done.stderr
