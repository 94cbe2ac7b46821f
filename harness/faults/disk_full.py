"""No file of the service can grow any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness.faults.base import Fault, Injection, answering
from harness.ports import DiskLimitable, Handle
from harness.services import kind_named


@dataclass(frozen=True)
class DiskFull(Fault):
    """Where the runtime can: on processes by the kernel's limit of file sizes. The write fails with EFBIG where a full
    disk says ENOSPC; servers treat both as a failed write."""

    name: ClassVar[str] = "disk_full"
    also: ClassVar[tuple[str, ...]] = ("disk",)
    needs: ClassVar[tuple[type, ...]] = (Handle, DiskLimitable)

    def on(self, target: Any) -> Injection:
        """Fill; free. Healed when the service takes a write again."""
        return Injection(f"disk of {target.name} full", target.fill_disk, target.free_disk, lambda: _writes(target))


def _writes(target: Handle) -> None:
    """Raises NotYet while it does not take writes: readiness is a real write and read."""
    answering(target)
    if target.kind:
        kind_named(target.kind).ready(target)
