"""Having images on the engine: refusals told apart in the engines' own words, retries that are counted, a lock that
holds, a mirror that may be stale, archives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import DockerException
from requests import ReadTimeout

from harness.errors import ImageError, RuntimeUnavailable
from harness.runtimes.docker import images as subject
from harness.runtimes.docker.images import classify, ensure, name_on_engine, summarise
from harness.runtimes.registry import Described
from tests.unit.rigs.docker_rig import DIGEST, OTHER_DIGEST, FakeEngine, no_sleep, refusal

ABSENT, DENIED, LIMITED = "there is no such image", "the registry denies access", "the registry limits how much"
OFFLINE, FULL, WRONG = "cannot be reached", "the engine's disk is full", "not built for this engine's architecture"
HEX = "429404500" + "f" * 55

SAID = [
    ("manifest for redis:0 not found: manifest unknown: manifest unknown", ABSENT),
    ("manifest unknown: OCI index found, but Accept header does not support OCI indexes", ABSENT),
    (f"manifest for redis@sha256:{HEX} not found: manifest unknown: manifest unknown", ABSENT),
    ("failed to resolve reference \"127.0.0.1:4290/a:1\": 127.0.0.1:4290/a:1: not found", ABSENT),
    ("name unknown: repository name not known to registry", ABSENT),
    ("No such image: infra-harness/redis:7.0.15", ABSENT),
    ("manifest for acme/geoffrey-lookup:timeout not found: manifest unknown", ABSENT),
    ("pull access denied for nobody/none, repository does not exist or may require 'docker login': denied: requested"
     " access to the resource is denied", DENIED),
    ("Head \"https://registry.test/v2/a/manifests/1\": unauthorized: authentication required", DENIED),
    ("Head \"https://registry.test/v2/a/manifests/1\": denied", DENIED),
    ("Get \"https://r.test/v2/a/manifests/1\": no basic auth credentials", DENIED),
    ("unexpected status from HEAD request to https://r.test/v2/a/manifests/1: 403 Forbidden", DENIED),
    ("error parsing HTTP 403 response body: <Error><Code>AccessDenied</Code></Error>", DENIED),
    ("toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and"
     " upgrading: https://www.docker.com/increase-rate-limit", LIMITED),
    ("unexpected status code https://r.test/v2/a/manifests/1: 429 Too Many Requests", LIMITED),
    ("received unexpected HTTP status: 429", LIMITED),
    ("Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 127.0.0.53:53: no such host",
     OFFLINE),
    ("Get \"http://127.0.0.1:4290/v2/\": dial tcp 127.0.0.1:4290: connect: connection refused", OFFLINE),
    ("Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection"
     " (Client.Timeout exceeded while awaiting headers)", OFFLINE),
    ("Get \"https://r.test/v2/\": net/http: TLS handshake timeout", OFFLINE),
    ("received unexpected HTTP status: 503 Service Unavailable", OFFLINE),
    ("unexpected EOF", OFFLINE),
    ("read tcp 10.0.0.2:40404->10.0.0.3:443: read: connection reset by peer", OFFLINE),
    ("UnixHTTPConnectionPool(host='localhost', port=None): Read timed out.", OFFLINE),
    ("write /var/lib/docker/tmp/GetImageBlob404404: no space left on device", FULL),
    ("failed to register layer: ApplyLayer exit status 1 stdout: stderr: write /x: no space left on device", FULL),
    ("no matching manifest for linux/arm64/v8 in the manifest list entries", WRONG),
    (f"no match for platform in manifest sha256:{HEX}: not found", WRONG),
    ("image with reference redis:8 was found but does not match the specified platform: wanted linux/arm64", WRONG),
    ("image operating system \"windows\" cannot be used on this platform", WRONG),
]  # fmt: skip


@pytest.mark.parametrize(("said", "text"), SAID)
def test_a_refusal_is_told_for_what_it_is(said: str, text: str) -> None:
    found = classify(said)
    assert text in found.text
    assert found.passing is (text in {LIMITED, OFFLINE})
    assert found.next_step


def test_every_refusal_has_a_sentence_and_a_next_step_of_its_own() -> None:
    found = {classify(said).text: classify(said).next_step for said, _ in SAID}
    assert len(found) == len(set(found.values())) == 6


@pytest.mark.parametrize(
    "said", ["mkdir /var/lib/docker/tmp: permission denied", "x509: certificate signed by unknown authority"]
)
def test_unknown_words_are_shown_and_taken_as_permanent(said: str) -> None:
    assert (classify(said).text, classify(said).passing) == (said, False)
    assert classify(" ").text == "no reason given"


# -- present ------------------------------------------------------------------------------------------------------


def test_an_image_is_present_by_its_name_or_by_its_very_digest(engine: FakeEngine) -> None:
    client = engine.client()
    assert name_on_engine(client, "redis:8") == ""
    engine.image("redis:8", f"redis@{DIGEST}")
    assert name_on_engine(client, "redis:8") == "redis:8"
    assert name_on_engine(client, "redis:8", [f"redis:8@{DIGEST}"]) == "redis:8"
    assert name_on_engine(client, "redis:8", [f"mirror.test/library/redis:8@{DIGEST}"]) == "redis:8"
    assert name_on_engine(client, "redis:8", [f"redis:8@{OTHER_DIGEST}"]) == ""


def test_an_image_pinned_by_digest_is_found_under_its_tag_when_it_is_that_one(engine: FakeEngine) -> None:
    client = engine.client()
    engine.image("redis:8", f"mirror.test/library/redis@{DIGEST}")
    assert name_on_engine(client, f"redis:8@{DIGEST}") == "redis:8"
    assert name_on_engine(client, f"redis:8@{OTHER_DIGEST}") == ""


def test_an_image_that_was_built_here_has_no_digest(engine: FakeEngine) -> None:
    engine.image("redis:8")
    assert name_on_engine(engine.client(), "redis:8", [f"redis:8@{DIGEST}"]) == ""


# -- ensure -------------------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> list[str]:
    """What was told meanwhile."""
    return []


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No registry tells a size, nothing sleeps."""
    monkeypatch.setattr(subject, "describe", _untold)
    return no_sleep(monkeypatch, subject.__name__)


def _untold(place: str) -> Described:
    raise RuntimeUnavailable("not told")


def test_what_is_there_is_not_pulled_unless_always(engine: FakeEngine, told: list[str], slept: list[float]) -> None:
    engine.image("redis:8")
    for policy in ("missing", "never"):
        assert ensure(engine.client(), "redis:8", ("redis:8",), policy, told.append) == "redis:8"
    assert engine.asked("api.pull") == []
    engine.registry["redis:8"] = []
    ensure(engine.client(), "redis:8", ("redis:8",), "always", told.append)
    assert engine.asked("api.pull") == ["redis:8"]


def test_what_is_missing_and_may_not_be_pulled_is_refused(engine: FakeEngine, told: list[str]) -> None:
    with pytest.raises(ImageError, match="redis:8 is not on the engine, and --pull is never"):
        ensure(engine.client(), "redis:8", ("redis:8",), "never", told.append)
    assert engine.asked("api.pull") == []


def test_another_digest_than_the_locked_one_is_pulled_anew(
    engine: FakeEngine, told: list[str], slept: list[float]
) -> None:
    engine.image("redis:8", f"redis@{OTHER_DIGEST}")
    place = f"redis:8@{DIGEST}"
    engine.registry[f"redis@{DIGEST}"] = []
    engine.before["images.tag"] = lambda: engine.image(place, f"redis@{DIGEST}")
    engine.image(place, f"redis@{DIGEST}")
    ensure(engine.client(), "redis:8", (place,), "missing", told.append)
    assert engine.asked("api.pull") == [f"redis@{DIGEST}"]
    assert engine.images["redis:8"].digests == [f"redis@{DIGEST}"]


def test_a_stale_mirror_is_left_for_the_images_own_registry(
    engine: FakeEngine, told: list[str], slept: list[float]
) -> None:
    engine.registry["redis:8"] = []
    ensure(engine.client(), "redis:8", ("mirror.test/library/redis:8", "redis:8"), "missing", told.append)
    assert engine.asked("api.pull") == ["mirror.test/library/redis:8", "redis:8"]
    assert slept == []


def test_what_comes_from_elsewhere_gets_the_compose_files_name(
    engine: FakeEngine, told: list[str], slept: list[float]
) -> None:
    engine.registry["mirror.test/library/redis:8"] = []
    ensure(engine.client(), "redis:8", ("mirror.test/library/redis:8", "redis:8"), "missing", told.append)
    assert "redis:8" in engine.images


def test_a_digest_that_comes_from_a_mirror_gets_the_tag_without_it(
    engine: FakeEngine, told: list[str], slept: list[float]
) -> None:
    """An engine refuses to tag with a digest; the image is found by its tag and digest all the same."""
    image, place = f"redis:8@{DIGEST}", f"mirror.test/library/redis:8@{DIGEST}"
    engine.registry[f"mirror.test/library/redis@{DIGEST}"] = []
    engine.before["api.pull"] = lambda: engine.image(place, f"mirror.test/library/redis@{DIGEST}")
    ensure(engine.client(), image, (place, image), "missing", told.append)
    assert name_on_engine(engine.client(), image) == "redis:8"


@pytest.mark.parametrize("passing", ["toomanyrequests: slow down", "dial tcp: lookup r.test: no such host"])
def test_a_passing_refusal_is_tried_again_a_counted_number_of_times(
    engine: FakeEngine, told: list[str], slept: list[float], passing: str
) -> None:
    engine.registry["redis:8"] = (DockerException(passing), ReadTimeout("Read timed out."), [])
    ensure(engine.client(), "redis:8", ("redis:8",), "missing", told.append)
    assert len(engine.asked("api.pull")) == 3
    assert 1.0 <= slept[0] <= 1.5 < 2.0 <= slept[1] <= 3.0
    assert "try 2 of 4" in told[1]
    engine.registry["a:1"] = DockerException(passing)
    with pytest.raises(ImageError, match=r"\(4 tries\)"):
        ensure(engine.client(), "a:1", ("a:1",), "missing", told.append)
    assert engine.asked("api.pull").count("a:1") == 4


@pytest.mark.parametrize(
    "answer",
    [
        refusal(404, "manifest for redis:8 not found: manifest unknown"),
        refusal(404, "pull access denied for redis, repository does not exist: denied: requested access"),
        [{"error": "write /tmp/x: no space left on device", "errorDetail": {}}],
        [{"status": "Pulling"}, {"error": "no matching manifest for linux/s390x in the manifest list entries"}],
    ],
)
def test_a_permanent_refusal_is_not_tried_again(
    engine: FakeEngine, told: list[str], slept: list[float], answer: Any
) -> None:
    engine.registry["redis:8"] = answer
    with pytest.raises(ImageError) as refused:
        ensure(engine.client(), "redis:8", ("redis:8",), "missing", told.append)
    assert " tries)" not in str(refused.value)
    assert refused.value.exit_code == 7
    assert len(engine.asked("api.pull")) == 1
    assert slept == []


# -- what is told -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "sizes", "line"),
    [
        ("x86_64", {"linux/amd64": 41_000_000, "linux/arm64": 1}, "41 MB to pull at the most"),
        ("aarch64", {"linux/amd64": 1, "linux/arm64": 39_000_000}, "39 MB to pull at the most"),
        ("amd64", {"": 12_000_000}, "12 MB to pull at the most"),
        ("s390x", {"linux/amd64": 1}, "not built for linux/s390x"),
    ],
)
def test_megabytes_are_told_before_pulling(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, told: list[str], machine: str, sizes: dict[str, int], line: str
) -> None:
    engine.architecture, engine.registry["a:1"] = machine, []
    monkeypatch.setattr(subject, "describe", lambda place: Described(place, DIGEST, sizes, True))
    ensure(engine.client(), "a:1", ("a:1",), "missing", told.append)
    assert told == [f"image a:1: {line}"]


def test_progress_is_a_line_a_second_over_all_layers() -> None:
    events: list[dict[str, Any]] = [
        {"status": "Pulling from library/redis", "id": "8"},
        {"status": "Already exists", "id": "old"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 1_000_000, "total": 4_000_000}},
        {"status": "Downloading", "id": "b", "progressDetail": {"current": 2_000_000, "total": 6_000_000}},
        {"status": "Download complete", "id": "b", "progressDetail": {}},
        {"status": "Pull complete", "id": "unknown"},
    ]
    clock = itertools.count(0.0, 0.6)
    assert list(summarise(iter(events), lambda: next(clock))) == ["3 of 10 MB", "7 of 10 MB"]


def test_progress_reaches_whoever_listens(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, told: list[str], slept: list[float]
) -> None:
    engine.registry["a:1"] = [{"status": "Downloading", "id": "a", "progressDetail": {"current": 5e6, "total": 9e6}}]
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(f"{subject.__name__}.time.monotonic", lambda: next(clock))
    ensure(engine.client(), "a:1", ("a:1",), "missing", told.append)
    assert told[-1] == "image a:1: 5 of 9 MB"


def test_an_error_inside_the_stream_is_an_error() -> None:
    def stream() -> Iterator[dict[str, Any]]:
        yield {"error": "unexpected EOF"}

    with pytest.raises(DockerException, match="unexpected EOF"):
        list(summarise(stream(), lambda: 0.0))
