import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
import zlib

import cbor2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motionsig import open_recording
from motionsig.blocks import SampleBlock
from motionsig.errors import RecordingError
from motionsig.recordings.native import Recorder, Recording

SCALE = (0.0024,) * 3 + (0.001,) * 3


def samples(count, rate_hz, *, seed=0):
    """Return times and data (n, 6) that are whole counts of SCALE."""
    counts = np.random.default_rng(seed).integers(-3000, 3000, (count, 6))
    time_ns = 10**18 + np.rint(np.arange(count) * 1e9 / rate_hz).astype(np.int64)
    return time_ns, counts.astype(np.float32) * np.array(SCALE, np.float32)


def write(path, blocks, *, rate_hz=100, scale=SCALE):
    with Recorder(path, rate_hz=rate_hz, stream_id=5, scale=scale, device="pi") as recorder:
        for block in blocks:
            recorder.write(block)
    return path


def read(path):
    blocks = list(Recording(path))
    return np.concatenate([block.time_ns for block in blocks]), np.concatenate([block.data for block in blocks]), blocks


@pytest.mark.parametrize("rate_hz", [20, 50, 100, 104, 200, 1000])
def test_lossless_and_within_a_tenth_of_bare_int16(tmp_path, rate_hz):
    time_ns, data = samples(30 * rate_hz, rate_hz)
    path = tmp_path / "log"
    write(path, [SampleBlock(time_ns[i : i + 17], data[i : i + 17]) for i in range(0, len(data), 17)], rate_hz=rate_hz)
    got_ns, got, blocks = read(path)
    assert got_ns.tobytes() == time_ns.tobytes() and got.tobytes() == data.tobytes()
    assert not any(block.gap for block in blocks)
    assert path.stat().st_size <= 1.1 * 12 * len(data) + 300  # the header is written once
    source = open_recording(path)
    assert (source.rate_hz, source.info.format, source.info.stream_id, source.info.device) == (
        rate_hz,
        "motionsig-log",
        5,
        "pi",
    )
    assert abs(source.info.samples - len(data)) <= 0.05 * len(data)


def test_what_counts_cannot_hold_is_kept_as_float32(tmp_path):
    random = np.random.default_rng(0)
    time_ns = np.unique(random.integers(-(10**12), 10**12, 500))
    data = random.normal(size=(len(time_ns), 6)).astype(np.float32)
    data[7, 2] = np.nan
    for scale in (None, SCALE):
        path = write(tmp_path / f"log{scale is None}", [SampleBlock(time_ns, data)], scale=scale)
        got_ns, got, _ = read(path)
        assert got_ns.tobytes() == time_ns.tobytes() and got.tobytes() == data.tobytes()


def test_gaps_and_steps_back_in_time_stay_what_they_were(tmp_path):
    time_ns, data = samples(300, 100)
    blocks = [
        SampleBlock(time_ns[:150], data[:150]),
        SampleBlock(time_ns[200:], data[200:], gap=True),
        SampleBlock(time_ns[:50], data[:50]),
    ]
    got_ns, _, out = read(write(tmp_path / "log", blocks))
    assert got_ns.tolist() == [*time_ns[:150], *time_ns[200:], *time_ns[:50]]
    assert [block.time_ns[0] for block in out if block.gap] == [time_ns[200]]
    assert all((np.diff(block.time_ns) > 0).all() for block in out)
    # Records of one length are read together, up to a step back.
    blocks = [SampleBlock(time_ns[rows : rows + 100], data[rows : rows + 100]) for rows in (100, 200, 0)]
    _, _, out = read(write(tmp_path / "back", blocks))
    assert [len(block) for block in out] == [200, 100]


def labelled(path):
    """Return (label, samples) of each run of blocks under one label."""
    runs = []
    for block in Recording(path):
        if runs and runs[-1][0] == block.label:
            runs[-1][1] += len(block)
        else:
            runs.append([block.label, len(block)])
    return [tuple(run) for run in runs]


@pytest.mark.parametrize("jitter_ns", [0, 1000])
@pytest.mark.parametrize("scale", [SCALE, None])
def test_labels_come_back_with_the_very_same_samples(tmp_path, scale, jitter_ns):
    time_ns, data = samples(1000, 100)
    time_ns += np.random.default_rng(1).integers(0, jitter_ns + 1, 1000)
    runs = [("", 130), ("walk", 250), ("läuft" * 25, 1), ("", 319), ("run", 300)]
    blocks, at = [], 0
    for label, count in runs:
        for first in range(at, at + count, 33):
            rows = slice(first, min(first + 33, at + count))
            blocks.append(SampleBlock(time_ns[rows], data[rows], label=label))
            blocks.append(SampleBlock(time_ns[:0], data[:0]))  # of a sensor that is away for a moment
        at += count
    path = write(tmp_path / "log", blocks, scale=scale)
    got_ns, got, out = read(path)
    assert got_ns.tobytes() == time_ns.tobytes() and got.tobytes() == data.tobytes()
    assert not any(block.gap for block in out)
    assert labelled(path) == runs
    assert {block.label for block in open_recording(path, label="none")} == {""}
    with pytest.raises(RecordingError, match="got label='activity': this log has one label for each sample"):
        open_recording(path, label="activity")
    # Up to two records more for each label, and a label costs 32 bytes a second and its own length.
    assert path.stat().st_size < 1.1 * (12 if scale else 24) * 1000 + 1500 + 10 * jitter_ns


def test_a_label_beyond_what_a_log_can_hold_is_refused_and_nothing_written(tmp_path):
    time_ns, data = samples(300, 100)
    with Recorder(tmp_path / "log", rate_hz=100, stream_id=5, scale=SCALE) as recorder:
        recorder.write(SampleBlock(time_ns[:50], data[:50], label="x" * 128))
        for label, why in (("x" * 129, "at most 128 characters, got 129"), ("\udcff", "in Unicode")):
            with pytest.raises(RecordingError, match=why):
                recorder.write(SampleBlock(time_ns[50:100], data[50:100], label=label))
        recorder.write(SampleBlock(time_ns[50:], data[50:], label="x" * 128))
    assert labelled(tmp_path / "log") == [("x" * 128, 300)]


def test_a_reader_that_knows_no_labels_gets_all_the_rest(tmp_path):
    time_ns, data = samples(100, 100)
    path = write(tmp_path / "log", [SampleBlock(time_ns, data, label="walk")])
    with open(path, "rb") as file:
        cbor2.load(file), cbor2.load(file)
        start_ns, duration_ns, gap, jitter, counts, _ = cbor2.load(file)
    assert (start_ns, duration_ns, gap) == (time_ns[0], time_ns[-1] - time_ns[0], False)
    assert np.frombuffer(counts, "<i2").size == data.size
    # What it always did with this byte string: inflate at most one byte more than it wants, and look no further.
    assert zlib.decompressobj().decompress(jitter, 8 * 100 + 1) == bytes(8 * 100)


def test_a_log_without_labels_has_the_bytes_it_always_had(tmp_path):
    time_ns, data = samples(230, 100)
    blocks = [SampleBlock(time_ns[:150], data[:150]), SampleBlock(time_ns[200:], data[200:], gap=True)]
    content = write(tmp_path / "log", blocks).read_bytes()
    assert (len(content), zlib.crc32(content)) == (2454, 1816767377)


def test_any_cbor_tool_can_read_it(tmp_path):
    time_ns, data = samples(100, 100)
    path = write(tmp_path / "log", [SampleBlock(time_ns, data)])
    with open(path, "rb") as file:
        header = cbor2.loads(cbor2.load(file).value)
        assert cbor2.load(file) == zlib.crc32(path.read_bytes()[: file.tell() - 5])
        record = cbor2.load(file)
        assert file.read() == b""
    assert header["units"] == ["m/s^2"] * 3 + ["rad/s"] * 3
    start_ns, duration_ns, counts, _ = record
    assert (start_ns, duration_ns) == (time_ns[0], time_ns[-1] - time_ns[0])
    decoded = np.frombuffer(counts, "<i2").reshape(-1, 6) * np.array(header["scale"], np.float32)
    assert decoded.astype(np.float32).tobytes() == data.tobytes()


def test_opening_does_not_read_it_whole(tmp_path):
    time_ns, data = samples(200, 200)
    path = write(tmp_path / "log", [SampleBlock(time_ns, data)], rate_hz=200)
    os.truncate(path, 10**12)  # a hole of a terabyte, which reading it whole would take an hour to walk
    source = open_recording(path)
    assert source.info.samples == pytest.approx(10**12 / 12, rel=0.02)
    assert next(iter(source)).time_ns[0] == time_ns[0]


def test_kill_loses_at_most_the_last_second(tmp_path):
    path = tmp_path / "log"
    program = f"""
        import numpy as np, sys
        from motionsig.blocks import SampleBlock
        from motionsig.recordings.native import Recorder
        recorder = Recorder({str(path)!r}, rate_hz=100, stream_id=1, scale={SCALE!r})
        for number in range(10**9):
            rows = np.arange(number * 10, number * 10 + 10, dtype=np.int64)
            counts = np.repeat(rows[:, None] % 1000, 6, axis=1).astype("f4")
            recorder.write(SampleBlock(rows * 10_000_000, counts * np.array({SCALE!r}, "f4")))
            if number % 50 == 0:
                print(rows[-1], flush=True)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(20):
            accepted = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        accepted = max([accepted, *map(int, child.stdout.read().split())])
    time_ns, *_ = read(path)
    assert len(time_ns) >= accepted + 1 - 100
    assert (time_ns == np.arange(len(time_ns), dtype=np.int64) * 10_000_000).all()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    time_ns, data = samples(900, 100)
    blocks = [
        SampleBlock(time_ns[:400], data[:400], label="walk"),
        SampleBlock(time_ns[450:600], data[450:600], gap=True),
        SampleBlock(time_ns[600:], data[600:], label="run"),
    ]
    return write(tmp_path_factory.mktemp("native") / "log", blocks), time_ns, data


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "end"]), st.integers(1, 300)), max_size=3
    )
)
def test_damage_anywhere_never_gives_a_wrong_sample(tmp_path, log, damage, caplog):
    path, time_ns, data = log
    content = bytearray(path.read_bytes())
    for place, kind, size in damage:
        place = int(place * (len(content) - 1))
        if kind == "flip":
            content[place] ^= size % 255 + 1
        elif kind == "cut":
            del content[place : place + size]
        else:
            del content[place:]
        if not content:
            return
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    try:
        source = Recording(damaged)
    except RecordingError:
        return
    labels = ["walk"] * 400 + [""] * 200 + ["run"] * 300
    known = {int(t): (row.tobytes(), label) for t, row, label in zip(time_ns, data, labels, strict=True)}
    for block in source:
        for t, row in zip(block.time_ns.tolist(), block.data, strict=True):
            assert known[t] == (row.tobytes(), block.label)


def test_a_damaged_header_is_never_believed(tmp_path, log):
    path, *_ = log
    content = path.read_bytes()
    damaged = tmp_path / "damaged"
    for place in range(8 + int.from_bytes(content[6:8], "big") + 5):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(RecordingError, match="expected"):
            Recording(damaged)


def test_a_torn_tail_is_counted_and_what_follows_damage_is_a_gap(tmp_path, log, caplog):
    path, *_ = log
    content = bytearray(path.read_bytes())
    torn = tmp_path / "torn"
    torn.write_bytes(content[:-20])
    source = Recording(torn)
    assert sum(len(block) for block in source) == 900 - 50 - 100
    assert source.damaged_bytes > 0 and "torn or damaged" in caplog.text
    content[len(content) // 3] ^= 1
    torn.write_bytes(content)
    blocks = list(Recording(torn))
    assert sum(block.gap for block in blocks) == 2


@pytest.mark.parametrize("at", [21, 26])
def test_a_damaged_length_does_not_load_the_whole_log(tmp_path, at):
    time_ns, data = samples(200, 100)
    blocks = [SampleBlock(time_ns[:100], data[:100], gap=True), SampleBlock(time_ns[100:], data[100:])]
    path = write(tmp_path / "log", blocks)
    content = bytearray(path.read_bytes())
    at += content.index(b"\x86\x1b")  # of the jitter, or of the samples
    assert content[at : at + 4] in (bytes(4), (1200).to_bytes(4, "big"))
    content[at : at + 4] = (600_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    os.truncate(path, 64 << 20)
    tracemalloc.start()
    count = sum(map(len, Recording(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100 and peak < 10e6


def test_its_owner_alone_can_read_a_new_log(tmp_path):
    before = os.umask(0)
    try:
        with Recorder(tmp_path / "x.msig", rate_hz=50, device="d", stream_id=1):
            assert (tmp_path / "x.msig").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_no_log_is_overwritten_and_no_newer_version_is_read(tmp_path, log):
    path, *_ = log
    with pytest.raises(RecordingError, match="expected to create a new recording, got: File exists"):
        Recorder(path, rate_hz=100, stream_id=1)
    newer = tmp_path / "newer"
    header = cbor2.dumps({"motionsig-log": 2, "epoch": 1, "rate_hz": 50.0, "scale": None, "device": None})
    content = b"\xd9\xd9\xf7\xd8\x18\x59" + len(header).to_bytes(2, "big") + header
    newer.write_bytes(content + b"\x1a" + zlib.crc32(content).to_bytes(4, "big"))
    with pytest.raises(RecordingError, match=r"expected motionsig-log version 1 .* got version 2"):
        open_recording(newer)


def test_a_full_disk_is_one_error_and_keeps_what_was_whole(tmp_path):
    path = tmp_path / "log"
    program = f"""
        import resource, signal
        import numpy as np
        from motionsig.blocks import SampleBlock
        from motionsig.errors import RecordingError
        from motionsig.recordings.native import Recorder
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 3000))
        try:
            Recorder({str(path)!r}, rate_hz=100, stream_id=1, scale={SCALE!r})
        except RecordingError as error:
            print("no header:", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        recorder = Recorder({str(path)!r}, rate_hz=100, stream_id=1, scale={SCALE!r})
        try:
            for second in range(9):
                rows = np.arange(second * 100, second * 100 + 100, dtype=np.int64)
                recorder.write(SampleBlock(rows * 10_000_000, np.zeros((100, 6), "f4")))
        except RecordingError as error:
            print(error)
    """
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    # A log whose header did not fit is not left behind: the next one is created.
    assert "no header: " in out.stdout
    assert out.stdout.count("expected free space for") == 2 and str(path) in out.stdout
    source = Recording(path)
    assert sum(len(block) for block in source) == 200 and source.damaged_bytes == 0


def test_a_power_cut_loses_only_what_came_after_the_last_sync(tmp_path, monkeypatch):
    path, synced = tmp_path / "log", {}
    real = {call: getattr(os, call) for call in ("fsync", "fdatasync")}

    def noting(call):
        def sync(fd):
            real[call](fd)
            synced[os.readlink(f"/proc/self/fd/{fd}")] = os.fstat(fd).st_size

        return sync

    for call in real:
        monkeypatch.setattr(os, call, noting(call))
    monkeypatch.setattr("motionsig.recordings.native._SYNC_S", 600.0)
    time_ns, data = samples(250, 100)
    with Recorder(path, rate_hz=100, stream_id=1, scale=SCALE) as recorder:
        assert list(synced) == [str(tmp_path)]
        recorder.write(SampleBlock(time_ns[:100], data[:100]))
        assert str(path) not in synced
        monkeypatch.setattr("motionsig.recordings.native._SYNC_S", 0.0)
        recorder.write(SampleBlock(time_ns[100:200], data[100:200]))
        assert synced[str(path)] == path.stat().st_size > 2 * 100 * 12
        recorder.write(SampleBlock(time_ns[200:], data[200:]))
    assert synced[str(path)] == path.stat().st_size > 250 * 12


def test_what_a_full_disk_lost_shows_as_a_gap_once_there_is_free_space(tmp_path, monkeypatch):
    time_ns, data = samples(500, 100)
    append, full = Recorder._append, [False]

    def sometimes(recorder, record):
        if full[0]:
            raise RecordingError("full")
        append(recorder, record)

    monkeypatch.setattr(Recorder, "_append", sometimes)
    with Recorder(tmp_path / "log", rate_hz=100, stream_id=1, scale=SCALE) as recorder:
        for second in range(5):
            full[0] = second in (2, 3)
            rows = slice(100 * second, 100 * second + 100)
            with pytest.raises(RecordingError) if full[0] else contextlib.nullcontext():
                recorder.write(SampleBlock(time_ns[rows], data[rows]))
    got_ns, _, blocks = read(tmp_path / "log")
    assert got_ns.tolist() == [*time_ns[:200], *time_ns[400:]]
    assert [block.time_ns[0] for block in blocks if block.gap] == [time_ns[400]]
