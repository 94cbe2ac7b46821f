"""Labels of everything that the harness makes on an engine: whose it is, so that clean-up finds that and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from harness.identity import Identity

PREFIX = "dev.infra-harness"
RUN = f"{PREFIX}.run"
OWNER = f"{PREFIX}.owner"
SERVICE = f"{PREFIX}.service"
EXPIRES = f"{PREFIX}.expires"


@dataclass(frozen=True)
class Owner:
    """Who made something: a run, and the identity of its keeper."""

    run: str
    identity: Identity

    def labels(self, **more: str) -> dict[str, str]:
        """What goes into a create request."""
        others = {f"{PREFIX}.{key}": value for key, value in more.items()}
        return {RUN: self.run, OWNER: self.identity.to_json(), **others}


def read_owner(labels: Mapping[str, str] | None) -> Owner | None:
    """Whose something is; None when it is not the harness's, or its label cannot be read."""
    if not labels or RUN not in labels:
        return None
    try:
        return Owner(labels[RUN], Identity.from_json(labels.get(OWNER, "")))
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return None
