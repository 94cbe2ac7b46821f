"""The one error tree. Whatever can go wrong for a user is one of these; everything else is a bug in the harness.

    HarnessError                 70  something in the harness itself
    +-- UsageError                2  an option, variable or argument that cannot be used
    +-- ComposeError              3  the compose file or a file that it names
    |   `-- PlanError             3  the services in it cannot be put in order or bound to a kind
    +-- ServiceError              4  a service did not do what it had to
    |   +-- ServiceExited         4  ended by itself
    |   +-- NotReady              4  alive, and not ready in time
    |   `-- ClientError           4  a call through one of our clients failed
    +-- NothingRan                5  no test was executed
    +-- FidelityError             6  what was required cannot be had here
    +-- RuntimeUnavailable        7  the runtime that was asked for does not answer
    |   `-- ImageError            7  an image cannot be had
    +-- ReportError               8  the report cannot be written
    +-- LeftBehind                9  something of ours is still there after the end
    +-- PortError                11  no address to be had
    +-- KeeperError              12  the process that owns the stack is gone or refuses
    +-- FaultError               13  a fault cannot be injected, witnessed or undone
    `-- TargetError              14  a live environment cannot be judged; each reason has a code of its own
        +-- TargetDown           14  nothing answers there
        +-- TargetUntrusted      15  its certificate is not one to trust
        +-- TargetExpired        16  its certificate, or the login, is not valid (any more)
        +-- TargetForbidden      17  the login is valid and may not do what is needed
        +-- TargetMismatch       18  something else answers there
        `-- BudgetSpent          19  the time was over before everything was judged

Exit code 0 is green and 1 is red (a test failed); 130 is Ctrl-C. 10 and 20 are left to the canary's answers.

A message has three parts: what was found, what was expected, and the next step to take. Exceptions of other
libraries become these at the edge, with the cause kept (`raise ... from`).
"""

from __future__ import annotations

from typing import ClassVar

EXIT_GREEN = 0
EXIT_RED = 1
EXIT_INTERRUPTED = 130


class HarnessError(Exception):
    """The base of all. `message` is one or more plain sentences for a person; `next_step` says what to do."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.next_step}" if self.next_step else self.message


class UsageError(HarnessError):
    """An option, variable or argument that cannot be used."""

    exit_code: ClassVar[int] = 2


class ComposeError(HarnessError):
    """A compose file that cannot be read. The message names file, service, key and what was expected."""

    exit_code: ClassVar[int] = 3


class PlanError(ComposeError):
    """The services of a readable compose file cannot be put in order or bound to what the harness knows."""


class ServiceError(HarnessError):
    """A service did not do what it had to."""

    exit_code: ClassVar[int] = 4


class ServiceExited(ServiceError):
    """A service ended by itself. The message has its exit code and last log lines."""


class NotReady(ServiceError):
    """A service is alive and did not become ready in time. The message has what was last seen."""


class ClientError(ServiceError):
    """A call through one of the harness's own clients failed."""


class NothingRan(HarnessError):
    """A run executed no test, which is never a pass."""

    exit_code: ClassVar[int] = 5


class FidelityError(HarnessError):
    """A real server was required and only an emulator can be had."""

    exit_code: ClassVar[int] = 6


class RuntimeUnavailable(HarnessError):
    """The runtime that was asked for by name does not answer. An explicit choice never degrades."""

    exit_code: ClassVar[int] = 7


class ImageError(RuntimeUnavailable):
    """An image cannot be had. The message says why: absent, denied, rate-limited, offline, or the disk is full."""


class ReportError(HarnessError):
    """The reports directory cannot be written."""

    exit_code: ClassVar[int] = 8


class LeftBehind(HarnessError):
    """A process, container, network or folder of this run is still there after its end."""

    exit_code: ClassVar[int] = 9


class PortError(HarnessError):
    """No free port, or the wanted one belongs to somebody else."""

    exit_code: ClassVar[int] = 11


class KeeperError(HarnessError):
    """The keeper cannot be started, is gone, or refused a request."""

    exit_code: ClassVar[int] = 12


class FaultError(HarnessError):
    """A fault cannot be injected, was not witnessed, or could not be undone."""

    exit_code: ClassVar[int] = 13


class TargetError(HarnessError):
    """A live environment cannot be judged. Nothing was written to it."""

    exit_code: ClassVar[int] = 14


class TargetDown(TargetError):
    """Nothing answers at an address of the target: no such name, refused, or silent."""


class TargetUntrusted(TargetError):
    """The certificate is not one that the given authority vouches for, or is another host's."""

    exit_code: ClassVar[int] = 15


class TargetExpired(TargetError):
    """The certificate is out of date, or the login is refused: expired, revoked or mistyped."""

    exit_code: ClassVar[int] = 16


class TargetForbidden(TargetError):
    """The login is valid, and lacks a permission that is needed."""

    exit_code: ClassVar[int] = 17


class TargetMismatch(TargetError):
    """Something answers at the address, and it is not the service that the target file says."""

    exit_code: ClassVar[int] = 18


class BudgetSpent(TargetError):
    """The time was over before everything was judged. What was not reached is told; it is never a pass."""

    exit_code: ClassVar[int] = 19


def all_errors() -> tuple[type[HarnessError], ...]:
    """Every class of the tree, the base first: for the reference page and for carrying errors over a socket."""
    found: list[type[HarnessError]] = [HarnessError]
    for error in found:
        found.extend(error.__subclasses__())
    return tuple(found)


def error_named(name: str) -> type[HarnessError]:
    """The class of that name, or the base for a name that is not in the tree."""
    return next((error for error in all_errors() if error.__name__ == name), HarnessError)
