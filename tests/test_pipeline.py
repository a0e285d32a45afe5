import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from chips.trial import bench, mishaps
from hypothesis import given, settings
from hypothesis import strategies as st

import motionsig
from motionsig import wire
from motionsig.blocks import SampleBlock, concatenate
from motionsig.errors import InputError
from motionsig.pipeline import _Array, run, signature_stream_id
from motionsig.quality import NOISE, Quality
from motionsig.recordings.native import Recorder
from motionsig.sensors.simulated import Oscillator

ENCODER = motionsig.open_encoder(device="cpu")


class Cut:
    """Samples as a stream, cut into blocks at the given places; gaps are the jumps in time."""

    def __init__(self, rate_hz, time_ns, data, cuts=()):
        self.rate_hz = rate_hz
        self.pieces = list(zip((0, *cuts), (*cuts, len(time_ns)), strict=True))
        self.time_ns, self.data = time_ns, data

    def __iter__(self):
        for first, last in self.pieces:
            yield SampleBlock(self.time_ns[first:last], self.data[first:last])


class Wired:
    """A sink that keeps the wire messages of 60 signatures each, as any receiver would get them."""

    def __init__(self):
        self.batches = []

    def publish(self, signatures):
        self.batches.append(signatures)

    def messages(self):
        if not self.batches:
            return b""
        whole = concatenate(self.batches)
        parts = range(0, len(whole), 60)
        return b"".join(wire.encode(wire.Message("pi", 1, first, whole[first : first + 60])) for first in parts)


def times(count, rate_hz):
    return 10**18 + np.rint(np.arange(count) * 1e9 / rate_hz).astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=st.sampled_from([20, 25, 26, 50, 52, 100, 104, 200, 400]),
    skew=st.floats(-0.05, 0.05),
    losses=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), max_size=4),
    cuts=st.lists(st.floats(0, 1), max_size=10),
    hop=st.sampled_from([1, 16, 64, 200]),
    noise=st.sampled_from([0, 0.5, 1, 4, 30]),
    seed=st.integers(0, 99),
)
def test_any_cutting_of_the_input_gives_the_same_wire_bytes(motion, rate_hz, skew, losses, cuts, hop, noise, seed):
    """The device lies still in the second half, but for noise: of a sensor, or such as vibration above the grid."""
    random = np.random.default_rng(seed)
    count = round(random.uniform(0, 12) * rate_hz)
    time_ns, data = times(count, rate_hz * (1 + skew)), motion(0, rate_hz, count=count, seed=seed)
    data[count // 2 :] = random.normal(size=(count - count // 2, 6)) * np.repeat(noise * NOISE / 2, 3) + 5
    kept = np.ones(count, bool)
    for place, seconds in losses:
        kept[int(place * count) :][: round(seconds * rate_hz)] = False
    time_ns, data = time_ns[kept], data[kept]
    places = sorted(int(cut * len(time_ns)) for cut in cuts)
    whole, pieces = Wired(), Wired()
    a = run(Cut(rate_hz, time_ns, data), ENCODER, whole, hop=hop)
    b = run(Cut(rate_hz, time_ns, data, places), ENCODER, pieces, hop=hop)
    assert whole.messages() == pieces.messages()
    assert (a.samples, a.gaps, a.bridged, a.windows) == (b.samples, b.gaps, b.bridged, b.windows)


def test_a_gap_that_only_the_source_knows_of_is_before_its_block_alone(motion):
    """However large the block is: a few thousand samples go down the path at a time."""
    data, flagged = motion(400, 50), []
    blocks = [
        SampleBlock(times(20_000, 50)[part], data[part], gap)
        for part, gap in ((slice(2000), 0), (slice(2000, None), 1))
    ]
    source = type("Blocks", (), {"rate_hz": 50.0, "__iter__": lambda self: iter(blocks)})()
    run(source, ENCODER, lambda made: flagged.extend(made.start_ns[made.quality == Quality.BRIDGED] - 10**18), hop=64)
    assert [start_ns / 1e9 for start_ns in flagged] == [38.4, 39.68]


def test_the_times_of_an_array_are_computed_from_the_index():
    array = _Array(np.zeros((10_000, 6), np.float32), 30.0, 10**18)
    assert np.concatenate([block.time_ns for block in array]).tolist() == times(10_000, 30).tolist()


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.integers(0, 1500), max_size=6), cuts=st.lists(st.integers(0, 1500), max_size=10))
def test_a_window_has_the_label_at_its_middle_however_the_input_is_cut(motion, changes, cuts):
    time_ns, data = times(1500, 50), motion(0, 50, count=1500)
    labels, places = np.zeros(1500, "U2"), sorted({0, *changes})
    for number, place in enumerate(places):
        labels[place:] = "" if number % 3 == 0 else f"l{number % 2}"

    def blocks():
        edges = sorted({0, 1500, *places, *cuts})
        for first, last in itertools.pairwise(edges):
            yield SampleBlock(time_ns[first:last], data[first:last], label=str(labels[first]))

    source = type("Blocks", (), {"rate_hz": 50.0, "__iter__": lambda self: blocks()})()
    made = concatenate(list(motionsig.signatures(source, ENCODER)))
    # None where the first label comes behind the last window.
    found = np.zeros(len(made), "U2") if made.labels is None else made.labels
    assert found.tolist() == labels[64::64][: len(made)].tolist()


def blocks_of(rate_hz, blocks):
    return type("Blocks", (), {"rate_hz": float(rate_hz), "__iter__": lambda self: iter(blocks)})()


@settings(max_examples=80, deadline=None)
@given(
    rate_hz=st.sampled_from([20, 50, 60, 100, 400]),
    steps=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.001, 0.02, 0.5, 2.0, 6.0, 60.0])), max_size=12),
    gaps=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.04, 0.3, 5.0])), max_size=3),
    held=st.sampled_from([1, 3, 40, 1000]),
    lost=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 30)), max_size=3),
    cuts=st.lists(st.floats(0, 1), max_size=8),
    seed=st.integers(0, 99),
)
def test_a_window_has_the_label_of_the_sample_of_its_run_that_is_nearest_to_its_middle(
    motion, rate_hz, steps, gaps, held, lost, cuts, seed
):
    """However often and far the clock is set back (60 s: to 0), and however short a label holds."""
    random = np.random.default_rng(seed)
    count = round(random.uniform(3, 15) * rate_hz)
    time_ns = 5 * 10**9 + np.rint((np.arange(count) + random.uniform(-0.2, 0.2, count)) * 1e9 / rate_hz).astype(int)
    data, labels = motion(0, rate_hz, count=count, seed=seed), (1 + np.arange(count) // held).astype(str)
    for place, seconds in gaps:
        time_ns[int(place * count) :] += int(seconds * 1e9)
    for place, seconds in sorted(steps):
        row = int(place * (count - 2)) + 1
        last_ns = time_ns[row - 1]
        time_ns[row:] += min(last_ns, max(0, last_ns - round(seconds * 1e9))) - time_ns[row]
    for place, rows in lost:
        data[int(place * count) :][:rows] = np.nan
    finite = np.isfinite(data).all(axis=1)
    backwards, relabelled = np.flatnonzero(np.diff(time_ns) <= 0) + 1, np.flatnonzero(labels[1:] != labels[:-1]) + 1
    edges = sorted({0, count, *backwards, *relabelled, *(int(cut * count) for cut in cuts)})
    blocks = [
        SampleBlock(time_ns[first:last], data[first:last], label=str(labels[first]))
        for first, last in itertools.pairwise(edges)
    ]
    kept_ns, kept_labels = time_ns[finite], labels[finite]
    runs = np.split(np.arange(len(kept_ns)), np.flatnonzero(np.diff(kept_ns) <= 0) + 1)
    expected = []
    for rows in filter(len, runs):
        alone = [SampleBlock(kept_ns[rows], data[finite][rows])]
        for made in motionsig.signatures(blocks_of(rate_hz, alone), ENCODER):
            middles_ns = made.start_ns + made.spec.length_ns // 2
            nearest = np.abs(kept_ns[rows][:, None] - middles_ns).argmin(axis=0)
            expected += zip(made.start_ns.tolist(), kept_labels[rows][nearest].tolist(), strict=True)
    found = []
    for made in motionsig.signatures(blocks_of(rate_hz, blocks), ENCODER):
        found += zip(made.start_ns.tolist(), made.labels.tolist(), strict=True)
    assert found == expected


@pytest.mark.parametrize("starts_s", [(0, 0, 0, 0), (0, -0.5, 0, 2.9), (10, 60, 5, 5)])
def test_the_trials_of_one_log_keep_their_own_labels(motion, starts_s):
    """Each lasts 3 s, one window, and may begin at any time; they are as many segments as there are trials."""
    data, what = motion(3, 50), ("walk", "run", "jump", "sit")
    blocks = [
        SampleBlock(round(start_s * 1e9) + np.arange(150) * 20_000_000, data, label=label)
        for start_s, label in zip(starts_s, what, strict=True)
    ]
    batches = []
    summary = run(blocks_of(50, blocks), ENCODER, batches.append)
    assert concatenate(batches).labels.tolist() == list(what)
    assert (summary.gaps, summary.windows) == (3, 4)


def test_one_sample_at_a_time_gives_the_same_wire_bytes(motion):
    time_ns, data = times(700, 104), motion(0, 104, count=700)
    whole, single = Wired(), Wired()
    run(Cut(104, time_ns, data), ENCODER, whole)
    run(Cut(104, time_ns, data, range(1, 700)), ENCODER, single)
    assert whole.messages() == single.messages() != b""


def test_a_source_may_deliver_an_hour_at_once(motion):
    data, blocks = motion(3600, 50), []
    tracemalloc.start()
    try:
        run(Cut(50, times(len(data), 50), data), ENCODER, type("Sink", (), {"publish": blocks.append})(), hop=4)
        assert tracemalloc.get_traced_memory()[1] < 2.2 * data.nbytes
    finally:
        tracemalloc.stop()
    assert sum(map(len, blocks)) == (len(data) - 128) // 4 + 1


@pytest.mark.parametrize("hop", [1, 32, 64, 128, 500])
@pytest.mark.parametrize("rate_hz", [20, 26, 50, 51.3, 100, 104, 200, 285.7, 400])
def test_the_number_of_windows_follows_from_the_duration_alone(motion, rate_hz, hop):
    for seconds in (2.5, 2.56, 2.6, 5.12, 11.3):
        data = motion(seconds, rate_hz)
        exact_s = len(data) / rate_hz
        expected = max(0, int(np.floor((50 * exact_s - 128) / hop + 1e-9)) + 1)
        assert len(motionsig.extract(data, rate_hz=rate_hz, hop=hop)) == expected


def test_128_samples_at_50_hz_are_one_window(motion):
    assert len(motionsig.extract(motion(2.56, 50), rate_hz=50)) == 1
    assert len(motionsig.extract(motion(0, 50, count=127), rate_hz=50)) == 0


def test_extract_is_run(motion):
    data = motion(30, 100)
    signatures = motionsig.extract(data, rate_hz=100, start_ns=10**18)
    sink = Wired()
    summary = run(Cut(100, times(3000, 100), data), ENCODER, sink)
    assert concatenate(sink.batches).codes.tobytes() == signatures.codes.tobytes()
    assert concatenate(sink.batches).start_ns.tolist() == signatures.start_ns.tolist()
    assert (summary.samples, summary.windows, summary.covered_s) == (3000, len(signatures), 30.0)
    assert signatures.hop_ns == 1_280_000_000


def test_the_rate_hardly_moves_a_signature(motion):
    at_50, at_200 = (motionsig.extract(motion(20, rate_hz), rate_hz=rate_hz) for rate_hz in (50, 200))
    a, b = at_50.values, at_200.values
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.98


def test_a_bridged_loss_shows_in_the_quality_of_its_windows_only(motion):
    data = motion(20, 100)
    data[1000:1003] = np.nan
    signatures = motionsig.extract(data, rate_hz=100)
    flagged = signatures.start_ns[signatures.quality == Quality.BRIDGED] / 1e9
    assert flagged.tolist() == [t for t in signatures.start_ns / 1e9 if t <= 10.02 and t + 2.56 > 10.0]


@pytest.mark.parametrize(
    ("data", "rate_hz", "hop", "what"),
    [
        (np.zeros((10, 3)), 50, None, r"data: expected \(n, 6\).*got \(10, 3\)"),
        (np.zeros(6), 50, None, r"got \(6,\)"),
        (np.zeros((10, 6)), 0, None, "rate_hz: expected"),
        (np.zeros((10, 6)), 50, 0, "hop of 1 to"),
    ],
)
def test_extract_refuses_with_one_sentence(data, rate_hz, hop, what):
    with pytest.raises(InputError, match=what):
        motionsig.extract(data, rate_hz=rate_hz, hop=hop)


@pytest.mark.parametrize("hop", [1.0, "64", 64.5])
def test_a_hop_that_is_no_integer_is_refused(motion, hop):
    with pytest.raises(InputError, match="expected integers as length and hop"):
        motionsig.extract(motion(10, 50), rate_hz=50, hop=hop)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        ([1 / 9.80665] * 3 + [1] * 3, r"this looks like g: multiply acc by 9.80665 \(check_units=False takes it"),
        ([1] * 3 + [3000] * 3, "this looks like deg/s: multiply gyr by 0.0174533"),
        ([0] * 3 + [1] * 3, "gravity seems removed"),
    ],
)
def test_data_in_another_unit_are_refused_unless_told_otherwise(motion, factor, message):
    data = motion(10, 50) * np.array(factor, np.float32)
    for samples in (data, data[:256].reshape(2, 128, 6)):
        with pytest.raises(InputError, match=message):
            motionsig.extract(samples, rate_hz=50)
        assert len(motionsig.extract(samples, rate_hz=50, check_units=False))


def test_a_unit_is_judged_by_the_samples_there_are(motion):
    data = motion(100, 50)
    data[:4000] = np.nan
    data[4000:, :3] /= 9.80665
    with pytest.raises(InputError, match="looks like g"):
        motionsig.extract(data, rate_hz=50)


def test_windows_that_are_cut_already_give_one_signature_each(motion):
    windows = np.stack([motion(2.56, 50, seed=seed) for seed in range(300)])
    made = motionsig.extract(windows, rate_hz=50, start_ns=7)
    each = [motionsig.extract(one, rate_hz=50, encoder=ENCODER) for one in windows]
    assert made.codes.tolist() == concatenate(each).codes.tolist()
    assert made.start_ns[:2].tolist() == [7, 7 + 2_560_000_000] and made.hop_ns == 2_560_000_000
    assert motionsig.extract(windows, rate_hz=50, hop=64).start_ns[1] == 1_280_000_000
    assert len(motionsig.extract(windows[:0], rate_hz=50)) == 0


@pytest.mark.parametrize(
    ("windows", "rate_hz", "message"),
    [
        (
            np.zeros((2, 100, 6)),
            50,
            "expected windows of 128 samples at 50 Hz, as motion64 takes them, got 100 samples",
        ),
        (np.zeros((2, 128, 6)), 100, "got 128 samples at 100 Hz; a recording"),
        (np.where(np.arange(5)[:, None, None] > 2, np.nan, np.ones((5, 128, 6))), 50, "in window 3 and 1 more"),
    ],
)
def test_windows_that_do_not_fit_the_model_are_refused(windows, rate_hz, message):
    with pytest.raises(InputError, match=message):
        motionsig.extract(windows, rate_hz=rate_hz)


def test_an_open_encoder_is_used_and_left_open(motion):
    data = motion(5, 50)
    assert motionsig.extract(data, rate_hz=50, encoder=ENCODER) == motionsig.extract(data, rate_hz=50)
    assert motionsig.extract(data, rate_hz=50, encoder=ENCODER) == motionsig.extract(data, rate_hz=50)
    with pytest.raises(InputError, match="either an open encoder or a model"):
        motionsig.extract(data, rate_hz=50, encoder=ENCODER, model="motion64")


@pytest.mark.parametrize("start_ns", [1e18, "now", None])
def test_a_start_is_whole_nanoseconds(motion, start_ns):
    with pytest.raises(InputError, match="start_ns: expected an integer"):
        motionsig.extract(motion(3, 50), rate_hz=50, start_ns=start_ns)


@pytest.mark.parametrize("rate_hz", [416, 1000])
def test_what_the_grid_cannot_carry_is_said(motion, rate_hz):
    """3 g at 120 Hz look like rest to the network, and are none; a sensor's noise at such a rate is."""
    time_s = np.arange(20 * rate_hz) / rate_hz
    noise = np.random.default_rng(0).normal(size=(len(time_s), 6)) * np.r_[[0.1] * 3, [0.005] * 3]
    still = np.r_[0, 0, 9.81, 0, 0, 0] + noise
    shaken, turned = still.copy(), still.copy()
    shaken[:, 0] += 3 * 9.81 * np.sin(2 * np.pi * 120 * time_s)
    turned[:, 4] += 0.5 * np.sin(2 * np.pi * 120 * time_s)
    for data, flag in (
        (still, Quality.AT_REST),
        (shaken, Quality.ABOVE_GRID),
        (turned, Quality.ABOVE_GRID),
        (motion(20, rate_hz), Quality.CLEAR),
        (motion(20, rate_hz) + noise, Quality.CLEAR),
    ):
        summary = run(Cut(rate_hz, times(len(data), rate_hz), data.astype(np.float32)), ENCODER, Wired())
        expected = {Quality.AT_REST: (14, 0), Quality.ABOVE_GRID: (0, 14), Quality.CLEAR: (0, 0)}[flag]
        assert (summary.windows, summary.at_rest, summary.above_grid) == (14, *expected)


def test_a_summary_counts_the_windows_at_rest_and_extract_flags_them(motion):
    data = motion(20, 50)
    data[300:] = data[300]
    batches = []
    summary = run(Cut(50, times(1000, 50), data), ENCODER, batches.append)
    resting = concatenate(batches).quality == Quality.AT_REST
    assert resting.tolist() == [start >= 300 for start in range(0, 1000 - 127, 64)]
    assert (summary.at_rest, summary.above_grid) == (resting.sum(), 0)
    assert f"gaps=0, at_rest={resting.sum()}, covered_s" in repr(summary)
    # Windows that are cut already have the same flags.
    windows = np.stack([data[start : start + 128] for start in range(0, 1000 - 127, 64)])
    assert motionsig.extract(windows, rate_hz=50).quality.tolist() == concatenate(batches).quality.tolist()
    assert "at_rest" not in repr(run(Cut(50, times(200, 50), data), ENCODER, batches.append))


def test_nothing_and_only_nan_make_nothing():
    assert motionsig.extract(np.empty((0, 6)), rate_hz=50).codes.shape == (0, ENCODER.card.dim)
    assert len(motionsig.extract(np.full((1000, 6), np.nan), rate_hz=50)) == 0


def test_a_live_run_recorded_and_replayed_gives_the_same_bytes(tmp_path):
    """The claim the whole design rests on, with a chip that is cut off, reset and corrupted on the way."""
    it = bench("lsm6dso", oscillator=Oscillator(skew=0.04, drift=300e-6))
    it.bus.inject(mishaps(it, seconds=60, every_s=15))
    live, replayed = Wired(), Wired()

    class Recorded:
        """The live source, with each block that passes also written to the log."""

        rate_hz = it.reader.rate_hz

        def __iter__(self):
            for block in it.blocks(60):
                log.write(block)
                yield block

    path, info = tmp_path / "live.msig", it.reader.info
    with Recorder(path, rate_hz=it.reader.rate_hz, stream_id=info.stream_id, scale=info.scale) as log:
        first = run(Recorded(), ENCODER, live)
    with motionsig.open_recording(path) as recording:
        assert recording.info.stream_id == info.stream_id
        again = run(recording, ENCODER, replayed)
    assert live.messages() == replayed.messages() != b""
    assert (first.samples, first.gaps, first.windows) == (again.samples, again.gaps, again.windows)
    assert first.gaps > 1
    assert it.reader.counts.gaps > 1


@pytest.mark.parametrize("chip", ["adxl345", "lis3dh"])
def test_a_sensor_without_a_gyroscope_is_refused_live_and_recorded(chip, tmp_path):
    it = bench(chip)
    with Recorder(tmp_path / "log", rate_hz=it.reader.rate_hz, stream_id=1, scale=it.reader.info.scale) as log:
        for block in it.blocks(3):
            log.write(block)
    with motionsig.open_recording(tmp_path / "log") as recording:
        for source in (it.reader, recording):
            with pytest.raises(InputError, match="got NaN for every angular rate; a signature needs a sensor"):
                run(source, ENCODER, Wired())


@pytest.mark.parametrize("cuts", [(), range(100, 1000, 100), (1,)])
@pytest.mark.parametrize("lost", [slice(400, 500), slice(0, 300), slice(0, 1)])
def test_a_gyroscope_that_is_not_there_for_a_while_is_a_loss(motion, cuts, lost):
    data = motion(20, 50)
    data[lost, 3:] = np.nan
    summary = run(Cut(50, times(1000, 50), data, cuts), ENCODER, Wired())
    assert summary.not_finite == lost.stop - lost.start
    assert summary.windows


@pytest.mark.parametrize("first", [0, 1, 100])
def test_without_a_gyroscope_even_a_torn_start_is_refused(motion, first):
    data = motion(20, 50)
    data[:, 3:] = np.nan
    data[:first] = np.nan
    with pytest.raises(InputError, match="gyroscope"):
        run(Cut(50, times(1000, 50), data, (1,)), ENCODER, Wired())


def test_a_stream_id_names_samples_encoder_and_hop():
    card = ENCODER.card
    other = replace(card, fingerprint=b"another!")
    given = ((1, card, 64), (2, card, 64), (1, card, 32), (1, other, 64))
    assert len({signature_stream_id(*each) for each in given}) == 4
    assert 0 <= signature_stream_id(1, card, 64) < 2**63
    assert signature_stream_id(1, card) == signature_stream_id(1, card, card.hop)
