"""What a fault is: data, the capabilities it needs, and `inject`, which makes an injection on one target.

An injection does nothing until `apply`. Whoever applies it registers `undo` before; `undo` may be repeated and must
not wait for readiness; `healed` asks the target, not the injector's memory, whether the fault is really gone.
Faults know handles and links by their capabilities, never a runtime.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import FaultError
from harness.ports import Handle, Linkable
from harness.probes.answer import answers
from harness.probes.poll import NotYet


@dataclass(frozen=True)
class Injection:
    """One fault on one target, ready to be applied. `healed` raises NotYet or OSError while the fault is still there;
    `text` says what is done to whom. `heals_itself`: the fault is over by itself, and the undo only makes sure.
    `parts`: of how many faults it is made; they are undone one after another, each within the undo's budget."""

    text: str
    apply: Callable[[], None]
    undo: Callable[[], None]
    healed: Callable[[], None]
    heals_itself: bool = False
    parts: int = 1


@dataclass(frozen=True)
class Fault(ABC):
    """Settings of one fault. One subclass per file, its `name` the file's; its fields have useful defaults."""

    name: ClassVar[str]
    also: ClassVar[tuple[str, ...]] = ()
    """Shorter names that people may type."""
    needs: ClassVar[tuple[type, ...]]
    """Protocols of harness.ports that the target must have."""
    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of service that it works on; empty for any."""

    def inject(self, target: Any) -> Injection:
        """The injection on a handle or link. Raises FaultError when the target cannot have it done."""
        reason = self.obstacle(target)
        if reason:
            raise FaultError(reason, "choose another fault, target or runtime")
        return self.on(target)

    def obstacle(self, target: Any) -> str:
        """Why this target cannot have this fault; empty when it can."""
        name = getattr(target, "name", repr(target))
        for capability in self.needs:
            if not isinstance(target, capability):
                return f"fault {self.name}: {name} is not {capability.__name__} on this runtime"
        kind = getattr(target, "kind", None)
        if self.kinds and kind not in self.kinds:
            return f"fault {self.name}: only for {', '.join(self.kinds)}; {name} is {kind or 'of no kind'}"
        return ""

    @abstractmethod
    def on(self, target: Any) -> Injection:
        """The injection, on a target that has what is needed."""


@dataclass(frozen=True)
class LinkFault(Fault):
    """A fault that is a state of one link: armed by `arm`, undone by mending the link."""

    needs: ClassVar[tuple[type, ...]] = (Linkable,)

    def on(self, target: Linkable) -> Injection:
        """Arm on apply; mend on undo; healed when the link is whole and lets an answer through."""
        return Injection(f"{self.name} on link {target.name}", lambda: self.arm(target), target.mend,
                         lambda: _whole(target))  # fmt: skip

    @abstractmethod
    def arm(self, link: Linkable) -> None:
        """Break the link."""


def _whole(link: Linkable) -> None:
    if flaws := link.flaws():
        raise NotYet(f"link {link.name} still has {', '.join(flaws)}")
    answers(link.endpoint)


def answering(target: Handle) -> None:
    """Raises NotYet while the target's first address does not answer in its protocol."""
    answers(target.endpoint())


def together(*injections: Injection) -> Injection:
    """Several faults as one: applied in order, every one undone in the reverse order, healed when all are."""

    def apply() -> None:
        for injection in injections:
            injection.apply()

    def undo() -> None:
        with ExitStack() as stack:  # one that cannot be undone keeps none of the others
            for injection in injections:
                stack.callback(injection.undo)

    def healed() -> None:
        for injection in injections:
            injection.healed()

    text = " and ".join(injection.text for injection in injections)
    return Injection(text, apply, undo, healed, parts=sum(injection.parts for injection in injections))
