"""Clean-up by label: everything of one run, or of all runs whose owner is dead.

One listing is not enough: a container whose create request was under way when its owner died is born after it. So:
list and remove until two listings in a row are empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, NotFound
from requests import RequestException

from harness.runtimes.docker.engine import reason
from harness.runtimes.docker.labels import EXPIRES, RUN, read_owner

PAUSE = 0.1
"""Seconds between two listings: longer than the engine needs to finish a create request it has begun."""
ROUNDS = 40


@dataclass(frozen=True)
class Found:
    """Something labelled: how it is called in words, its labels, and how to remove it."""

    what: str
    labels: dict[str, str]
    remove: Callable[[], None]


def listing(client: Any, run: str = "") -> list[Found]:
    """Everything of ours on the engine, containers before the networks and volumes that they use."""
    label = f"{RUN}={run}" if run else RUN
    filters = {"label": label}
    return [
        *(_container(item) for item in client.containers.list(all=True, filters=filters, ignore_removed=True)),
        *(_network(item) for item in client.networks.list(filters=filters)),
        *(_volume(item) for item in client.volumes.list(filters=filters)),
    ]


def _container(item: Any) -> Found:
    return Found(f"container {item.name}", item.labels, lambda: item.remove(force=True, v=True))


def _network(item: Any) -> Found:
    return Found(f"network {item.name}", item.attrs.get("Labels") or {}, item.remove)


def _volume(item: Any) -> Found:
    return Found(f"volume {item.name}", item.attrs.get("Labels") or {}, lambda: item.remove(force=True))


def remove_run(client: Any, run: str) -> list[str]:
    """Remove everything of a run. Returns what could not be removed."""
    empty, found, left = 0, list[Found](), list[str]()
    for _ in range(ROUNDS):
        found = listing(client, run)
        left = _remove(found)
        empty = 0 if found else empty + 1
        if empty == 2:
            return []
        time.sleep(PAUSE)
    return left or [f"{item.what}: still there, or there again" for item in found]


def _remove(found: Iterable[Found]) -> list[str]:
    items = list(found)
    containers = [item for item in items if item.what.startswith("container")]
    others = [item for item in items if item not in containers]  # in use until the containers are gone
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = [*pool.map(_remove_one, containers), *map(_remove_one, others)]
    return [text for text in told if text]


def _remove_one(item: Found) -> str:
    """Remove it. Returns what is wrong, empty when it is gone or going."""
    try:
        item.remove()
    except NotFound:
        return ""
    except APIError as error:
        being_removed_or_in_use = error.status_code == 409
        return "" if being_removed_or_in_use else f"{item.what}: {error.explanation}"
    except RequestException as error:
        return f"{item.what}: {reason(error)}"
    return ""


def sweep(client: Any) -> list[str]:
    """Remove what dead runs left. Returns the ids of the runs that were swept.

    A run of this host is dead when its keeper is; one of another host or container only when its lease has lapsed.
    """
    runs: dict[str, list[Found]] = {}
    for item in listing(client):
        runs.setdefault(item.labels[RUN], []).append(item)
    dead = [run for run, items in runs.items() if is_dead(items, time.time())]
    for run in dead:
        remove_run(client, run)
    return dead


def is_dead(items: Iterable[Found], now: float) -> bool:
    """Whether a run's owner is gone, judged by its labels alone."""
    owners = [owner for owner in (read_owner(item.labels) for item in items) if owner]
    if any(owner.identity.here for owner in owners):
        return not any(owner.identity.alive for owner in owners)
    leases = [float(item.labels[EXPIRES]) for item in items if EXPIRES in item.labels]
    return bool(owners) and max(leases, default=0.0) < now
