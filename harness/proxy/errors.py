"""The table of what the API refuses, in upstream's words and with its status codes."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Problem(Enum):
    """Upstream's error texts and HTTP status codes."""

    BAD_BODY = ("bad request body", 400)
    MISSING_FIELD = ("missing required field", 400)
    INVALID_STREAM = ("stream was invalid, can be either upstream or downstream", 400)
    INVALID_TOXIC_TYPE = ("invalid toxic type", 400)
    PROXY_NOT_FOUND = ("proxy not found", 404)
    TOXIC_NOT_FOUND = ("toxic not found", 404)
    PROXY_EXISTS = ("proxy already exists", 409)
    TOXIC_EXISTS = ("toxic already exists", 409)
    CANNOT_LISTEN = ("listen tcp", 500)


class ApiError(Exception):
    """A refusal: `message` is the body's `error`, `status` its `status` and the HTTP status code."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        text, self.status = problem.value
        self.message = f"{text}: {detail}" if detail else text
        super().__init__(self.message)

    def as_json(self) -> dict[str, Any]:
        """The body that the API answers with."""
        return {"error": self.message, "status": self.status}


def bad_body(detail: str) -> ApiError:
    """The refusal of a body that cannot be used, saying what is wrong with it."""
    return ApiError(Problem.BAD_BODY, detail)
