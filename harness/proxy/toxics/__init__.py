"""The toxics, one file each, named by their wire names. Adding one is a file here and a line in `TOXICS`."""

from __future__ import annotations

from harness.proxy.stream import Toxic
from harness.proxy.toxics.bandwidth import Bandwidth
from harness.proxy.toxics.latency import Latency
from harness.proxy.toxics.limit_data import LimitData
from harness.proxy.toxics.reset_peer import ResetPeer
from harness.proxy.toxics.slicer import Slicer
from harness.proxy.toxics.slow_close import SlowClose
from harness.proxy.toxics.timeout import Timeout

TOXICS: tuple[type[Toxic], ...] = (Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout)
