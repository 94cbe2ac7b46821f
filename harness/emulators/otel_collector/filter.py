"""The filter processor: drops the spans, metrics or log records that match one of its OTTL conditions.

Of OTTL: comparisons of a field, or of an attribute of the item or its resource, with a constant, joined by `and`.
Everything else of the language is refused when the Collector starts, never evaluated wrongly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.emulators.runner import ConfigError

from .signals import METRICS, Data, Signal, any_value, attributes, points

Condition = Callable[[Any, Any], bool]
"""Whether an item of a resource matches."""

_PATH = r'(?P<side>resource\.)?(?:attributes\["(?P<attribute>[^"]+)"\]|(?P<field>\w+))'
_COMPARISON = re.compile(rf'{_PATH}\s*(?P<operator>==|!=)\s*(?P<constant>"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?|true|false)')
_FIELDS = {"name", "severity_text", "severity_number", "kind", "description", "unit", "body"}
_LISTS = {"traces": "span", "metrics": "metric", "logs": "log_record"}
_COUNTED = {"traces": "spans", "metrics": "datapoints", "logs": "logs"}


@dataclass(frozen=True)
class Filter:
    """One signal's conditions. `dropped` is told how many spans, points or records went."""

    signal: Signal
    conditions: Sequence[Condition]
    dropped: Callable[[int], None]

    def change(self, data: Data) -> bool:
        """Remove what matches and what became empty. False when nothing is left."""
        before = self.signal.count(data)
        for group in list(getattr(data, self.signal.groups)):
            for scope in getattr(group, self.signal.scopes):
                _drop(getattr(scope, self.signal.leaves), partial(self._matches, group.resource))
            _drop(getattr(group, self.signal.scopes), lambda scope: not getattr(scope, self.signal.leaves))
        _drop(getattr(data, self.signal.groups), lambda group: not getattr(group, self.signal.scopes))
        after = self.signal.count(data)
        if before != after:
            self.dropped(before - after)
        return after > 0

    def _matches(self, resource: Any, leaf: Any) -> bool:
        if self.signal is METRICS and not points(leaf):
            return True
        return any(condition(leaf, resource) for condition in self.conditions)


def _drop(repeated: Any, goes: Callable[[Any], bool]) -> None:
    for index in range(len(repeated) - 1, -1, -1):
        if goes(repeated[index]):
            del repeated[index]


def counter_name(signal: Signal) -> str:
    """The own metric that counts what this signal's filter dropped."""
    return f"processor_filter_{_COUNTED[signal.name]}_filtered"


def build_filter(identity: str, signal: Signal, settings: Mapping[str, Any], dropped: Callable[[int], None]) -> Filter:
    """The filter of one pipeline. Raises ConfigError for a condition outside the OTTL subset."""
    where = f"Error: invalid configuration: processors::{identity}: unable to parse OTTL condition"
    texts = [str(text) for text in settings[signal.name][_LISTS[signal.name]]]
    return Filter(signal, [parse_condition(text, where) for text in texts], dropped)


def parse_condition(text: str, where: str) -> Condition:
    """One condition. Raises ConfigError, beginning with `where`, for anything outside the subset."""
    terms = [_comparison(part.strip()) for part in re.split(r"\s+and\s+", text)]
    known = [term for term in terms if term]
    if len(known) < len(terms):
        raise ConfigError(f'{where} "{text}": only comparisons with == and !=, joined by and, are emulated (501)')
    return lambda item, resource: all(term(item, resource) for term in known)


def _comparison(text: str) -> Condition | None:
    found = _COMPARISON.fullmatch(text)
    if not found or not (found["attribute"] or (found["field"] in _FIELDS and not found["side"])):
        return None
    constant, negated = json.loads(found["constant"]), found["operator"] == "!="
    attribute, field, of_resource = found["attribute"], found["field"], bool(found["side"])

    def matches(item: Any, resource: Any) -> bool:
        if attribute:
            value = attributes((resource if of_resource else item).attributes).get(attribute)
        else:
            value = any_value(item.body) if field == "body" else getattr(item, field, None)
        return (isinstance(value, bool) == isinstance(constant, bool) and value == constant) != negated

    return matches
