"""What `harness chaos` is asked for, read before anything is touched."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.experiments.chaos import fault_from
from harness.faults.latency import Latency
from harness.faults.packet_loss import PacketLoss


def test_settings_are_read_by_the_type_of_their_default() -> None:
    assert fault_from("latency", {"milliseconds": "500", "stream": "upstream"}) == Latency(500, 0, "upstream")
    assert fault_from("packet_loss", {"percent": "12.5"}) == PacketLoss(12.5)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("sunspots", {}, "unknown fault 'sunspots'"),
        ("latency", {"colour": "red"}, "no setting 'colour': expected one of milliseconds, jitter, stream"),
        ("pause", {"x": "1"}, r"no setting 'x': expected one of \(none\)"),
        ("latency", {"milliseconds": "soon"}, "milliseconds='soon': expected int"),
    ],
)
def test_bad_input_is_told(name: str, given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        fault_from(name, given)
