"""Two instances, one cache, one store: what was acknowledged is what the next reader sees."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.experiments.checkers.monotonic_index import MonotonicIndex
from harness.experiments.history import History, oks
from harness.model import Verdict

if TYPE_CHECKING:
    from tests.infrastructure.integration.conftest import Caller, Deployment, Instance

WRITERS, WRITES = 6, 10


def write_and_read(shop: Deployment, caller: Caller, key: str) -> History:
    """Writers on both instances, and on each a reader until they are done; every version that anybody saw."""
    history, over = History(), threading.Event()

    def version(method: str, instance: Instance, body: Any = None) -> int:
        call = caller.call(method, f"{instance.url}/items/{key}", body)
        assert call.status == 200, call.body
        return int(call.body["version"])

    def writer(number: int) -> None:
        for count in range(WRITES):
            write = partial(version, "PUT", shop.instances[(number + count) % 2], number)
            history.perform("index", f"writer-{number}", key, None, write)

    def reader(number: int) -> None:
        while not over.is_set():
            history.perform("index", f"reader-{number}", key, None, partial(version, "GET", shop.instances[number]))

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        readers = [pool.submit(reader, number) for number in range(2)]
        for writing in [pool.submit(writer, number) for number in range(WRITERS)]:
            writing.result()
        over.set()
        for reading in readers:
            reading.result()
    return history


def test_no_reader_goes_back_while_writers_compete(shop: Deployment, caller: Caller, redis: Any, key: str) -> None:
    """A read that began after a version was acknowledged, on whichever instance, shows that version or a later one;
    every write got a version of its own; in the end cache and store hold the same.

    Source: the service's own contract (app/cache.py, app/store.py); ArangoDB, "UPSERT", conflicts are error 1200.
    """
    caller.call("PUT", f"{shop.instances[0].url}/items/{key}", "first")
    history = write_and_read(shop, caller, key)
    finding = MonotonicIndex(everywhere=True).check(history.operations)
    assert finding.verdict is Verdict.VALID, finding
    assert len(oks(history.operations)) == len(history), [one.error for one in history.operations if one.error][:3]
    written = sorted(one.value for one in history.operations if one.client.startswith("writer"))
    assert written == list(range(2, WRITERS * WRITES + 2))
    stored = shop.database.collection("items").get(key)
    cached = json.loads(redis.get(f"{shop.redis_prefix}item:{key}"))
    assert (cached["version"], cached["value"]) == (stored["version"], stored["value"])
    assert stored["version"] == WRITERS * WRITES + 1


def test_a_stale_cache_would_be_seen(shop: Deployment, caller: Caller, redis: Any, key: str) -> None:
    """The control: with an old version put under the readers, the same checker says so.

    Source: harness/experiments/checkers/monotonic_index.py; a checker that never says no proves nothing.
    """
    history, place = History(), f"{shop.redis_prefix}item:{key}"
    url = f"{shop.instances[0].url}/items/{key}"
    caller.call("PUT", url, "old")
    old = redis.get(place)
    for _ in range(2):
        history.perform("index", "writer", key, None, lambda: caller.call("PUT", url, "new").body["version"])
    redis.set(place, old, px=60_000)
    history.perform("index", "reader", key, None, lambda: caller.call("GET", url).body["version"])
    finding = MonotonicIndex(everywhere=True).check(history.operations)
    assert (finding.verdict, finding.details["back"]) == (Verdict.INVALID, 1), finding


def test_a_slow_reader_does_not_put_an_old_version_over_a_newer_one(
    shop: Deployment, caller: Caller, redis: Any, key: str
) -> None:
    """Filling the cache is a compare-and-set by version: what is newer stays.

    Source: Redis, "Scripting with Lua", atomicity of scripts.
    """
    place = f"{shop.redis_prefix}item:{key}"
    newer = json.dumps({"key": key, "value": "from the future", "version": 7})
    redis.set(place, newer, px=60_000)
    written = caller.call("PUT", f"{shop.instances[0].url}/items/{key}", "slow").body
    assert written["version"] == 1
    assert redis.get(place) == newer
    read = caller.call("GET", f"{shop.instances[1].url}/items/{key}").body
    assert (read["version"], read["from"]) == (7, "cache")


def test_what_the_cache_has_lost_comes_from_the_store_once(
    shop: Deployment, caller: Caller, redis: Any, key: str
) -> None:
    """Cache-aside: a miss is served by the store, fills the cache for everybody, and expires.

    Source: Redis, "PTTL"; the pattern's own definition: the store is the truth, the cache may be empty.
    """
    one, other, _ = shop.instances
    caller.call("PUT", f"{one.url}/items/{key}", "lamp")
    shop.forget(key)
    served = [caller.call("GET", f"{instance.url}/items/{key}").body for instance in (one, other, one)]
    assert [item["from"] for item in served] == ["store", "cache", "cache"]
    assert {item["value"] for item in served} == {"lamp"}
    assert 50_000 < redis.pttl(f"{shop.redis_prefix}item:{key}") <= 60_000
