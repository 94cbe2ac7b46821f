"""Names of images: read as an engine reads them, looked for where a site says, and never prefixed wrongly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.runtimes.images import Reference, candidates, engine_name, parse

HEX = "sha256:" + "0123456789abcdef" * 4

parts = st.from_regex(r"[a-z0-9]{1,6}([._-][a-z0-9]{1,4})?", fullmatch=True)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
hosts = st.sampled_from(["localhost", "localhost:5000", "quay.io", "127.0.0.1:5000", "r.test:443", "ghcr.io"])
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)


@st.composite
def images(draw: st.DrawFn) -> str:
    """Any image name that an engine takes."""
    host, path = draw(st.one_of(st.none(), hosts)), draw(paths)
    first, slash, _ = path.partition("/")
    if host is None and slash and ("." in first or first == "localhost"):
        path = f"x{path.replace('.', '')}"  # else the first part would be a host
    tag, digest = draw(st.one_of(st.none(), tags)), draw(st.sampled_from(["", HEX]))
    return (f"{host}/" if host else "") + path + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


@given(images())
def test_a_name_that_was_read_and_written_is_read_the_same(image: str) -> None:
    reference = parse(image)
    assert parse(reference.name) == reference
    assert reference.tag or reference.digest


@given(images(), st.sampled_from(["mirror.test", "mirror.test:5000/", "mirror.test/hub"]))
def test_a_mirror_is_asked_for_images_of_docker_hub_only_and_never_alone(image: str, mirror: str) -> None:
    places = candidates(image, {}, mirror)
    assert places[-1] == image
    assert len(places) == (2 if parse(image).on_hub else 1)
    if parse(image).on_hub:
        assert places[0].startswith(f"{mirror.rstrip('/')}/{parse(image).repository}")
        mirrored = parse(places[0])
        assert (mirrored.tag, mirrored.digest) == (parse(image).tag, parse(image).digest)


@given(images())
def test_without_a_mirror_an_image_has_one_place_its_own(image: str) -> None:
    assert candidates(image, {}) == (image,)


@given(images())
def test_the_engines_name_has_no_digest_and_always_a_tag(image: str) -> None:
    kept = parse(engine_name(image))
    assert kept.tag
    assert not kept.digest
    assert kept.repository == parse(image).repository


@pytest.mark.parametrize(
    ("image", "reference", "name"),
    [
        ("redis", Reference("docker.io", "library/redis", "latest"), "redis:latest"),
        ("redis:8.6.3", Reference("docker.io", "library/redis", "8.6.3"), "redis:8.6.3"),
        ("docker.io/grafana/tempo:3", Reference("docker.io", "grafana/tempo", "3"), "grafana/tempo:3"),
        ("index.docker.io/redis:8", Reference("docker.io", "library/redis", "8"), "redis:8"),
        (f"redis@{HEX}", Reference("docker.io", "library/redis", "", HEX), f"redis@{HEX}"),
        (f"quay.io/a/b:1@{HEX}", Reference("quay.io", "a/b", "1", HEX), f"quay.io/a/b:1@{HEX}"),
        ("localhost/x", Reference("localhost", "x", "latest"), "localhost/x:latest"),
        ("r.test:5000/x", Reference("r.test:5000", "x", "latest"), "r.test:5000/x:latest"),
        ("library/a/b:1", Reference("docker.io", "library/a/b", "1"), "library/a/b:1"),
    ],
)
def test_names_as_engines_read_them(image: str, reference: Reference, name: str) -> None:
    assert parse(image) == reference
    assert reference.name == name


@pytest.mark.parametrize(
    "image",
    ["", ":8", "redis:", "redis@", "redis@sha256", "redis@sha256:", "redis@:abc", "/redis", "a//b", "quay.io/",
     "redis@a:b:c", "redis:@sha256:ab"],
)  # fmt: skip
def test_an_empty_part_is_refused(image: str) -> None:
    with pytest.raises(UsageError, match=r"expected \[REGISTRY/\]NAME"):
        parse(image)


def test_a_mapped_image_has_one_place_and_keeps_its_tag_when_the_map_names_none() -> None:
    exact = {"redis:8": "own.test/redis:8-hardened", "grafana/tempo": "own.test/tempo"}
    assert candidates("redis:8", exact, "mirror.test") == ("own.test/redis:8-hardened",)
    assert candidates("grafana/tempo:3.0.3", exact, "mirror.test") == ("own.test/tempo:3.0.3",)
    assert candidates("redis:9", exact) == ("redis:9",)
    assert candidates(f"redis:8@{HEX}", exact) == ("own.test/redis:8-hardened",)


def test_what_is_kept_under_no_tag_gets_one_of_its_digest() -> None:
    assert engine_name(f"redis@{HEX}") == "redis:0123456789ab"
    assert engine_name(f"quay.io/a/b:1@{HEX}") == "quay.io/a/b:1"
