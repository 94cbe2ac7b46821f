"""What a caller is told when a request cannot be served."""

from __future__ import annotations


class RequestError(Exception):
    """The request ends with `status` and these words."""

    status = 400


class Unknown(RequestError):
    """There is nothing of that name."""

    status = 404


class Unavailable(RequestError):
    """A dependency that the request cannot do without does not answer; the request had no effect that is known."""

    status = 503

    def __init__(self, dependency: str, cause: object) -> None:
        super().__init__(f"{dependency}: {cause}")
        self.dependency = dependency
