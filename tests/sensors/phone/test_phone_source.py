"""A model of a phone over real HTTPS: from what its sensors feel to SampleBlocks, with all that may go wrong.

This is in real time. The model notes when it sampled, so times are held against what really was.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from phone_model import G, PhoneModel, flat, rolling
from real_time import undisturbed

import motionsig
from motionsig.blocks import SampleBlock
from motionsig.config import load_config
from motionsig.errors import ConfigError, InputError, SensorError
from motionsig.sensors import open_sensor
from motionsig.sensors.phone import Invitation, PhoneSource


@contextmanager
def opened(**how: Any) -> Iterator[tuple[PhoneSource, PhoneModel]]:
    """Let a model of a phone in; return the source and the model."""
    models: list[PhoneModel] = []

    def invite(invitation: Invitation) -> None:
        models.append(PhoneModel(invitation.link, **how).__enter__())

    try:
        with open_sensor("phone", invite=invite) as sensor:
            assert isinstance(sensor, PhoneSource)
            yield sensor, models[0]
    finally:
        for model in models:
            model.__exit__()


def until(
    sensor: PhoneSource, over: Callable[[list[SampleBlock]], bool], *, within_s: float = 60.0
) -> list[SampleBlock]:
    """Return the blocks until a condition holds, which it has to within a time."""
    blocks: list[SampleBlock] = []
    deadline = time.monotonic() + within_s
    for block in sensor:
        blocks.append(block)
        if over(blocks):
            return blocks
        assert time.monotonic() < deadline, (sensor.counts, sensor.trouble)
    raise AssertionError("closed")


def count(blocks: list[SampleBlock]) -> int:
    return sum(len(block) for block in blocks)


def data(blocks: list[SampleBlock]) -> np.ndarray:
    return np.concatenate([block.data for block in blocks])


@pytest.mark.parametrize("apple", [False, True])
@undisturbed
def test_a_known_rotation_is_the_same_on_both_platforms_and_every_sample_comes_out_in_si(apple: bool) -> None:
    with opened(motion=rolling, apple=apple, drift=8e-5) as (sensor, phone):
        blocks = until(sensor, lambda blocks: count(blocks) >= 200)
        got, sent = data(blocks), np.array(phone.taken, np.float64)[: count(blocks)]
        wanted = np.hstack([(-1 if apple else 1) * sent[:, 1:4], np.deg2rad(sent[:, 4:])]).astype(np.float32)
        assert np.allclose(got, wanted, rtol=1e-6, atol=0)
        assert np.allclose(got[:60, :3].mean(axis=0), [0, 0, G], atol=0.05)  # what holds it, with the screen up
        assert got[-60:, 3].mean() == pytest.approx(1.2, abs=0.01)  # the top comes up: about x, by the right hand
        turned = got[130:170, 1].mean()
        assert turned > 1  # so gravity goes to y
        assert sensor.counts.samples == count(blocks) and not sensor.counts.discards


@undisturbed
def test_times_are_those_of_the_samples_whatever_the_clock_and_the_network() -> None:
    with opened(drift=-1e-4, offset_s=98_765.4, delay_s=0.02, jitter_s=0.004) as (sensor, phone):
        blocks = until(sensor, lambda blocks: count(blocks) >= 260)
        times = np.concatenate([block.time_ns for block in blocks]) - sensor.unix_offset_ns
        late_ms = (times - np.array(phone.truths_ns[: len(times)])) / 1e6
        assert (np.diff(times) > 0).all()
        # They are late by the smallest delay, which nothing shows.
        assert np.median(late_ms) == pytest.approx(20, abs=15) and np.ptp(late_ms[120:]) < 15
        steps = np.diff(times) / 1e6 - np.diff(np.array(phone.truths_ns[: len(times)])) / 1e6
        assert np.percentile(np.abs(steps), 90) < 0.5
        # What its timer kept on this machine, which is busy now and then.
        kept = np.diff(phone.truths_ns) / 1e9
        rate = 1 / kept[(kept > 0.5 * np.median(kept)) & (kept < 1.5 * np.median(kept))].mean()
        assert sensor.rate_hz == pytest.approx(rate, rel=0.1) and sensor.true_rate_hz == pytest.approx(rate, rel=0.1)


@undisturbed
def test_out_of_the_wi_fi_it_is_said_within_five_seconds_and_nothing_is_lost() -> None:
    with opened() as (sensor, phone):
        until(sensor, lambda blocks: count(blocks) >= 60)
        before = sensor.counts.samples
        phone.away.set()
        began = time.monotonic()
        until(sensor, lambda blocks: sensor.trouble is not None, within_s=6.0)
        assert time.monotonic() - began < 5.0
        assert sensor.trouble is not None and "sleeps, is out of the Wi-Fi, or its page is closed" in sensor.trouble
        phone.away.clear()
        blocks = until(sensor, lambda blocks: count(blocks) >= 180)
        assert sensor.trouble is None
        total = before + count(blocks)
        assert sensor.counts.samples >= total - 60
        taken = np.array(phone.taken, np.float64)[: sensor.counts.samples]
        got = data(blocks)
        # The samples of the outage came later, each once: they are a part of what was taken, without a hole.
        last = taken[len(taken) - len(got) :, 1:4].astype(np.float32)
        assert np.array_equal(got[:, :3], last)


@undisturbed
def test_a_phone_that_slept_goes_on_by_itself_with_a_gap_of_the_right_length() -> None:
    with opened() as (sensor, phone):
        until(sensor, lambda blocks: count(blocks) >= 60)
        phone.asleep.set()
        slept = time.monotonic()
        until(sensor, lambda blocks: sensor.trouble is not None, within_s=6.0)
        phone.asleep.clear()
        gone_s = time.monotonic() - slept
        before = sensor.counts.gaps
        blocks = until(sensor, lambda blocks: count(blocks) >= 60)
        full = [block for block in blocks if len(block)]
        assert any(block.gap for block in full) and sensor.counts.gaps > before
        assert gone_s * 0.8 < sensor.counts.lost / sensor.rate_hz < gone_s + 1.5
        assert sensor.trouble is None
        now_ns = time.monotonic_ns() + sensor.unix_offset_ns
        assert abs(now_ns - full[-1].time_ns[-1]) < 1_000_000_000


@undisturbed
def test_a_hidden_page_is_said() -> None:
    with opened() as (sensor, phone):
        until(sensor, lambda blocks: count(blocks) >= 30)
        phone.hidden.set()
        time.sleep(0.3)
        phone.post("/motion", phone.batch([]))
        until(sensor, lambda blocks: sensor.trouble is not None, within_s=6.0)
        assert sensor.trouble is not None and "its page is not on the screen" in sensor.trouble


@undisturbed
def test_frozen_sensors_are_told_to_begin_anew_and_the_doubt_is_said() -> None:
    frozen = threading.Event()

    def motion(t: float) -> tuple[np.ndarray, np.ndarray]:
        return rolling(100.3) if frozen.is_set() else rolling(t, rate=3.0)

    with opened(motion=motion) as (sensor, phone):
        until(sensor, lambda blocks: count(blocks) >= 200)
        frozen.set()
        until(sensor, lambda blocks: bool(phone.answer.get("again")) and sensor.trouble is not None, within_s=8.0)
        assert sensor.counts.dead > 0


@undisturbed
def test_another_reading_of_the_angular_rate_shows_as_gravity_turns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def swinging(t: float) -> tuple[np.ndarray, np.ndarray]:
        acc, gyr = flat(t)
        angle, rate = np.sin(1.5 * t), 1.5 * np.cos(1.5 * t)
        return acc + G * np.array([0, np.sin(angle), np.cos(angle) - 1]), gyr + np.array([rate, 0, 0])

    with opened(motion=swinging, convention=np.deg2rad) as (sensor, _):
        until(sensor, lambda blocks: "angular rate were in rad/s about x, y, z" in caplog.text)
        blocks = until(sensor, lambda blocks: count(blocks) >= 200)
        got = data(blocks)[-150:]
        assert np.abs(got[:, 3]).max() == pytest.approx(1.5, abs=0.1) and np.abs(got[:, 4:]).max() < 0.05


@undisturbed
def test_a_browser_whose_kind_and_pose_do_not_agree_is_asked_for_another_pose() -> None:
    models: list[PhoneModel] = []

    def invite(invitation: Invitation) -> None:
        # It gives what W3C says, and says that it is of Apple's kind.
        model = PhoneModel(invitation.link, motion=lambda t: (-flat(t)[0], flat(t)[1]), apple=True)
        models.append(model.__enter__())

        def tap() -> None:
            while model.answer.get("ask") != "flat":
                time.sleep(0.02)
            model.tap = model.number

        threading.Thread(target=tap, daemon=True).start()

    with open_sensor("phone", invite=invite) as sensor:
        assert isinstance(sensor, PhoneSource)
        blocks = until(sensor, lambda blocks: count(blocks) >= 60)
        assert np.allclose(data(blocks)[:, 2].mean(), G, atol=0.1)
        assert models[0].tap > 0
    models[0].__exit__()


def test_a_phone_without_a_gyroscope_is_refused_in_words_and_told_so() -> None:
    models: list[PhoneModel] = []
    with pytest.raises(SensorError, match="expected a phone with a gyroscope, got one whose browser gives no angular"):
        open_sensor("phone", invite=lambda it: models.append(PhoneModel(it.link, has_gyroscope=False).__enter__()))
    models[0].__exit__()


def test_no_port_remains_and_no_second_phone_comes_in() -> None:
    with opened() as (_, phone):
        other = PhoneModel(phone.link)
        assert other.begin()[0] == 403
        assert other.post("/motion", other.batch([]))[0] == 403
        wrong = PhoneModel(phone.link.rpartition("#")[0] + "#" + "A" * 22, phone=phone.phone)
        assert wrong.begin()[0] == 403
        for each in (other, wrong):
            each.__exit__()
        # The answer to the first may have been lost: the same phone asks again.
        assert phone.post("/begin", {"token": phone.address.fragment, "phone": phone.phone, "apple": False})[0] == 200
        port = phone.address.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)
    assert not [thread for thread in threading.enumerate() if thread.name == "phone"]


def test_an_interrupt_while_it_waits_leaves_no_port() -> None:
    ports: list[int] = []

    def invite(invitation: Invitation) -> None:
        ports.append(PhoneModel(invitation.link).address.port)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_sensor("phone", invite=invite)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), timeout=60)


@undisturbed
def test_a_signature_comes_within_seconds() -> None:
    pytest.importorskip("motionsig.encoders")
    began = time.monotonic()
    with opened(motion=rolling) as (sensor, _), motionsig.open_encoder(device="reference") as encoder:
        for signatures in motionsig.signatures(sensor, encoder):
            if len(signatures):
                break
        assert time.monotonic() - began < 15  # 2.56 s of motion is what one needs


def test_only_a_command_opens_it(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="expected invite= with phone"):
        open_sensor("phone")
    with pytest.raises(InputError, match="expected no bus, no address"):
        open_sensor("phone", bus=1)
    path = tmp_path / "config.toml"
    path.write_text('sensor.name = "phone"\nsink.url = "store:mine.db"\n')
    with pytest.raises(ConfigError, match=r"sensor\.name: expected a sensor that is wired to this device, got a phone"):
        load_config(path)
