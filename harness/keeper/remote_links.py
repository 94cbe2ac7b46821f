"""Links and rarer capabilities as a keeper's clients see them: every operation is a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Protocol

from harness.errors import UsageError
from harness.keeper.breaking import LINK
from harness.model import Endpoint


class Caller(Protocol):
    """The keeper's client."""

    def call(self, operation: str, on_event: Any = None, **arguments: Any) -> Any:
        """Ask and wait for the answer."""
        ...


class RemoteLink:
    """One link of the keeper's stack. It is `Linkable`."""

    def __init__(self, client: Caller, data: Mapping[str, Any]) -> None:
        self._client, self._data = client, data

    @property
    def name(self) -> str:
        """The link's name."""
        return str(self._data["name"])

    @property
    def target(self) -> str:
        """The service that it leads to."""
        return str(self._data["target"])

    @property
    def endpoint(self) -> Endpoint:
        """Where clients of this edge connect."""
        return Endpoint(**self._data["endpoint"])

    @property
    def inside(self) -> Endpoint:
        """The same as services of the stack know it."""
        return Endpoint(**self._data["inside"])

    def poison(self, toxic: str, stream: str, attributes: Mapping[str, int]) -> str:
        """Add a toxic; returns its name."""
        return str(self._do("poison", toxic=toxic, stream=stream, attributes=dict(attributes)))

    def cut(self) -> None:
        """Refuse connections, close those that live."""
        self._do("cut")

    def mend(self) -> None:
        """No toxics, and open."""
        self._do("mend")

    def flaws(self) -> tuple[str, ...]:
        """Its toxics, and `down` when it is cut."""
        return tuple(self._do("flaws"))

    def _do(self, verb: str, **arguments: Any) -> Any:
        return self._client.call(verb, service=LINK + self.name, **arguments)


class RemoteLinks(Mapping[str, RemoteLink]):
    """The links of a stack by name, as they were when asked for."""

    def __init__(self, client: Caller) -> None:
        self._client = client
        self._links = {item["name"]: RemoteLink(client, item) for item in client.call("links")}

    def __getitem__(self, name: str) -> RemoteLink:
        if name not in self._links:
            raise UsageError(f"no link {name!r}: expected one of {', '.join(self._links) or '(none)'}")
        return self._links[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)

    def open(self, name: str, target: str, port: str = "") -> RemoteLink:
        """A new link in front of a running service; the one of that name when there is one."""
        found = self._client.call("open_link", name=name, target=target, port=port)
        self._links = {item["name"]: RemoteLink(self._client, item) for item in found}
        return self[name]


class _Operating(Protocol):
    def _operate(self, verb: str, **arguments: Any) -> None: ...


class IsolatableMixin:
    """`Isolatable`."""

    def isolate(self: _Operating) -> None:
        """Off the network."""
        self._operate("isolate")

    def rejoin(self: _Operating) -> None:
        """Undo `isolate`."""
        self._operate("rejoin")


class ReconfigurableMixin:
    """`Reconfigurable`."""

    def misconfigure(self: _Operating, word: str) -> None:
        """Start it again with a word too many."""
        self._operate("misconfigure", word=word)

    def reconfigure(self: _Operating) -> None:
        """Undo `misconfigure`."""
        self._operate("reconfigure")


class DiskLimitableMixin:
    """`DiskLimitable`."""

    def fill_disk(self: _Operating) -> None:
        """No file of it may grow."""
        self._operate("fill_disk")

    def free_disk(self: _Operating) -> None:
        """Undo `fill_disk`."""
        self._operate("free_disk")


class SqueezableMixin:
    """`Squeezable`."""

    def squeeze(self: _Operating, share: float) -> None:
        """Lower its memory limit."""
        self._operate("squeeze", share=share)

    def release(self: _Operating) -> None:
        """Undo `squeeze`."""
        self._operate("release")


class LossyMixin:
    """`Lossy`."""

    def lose_packets(self: _Operating, percent: float) -> None:
        """Drop so many of the packets that it sends."""
        self._operate("lose_packets", percent=percent)

    def keep_packets(self: _Operating) -> None:
        """Undo `lose_packets`."""
        self._operate("keep_packets")


_MIXINS: tuple[tuple[str, type], ...] = (
    ("Isolatable", IsolatableMixin),
    ("Reconfigurable", ReconfigurableMixin),
    ("DiskLimitable", DiskLimitableMixin),
    ("Squeezable", SqueezableMixin),
    ("Lossy", LossyMixin),
)


@cache
def handle_class(base: type, can: tuple[str, ...]) -> type:
    """A handle class that has exactly these capabilities: what a runtime cannot do is absent from the type."""
    mixins = tuple(mixin for name, mixin in _MIXINS if name in can)
    return type(base.__name__, (base, *mixins), {}) if mixins else base
