"""Watching gives the same events from whatever holds the motion, and closes what it opened."""

import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from real_heads import moving, still

import motionsig
from motionsig.errors import HeadError, InputError, RecordingError, SensorError
from motionsig.heads import Head, Judge
from motionsig.heads.places import write_head
from motionsig.pipeline import signature_stream_id
from motionsig.watching import hop_of, kind_of, watch

RATE_HZ = 50
START_NS = 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    """The owner's heads: moving, still."""
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    monkeypatch.chdir(tmp_path)
    for card in (moving(), still()):
        write_head(card, tmp_path / "heads" / card.name)


@pytest.fixture(scope="module")
def encoder():
    with motionsig.open_encoder(device="cpu") as opened:
        yield opened


@pytest.fixture
def samples(motion):
    """A minute: 20 s of motion, 20 s at rest, 20 s of motion."""
    data = motion(60, RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 0.005, (20 * RATE_HZ, 6))
    data[20 * RATE_HZ : 40 * RATE_HZ] = noise + np.array([0, 0, 9.81, 0, 0, 0])
    return data


@pytest.fixture
def log(samples):
    np.savez("walk.npz", acc_mps2=samples[:, :3], gyr_rads=samples[:, 3:], rate_hz=float(RATE_HZ), start_ns=START_NS)
    return Path("walk.npz")


def seconds(events):
    return [(it.head, it.phase, (it.start_ns - events[0].start_ns) / 1e9, it.duration_s) for it in events]


def test_a_log_gives_the_events_that_its_signatures_give(log, encoder, samples):
    events = list(watch(log, ["still"], encoder=encoder))
    assert [event.phase for event in events] == ["began", "ended"]
    assert 14 <= events[-1].duration_s <= 22
    with motionsig.open_recording(log) as source:
        stream_id = signature_stream_id(source.info.stream_id, encoder.card, 8)
        made = motionsig.concatenate(list(motionsig.signatures(source, encoder, hop=8)))
    head = Head(still())
    head.begin(stream_id, device=os.uname().nodename)
    assert head.judge(made) + head.flush() == events
    # However it is given.
    for given in ("walk.npz", "./walk.npz", log.absolute()):
        assert list(watch(given, "still", encoder=encoder)) == events
    with motionsig.open_recording(log) as source:
        assert list(watch(source, still(), model="motion64", device="cpu")) == events
    batches = list(watch(made, [still()], name="x"))
    assert batches == [dataclasses.replace(event, device="x", stream_id=0) for event in events]
    assert list(watch((made[n : n + 7] for n in range(0, len(made), 7)), [Head(still())], name="x")) == batches


def test_names_folders_heads_and_cards_are_taken(log, encoder, tmp_path):
    write_head(moving("other"), tmp_path / "anywhere")
    given = ["moving", tmp_path / "anywhere", Head(still()), still("fourth")]
    assert {event.head for event in watch(log, given, encoder=encoder)} == {"moving", "other", "still", "fourth"}


def test_only_those_asked_for_are_heard(log, encoder):
    waiting = moving("waiting", while_head="still")
    assert list(watch(log, [waiting], encoder=encoder)) == []
    both = moving("both", while_head="moving")
    assert {event.head for event in watch(log, [both], encoder=encoder)} == {"both"}


def test_a_name_is_taken_from_the_caller_the_log_or_this_host(samples, encoder):
    with motionsig.Recorder("a.msig", rate_hz=RATE_HZ, stream_id=7, device="ankle") as recorder:
        recorder.write(motionsig.sample_block(np.arange(len(samples)) * 20_000_000, samples))
    assert {event.device for event in watch("a.msig", ["moving"], encoder=encoder)} == {"ankle"}
    assert {event.device for event in watch("a.msig", ["moving"], encoder=encoder, name="me")} == {"me"}
    with pytest.raises(InputError, match="device"):
        watch("a.msig", ["moving"], name="")


def test_the_hop_is_part_of_what_events_are_named_after(log, encoder):
    coarse, fine = (list(watch(log, ["moving"], encoder=encoder, hop=hop)) for hop in (64, 1))
    assert coarse[0].stream_id != fine[0].stream_id
    assert hop_of(encoder.card) == 8
    assert hop_of(dataclasses.replace(encoder.card, hop=10)) == 5
    assert hop_of(dataclasses.replace(encoder.card, hop=7)) == 7
    with pytest.raises(InputError, match="hop"):
        list(watch(log, ["moving"], encoder=encoder, hop=0))


@pytest.mark.parametrize("scheme", ["store", "file"])
def test_stored_signatures_are_judged_stream_by_stream(samples, encoder, scheme):
    made = motionsig.extract(samples, rate_hz=RATE_HZ, start_ns=START_NS, hop=8, encoder=encoder)
    url = f"{scheme}:stored"
    with motionsig.open_sink(url, device="wrist", stream_id=1) as sink:
        sink.publish(made[:100])
        sink.begin(1, 130)
        sink.publish(made[130:])
        sink.begin(2, 5)
        sink.publish(made[:60])
    with motionsig.open_sink(url, device="ankle", stream_id=1) as sink:
        sink.publish(made)
    expected = []
    for device, stream_id, parts in (
        ("ankle", 1, [(0, made)]), ("wrist", 1, [(0, made[:100]), (130, made[130:])]), ("wrist", 2, [(5, made[:60])]),
    ):  # fmt: skip
        judge = Judge([moving()])
        for seq, batch in parts:
            judge.begin(stream_id, seq, device=device)
            expected += judge.judge(batch)
        expected += judge.flush()
    assert list(watch(url, ["moving"])) == expected and len(expected) > 6
    assert list(watch(url, ["moving"], stream_id=2)) == [it for it in expected if it.stream_id == 2]
    assert {event.device for event in watch(url, ["moving"], name="x")} == {"x"}
    assert pickle.loads(pickle.dumps(expected)) == expected


def test_an_empty_log_and_no_signatures_give_no_events(encoder):
    with motionsig.Recorder("empty.msig", rate_hz=RATE_HZ, stream_id=7):
        pass
    assert list(watch("empty.msig", ["moving"], encoder=encoder)) == []
    noise = np.random.default_rng(0).normal(0, 0.1, (20, 3))
    np.savez("short.npz", acc_mps2=noise + np.array([0, 0, 9.8]), gyr_rads=noise, rate_hz=50.0)
    assert list(watch("short.npz", ["moving"], encoder=encoder)) == []
    assert list(watch([], ["moving"])) == []
    assert list(watch(motionsig.extract(np.zeros((0, 6)), rate_hz=50), ["moving"])) == []


def test_a_sensor_is_closed_when_the_caller_has_enough(encoder, monkeypatch):
    opened = []

    def open_sensor(*arguments, **options):
        opened.append(real(*arguments, **options))
        return opened[-1]

    real = motionsig.open_sensor
    monkeypatch.setattr("motionsig.sensors.open_sensor", open_sensor)
    events = watch("simulated", ["moving", "still"], encoder=encoder, rate_hz=208, name="sim")
    assert not opened, "nothing is opened before the first event is asked for"
    first = next(events)
    assert first.phase == "began" and opened[0].rate_hz == 208 and first.device == "sim"
    assert first.stream_id == signature_stream_id(opened[0].info.stream_id, encoder.card, 8)
    events.close()
    with pytest.raises(SensorError, match="got a closed one"):
        next(iter(opened[0]))


def test_the_kind_of_a_text():
    for text in ("auto", "simulated", "simulated:lsm6dso", "iio", "iio:imu", "lsm6dsox", "mpu6050"):
        assert kind_of(text) == "sensor", text
    for text in ("store:x.db", "file:x", "STORE:x"):
        assert kind_of(text) == "stored"
    Path("auto").write_bytes(b"")
    assert kind_of("./auto") == "log" and kind_of(".") == "log"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: watch("auto", []), HeadError, "heads: expected at least one, got none"),
        (lambda: watch("auto", ["runing"]), HeadError, "expected one of moving, running, still.* got 'runing'"),
        (lambda: watch("auto", [7]), HeadError, "expected names, folders, Head or HeadCard, got int"),
        (lambda: watch("auto", ["still", still("still", hop_ns=1)]), HeadError, "got two called 'still'"),
        (lambda: watch("lsm6dsx", ["still"]), InputError, "^source: expected a sensor .* did you mean lsm6dso"),
        (lambda: watch("mqtt://host", ["still"]), InputError, "^source: expected a sensor .* got 'mqtt://host'"),
        (lambda: watch("none.csv", ["still"]), InputError, "a log that is there, got 'none.csv'$"),
        (lambda: watch(np.zeros((9, 6)), ["still"]), InputError, "source: .*extract makes of arrays, got ndarray"),
        (lambda: watch(None, ["still"]), InputError, "source: .* got NoneType"),
        (lambda: watch(type("Mine", (), {"rate_hz": 50})(), ["still"]), InputError, "source: .* got Mine"),
        (lambda: list(watch([7], ["still"])), InputError, "expected each a SignatureBatch, got int"),
        (lambda: watch("store:x.db", ["still"], device="wrist"), InputError, "device: expected none for signatures"),
        (lambda: watch([], ["still"], hop=8), InputError, "hop: expected none for signatures.* got 8"),
        (lambda: watch([], ["still"], rate_hz=8), InputError, "rate_hz: expected no options for a source that is open"),
        (lambda: watch("auto", still(encoder=bytes(8))), InputError, "expected signatures of encoder 0000.* teach"),
        (lambda: list(watch("none", ["still"])), InputError, "a log that is there"),
        (lambda: list(watch(Path("none"), ["still"], device="cpu")), RecordingError, "No such file"),
    ],
)  # fmt: skip
def test_a_wrong_guess_is_refused_in_a_line(call, error, message):
    with pytest.raises(error, match=message) as refused:
        call()
    assert str(refused.value).isprintable()


def test_signatures_of_another_encoder_are_refused(samples, encoder):
    made = motionsig.extract(samples, rate_hz=RATE_HZ, encoder=encoder)
    other = still(encoder=bytes(8))
    with pytest.raises(InputError, match="vectors of different encoders do not compare"):
        list(watch(made, [other]))
    with motionsig.open_sink("store:s.db", device="wrist") as sink:
        sink.publish(made)
    with pytest.raises(InputError, match="expected signatures of encoder 0000000000000000, got "):
        list(watch("store:s.db", [other]))
