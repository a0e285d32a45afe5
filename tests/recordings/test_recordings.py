"""What holds for every reader, and how one is chosen."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import textwrap
import warnings
from pathlib import Path

import made_logs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock, Source
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError
from motionsig.recordings import open_recording, sureness


def samples(source: Source) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return all times, all data, and the rows at which a block says that samples were lost before it."""
    blocks = list(source)
    starts = np.cumsum([0, *map(len, blocks)])
    time_ns = np.concatenate([block.time_ns for block in blocks])
    data = np.concatenate([block.data for block in blocks])
    return time_ns, data, [int(at) for at, block in zip(starts, blocks, strict=False) if block.gap]


def check_blocks(source: Source) -> list[SampleBlock]:
    blocks = list(source)
    for block in blocks:
        assert 1 <= len(block) <= 4096
        assert block.time_ns.dtype == np.int64
        assert block.data.dtype == np.float32
        assert block.data.shape == (len(block), 6)
        assert (np.diff(block.time_ns) > 0).all()
    for before, after in itertools.pairwise(blocks):
        assert after.gap or after.time_ns[0] > before.time_ns[-1]
    return blocks


@pytest.fixture(params=made_logs.FORMATS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return made_logs.FORMATS[request.param](tmp_path)


def test_every_format_gives_the_same_motion(log: Path) -> None:
    with open_recording(log) as source:
        time_ns, data, gaps = samples(source)
        assert source.rate_hz == pytest.approx(made_logs.RATE_HZ, rel=1e-6)
    assert not gaps
    start_s = made_logs.TIME_S[made_logs.COUNT - len(time_ns) :][0] if log.name == "android" else 0.0
    elapsed = (time_ns - time_ns[0]) / 1e9
    if log.stem == "phyphox":
        elapsed = np.where(elapsed > 4, elapsed - 5, elapsed)  # the pause
    if log.stem in ("sensor_logger", "phyphox"):
        start_s = 0.01  # the gyroscope began a few ms after the accelerometer's first sample
    expected = made_logs.motion(start_s + elapsed)
    known = np.isfinite(data).all(axis=1)
    assert known.mean() > 0.99
    np.testing.assert_allclose(data[known], expected[known], atol=made_logs.COARSE.get(log.name, 2e-4))


def test_blocks_are_sound_and_come_again(log: Path) -> None:
    source = open_recording(log)
    first, second = check_blocks(source), check_blocks(source)
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.time_ns, other.time_ns)
        np.testing.assert_array_equal(one.data, other.data)


def test_two_iterations_do_not_disturb_each_other(log: Path) -> None:
    source = open_recording(log)
    one = iter(source)
    next(one)
    assert len(check_blocks(source)) == 1 + len(list(one))


def test_gravity_is_there_at_rest(log: Path) -> None:
    _, data, _ = samples(open_recording(log))
    assert np.nanmedian(np.linalg.norm(data[:, :3], axis=1)) == pytest.approx(9.81, abs=0.05)


def test_info(log: Path) -> None:
    info = open_recording(log).info
    assert info.name == log.name
    assert 0 <= info.stream_id < 2**63
    assert info == open_recording(log).info
    assert info.samples in (None, sum(map(len, open_recording(log))))


def test_the_name_decides_nothing(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "renamed.bin"
    log.rename(other)
    assert open_recording(other).info.stream_id == open_recording(other).info.stream_id
    check_blocks(open_recording(other))


def test_another_content_is_another_stream_id(tmp_path: Path) -> None:
    path = made_logs.csv(tmp_path)
    before = open_recording(path).info.stream_id
    path.write_text(path.read_text().replace("9.8", "9.7", 1))
    assert open_recording(path).info.stream_id != before


def test_a_replay_with_another_unit_is_another_stream_id(tmp_path: Path) -> None:
    path = made_logs.csv(tmp_path)
    right, wrong = open_recording(path), open_recording(path, gyr_unit="deg/s")
    assert right.info.stream_id == open_recording(path, gyr_unit="rad/s").info.stream_id
    assert right.info.stream_id != wrong.info.stream_id


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\0" * 1000, "; its formats: .*csv.*ulog"),
        (bytes(range(256)) * 8, "begins with"),
        (b"PK\x03\x04 and then nothing", "an intact zip, got a damaged one"),
        (b"Dear diary,\ntoday I walked.\n", "expected tables with rows of numbers, got none"),
    ],
)
def test_unknown_content_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "thing.csv"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        open_recording(path)


def test_absent_and_unknown_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nothing\.csv: .*No such file"):
        open_recording(tmp_path / "nothing.csv")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="pipe: expected a file, got a folder, pipe or device"):
        open_recording(tmp_path / "pipe")
    (tmp_path / "pipe").unlink()
    with pytest.raises(RecordingError, match="nothing in it"):
        open_recording(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\0")
    with pytest.raises(RecordingError, match=r"a folder with photo\.jpg"):
        open_recording(tmp_path)


def test_an_option_that_the_reader_lacks_is_named(log: Path) -> None:
    with pytest.raises(InputError, match=r"\w+ reader: expected an option, got 'colour'; .*acc_unit"):
        open_recording(log, colour="red")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"rate_hz": "abc"}, "rate_hz: expected a number, got 'abc'"),
        ({"check_units": "perhaps"}, "check_units: expected true or false"),
        ({"columns": "time,acc_x"}, 'columns: expected a mapping such as {"acc_x": "its name here"}'),
        ({"acc_unit": 5}, "acc_unit: expected"),
    ],
)
def test_an_option_of_another_type_is_refused(tmp_path: Path, options: dict[str, object], what: str) -> None:
    path = made_logs.FORMATS["csv"](tmp_path)
    with pytest.raises(InputError, match=re.escape(what)):
        open_recording(path, **options)


def test_options_may_come_as_text(tmp_path: Path) -> None:
    path = made_logs.FORMATS["csv"](tmp_path)
    for text, value in (("False", False), ("true", True)):
        written = open_recording(path, check_units=text, rate_hz="26", columns="{'time': None}")
        meant = open_recording(path, check_units=value, rate_hz=26, columns={"time": None})
        assert written.info == meant.info and written.rate_hz == meant.rate_hz == 26


def test_every_reader_checks_its_units_and_may_be_told_not_to(log: Path) -> None:
    # What is in g anyway has to be in another unit.
    in_g = {"acc_unit": "9.80665 g" if log.name in made_logs.COARSE else "g", "gyr_unit": "rad/s"}
    with pytest.raises(
        RecordingError, match=r"is the unit right\? see acc_unit= \(check_units=False takes it as it is\)"
    ):
        open_recording(log, **in_g)
    _, data, _ = samples(open_recording(log, check_units=False, **in_g))
    assert np.nanmedian(np.linalg.norm(data[:, :3], axis=1)) == pytest.approx(9.81 * STANDARD_GRAVITY, abs=0.5)


def test_every_reader_turns_the_sign_and_takes_no_other_number(log: Path) -> None:
    (_, plain, _), (_, turned, _) = (samples(open_recording(log, acc_sign=sign)) for sign in (1, -1))
    np.testing.assert_allclose(turned, plain * [-1, -1, -1, 1, 1, 1], rtol=1e-6)
    with pytest.raises(InputError, match="acc_sign: expected 1 or -1, got 0"):
        open_recording(log, acc_sign=0)


@pytest.mark.parametrize("format", sorted({"csv", "npz", "parquet"} & set(made_logs.FORMATS)))
def test_every_reader_with_a_rate_refuses_one_that_is_none(format: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rate_hz: expected 0\.1 to 100000, got 0"):
        open_recording(made_logs.FORMATS[format](tmp_path), rate_hz=0)


PLUGIN = """
    import numpy as np
    from motionsig.blocks import SampleBlock, SourceInfo
    from motionsig.recordings import Reader

    class Source:
        rate_hz = 50.0
        info = SourceInfo("plugin", "plugin", 1)

        def __init__(self, path):
            self.samples = len(path.read_text().splitlines()) - 1

        def __iter__(self):
            times = np.arange(self.samples) * 20_000_000
            yield SampleBlock(times, np.full((self.samples, 6), 9.81, np.float32))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    READER = Reader("plugin", lambda path, head: SURE * head.startswith(b"time;plugin"), lambda path: Source(path))
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install another package with a reader, as pip would leave it."""
    site = tmp_path / "site"
    (site / "plugin-1.0.dist-info").mkdir(parents=True)
    (site / "plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (site / "plugin-1.0.dist-info" / "entry_points.txt").write_text(
        "[motionsig.readers]\nbroken = plugin_that_is_not_there:READER\nplugin = plugin_readers:READER\n"
    )
    (site / "plugin_readers.py").write_text("SURE = 2\n" + textwrap.dedent(PLUGIN))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(__import__("sys").modules, "plugin_readers", raising=False)
    return site


def test_another_package_adds_a_format(plugin: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "walk"
    path.write_text("time;plugin\n1\n2\n3\n")
    assert sum(map(len, open_recording(path))) == 3
    assert "plugin_that_is_not_there" in caplog.text
    with pytest.raises(InputError, match="plugin reader: expected an option, got 'rate_hz'; there are no options"):
        open_recording(path, rate_hz=50)


@pytest.mark.parametrize(("sure", "expected"), [(0, "csv"), (1, "csv"), (2, "plugin"), (3, "plugin")])
def test_the_surest_reader_wins_then_the_first_by_name(plugin: Path, tmp_path: Path, sure: int, expected: str) -> None:
    (plugin / "plugin_readers.py").write_text(f"SURE = {sure}\n" + textwrap.dedent(PLUGIN))
    path = tmp_path / "walk"
    path.write_text("time;plugin;" + made_logs.text(separator=";").replace(",", ";"))
    if expected == "plugin":
        assert open_recording(path).info.format == "plugin"
    else:
        with pytest.raises(RecordingError, match=r"walk: expected"):
            open_recording(path)


def test_without_any_reader_a_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "walk.csv"
    path.write_text(made_logs.text())
    monkeypatch.setattr("motionsig.recordings._readers", list)
    with pytest.raises(
        RecordingError, match=r"walk\.csv: expected a recording, got a file .*; its formats: \(none is installed\)"
    ):
        open_recording(path)
    assert sureness(path) == 0


_KEPT: dict[str, tuple[Path, list[Path]]] = {}


def _kept(kind: str) -> tuple[Path, list[Path]]:
    """Return a log of each format, written once for all the damage that is done to copies of it."""
    if kind not in _KEPT:
        path = made_logs.FORMATS[kind](Path(tempfile.mkdtemp(prefix="motionsig-fuzz-")))
        _KEPT[kind] = path, [path] if path.is_file() else sorted(it for it in path.rglob("*") if it.is_file())
    return _KEPT[kind]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize("kind", made_logs.FORMATS)
def test_damage_gives_an_error_or_a_sound_source(kind: str, data: st.DataObject) -> None:
    path, files = _kept(kind)
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["cut", "write", "insert", "delete"])):
            case "cut":
                del content[at:]
            case "write":
                junk = data.draw(st.binary(min_size=1, max_size=8))
                content[at : at + len(junk)] = junk
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del content[at : at + data.draw(st.integers(1, 64))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        target = Path(folder) / path.name
        if path.is_file():
            target.write_bytes(content)
        else:
            shutil.copytree(path, target)
            (target / victim.relative_to(path)).write_bytes(content)
        try:
            check_blocks(open_recording(target))
        except RecordingError as error:
            assert str(target) in str(error) or "time.csv" in str(error)
