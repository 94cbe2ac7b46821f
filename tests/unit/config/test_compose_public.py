"""What compose files of the world at large contain: read as Compose reads it, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from harness.config import compose, env_file
from harness.config.compose import ComposeFile
from harness.errors import ComposeError
from harness.model import ContainerOptions, Mount, Port, ServicePlan
from harness.plan import bind_kinds, waves


def read(directory: Path, *texts: str, **variables: str) -> ComposeFile:
    """Read texts as a compose file and its overlays."""
    files = [directory / f"{number}.yml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(dedent(text))
    return compose.read(files, variables)


def service(directory: Path, body: str, **variables: str) -> ServicePlan:
    """The service `a` with these lines beside its image."""
    lines = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
    return read(directory, f"services:\n  a:\n    image: x:1\n{lines}", **variables).services["a"]


def refusal(directory: Path, body: str) -> str:
    with pytest.raises(ComposeError) as caught:
        service(directory, body)
    assert "\n" not in caught.value.message
    return caught.value.message


# -- YAML as Compose reads it ---------------------------------------------------------------------------------------


def test_what_yaml_1_1_would_turn_into_something_else(tmp_path: Path) -> None:
    found = service(
        tmp_path,
        """
        environment: {A: yes, B: off, C: true, D: 22:22, E: 0x1F, F: 1_000, G: 012}
        ports: [22:22, 8080:80]
        """,
    )
    assert found.environment == {"A": "yes", "B": "off", "C": "true", "D": "22:22", "E": "31", "F": "1000", "G": "10"}
    assert [port.number for port in found.ports] == [22, 80]


def test_anchors_merge_keys_and_keys_left_empty(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        x-base: &base
          restart: always
          environment: &shared {A: "1"}
          volumes:
        services:
          a: {<<: *base, image: "x:1"}
          b:
            <<: *base
            image: y
            environment: {<<: *shared, B: "2"}
        """,
    ).services
    assert found["a"].environment == {"A": "1"}
    assert found["b"].environment == {"A": "1", "B": "2"}


def test_an_alias_that_holds_itself(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="an alias points back at what holds it"):
        read(tmp_path, "services: &s\n  a: {image: x, x-me: *s}\n")


def test_an_overlay_may_take_away_and_replace(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "services: {a: {image: x, ports: ['1', '2'], user: me, environment: {A: '1', B: '2'}}}",
        "services: {a: {ports: !override ['3'], user: !reset null, environment: {A: !reset null}}}",
    ).services["a"]
    assert ([port.number for port in found.ports], found.user, found.environment) == ([3], "", {"B": "2"})


# -- ports ----------------------------------------------------------------------------------------------------------


def test_ports_in_ranges_and_for_both_protocols(tmp_path: Path) -> None:
    found = service(
        tmp_path,
        """
        ports: ["9090-9091:8080-8081", "3000-3001", "53:53/udp", "53:53/tcp", "[::1]:70:70", "127.0.0.1::90",
                {target: 71, published: "1-9", protocol: udp, mode: host}]
        """,
    )
    numbers = [8080, 8081, 3000, 3001, 53, 70, 90, 71]
    assert [port.number for port in found.ports] == numbers
    assert found.ports[4] == Port("53", 53, "udp")


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        ("['90-80']", "expected [HOST:]CONTAINER[/tcp|/udp], found '90-80'"),
        ("['']", "ports.0: expected [HOST:]CONTAINER"),
        ("['0']", "found '0'"),
        ("['1:70000']", "found '1:70000'"),
        ("['80/sctp']", "found '80/sctp'"),
        ("['1-1000']", "expected at most 100 ports, found 1000"),
        ("['1-60', '101-160']", "expected at most 100 ports, found 120"),
    ],
)
def test_ports_that_cannot_be(tmp_path: Path, ports: str, told: str) -> None:
    assert told in refusal(tmp_path, f"ports: {ports}")


# -- what only a container can be given -----------------------------------------------------------------------------


def test_options_of_the_container(tmp_path: Path) -> None:
    found = service(
        tmp_path,
        """
        container_name: shop-a
        working_dir: /w
        init: true
        shm_size: 64m
        stop_signal: SIGINT
        sysctls: [net.core.somaxconn=511]
        ulimits: {nproc: 9, nofile: {soft: 20, hard: "40"}}
        extra_hosts: ["db:10.0.0.1", "host.internal=host-gateway", "six:[::1]"]
        dns: 10.0.0.2
        dns_search: [a.test, b.test]
        group_add: [7, adm]
        networks: {back: {aliases: [store]}, front: }
        """,
    )
    assert found.options == ContainerOptions(
        working_dir="/w",
        init=True,
        shm_size=64 * 1024**2,
        stop_signal="SIGINT",
        sysctls={"net.core.somaxconn": "511"},
        extra_hosts={"db": "10.0.0.1", "host.internal": "host-gateway", "six": "::1"},
        ulimits={"nproc": (9, 9), "nofile": (20, 40)},
        dns=("10.0.0.2",),
        dns_search=("a.test", "b.test"),
        group_add=("7", "adm"),
        aliases=("shop-a", "store"),
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("network_mode: host", ":4: service a: network_mode: refused: a stack has a network of its own"),
        ("privileged: true", "privileged: no container of a test gets all rights of the host"),
        ("pid: host", "pid: refused: the processes of the host"),
        ("devices: [/dev/kvm]", "devices: refused: the devices of the host"),
        ("volumes_from: [b]", "volumes_from: refused: name the volumes under `volumes`"),
        ("ulimits: {nofile: many}", "ulimits: nofile: expected a number, or `soft` and `hard`"),
        ("extra_hosts: [db]", "extra_hosts: expected NAME=ADDRESS, found 'db'"),
        ("dns: {a: b}", "dns: expected a text or a list"),
        ("links: db", "links: expected a list of SERVICE[:ALIAS]"),
    ],
)
def test_what_is_refused(tmp_path: Path, body: str, told: str) -> None:
    assert told in refusal(tmp_path, body)


def test_what_is_to_be_built_is_told_how_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r":3: service a: build: the harness runs images and builds none"):
        read(tmp_path, "services:\n  a:\n    build: .\n")
    assert read(tmp_path, "services: {a: {build: .}}", "services: {a: {image: me/a}}").services["a"].image == "me/a"


def test_privileged_false_and_an_image_beside_build_are_fine(tmp_path: Path) -> None:
    assert service(tmp_path, "privileged: false\nbuild: {context: .}\ndevelop: {watch: []}").image == "x:1"


# -- volumes, secrets -----------------------------------------------------------------------------------------------


def test_a_source_that_is_not_there_becomes_an_empty_volume_of_the_run(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        services:
          a: {image: x, volumes: ["./data/db:/var/db", "/nowhere/conf.d:/etc/d"]}
          b: {image: x, volumes: ["./data/db:/copy"]}
        """,
    ).services
    assert found["a"].mounts == (
        Mount("volume", "/var/db", "path-data_db"),
        Mount("volume", "/etc/d", "path-nowhere_conf.d"),
    )
    assert found["b"].mounts == (Mount("volume", "/copy", "path-data_db"),)
    assert not (tmp_path / "data").exists()


def test_the_long_forms_of_volumes(tmp_path: Path) -> None:
    found = service(
        tmp_path,
        """
        volumes:
          - {type: bind, source: ./new, target: /a, bind: {create_host_path: true, propagation: rslave}}
          - {type: tmpfs, target: /b, tmpfs: {size: 1m, mode: 0755}}
          - {type: volume, target: /c, volume: {nocopy: true}}
        """,
    )
    assert found.mounts == (
        Mount("volume", "/a", "path-new"),
        Mount("tmpfs", "/b", "size=1048576,mode=493"),
        Mount("volume", "/c", "a-2"),
    )


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        ("./app.conf:/etc/app.conf", "app.conf: no such file or directory"),
        ("./conf:/etc/app:ro", "conf: no such file or directory"),
        ("{type: bind, source: ./x, target: /x}", "x: no such file or directory"),
        ("{type: volume, source: v, target: /x, volume: {subpath: y}}", "volumes.0.volume.subpath: unsupported key"),
        ("${NONE}:/x", "the source of ':/x' is empty; is its variable set?"),
        ("data/db:/x", "'data/db' names no volume; does the path lack its `./`?"),
    ],
)
def test_volumes_that_cannot_be(tmp_path: Path, volume: str, told: str) -> None:
    assert told in refusal(tmp_path, f"volumes:\n  - {volume}")


def test_secrets_are_files_under_run(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    found = read(
        tmp_path,
        """
        services:
          a: {image: x, secrets: [one, {source: two, target: other}, {source: one, target: /abs}]}
        secrets: {one: {file: ./token}, two: {environment: TWO}}
        """,
        TWO="2",
    ).services["a"]
    token = str(tmp_path / "token")
    assert found.mounts == (
        Mount("bind", "/run/secrets/one", token, True),
        Mount("content", "/run/secrets/other", "2", True),
        Mount("bind", "/abs", token, True),
    )


@pytest.mark.parametrize(
    ("top", "told"),
    [
        ("", "secrets.0: secret 's' is not declared at the top level"),
        ("secrets: {s: {external: true}}", "secrets.s.external: it is kept outside of this file"),
        ("secrets: {s: {file: ./none}}", "none: no such file"),
    ],
)
def test_secrets_that_cannot_be(tmp_path: Path, top: str, told: str) -> None:
    with pytest.raises(ComposeError) as caught:
        read(tmp_path, f"services:\n  a: {{image: x, secrets: [s]}}\n{top}\n")
    assert told in caught.value.message


# -- who needs whom -------------------------------------------------------------------------------------------------


def test_services_of_a_profile_are_left_out_unless_it_is_named(tmp_path: Path) -> None:
    text = """
        services:
          a: {image: x, depends_on: {b: {condition: service_started, required: false}}}
          b: {image: x, profiles: [debug, full]}
        """
    assert list(read(tmp_path, text).services) == ["a"]
    assert read(tmp_path, text).services["a"].depends_on == {}
    for named in ("debug", "other, full", "*"):
        found = read(tmp_path, text, COMPOSE_PROFILES=named).services
        assert found["a"].depends_on == {"b": "service_started"}


def test_a_profile_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="'b': left out with its profile; COMPOSE_PROFILES=debug brings it in"):
        read(tmp_path, "services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [debug]}}")
    with pytest.raises(ComposeError, match="every service belongs to a profile") as caught:
        read(tmp_path, "services: {b: {image: x, profiles: [debug]}}")
    assert caught.value.next_step == "name one: COMPOSE_PROFILES=debug"


def test_links_are_needs_and_names(tmp_path: Path) -> None:
    found = read(tmp_path, "services: {a: {image: x, links: [b, 'c:store']}, b: {image: x}, c: {image: x}}").services
    assert found["a"].depends_on == {"b": "service_started", "c": "service_started"}
    assert found["c"].options.aliases == ("store",)
    with pytest.raises(ComposeError, match="'gone': no such service"):
        read(tmp_path, "services: {a: {image: x, links: [gone]}}")


@pytest.mark.parametrize(
    ("networks", "declared", "address"),
    [
        ("{back: {ipv4_address: 10.8.0.10}}", "{back: {ipam: {config: [{subnet: 10.8.0.0/16}]}}}", "10.8.0.10/16"),
        ("{front: , back: {ipv4_address: 10.1.0.4}}", "{front: , back: {ipam: {config: [{subnet: 'fd00::/64'}, "
         "{subnet: 10.1.0.0/24}]}}}", "10.1.0.4/24"),
        ("{back: {ipv4_address: 172.28.0.10}}", "{back: {external: true}}", ""),
        ("{back: {aliases: [b]}}", "{back: {ipam: {config: [{subnet: 172.28.0.0/16}]}}}", ""),
        ("[back]", "{back: }", ""),
    ],
)  # fmt: skip
def test_a_fixed_address_is_kept_where_the_file_declares_its_subnet(
    tmp_path: Path, networks: str, declared: str, address: str
) -> None:
    text = f"{{services: {{a: {{image: x, networks: {networks}}}}}, networks: {declared}}}"
    assert read(tmp_path, text).services["a"].options.address == address


@pytest.mark.parametrize(
    ("address", "subnet", "words"),
    [
        ("10.2.0.4", "10.1.0.0/24", "ipv4_address: 10.2.0.4 does not lie in 10.1.0.0/24"),
        ("tomorrow", "10.1.0.0/24", "ipv4_address: Expected 4 octets in 'tomorrow'"),
        ("10.1.0.4", "10.1.0.0/99", "'99' is not a valid netmask"),
        ("10.1.0.4", "[7]", "ipv4_address: "),
    ],
)
def test_a_fixed_address_that_cannot_be_is_told_with_its_place(
    tmp_path: Path, address: str, subnet: str, words: str
) -> None:
    text = f"services: {{a: {{image: x, networks: {{n: {{ipv4_address: {address}}}}}}}}}\n"
    text += f"networks: {{n: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}}}"
    with pytest.raises(ComposeError, match=rf":1: service a: networks: .*{words}"):
        read(tmp_path, text)


def test_what_others_wait_for_the_end_of_is_of_no_kind(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        services:
          seed: {image: redis, command: redis-cli -h cache set a b}
          cache: {image: redis}
          app:
            image: app
            depends_on: {seed: {condition: service_completed_successfully}, cache: {condition: service_healthy}}
        """,
    )
    bound = bind_kinds(found)
    assert {name: (item.kind, item.one_shot) for name, item in bound.items()} == {
        "seed": (None, True),
        "cache": ("redis", False),
        "app": (None, False),
    }
    assert waves(bound) == (("seed", "cache"), ("app",))


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("entrypoint: [chown, '10001', /var/tempo]", None),
        ("entrypoint: [/tempo, -target=all]", "tempo"),
        ("entrypoint: sh -c /start", "tempo"),
        ("entrypoint: ./entrypoint.sh", "tempo"),
        ("x-harness: {kind: none}", None),
        ("hostname: t", "tempo"),
    ],
)
def test_an_image_runs_as_its_kind_when_its_own_program_is_started(tmp_path: Path, more: str, kind: str | None) -> None:
    found = read(tmp_path, f"services:\n  t:\n    image: grafana/tempo:3.0.3\n    {more}\n")
    assert bind_kinds(found)["t"].kind == kind


# -- extends, include -----------------------------------------------------------------------------------------------


def test_a_service_extends_another_of_this_file_or_of_one_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/data").mkdir()
    (tmp_path / "base/e.env").write_text("E=1\n")
    (tmp_path / "base/common.yml").write_text(
        "services:\n"
        "  root: {image: 'x:${TAG}', env_file: [e.env, {path: e.env}], volumes: ['./data:/d']}\n"
        "  mid: {extends: root, environment: {A: '1', B: '1'}}\n"
    )
    found = read(
        tmp_path,
        """
        services:
          a: {extends: {file: base/common.yml, service: mid}, environment: {B: '2'}}
          b: {extends: a, image: y}
        """,
        TAG="7",
    ).services
    assert found["a"].image == "x:7"
    assert found["a"].environment == {"E": "1", "A": "1", "B": "2"}
    assert found["a"].mounts == (Mount("bind", "/d", str(tmp_path / "base/data")),)
    assert (found["b"].image, found["b"].environment["B"]) == ("y", "2")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("extends: nobody", ":4: service a: extends: no service 'nobody' to extend"),
        ("extends: a", "service a: extends: goes in a circle"),
        ("extends: {file: 0.yml, service: a}", "service a: extends: goes in a circle"),
        ("extends: {service: b, from: c}", "expected a service, or a mapping with `service` and `file`"),
        ("extends: {service: b, file: none.yml}", "none.yml: No such file or directory"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, entry: str, told: str) -> None:
    assert told in refusal(tmp_path, entry)


def test_an_included_file_is_a_world_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/.env").write_text("TAG=9\n")
    (tmp_path / "db/init").mkdir()
    (tmp_path / "db/compose.yml").write_text(
        "services: {db: {image: 'pg:${TAG}', volumes: ['./init:/init:ro', 'd:/d'], configs: [c]}}\n"
        "volumes: {d: }\nconfigs: {c: {file: ./init}}\n"
    )
    found = read(tmp_path, "include: [db/compose.yml]\nservices: {a: {image: x, depends_on: [db]}}").services
    assert found["db"].image == "pg:9"
    assert found["db"].mounts[0] == Mount("bind", "/init", str(tmp_path / "db/init"), True)
    assert found["db"].mounts[2] == Mount("bind", "/c", str(tmp_path / "db/init"), True)
    long_form = "include: {path: [db/compose.yml], env_file: x.env, project_directory: .}\nservices: {a: {image: x}}"
    with pytest.raises(ComposeError, match="/init: no such file or directory"):
        read(tmp_path, long_form)


def test_what_cannot_be_included(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text("services: {a: {image: y}}")
    with pytest.raises(ComposeError, match=r"include: .*other\.yml: services a: declared here too"):
        read(tmp_path, "include: [other.yml]\nservices: {a: {image: x}}")
    with pytest.raises(ComposeError, match="include: goes in a circle"):
        read(tmp_path, "include: [0.yml]\nservices: {a: {image: x}}")
    with pytest.raises(ComposeError, match="expected a list of files, or of mappings with `path`"):
        read(tmp_path, "include: [{file: other.yml}]\nservices: {a: {image: x}}")


# -- files of variables -----------------------------------------------------------------------------------------------


def test_files_of_variables() -> None:
    text = """
# a note
export A=1
B = two words   # a note
C='literal $A # kept'
D="line\\nline $A"
E=${A}-${OUT:-default}-${GIVEN}
GIVEN
NOT_GIVEN
F=
G="two
lines"
H: colon
I=a#b
"""
    assert env_file.parse(text, {"GIVEN": "g"}) == {
        "A": "1",
        "B": "two words",
        "C": "literal $A # kept",
        "D": "line\nline 1",
        "E": "1-default-g",
        "GIVEN": "g",
        "F": "",
        "G": "two\nlines",
        "H": "colon",
        "I": "a#b",
    }


def test_a_file_of_variables_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=${\n")
    with pytest.raises(ComposeError, match=r"\.env: unclosed brace"):
        env_file.beside(tmp_path / "compose.yml", {})
    assert env_file.beside(tmp_path / "elsewhere/compose.yml", {}) == {}


def test_the_env_file_beside_the_compose_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import app

    (tmp_path / "compose").mkdir()
    (tmp_path / "compose/.env").write_text("IMAGE=redis:1\nREDIS_PASSWORD=mine\nUSER_NAME=file\n")
    (tmp_path / "compose/stack.yml").write_text(
        "services: {a: {image: '${IMAGE}', user: '${USER_NAME}', environment: {P: '${REDIS_PASSWORD}'}}}"
    )
    monkeypatch.setenv("USER_NAME", "environment")
    found = app.services_of(app.load_settings({}, tmp_path))["a"]
    assert (found.image, found.user, found.environment) == ("redis:1", "environment", {"P": "mine"})
