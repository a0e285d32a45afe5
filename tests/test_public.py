"""The public surface: what can be imported, what it shows, and what people guess."""

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

import motionsig
from motionsig.errors import InputError
from motionsig.recordings.csv import READER as CSV


def test_every_public_name_can_be_imported_and_is_documented():
    assert motionsig.__version__ == version("motionsig")
    for name in motionsig.__all__:
        assert getattr(motionsig, name).__doc__, name
    assert set(motionsig.__all__) <= set(dir(motionsig))
    with pytest.raises(AttributeError, match="no attribute 'open_recordin'"):
        _ = motionsig.open_recordin


def test_every_module_can_be_imported():
    """With each Python and each set of dependencies that scripts/test tries."""
    names = [it.name for it in pkgutil.walk_packages(motionsig.__path__, "motionsig.")]
    assert len(names) > 300
    for name in names:
        if not name.endswith(".__main__"):
            importlib.import_module(name)


def test_a_name_is_imported_when_it_is_first_used():
    code = (
        "import motionsig, sys; assert 'numpy' not in sys.modules; motionsig.SampleBlock; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["Source", "Encoder", "Sink", "Resampler", "Windower", "Reader"])
def test_there_is_one_type_for_each_idea(name):
    value = getattr(motionsig, name)
    assert getattr(importlib.import_module(value.__module__), name) is value


@pytest.mark.parametrize(
    ("module", "library", "use"),
    [
        ("pandas", "pandas", "motionsig.extract(numpy.zeros((0, 6)), rate_hz=50).to_pandas()"),
        ("pyarrow", "pyarrow", "motionsig.extract(numpy.zeros((0, 6)), rate_hz=50).to_arrow()"),
        ("sklearn", "scikit-learn", "motionsig.Signatures()"),
    ],
)
def test_what_is_missing_is_named_with_a_command_that_installs_it(module, library, use):
    code = f"import sys; sys.modules[{module!r}] = None; import motionsig, numpy; {use}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("motionsig.errors.MissingExtraError: ") and f"-m pip install '{library}>=" in last


class Ready(motionsig.Source):
    """The least that a source of one's own has."""

    def __init__(self, data):
        self.rate_hz, self.info = 100.0, motionsig.SourceInfo("ready", "test", 1)
        self.data = data

    def __iter__(self):
        yield motionsig.sample_block(np.arange(len(self.data)) * 10_000_000, self.data)


@pytest.fixture(scope="module")
def encoder():
    with motionsig.open_encoder(device="cpu") as opened:
        yield opened


def test_everything_public_shows_itself_in_one_line(motion, encoder, tmp_path):
    source = Ready(motion(10, 100))
    block = next(iter(source))
    shown = [
        block, source.info, encoder, encoder.card, motionsig.extract(source.data, rate_hz=100),
        motionsig.extract(source.data[:0], rate_hz=100), motionsig.run(source, encoder, lambda made: None),
        motionsig.Resampler(100), motionsig.Windower(length=128, hop=64), motionsig.Quality.BRIDGED,
        motionsig.Windower(length=128, hop=64).push(block), motionsig.Signatures(), encoder.card.spec,
    ]  # fmt: skip
    with motionsig.Recorder(tmp_path / ("a" * 200), rate_hz=100, stream_id=1, device="d" * 100) as recorder:
        recorder.write(block)
        shown.append(recorder)
    np.savez(tmp_path / "b.npz", acc_mps2=source.data[:, :3], gyr_rads=source.data[:, 3:], rate_hz=100.0)
    with (
        motionsig.open_recording(recorder.path) as recording,
        motionsig.open_recording(tmp_path / "b.npz") as array,
        motionsig.open_sink(f"store:{tmp_path}/s.db", device="d") as store,
        motionsig.open_sink(f"file:{tmp_path}/s.cbor", device="d") as file,
        motionsig.open_sensor("simulated") as sensor,
    ):
        shown += [recording, array, store, file, store.counts, sensor, sensor.info, CSV]
        lines = [repr(it) for it in shown]
    for line in lines:
        assert len(line) <= 200 and "\n" not in line and " object at 0x" not in line, line


def test_the_loop_in_three_forms_gives_the_same(motion, encoder):
    source, taken = Ready(motion(20, 100)), []
    made = motionsig.concatenate(list(motionsig.signatures(source, encoder, hop=32)))
    summary = motionsig.run(source, encoder, taken.append, hop=32)
    assert made == motionsig.concatenate(taken) == motionsig.extract(source.data, rate_hz=100, hop=32)
    assert summary.signatures == len(made) == summary.windows


def test_signatures_come_as_they_are_made(motion, encoder):
    asked = []

    class Slow(Ready):
        def __iter__(self):
            for first in range(0, len(self.data), 100):
                asked.append(first)
                time_ns = np.arange(first, first + 100) * 10_000_000
                yield motionsig.sample_block(time_ns, self.data[first : first + 100])

    first = next(motionsig.signatures(Slow(motion(60, 100)), encoder))
    assert len(first) == 1 and asked[-1] < 400


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda encoder: motionsig.signatures("walk.csv", encoder), "expected a Source.* got 'walk.csv'"),
        (lambda encoder: motionsig.signatures(np.zeros((9, 6)), encoder), "extract takes arrays, got ndarray"),
        (
            lambda encoder: motionsig.signatures(Ready([]), None),
            r"expected an Encoder, as open_encoder\(\) returns, got None",
        ),
        (lambda encoder: motionsig.run(Ready([]), encoder, "store:x.db"), r"expected a Sink, as open_sink\(url\)"),
        (
            lambda encoder: motionsig.extract(np.ones((9, 6)), rate_hz=50, encoder="motion64"),
            "an Encoder.* got 'motion64'",
        ),
        (
            lambda encoder: encoder.encode(np.zeros((1, 128, 6))),
            "expected a WindowBatch, got ndarray; motionsig.extract",
        ),
        (lambda encoder: motionsig.signatures(Ready([]), encoder, hop=0.5), "expected integers as length and hop"),
    ],
)
def test_a_wrong_guess_fails_at_once_in_a_line(call, message, encoder):
    with pytest.raises(InputError, match=message):
        call(encoder)
