"""A toxic as it is known by name on a proxy: where it stands, how often it strikes, and its checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from harness.proxy.body import Body, name, share, text
from harness.proxy.errors import ApiError, Problem, bad_body
from harness.proxy.stream import Stream, Toxic
from harness.proxy.toxics import TOXICS


@dataclass(frozen=True)
class Entry:
    """`serial` orders the chain and seeds the draws; `toxicity` is the share of connections struck, 0 to 1."""

    serial: int
    name: str
    stream: Stream
    toxicity: float
    toxic: Toxic

    def as_json(self) -> dict[str, Any]:
        """The body that the API answers with."""
        return {
            "attributes": _attributes(self.toxic),
            "name": self.name,
            "type": self.toxic.NAME,
            "stream": str(self.stream),
            "toxicity": self.toxicity,
        }


def read_entry(body: Body, serial: int) -> Entry:
    """A new entry from a request body, with upstream's defaults. Raises ApiError naming the first thing wrong."""
    stream = _stream(text(body, "stream", "downstream"))
    kind = text(body, "type", "")
    called = name(body, f"{kind}_{stream}")
    toxicity = share(body, "toxicity", 1.0)
    found = next((toxic for toxic in TOXICS if kind == toxic.NAME), None)
    if found is None:
        raise ApiError(Problem.INVALID_TOXIC_TYPE)
    return Entry(serial, called, stream, toxicity, _settings(found, {}, body.get("attributes")))


def revise_entry(entry: Entry, body: Body) -> Entry:
    """`entry` with the attributes and toxicity that `body` names; the rest stays. Raises ApiError."""
    return replace(
        entry,
        toxicity=share(body, "toxicity", entry.toxicity),
        toxic=_settings(type(entry.toxic), _attributes(entry.toxic), body.get("attributes")),
    )


def _attributes(toxic: Toxic) -> dict[str, int]:
    return asdict(toxic)  # type: ignore[call-overload, no-any-return]  # a protocol cannot say "dataclass"


def _stream(word: str) -> Stream:
    try:
        return Stream(word.lower())
    except ValueError:
        raise ApiError(Problem.INVALID_STREAM) from None


def _settings(kind: type[Toxic], base: Mapping[str, int], given: Any) -> Toxic:
    if not isinstance(given, Mapping | None):
        raise bad_body(f"attributes must be an object, not {given!r}")
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a protocol cannot say "dataclass"
    values = dict(base)
    for key, value in (given or {}).items():
        if key not in known:
            raise bad_body(f"{kind.NAME} has no attribute {key!r}; it has {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise bad_body(f"{kind.NAME}.{key} must be a whole number, 0 or more, not {value!r}")
        values[key] = value
    try:
        return kind(**values)
    except ValueError as error:
        raise bad_body(f"{kind.NAME}: {error}") from None
