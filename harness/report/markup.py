"""HTML and SVG from nested calls: text is escaped where it enters, so nothing that a test prints can become markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta", "br", "line", "rect", "path", "circle"})
"""Elements that are written without an end tag of their own."""


class Markup(str):
    """Text that is markup already. Made by `tag` and `raw` only."""

    __slots__ = ()


Child = str
"""Plain text, or `Markup`, which is a `str` too."""


def raw(text: str) -> Markup:
    """Our own text (a style sheet), taken as it is."""
    return Markup(text)


def tag(name: str, /, *children: Child | Iterable[Child], **attributes: str | float) -> Markup:
    """One element. A `_` in front of or behind an attribute's name is dropped (`class_`), one inside becomes `-`."""
    given = "".join(f' {key.strip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    if name in VOID and not children:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{_join(children)}</{name}>")


def _join(children: Iterable[Child | Iterable[Child]]) -> str:
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        else:
            parts.append(_join(child))
    return "".join(parts)
