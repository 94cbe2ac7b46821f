"""Files of NAME=value lines, as Compose reads them: `env_file`, and the `.env` beside a compose file.

Source: Compose specification, "env_file"; Docker, "Syntax for environment files".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from harness.config.interpolation import InterpolationError, interpolate
from harness.errors import ComposeError

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*
        (?:[=:][ \t]*(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^\n]*)))?""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file. Values in single quotes are literal; others may use `$NAME` of `variables` and of lines
    above. A name without a value takes that of `variables`, and is left out when there is none.

    Raises InterpolationError for a `$` that starts nothing.
    """
    found: dict[str, str] = {}
    for match in _LINE.finditer(text.replace("\r\n", "\n")):
        name, known = match["name"], {**found, **variables}
        if match["single"] is not None:
            found[name] = match["single"]
        elif match["double"] is not None:
            escaped = re.sub(r"\\(.)", lambda part: _ESCAPES.get(part[1], part[1]), match["double"], flags=re.DOTALL)
            found[name] = interpolate(escaped, known)
        elif match["plain"] is not None:
            found[name] = interpolate(re.sub(r"(^|\s)#.*", "", match["plain"]).strip(), known)
        elif name in variables:
            found[name] = variables[name]
    return found


def read(file: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file that exists. Raises ComposeError naming it."""
    try:
        return parse(file.read_text(encoding="utf-8"), variables)
    except (OSError, UnicodeDecodeError, InterpolationError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ComposeError(f"{file}: {reason}", "see docs/compose.md for how such a file is read") from error


def beside(compose_file: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What the `.env` in a compose file's directory says; empty without one."""
    file = compose_file.parent / ".env"
    return read(file, variables) if file.is_file() else {}
