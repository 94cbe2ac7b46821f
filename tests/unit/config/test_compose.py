"""Compose files: what is read, how overlays are merged, and one sentence with file and line for what is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from harness.config import compose
from harness.errors import ComposeError
from harness.model import Health, Limits, Mount, Port, ServicePlan


def read(directory: Path, *texts: str, **variables: str) -> compose.ComposeFile:
    """Read texts as a compose file and its overlays."""
    files = []
    for number, text in enumerate(texts):
        file = directory / f"{number}.yml"
        file.write_text(dedent(text))
        files.append(file)
    return compose.read(files, variables)


def one(directory: Path, body: str, *overlays: str, rest: str = "", **variables: str) -> ServicePlan:
    """The only service of a file, given the lines below its image."""
    texts = [f"services:\n  a:\n{indent(dedent(text), '    ')}" for text in (f"image: x:1\n{dedent(body)}", *overlays)]
    return read(directory, texts[0] + dedent(rest), *texts[1:], **variables).services["a"]


def test_the_projects_own_stack_reads() -> None:
    from tests.unit.rigs.core_rig import ROOT

    found = compose.read([ROOT / "compose/stack.yml"], {"REDIS_PASSWORD": "s3cret!"})
    assert list(found.services) == ["consul", "redis", "arangodb", "tempo", "otel-collector", "grafana"]
    assert found.name == "infra-harness"
    redis = found.services["redis"]
    assert redis.environment["REDISCLI_AUTH"] == "s3cret!"
    assert Mount("content", "/usr/local/etc/redis/auth.conf", "requirepass s3cret!\n", True) in redis.mounts
    assert redis.health is not None
    assert redis.health.needs_shell


def test_every_supported_key_arrives(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        """
        command: serve --port 80
        entrypoint: [/bin/x]
        environment: {A: 1}
        ports: ["127.0.0.1:8080:80", "53:53/udp", 9, {target: 90, published: 1, protocol: udp}]
        healthcheck: {test: [CMD, ok], interval: 1s, timeout: 2s, retries: 4, start_period: 5s}
        user: 1000:1000
        read_only: true
        cap_drop: [ALL]
        cap_add: [NET_ADMIN]
        security_opt: ["no-new-privileges:true"]
        mem_limit: 64m
        cpus: 0.5
        pids_limit: 10
        stop_grace_period: 3s
        hostname: h
        x-harness: {kind: redis}
        x-other: 1
        labels: {a: b}
        """,
    )
    assert (found.command, found.entrypoint) == (("serve", "--port", "80"), ("/bin/x",))
    assert found.environment == {"A": "1"}
    assert found.ports == (
        Port("80", 80), Port("53", 53, "udp"), Port("9", 9), Port("90", 90, "udp"),
    )  # fmt: skip
    assert found.health == Health(("CMD", "ok"), 1, 2, 4, 5)
    assert (found.user, found.read_only, found.hostname, found.kind) == ("1000:1000", True, "h", "redis")
    assert (found.cap_add, found.cap_drop) == (("NET_ADMIN",), ("ALL",))
    assert found.security_opt == ("no-new-privileges:true",)
    assert (found.limits, found.stop_grace) == (Limits(64 << 20, 0.5, 10), 3)
    assert found.origin == f"{tmp_path / '0.yml'}:2"


def test_limits_may_stand_under_deploy(tmp_path: Path) -> None:
    found = one(tmp_path, "deploy: {replicas: 1, resources: {limits: {memory: 1g, cpus: '2', pids: 5}}}")
    assert found.limits == Limits(1 << 30, 2.0, 5)


@pytest.mark.parametrize("check", ["{disable: true}", "{test: [NONE]}"])
def test_a_disabled_health_check_asks_nothing(tmp_path: Path, check: str) -> None:
    found = one(tmp_path, f"healthcheck: {check}")
    assert found.health is not None
    assert found.health.test == ()


def test_mounts_of_every_form(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    found = one(
        tmp_path,
        """
        volumes:
          - ./conf:/etc/a:ro
          - data:/var/a
          - /anon
          - {type: bind, source: ./conf, target: /b, read_only: true}
          - {type: volume, source: data, target: /c}
        tmpfs: /run:size=1m
        configs: [{source: text, target: /t}, file]
        """,
        rest="""
        configs: {text: {content: "hi $$ ${WHO}"}, file: {file: ./conf}}
        """,
        WHO="you",
    )
    conf = str(tmp_path / "conf")
    assert found.mounts == (
        Mount("bind", "/etc/a", conf, True),
        Mount("volume", "/var/a", "data"),
        Mount("volume", "/anon", "a-2"),
        Mount("bind", "/b", conf, True),
        Mount("volume", "/c", "data"),
        Mount("content", "/t", "hi $ you", True),
        Mount("bind", "/file", conf, True),
        Mount("tmpfs", "/run", "size=1m"),
    )


def test_environment_files_come_before_what_is_written_down(tmp_path: Path) -> None:
    (tmp_path / "e.env").write_text('# note\nA=1\nB="two"\nbroken\n')
    found = one(
        tmp_path,
        """
        env_file: [e.env, {path: none.env, required: false}]
        environment: [A=9, FROM_OUTSIDE, NOT_SET]
        """,
        FROM_OUTSIDE="yes",
    )
    assert found.environment == {"A": "9", "B": "two", "FROM_OUTSIDE": "yes"}
    assert one(tmp_path, "env_file: e.env").environment == {"A": "1", "B": "two"}


def test_an_overlay_adds_to_lists_and_replaces_commands(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        "command: [a]\nenvironment: {A: 1, B: 1}\nports: ['1', '2']\ncap_drop: [ALL]\n"
        "healthcheck: {test: ok, retries: 9}",
        "command: [b]\nenvironment: [B=2]\nports: ['2', '3']\ncap_drop: []\nhealthcheck: {test: [CMD, b]}",
    )
    assert (found.command, found.cap_drop) == (("b",), ())
    assert found.environment == {"A": "1", "B": "2"}
    assert [port.number for port in found.ports] == [1, 2, 3]
    assert found.health is not None
    assert (found.health.test, found.health.retries) == (("CMD", "b"), 9)


def test_an_overlays_volume_takes_the_place_of_one_at_the_same_path(tmp_path: Path) -> None:
    """Compose knows a volume by where it is seen. Source: the Compose specification, "Merge", "Unique resources"."""
    for name in ("a.conf", "b.conf"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    found = one(
        tmp_path,
        "volumes: ['./a.conf:/etc/x.conf:ro', 'data:/data', /scratch]\n",
        "volumes: ['./b.conf:/etc/x.conf:ro', {type: volume, source: other, target: /data}, './more:/more']",
        rest="volumes: {data: {}, other: {}}",
    )
    named = [(mount.target, Path(mount.source).name) for mount in found.mounts if mount.target != "/scratch"]
    assert named == [("/etc/x.conf", "b.conf"), ("/data", "other"), ("/more", "more")]
    assert len(found.mounts) == len(named) + 1, "an anonymous one stays"


def test_an_overlay_may_add_a_service_and_name_a_place_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, "services: {a: {image: x}}", "name: n\nservices:\n  b: {image: y, depends_on: [a]}")
    assert (found.name, list(found.services)) == ("n", ["a", "b"])
    with pytest.raises(ComposeError, match=r"1\.yml:2: service b: hostname"):
        read(tmp_path, "services: {a: {image: x}}", "services:\n  b: {image: y, hostname: []}")


def test_a_file_without_a_name_takes_its_folders(tmp_path: Path) -> None:
    assert read(tmp_path, "services: {a: {image: x}}").name == tmp_path.name


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("retries: 5", ":4: service a: retries: unsupported key"),
        ("environment: {A: {b: c}}", ":4: service a: environment: A: expected a single value, found dict"),
        ("environment: {A: '${B'}", ":4: services.a.environment.A: unclosed brace"),
        ("environment: {A: '${B:?set B}'}", "required variable B is not set: set B"),
        ("depends_on: [b]", ":4: service a: depends_on 'b': no such service; known: a"),
        ("depends_on: {b: started}", "depends_on: b: expected a mapping with `condition`"),
        ("depends_on: {a: {condition: up}}", "depends_on.a: Input should be 'service_started'"),
        ("env_file: none.env", "env_file: "),
        ("env_file: [{required: true}]", "env_file.0.path: Field required"),
        ("volumes: [5]", ":4: service a: volumes.0: "),
        ("volumes: [data]", "volumes.0: expected SOURCE:/TARGET[:ro], found 'data'"),
        ("volumes: ['a:b']", "volumes.0: expected SOURCE:/TARGET[:ro], found 'a:b'"),
        ("volumes: ['./none.conf:/x']", "none.conf: no such file or directory"),
        ("volumes: [{type: npipe, target: /x}]", "volumes.0.type: Input should be 'bind', 'volume' or 'tmpfs'"),
        ("ports: ['80-70']", "ports.0: expected [HOST:]CONTAINER[/tcp|/udp], found '80-70'"),
        ("ports: [[1]]", "ports.0: "),
        ("ports: [{protocol: tcp}]", "ports.0.target: Field required"),
        ("configs: [c]", "configs.0: config 'c' is not declared at the top level"),
        ("healthcheck: {interval: soon}", "healthcheck.interval: expected a duration"),
        ("mem_limit: much", "mem_limit: expected a size"),
        ("privileged: true", ":4: service a: privileged: "),
        ("x-harness: {kin: redis}", "x-harness.kin: unsupported key"),
        ("image: y", ":4: image: given twice, first on line 3"),
    ],
)
def test_one_sentence_with_its_place(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(ComposeError) as caught:
        one(tmp_path, body)
    assert told in str(caught.value)
    assert "0.yml" in str(caught.value)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: [a]", "0.yml:1: services: expected a mapping of services"),
        ("services:", "0.yml: no services"),
        ("service: {}", "0.yml:1: unsupported top-level key 'service': expected configs, "),
        ("configs: [a]\nservices: {a: {image: x}}", "configs: expected a mapping of configs"),
        ("services: {a: 1}", "service a: (entry): expected a mapping, found int"),
        ("services: {a: {}}", "service a: (entry): expected `image`"),
        ("services: {../a: {image: x}}", "service ../a: (entry): expected a name of letters"),
        ("services: {a: {image: x, configs: [c]}}\nconfigs: {c: {external: true}}", "configs.c.external: "),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ComposeError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)


def test_an_overlay_of_another_shape_is_told_with_its_own_place(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"1\.yml:3: service a: environment: A: expected a single value"):
        one(tmp_path, "environment: {A: b}", "environment: {A: {b: c}}")
    with pytest.raises(ComposeError, match=r"1\.yml:3: service a: environment: expected a mapping or a list"):
        one(tmp_path, "environment: [A=b]", "environment: 5")


def test_no_file_at_all() -> None:
    with pytest.raises(ComposeError, match="no compose file given"):
        compose.read([], {})


def test_keys_for_people_are_left_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "x-note: {a: 1}\nservices: {1: {image: x, x-me: 2}}").services["1"].image == "x"
