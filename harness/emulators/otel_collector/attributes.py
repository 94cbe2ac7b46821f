"""The attributes and resource processors: insert, update, upsert and delete of attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.emulators.runner import ConfigError

from .signals import METRICS, Data, Signal, points, set_any

ACTIONS = ("insert", "update", "upsert", "delete")


@dataclass(frozen=True)
class Action:
    """One step. `value` is used unless `from_attribute` names where to copy from."""

    key: str
    action: str
    value: Any = None
    from_attribute: str = ""

    def apply(self, pairs: Any) -> None:
        """Change one repeated KeyValue field in place."""
        held = next((index for index, pair in enumerate(pairs) if pair.key == self.key), None)
        if self.action == "delete":
            if held is not None:
                del pairs[held]
            return
        if (held is None and self.action == "update") or (held is not None and self.action == "insert"):
            return
        source = next((pair.value for pair in pairs if pair.key == self.from_attribute), None)
        if self.from_attribute and source is None:
            return
        pair = pairs[held] if held is not None else pairs.add(key=self.key)
        if source is not None:
            pair.value.CopyFrom(source)
        else:
            set_any(pair.value, self.value)


def parse_actions(where: str, raw: Sequence[Any]) -> list[Action]:
    """The configured steps. Raises ConfigError in the real processor's words."""
    found = []
    for index, entry in enumerate(raw):
        problem = _problem(index, entry)
        if problem:
            raise ConfigError(f"Error: invalid configuration: {where}: {problem}")
        found.append(Action(entry["key"], entry["action"], entry.get("value"), entry.get("from_attribute", "")))
    return found


def _problem(index: int, entry: Any) -> str:
    if not isinstance(entry, Mapping) or not entry.get("key"):
        return f'error creating AttrProc due to missing required field "key" at the {index}-th actions'
    if unknown := sorted(set(entry) - {"key", "action", "value", "from_attribute"}):
        return f"actions key {unknown[0]!r} is not emulated (501)"
    action = entry.get("action", "")
    if action in {"hash", "extract", "convert"}:
        return f'action "{action}" is not emulated (501)'
    if action not in ACTIONS:
        return f'error creating AttrProc due to unsupported action "{action}" at the {index}-th actions'
    if action != "delete" and "value" not in entry and "from_attribute" not in entry:
        return (
            'error creating AttrProc. Either field "value", "from_attribute" or "from_context" setting must be '
            f"specified for {index}-th action"
        )
    return ""


def attribute_changer(signal: Signal, actions: Sequence[Action]) -> Callable[[Data], bool]:
    """What the attributes processor does to a request: every span, data point or log record is changed."""

    def change(data: Data) -> bool:
        for holder in _holders(signal, data):
            for action in actions:
                action.apply(holder.attributes)
        return True

    return change


def resource_changer(signal: Signal, actions: Sequence[Action]) -> Callable[[Data], bool]:
    """What the resource processor does to a request."""

    def change(data: Data) -> bool:
        for group in getattr(data, signal.groups):
            for action in actions:
                action.apply(group.resource.attributes)
        return True

    return change


def _holders(signal: Signal, data: Data) -> Iterable[Any]:
    for _, scope in signal.scope_groups(data):
        for leaf in getattr(scope, signal.leaves):
            if signal is METRICS:
                yield from points(leaf)
            else:
                yield leaf
