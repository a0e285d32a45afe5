import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import numpy as np
import pytest

import motionsig
from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.cli.alike import Kept, letter
from motionsig.cli.picture import _COLUMNS, _GROUPS, _HATCHES, _MOST_SPANS, Picture, _time_axis, empty_figure
from motionsig.conventions import NS_PER_S
from motionsig.neighbours import MOST_GROUPS


@pytest.mark.parametrize("name", ["out.doc", "out", "out.pgf", "no/folder/out.png", "folder.png", "a file/out.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_there_is_one(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "a file").touch()
    with pytest.raises(motionsig.InputError, match="--plot: expected a file"):
        empty_figure(tmp_path / name)


def test_each_format_that_is_offered_can_be_written(tmp_path):
    with pytest.raises(motionsig.InputError, match="expected a file name ending in ") as refused:
        empty_figure(tmp_path / "out")
    offered = re.search("matplotlib also writes (.*)", str(refused.value))[1].split(", ")
    assert {"png", "svg", "pdf"} <= set(offered)
    for name in offered:
        path = tmp_path / f"out.{name}"
        empty_figure(path).savefig(path)
        assert path.stat().st_size > 0


def test_a_place_where_this_user_may_not_write_is_refused(tmp_path, monkeypatch):
    (tmp_path / "old.png").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for name in ("new.png", "old.png"):
        with pytest.raises(motionsig.InputError, match="expected a file that can be written"):
            empty_figure(tmp_path / name)


def test_without_matplotlib_it_is_said_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None; from motionsig.cli.picture import empty_figure; empty_figure('')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "MissingExtraError: --plot needs matplotlib: " in said and "pip install 'matplotlib>=" in said


def test_the_picture_of_a_long_log_keeps_its_memory_and_its_extremes():
    picture = Picture(None, motionsig.open_encoder().card)
    picture.begin(SourceInfo("long", "made", 1), 50)
    peak = 0
    for first in range(0, 200_000, 777):
        data = np.zeros((777, 6), np.float32)
        if not peak and first > 100_000:
            data[3, 0], peak = 99.0, first
        picture.add_samples(SampleBlock(np.arange(first, first + 777) * 20_000_000, data))
    assert len(picture._time_ns) <= 2 * _COLUMNS and picture._gaps == []
    picture.add_samples(SampleBlock(np.array([10**13, 10**13 + 1]), np.array([[np.nan] * 6, [0.0] * 6], np.float32)))
    assert picture._gaps == [(200_465 * 20_000_000, 10**13 + 1, "")]
    assert picture._high[:, 0].max() == 99.0


def blocks(spans, gap_s=0.0):
    """Blocks at 50 Hz, one a (label, seconds), each of a motion of its own."""
    time_ns = 10**18
    for number, (label, seconds) in enumerate(spans):
        count = round(seconds * 50)
        rng = np.random.default_rng(sum(map(ord, label)))
        swing = np.sin(np.arange(count)[:, None] * rng.uniform(0.05, 0.5, 6)) * rng.uniform(0, 4, 6)
        yield SampleBlock(
            time_ns + np.arange(count) * 20_000_000,
            (swing + np.array([0, 0, 9.8, 0, 0, 0])).astype(np.float32),
            gap=number > 0 and gap_s > 0,
            label=label,
        )
        time_ns += count * 20_000_000 + round(gap_s * NS_PER_S)


@dataclass
class Made:
    """A recording in memory, which passes a picture on its way."""

    blocks: list
    picture: Picture
    rate_hz: float = 50.0

    def __iter__(self):
        for block in self.blocks:
            self.picture.add_samples(block)
            yield block


def drawn(spans, path, gap_s=0.0):
    """Return the panels of the picture by their names, and what was kept."""
    figure, kept = empty_figure(path), Kept()
    encoder = motionsig.open_encoder(device="cpu")
    picture = Picture(figure, encoder.card)
    picture.begin(SourceInfo("a $1 log_of $2", "made", 1), 50)
    motionsig.run(Made(list(blocks(spans, gap_s)), picture), encoder, kept.add)
    picture.save(path, kept.drawn, kept.groups)
    assert path.stat().st_size > 5000
    return {panel_name(axis): axis for axis in figure.axes}, kept


def panel_name(axis):
    named = [text.get_text() for text in axis.get_yticklabels()]
    return named[0] if named in (["label"], ["alike"]) else axis.get_ylabel().split("\n")[0]


def names(axis):
    return [text.get_text() for text in axis.texts]


def boxes(axis):
    return [text.get_window_extent() for text in axis.texts]


def test_labels_stand_over_their_spans_and_letters_under_the_signatures(tmp_path):
    panels, kept = drawn([("walk", 20), ("run", 30), ("walk", 20)], tmp_path / "out.png")
    assert list(panels) == ["label", "acceleration", "angular rate", "signature", "alike", "code"]
    assert names(panels["label"]) == ["walk", "run", "walk"]
    assert [text.get_position()[0] for text in panels["label"].texts] == pytest.approx([10, 35, 60], abs=0.1)
    assert kept.groups[[0, 25, -1]].tolist() == [0, 1, 0]
    assert names(panels["alike"]) == ["A", "B", "A"]
    assert panels["alike"].get_legend() is None
    assert panels["acceleration"].get_xlim() == pytest.approx((0, 70), abs=0.1)
    colours = {bars.get_label(): tuple(bars.get_facecolor()[0]) for bars in panels["alike"].collections}
    assert {"A", "B"} <= set(colours) and colours["A"] != colours["B"]


@pytest.mark.parametrize("seconds", [4, 20])
def test_thirty_names_do_not_overlap_and_are_within_their_spans(seconds, tmp_path):
    spans = [(f"exercise number {number}", seconds + number % 3) for number in range(30)]
    axis = drawn(spans, tmp_path / "out.png")[0]["label"]
    assert len(axis.texts) == 30  # from bottom to top there is room for each
    assert all(name.startswith("exer") for name in names(axis))
    for one, other in zip(boxes(axis), boxes(axis)[1:], strict=False):
        assert one.x1 < other.x0
    assert all(axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1 for box in boxes(axis))


def test_a_name_is_written_in_two_lines_or_shortened_or_left_out(tmp_path):
    spans = [("stand", 300), ("internal rotation", 80), ("stand", 300), ("characteristically", 62), ("walk", 3)]
    axis = drawn(spans, tmp_path / "out.png")[0]["label"]
    rotation, long = (name for name in names(axis) if name != "stand")
    assert rotation == "internal\nrotation" and re.fullmatch("char.*…", long)
    assert names(axis).count("stand") == 2


def test_a_name_is_no_formula_and_no_second_line(tmp_path):
    panels, _ = drawn([("$x^$", 10), ("two\n lines", 20)], tmp_path / "out.svg")
    assert names(panels["label"]) == ["$x^$", "two lines"]


def test_what_cannot_be_printed_is_left_out_of_names(tmp_path):
    path = tmp_path / "out.svg"
    picture = Picture(empty_figure(path), motionsig.open_encoder().card)
    picture.begin(SourceInfo("a\x00 \x07file\udcff", "made", 1), 50)
    for block in blocks([("wa\x00lk\ufffe", 10), ("\x07", 10)]):
        picture.add_samples(block)
    picture.save(path, None, np.empty(0, np.intp))
    assert "a file (made)" in path.read_text() and ElementTree.parse(path).getroot().tag.endswith("svg")
    assert [span.name for span in picture._labels] == ["walk"]


def test_a_script_that_the_font_does_not_have_is_no_warning(tmp_path, monkeypatch):
    # matplotlib 3.6 says both, 3.11 only the first.
    said = ["Glyph 2330 (x) missing from current font.", "Matplotlib currently does not support Devanagari natively."]
    path = tmp_path / "out.png"
    figure = empty_figure(path)
    picture = Picture(figure, motionsig.open_encoder().card)
    saved = []

    def savefig(path, dpi):
        for text in said:
            warnings.warn(text, stacklevel=1)
        saved.append(path)

    monkeypatch.setattr(figure, "savefig", savefig)
    picture.begin(SourceInfo("", "made", 1), 50)
    for block in blocks([("\u091a\u0932\u0928\u093e", 10)]):
        picture.add_samples(block)
    picture.save(path, None, np.empty(0, np.intp))
    assert saved == [path]


def set_back(path, seconds, back_s):
    """Return the panels of the picture of a log whose clock was set back in its middle."""
    figure, kept = empty_figure(path), Kept()
    encoder = motionsig.open_encoder(device="cpu")
    picture = Picture(figure, encoder.card)
    picture.begin(SourceInfo("log", "made", 1), 50)
    first, last = blocks([("walk", seconds), ("run", seconds)])
    last = replace(last, time_ns=last.time_ns - back_s * NS_PER_S, gap=True)
    motionsig.run(Made([first, last], picture), encoder, kept.add)
    picture.save(path, kept.drawn, kept.groups)
    return {panel_name(axis): axis for axis in figure.axes}


@pytest.mark.parametrize(("back_s", "ends"), [(90, (-30, 60)), (130, (-70, 60)), (20, (0, 100))])
def test_a_clock_that_was_set_back_moves_no_curve_out_of_the_picture_and_is_no_gap(back_s, ends, tmp_path):
    panels = set_back(tmp_path / "out.png", 60, back_s)
    axis = panels["acceleration"]
    width = ends[1] - ends[0]
    assert axis.get_xlim() == pytest.approx((0, width), abs=0.1)
    drawn = np.concatenate([line.get_xdata() for line in axis.lines])
    assert np.nanmin(drawn) == pytest.approx(0, abs=0.1) and np.nanmax(drawn) == pytest.approx(width, abs=0.1)
    assert not axis.collections or not axis.collections[-1].get_paths()  # nothing in grey
    assert len(names(panels["label"])) == 2 and set(names(panels["alike"])) == {"A", "B"}
    assert panels["label"].get_title(loc="left") == "log (made), the clock was set back"
    (x, *_) = (line.get_xdata() for line in axis.lines)
    assert not (np.diff(x) < 0).any() and np.isnan(x).sum() == 1  # no line leads back


def test_a_label_goes_on_over_blocks_and_ends_at_a_gap(tmp_path):
    picture = Picture(None, motionsig.open_encoder().card)
    picture.begin(SourceInfo("", "made", 1), 50)
    for block in blocks([("walk", 5), ("walk", 5), ("", 5), ("walk", 5)]):
        picture.add_samples(block)
    assert [span[2] for span in picture._labels] == ["walk", "walk"]
    assert [(span[1] - span[0]) / NS_PER_S for span in picture._labels] == pytest.approx([10, 5], abs=0.1)
    (walk,) = blocks([("walk", 10)])
    steps = np.where(np.arange(len(walk)) < 100, 0, 3 * NS_PER_S) + 10**11
    picture.add_samples(SampleBlock(walk.time_ns + steps, walk.data, label="walk"))
    assert [(span[1] - span[0]) / NS_PER_S for span in picture._labels[2:]] == pytest.approx([2, 8], abs=0.1)
    picture.add_samples(walk)  # the clock was set back
    assert [span[2] for span in picture._labels] == ["walk"] * 5


def test_many_gaps_and_labels_keep_the_longest_and_their_number(tmp_path):
    spans = [(f"label {number}", 0.1 + 0.4 * (number == 500)) for number in range(2 * _MOST_SPANS + 500)]
    figure, path = empty_figure(tmp_path / "out.png"), tmp_path / "out.png"
    picture = Picture(figure, motionsig.open_encoder().card)
    picture.begin(SourceInfo("gaps", "made", 1), 50)
    for block in blocks(spans, gap_s=1):
        picture.add_samples(block)
        assert max(len(picture._labels), len(picture._gaps)) <= 2 * _MOST_SPANS
    assert "label 500" in [span[2] for span in picture._labels]
    assert [span[0] for span in picture._labels] == sorted(span[0] for span in picture._labels)
    picture.save(path, None, np.empty(0, np.intp))
    assert f"gaps (made), {len(spans) - 1} gaps in grey" in {axis.get_title(loc="left") for axis in figure.axes}


def test_groups_whose_letter_has_no_room_are_in_a_key(tmp_path):
    panels, kept = drawn([("walk", 8), ("run", 8)] * 60, tmp_path / "out.png")
    assert kept.groups.max() >= 1 and names(panels["alike"]) == []
    key = [text.get_text() for text in panels["alike"].get_legend().get_texts()]
    assert key == [letter(group) for group in range(kept.groups.max() + 1)]


def test_every_group_looks_different():
    looks = {(_GROUPS[number % len(_GROUPS)], _HATCHES[number // len(_GROUPS)]) for number in range(MOST_GROUPS)}
    assert len(looks) == MOST_GROUPS


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_log_without_signatures_says_what_one_needs(seconds, tmp_path):
    panels, _ = drawn([("walk", seconds)], tmp_path / "out.png")
    assert names(panels["signature"]) == ["no signature: one needs 2.56 s without a gap"]
    assert "alike" not in panels and ("label" in panels) == (seconds > 0)


def test_the_time_axis_has_the_unit_that_fits_its_length():
    assert [_time_axis(0, seconds * NS_PER_S).unit for seconds in (3, 599, 601, 6 * 3600, 90_000)] == [
        "s", "s", "min", "min", "h",
    ]  # fmt: skip
    assert _time_axis(10**18, 10**18 + 7200 * NS_PER_S)(10**18 + 60 * NS_PER_S) == 1


def test_signatures_that_do_not_touch_leave_a_hole(tmp_path):
    panels, kept = drawn([("walk", 10), ("run", 10)], tmp_path / "out.png", gap_s=5)
    shown = panels["signature"].collections[0].get_array()
    assert shown.shape == (64, len(kept.signatures) + 1)
    assert np.ma.getmaskarray(shown).any(axis=0).sum() == 1
    assert panels["label"].texts[1].get_position()[0] == pytest.approx(20, abs=0.1)
