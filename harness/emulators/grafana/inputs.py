"""What a request may hold: JSON of the types that Grafana's structs have, and numbers among query parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from .errors import plain

Kind = type | tuple[type, ...]
NUMBER = (int, float)
FIELDS: dict[str, Kind] = {
    **dict.fromkeys(
        (
            "name", "title", "uid", "type", "url", "access", "database", "basicAuthUser", "text", "login", "email",
            "password", "role", "message", "comment", "createdBy", "startsAt", "endsAt", "folderUid", "folderUID",
            "parentUid", "dashboardUID", "ruleGroup", "condition", "noDataState", "execErrState", "receiver", "refId",
            "scenarioId", "queryType", "datasourceUid", "expression", "reducer", "stringInput",
        ),
        str,
    ),
    **dict.fromkeys(
        ("version", "time", "timeEnd", "panelId", "intervalMs", "maxDataPoints", "secondsToLive", "OrgId", "interval",
         "missingSeriesEvalsToResolve"), NUMBER
    ),
    **dict.fromkeys(("isDefault", "overwrite", "isPaused", "isDisabled", "disableResolveMessage", "hide"), bool),
    **dict.fromkeys(("tags", "queries", "rules", "matchers", "object_matchers", "routes", "conditions"), list),
    **dict.fromkeys(
        ("dashboard", "jsonData", "secureJsonData", "settings", "labels", "annotations", "relativeTimeRange", "model",
         "notification_settings", "pulseWave"), dict
    ),
    "datasource": (str, dict),
    "data": (list, dict),
}  # fmt: skip
"""Field name -> what its value must be, where it is given and not null."""
NESTED = ("queries", "rules", "data", "matchers", "routes", "conditions")
"""Lists whose items are objects of such fields; any other object holds what its owner likes."""


def read_object(body: bytes) -> dict[str, Any]:
    """The body as an object. Raises the 400 of Go's decoder for anything else and for values of the wrong type."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text or "null", parse_float=_finite, parse_constant=_finite)
        if "\\ud" in text.lower():  # half a surrogate pair is no character: Go replaces it
            whole = json.dumps(found, ensure_ascii=False).encode("utf-16", "surrogatepass")
            found = json.loads(whole.decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        raise plain(400, "bad request data") from error
    if not isinstance(found, dict):
        raise plain(400, "bad request data")
    check_fields(found)
    return found


def _finite(text: str) -> float:
    """A number that fits a float64; JSON has no other. Raises ValueError."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def check_fields(body: Mapping[str, Any]) -> None:
    """Raises 400 for a value of the wrong type, also within lists of objects."""
    for name, value in body.items():
        if value is not None and not isinstance(value, FIELDS.get(name, object)):
            raise plain(400, "bad request data")
        if name == "tags" and isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise plain(400, "bad request data")
        for item in value if name in NESTED and isinstance(value, list) else ():
            if not isinstance(item, dict):
                raise plain(400, "bad request data")
            check_fields(item)


def whole(query: Mapping[str, Any], name: str, default: int) -> int:
    """A query parameter as a number: the default where it is none, as Grafana takes it."""
    given = query.get(name, "")
    text = str(given[0] if isinstance(given, list) else given)
    return int(text) if text.isascii() and text.isdigit() else default


def page_of(rows: list[Any], query: Mapping[str, Any], size: str = "limit") -> tuple[list[Any], int, int]:
    """The rows of `page` (from 1), that page, and how many fit on one (`size` names it): 1000 where it is 0 or none."""
    page, most = whole(query, "page", 1) or 1, whole(query, size, 1000) or 1000
    return rows[(page - 1) * most : page * most], page, most
