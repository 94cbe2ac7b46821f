"""Faults: one file each. A new one is a file here and a line in `FAULTS`; fixtures, CLI and docs loop over it."""

from __future__ import annotations

from harness.errors import UsageError
from harness.faults.bad_configuration import BadConfiguration
from harness.faults.bandwidth import Bandwidth
from harness.faults.base import Fault, Injection, LinkFault
from harness.faults.blackhole import Blackhole
from harness.faults.connection_exhaustion import ConnectionExhaustion
from harness.faults.disk_full import DiskFull
from harness.faults.isolate import Isolate
from harness.faults.kill import Kill
from harness.faults.latency import Latency
from harness.faults.link_down import LinkDown
from harness.faults.memory_pressure import MemoryPressure
from harness.faults.packet_loss import PacketLoss
from harness.faults.partial_partition import PartialPartition
from harness.faults.pause import Pause
from harness.faults.reset import Reset
from harness.faults.restart import Restart
from harness.faults.slow_dependency import SlowDependency
from harness.faults.term import Term

FAULTS: tuple[type[Fault], ...] = (
    Kill,
    Term,
    Restart,
    Pause,
    Isolate,
    LinkDown,
    Latency,
    SlowDependency,
    Blackhole,
    Reset,
    Bandwidth,
    PartialPartition,
    ConnectionExhaustion,
    MemoryPressure,
    BadConfiguration,
    DiskFull,
    PacketLoss,
)


def fault_named(name: str) -> type[Fault]:
    """The fault of that name, or of a shorter one that it goes by. Raises UsageError naming those that exist."""
    for fault in FAULTS:
        if name == fault.name or name in fault.also:
            return fault
    raise UsageError(f"unknown fault {name!r}: expected one of {', '.join(fault.name for fault in FAULTS)}")


__all__ = ["FAULTS", "Fault", "Injection", "LinkFault", "fault_named"]
