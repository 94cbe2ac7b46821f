"""Go's durations, Go's JSON, HCL, filters, and the configuration: inputs and the exact words of refusal."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.emulators.consul.decode import AGENT_SERVICE, SESSION, TXN, decode
from harness.emulators.consul.errors import ConsulError
from harness.emulators.consul.filter import parse_filter
from harness.emulators.consul.hcl import HclError, parse_hcl
from harness.emulators.consul.settings import read_settings
from harness.emulators.runner import ConfigError

S = 1_000_000_000
CONFIG = Path(__file__).resolve().parents[4] / "compose/config/consul/consul.json"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "EOF"),
        ("{", "unexpected EOF"),
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ('{"Name" 1}', "invalid character '1' after object key"),
        ('{"Foo":1}', 'json: unknown field "Foo"'),
        ('{"Port":"80"}', "json: cannot unmarshal string into Go struct field .Port of type int"),
        ('{"Port":1.5}', "json: cannot unmarshal number into Go struct field .Port of type int"),
        ('{"Tags":"a"}', "json: cannot unmarshal string into Go struct field .Tags of type []string"),
        ('{"Check":{"TTL":"10"}}', 'time: missing unit in duration "10"'),
        ('{"Check":{"TTL":"9999999999999h"}}', 'time: invalid duration "9999999999999h"'),
        ('{"Port":9223372036854775808}', "json: cannot unmarshal number into Go struct field .Port of type int"),
        ('{"Port":NaN}', "invalid character 'N' looking for beginning of value"),
        ('{"Connect":1e400}', "json: cannot unmarshal number 1e400 into Go value of type float64"),
        ('{"Name":"a', "unexpected EOF"),
        (
            '{"TaggedAddresses":{"lan":5}}',
            "json: cannot unmarshal number into Go struct field .TaggedAddresses.lan of type object",
        ),
    ],
)
def test_bodies_go_would_refuse(body: str, error: str) -> None:
    with pytest.raises(ConsulError) as refused:
        decode(body.encode(), AGENT_SERVICE)
    assert (str(refused.value), refused.value.status) == (f"Request decode failed: {error}", 400)


def test_bodies_in_any_letter_case() -> None:
    body = b'{"NAME":"x","enable_tag_override":true,"check":{"ttl":"1s","deregister_critical_service_after":"2s"}}'
    assert decode(body, AGENT_SERVICE) == {
        "Name": "x",
        "EnableTagOverride": True,
        "Check": {"TTL": S, "DeregisterCriticalServiceAfter": 2 * S},
    }
    assert decode(b'{"Unknown":1} and the rest', SESSION) == {}
    tagged = decode(b'{"tagged_addresses":{"lan":{"address":"a"},"wan":null}}', AGENT_SERVICE)["TaggedAddresses"]
    assert tagged == {"lan": {"Address": "a", "Port": 0}, "wan": {"Address": "", "Port": 0}}
    assert decode(b'{"Check":{"TTL":1e300}}', AGENT_SERVICE)["Check"]["TTL"] < 0
    assert decode(b'[{"kv":{"verb":"set"}},null]', TXN) == [{"KV": {"Verb": "set"}}]


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with contextlib.suppress(ConsulError):
        assert isinstance(decode(body, AGENT_SERVICE), dict)


def test_hcl() -> None:
    text = "ports { http = 1 dns = -1 } # c\n"
    text += 'key_prefix "a/" { policy = "read" }\nkey_prefix "b/" { policy = "deny" }\nl = ["x", 2]'
    assert parse_hcl(text) == {
        "ports": {"http": 1, "dns": -1},
        "key_prefix": {"a/": {"policy": "read"}, "b/": {"policy": "deny"}},
        "l": ["x", 2],
    }
    with pytest.raises(HclError, match=r"At 1:15: expected: value \| = \| \{ got: EOF"):
        parse_hcl("ports { http 1")


ROW: dict[str, Any] = {"Service": "web", "Port": 80, "Tags": ["a"], "Meta": {"v": "1"}, "Connect": {}, "Ok": True}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("Service == web and Port == 80", True),
        ('Service != "web"', False),
        ("a in Tags", True),
        ('"a" not in Tags', False),
        ("Meta.v == 1 and b not in Tags", True),
        ("Ok == true", True),
        ("Meta.none == 1", False),
    ],
)
def test_filters(text: str, passes: bool) -> None:
    assert parse_filter(text)(ROW) is passes


@pytest.mark.parametrize("text", ["foo bar", "Port ==", "Nope == 1", "Service.Meta.zone ="])
def test_bad_filters(text: str) -> None:
    with pytest.raises(ConsulError, match="Failed to create boolean expression evaluator"):
        parse_filter(text)(ROW)


@pytest.mark.parametrize("text", ["(Port == 80)", "Ok == 1 or Ok == 2", "Tags is empty", 'Service matches "^w"'])
def test_filters_outside_the_subset(text: str) -> None:
    with pytest.raises(ConsulError, match="is not emulated"):
        parse_filter(text)(ROW)


# -- configuration --------------------------------------------------------------------------------------------------


def test_later_sources_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.hcl"
    first.write_text('{"node_name": "one", "ports": {"http": 1, "dns": 2}, "session_ttl_min": "3s"}')
    second.write_text('node_name = "two"')
    environ = {"CONSUL_LOCAL_CONFIG": '{"datacenter": "east"}'}
    argv = ["-dev", f"-config-file={first}", f"-config-dir={tmp_path}", "-hcl=ports { dns = 3 }", "-http-port=4"]
    found = read_settings(argv, environ)
    assert (found.node, found.datacenter, found.http_port, found.dns_port) == ("two", "east", 4, 3)
    assert found.session_ttl_min == 3 * S


def test_the_shipped_configuration_is_understood(tmp_path: Path) -> None:
    argv = ["-server", "-bootstrap-expect=1", f"-data-dir={tmp_path}", f"-config-file={CONFIG}"]
    assert read_settings(argv, {}).session_ttl_min == S


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"foo":1}', "invalid config key foo"),
        ('{"ports":{"htp":1}}', "invalid config key ports.htp"),
        ("{bad", "failed to parse"),
        ('{"session_ttl_min":"x"}', 'session_ttl_min: invalid duration: "x": time: invalid duration "x"'),
        ('{"ports":{"http":"x"}}', "'ports.http' expected type 'int', got unconvertible type 'str'"),
        (
            '{"performance":{"raft_multiplier":99}}',
            "performance.raft_multiplier cannot be 99. Must be between 1 and 10",
        ),
        ('{"acl":{"default_policy":"zz"}}', 'Unexpected ACL default policy value of "zz"'),
        ('{"bootstrap_expect":3, "server":true}', "only a single server is emulated"),
    ],
)
def test_configurations_that_stop_the_start(tmp_path: Path, config: str, words: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(config)
    with pytest.raises(ConfigError) as refused:
        read_settings(["-dev", f"-config-file={file}"], {})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-dev", "-foo=1"], "flag provided but not defined: -foo"),
        (["-server"], "data_dir cannot be empty"),
        (["-dev", "-http-port=x"], 'invalid value "x" for flag -http-port'),
        (["-dev", "-config-file=/nope.json"], "config: Open failed on /nope.json"),
        (["-data-dir=/x"], "only a single server is emulated"),
    ],
)
def test_command_lines_that_stop_the_start(argv: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings(argv, {})
    assert words in str(refused.value)


def test_the_shipped_configuration_is_json() -> None:
    assert json.loads(CONFIG.read_text())["performance"] == {"raft_multiplier": 1}
