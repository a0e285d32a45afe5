"""What motionsig/recordings/README.md says: the reader that it shows, the options, and what is refused."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import motionsig
from motionsig.errors import RecordingError
from motionsig.options import keyword_options
from motionsig.recordings import _readers, open_recording

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "motionsig" / "recordings" / "README.md").read_text(encoding="utf-8")

HEADER = "time,acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gyr_x[rad/s],gyr_y[rad/s],gyr_z[rad/s]"


def table(first_heading):
    """Return the cells of the table whose first column is called `first_heading`, row by row."""
    lines = DOCUMENT.split(f"| {first_heading} |", 1)[1].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


@pytest.fixture
def bleep(tmp_path, monkeypatch):
    """The reader that the document shows, in a package as pip would leave it."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)
    entry, group = re.search(r"entry point `(.+?)` in the group `(.+?)`", DOCUMENT).groups()
    site = tmp_path / "site"
    (site / "bleep-1.0.dist-info").mkdir(parents=True)
    (site / "bleep-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bleep\nVersion: 1.0\n")
    (site / "bleep-1.0.dist-info" / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    (site / "bleep_reader.py").write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "bleep_reader", raising=False)


def test_the_reader_example_is_a_reader(bleep, tmp_path):
    rows = np.zeros(9000, [("time_ns", "<i8"), ("data", "<f4", 6)])
    rows["time_ns"] = np.arange(9000) * 20_000_000
    rows["data"] = np.random.default_rng(0).normal(0, 1, (9000, 6)) + np.array([0, 0, 4.9, 0, 0, 0])
    path = tmp_path / "log"
    path.write_bytes(b"BLEEP" + rows.tobytes())
    source = open_recording(path, gain="2.0")
    blocks = list(source)
    assert source.info.format == "bleep" and len(blocks) == 3
    assert np.array_equal(np.concatenate([block.time_ns for block in blocks]), rows["time_ns"])
    assert np.array_equal(np.concatenate([block.data for block in blocks]), 2 * rows["data"])
    assert source.info.stream_id == open_recording(path, gain=2.0).info.stream_id
    assert source.info.stream_id != open_recording(path).info.stream_id
    run = motionsig.run(source, motionsig.open_encoder(), type("Sink", (), {"publish": lambda self, batch: None})())
    assert (run.samples, run.windows) == (9000, (9000 - 128) // 64 + 1)


def test_every_option_of_every_reader_is_in_the_table():
    stated = set()
    for names, example, _ in table("option"):
        options = re.findall(r"`(\w+)`", names)
        assert example.strip("`'").partition("=")[0] in options
        stated |= set(options)
    (others,) = re.findall(r"motionsig's own log takes (.+) alone; its training sets take (.+)\.\n", DOCUMENT)
    own, training = (set(re.findall(r"`(\w+)`", text)) for text in others)
    expected = {reader.name: stated for reader in _readers()} | {"motionsig-log": own, "training_set": training}
    assert {reader.name: set(keyword_options(reader.open)) for reader in _readers()} == expected


def log(path, motion, header=HEADER, *, gyr=1.0, gravity=True, timed=True):
    data = motion(30, 100) * ([1] * 3 + [gyr] * 3)
    data[:, :3] -= 0 if gravity else data[:, :3].mean(axis=0)
    times = np.arange(len(data)) / 100
    rows = np.column_stack([times, data]) if timed else data
    np.savetxt(path, rows, delimiter=",", header=header if timed else header.partition(",")[2], comments="")
    return path


REFUSED = {
    "gravity seems removed": {"gravity": False},
    "In which unit is": {"gyr": 1000.0},
    "How many samples a second?": {"timed": False},
    "Which columns are": {"header": "t,a,b,c,d,e,f"},
    "maps other names": {"header": HEADER.replace("acc_x", "a1")},
}


def test_the_table_of_refusals_has_these_rows():
    assert [text for cell, *_ in table("the message has") for text in re.findall("`(.+?)`", cell)] == list(REFUSED)


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_document_says_is_refused_is_refused_in_these_words(message, motion, tmp_path):
    with pytest.raises(RecordingError, match=re.escape(message)):
        open_recording(log(tmp_path / "log.csv", motion, **REFUSED[message]))
    open_recording(log(tmp_path / "good.csv", motion))
