"""A lease is a labelled volume: renewed before the one before goes, ended at once, and patient with the engine."""

from __future__ import annotations

import pytest
from requests import ReadTimeout

from harness.runtimes.docker import lease as subject
from harness.runtimes.docker.labels import EXPIRES, RUN
from harness.runtimes.docker.lease import Lease
from tests.unit.rigs.core_rig import eventually
from tests.unit.rigs.docker_rig import FakeEngine, owner, refusal


@pytest.fixture
def lease(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """Renewed a hundred times a second."""
    monkeypatch.setattr(subject, "RENEW", 0.01)
    return Lease(owner("r1"))


def test_a_lease_is_there_from_the_start_and_holds_longer_than_a_renewal(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runtimes.docker.lease.time.time", lambda: 1000.0)
    taken = Lease(owner("r1"))
    taken.start()
    (volume,) = engine.volumes
    assert volume.labels[RUN] == "r1"
    assert float(volume.labels[EXPIRES]) == 1000.0 + subject.VALID
    assert subject.VALID > 3 * subject.RENEW
    taken.stop()
    assert engine.clients == 0


def test_there_is_always_one_and_the_one_before_goes(engine: FakeEngine, lease: Lease) -> None:
    fewest = []
    engine.before["volumes.remove"] = lambda: fewest.append(len(engine.volumes))
    lease.start()
    first = engine.volumes[0].name
    eventually(lambda: len(engine.asked("volumes.create")) > 3)
    lease.stop()
    assert set(fewest) == {2}
    assert [volume.name for volume in engine.volumes] != [first]
    assert len(engine.volumes) == 1


def test_an_engine_that_was_away_is_asked_at_the_next_renewal(engine: FakeEngine, lease: Lease) -> None:
    lease.start()
    engine.refuse("volumes.create", ReadTimeout("away"), refusal(500, "away"))
    eventually(lambda: len(engine.asked("volumes.create")) > 4)
    lease.stop()
    assert engine.clients == 0


def test_stop_is_harmless_before_start_twice_and_after_a_start_that_failed(engine: FakeEngine, lease: Lease) -> None:
    lease.stop()
    engine.refuse("volumes.create", refusal(500, "disk full"))
    failing = Lease(owner("r1"))
    with pytest.raises(Exception, match="disk full"):
        failing.start()
    failing.stop()
    failing.stop()
    assert engine.volumes == []
    assert engine.clients <= 0
