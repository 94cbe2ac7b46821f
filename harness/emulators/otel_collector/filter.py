"""The filter processor: drops the spans, metrics, data points or log records that match one of its OTTL conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.emulators.runner import ConfigError

from .ottl import Condition, OttlError, parse_condition
from .signals import METRICS, Data, Signal, points

_COUNTED = {"traces": "spans", "metrics": "datapoints", "logs": "logs"}


@dataclass(frozen=True)
class Filter:
    """One signal's conditions: `items` for leaves, `points` for data points. `dropped` is told how many went."""

    signal: Signal
    items: Sequence[Condition]
    points: Sequence[Condition]
    dropped: Callable[[int], None]

    def change(self, data: Data) -> bool:
        """Remove what matches and what became empty. False when nothing is left."""
        before = self.signal.count(data)
        for group, scope in list(self.signal.scope_groups(data)):
            leaves = getattr(scope, self.signal.leaves)
            for leaf in leaves if self.points else ():
                _keep(points(leaf), partial(self._point_stays, group))
            _keep(leaves, partial(self._stays, group))
        for group in getattr(data, self.signal.groups):
            _keep(getattr(group, self.signal.scopes), lambda scope: bool(getattr(scope, self.signal.leaves)))
        _keep(getattr(data, self.signal.groups), lambda group: bool(getattr(group, self.signal.scopes)))
        after = self.signal.count(data)
        if before != after:
            self.dropped(before - after)
        return after > 0

    def _point_stays(self, group: Any, point: Any) -> bool:
        return not _matches(self.points, point, group)

    def _stays(self, group: Any, leaf: Any) -> bool:
        if self.signal is METRICS and not points(leaf):
            return False
        return not _matches(self.items, leaf, group)


def _matches(conditions: Sequence[Condition], item: Any, group: Any) -> bool:
    return any(condition({"item": item, "resource": group.resource}) for condition in conditions)


def _keep(repeated: Any, stays: Callable[[Any], bool]) -> None:
    for index in range(len(repeated) - 1, -1, -1):
        if not stays(repeated[index]):
            del repeated[index]


def counter_name(signal: Signal) -> str:
    """The own metric that counts what this signal's filter dropped."""
    return f"processor_filter_{_COUNTED[signal.name]}_filtered"


def build_filter(identity: str, signal: Signal, settings: Mapping[str, Any], dropped: Callable[[int], None]) -> Filter:
    """The filter of one pipeline. Raises ConfigError for a condition outside the OTTL subset."""
    section = settings[signal.name]
    names = {"traces": ("span", ""), "metrics": ("metric", "datapoint"), "logs": ("log_record", "")}[signal.name]
    lists = [[_condition(identity, signal, text) for text in section.get(name) or ()] for name in names]
    return Filter(signal, lists[0], lists[1], dropped)


def _condition(identity: str, signal: Signal, text: Any) -> Condition:
    try:
        return parse_condition(str(text))
    except OttlError as error:
        raise ConfigError(
            f'Error: invalid configuration: processors::{identity}: unable to parse OTTL condition "{text}" '
            f"of {signal.name}: {error}"
        ) from error
