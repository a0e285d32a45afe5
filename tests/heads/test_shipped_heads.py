"""The heads that come with the encoder: they open, go with it, and tell what they say on samples."""

import numpy as np
import pytest

from motionsig import extract
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.encoders import open_encoder, shipped_models
from motionsig.events import BEGAN, ENDED
from motionsig.heads import Judge, find_head, open_head, shipped_heads
from motionsig.heads.card import HIGHEST, LOWEST
from motionsig.model_card import load_card
from motionsig.pipeline import signatures
from motionsig.sensors import open_sensor
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip, walking

NAMES = ("still", "walking", "running")
HOP = 8
WALKS_S = 40


@pytest.fixture(scope="module")
def encoder():
    with open_encoder("motion64", device="cpu") as opened:
        yield opened


@pytest.fixture(autouse=True)
def nobodys_heads(monkeypatch, tmp_path):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path))


def walks_then_rests(serials, times_ns):
    """Somebody walks, then lays the device down."""
    felt = walking(serials, times_ns)
    rests = times_ns >= (1000 + WALKS_S) * 10**9
    noise = felt[rests] - np.round(felt[rests], 1)  # within what a sensor's own noise is
    felt[rests] = [0, 0, STANDARD_GRAVITY, 0, 0, 0] + noise * [0.2, 0.2, 0.2, 0.01, 0.01, 0.01]
    return felt


@pytest.fixture(scope="module")
def found(encoder):
    """All that the heads tell of somebody who walks for 40 s and then lays the device down, by head; and when."""
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip(clock=clock, signal=walks_then_rests)], clock=clock)
    judge = Judge([find_head(shipped_heads()[name]) for name in NAMES])
    events, begin_ns = [], None
    with open_sensor("lsm6dso", bus=bus, clock=clock, calibration="none") as source:
        for batch in signatures(source, encoder, hop=HOP):
            begin_ns = begin_ns or int(batch.start_ns[0])
            events += judge.judge(batch)
            if clock.monotonic_ns() > (1000 + 2 * WALKS_S) * 10**9:
                break
    return {name: [event for event in events if event.head == name] for name in NAMES}, begin_ns


def test_three_heads_are_shipped_and_go_with_the_encoder():
    card = load_card(shipped_models()["motion64"])
    assert set(shipped_heads()) >= set(NAMES)
    for name in NAMES:
        head = open_head(name).card
        assert (head.name, head.kind, head.is_state, head.encoder) == (name, "linear", True, card.spec.fingerprint)
        assert head.codes == (0, card.spec.motion_dim)
        assert head.at_rest == (HIGHEST if name == "still" else LOWEST)
        assert head.measured["hours"] > 50 and "hapt" in head.measured["never_seen"]
        assert "hapt" not in head.measured["sets_left_out"]


def test_walking_begins_within_some_seconds_and_ends_when_it_stops(found):
    events, begin_ns = found
    assert [event.phase for event in events["walking"]] == [BEGAN, ENDED]
    began, ended = events["walking"]
    assert (began.start_ns - begin_ns) / 1e9 < 5 and (began.end_ns - begin_ns) / 1e9 < 10
    assert (ended.end_ns - begin_ns) / 1e9 == pytest.approx(WALKS_S, abs=4)


def test_still_begins_when_the_device_is_laid_down(found):
    events, begin_ns = found
    assert [event.phase for event in events["still"]] == [BEGAN]
    assert (events["still"][0].start_ns - begin_ns) / 1e9 == pytest.approx(WALKS_S, abs=4)
    assert not events["running"]


def test_still_holds_on_samples_at_rest(encoder):
    rng = np.random.default_rng(0)
    resting = rng.normal(0, 1, (1500, 6)) * [0.02, 0.02, 0.02, 0.001, 0.001, 0.001] + [0, 0, 9.81, 0, 0, 0]
    still = open_head("still")
    events = still.judge(extract(resting, rate_hz=50, hop=HOP)) + still.flush()
    assert [event.phase for event in events] == [BEGAN, ENDED]
    assert events[1].start_ns == 0 and events[1].end_ns > 29e9
    for name in ("walking", "running"):
        head = open_head(name)
        assert not head.judge(extract(resting, rate_hz=50, hop=HOP)) + head.flush()
