import json
import shutil
import weakref
from dataclasses import asdict, replace

import numpy as np
import pytest
from made import HOP_NS, SPEC, numbered

import motionsig
from motionsig.blocks import SampleBlock, concatenate
from motionsig.cli import main
from motionsig.cli.alike import _ASKED, _KEPT, Answer, Kept, letter
from motionsig.conventions import NS_PER_S
from motionsig.recordings.native import Recorder


def kept_of(signatures, cut=60):
    kept = Kept()
    for first in range(0, len(signatures), cut):
        kept.add(signatures[first : first + cut])
    return kept


def labelled(labels, codes=None):
    """Signatures of which those with equal labels are alike."""
    names = sorted(set(labels))
    codes = numbered(len(names)).codes[[names.index(label) for label in labels]] if codes is None else codes
    return replace(numbered(len(labels)), codes=codes, labels=np.array(labels))


def test_of_a_short_log_every_signature_is_kept():
    signatures = numbered(500)
    kept = kept_of(signatures)
    assert kept.signatures == signatures
    assert kept.signatures is kept.signatures  # made once
    assert Kept().signatures is None and Kept().groups.tolist() == [] and Kept().answer() is None


def long(count, hop_ns=HOP_NS, codes=None):
    """So many signatures, all alike where no codes are given."""
    codes = np.zeros((count, 64), np.int8) if codes is None else codes
    start_ns, quality = np.arange(count) * hop_ns, np.zeros(count, np.uint8)
    return replace(numbered(1), start_ns=start_ns, codes=codes, quality=quality, hop_ns=hop_ns)


@pytest.mark.parametrize("cut", [1, 60, 7777, 40_000])
def test_a_long_log_is_thinned_in_runs_of_four_whatever_the_batches(cut):
    count, every = (40_000, 8) if cut > 1 else (20_000, 4)
    kept = kept_of(long(count), cut)
    found, drawn = kept.signatures, kept.drawn
    assert _KEPT <= len(found) <= 2 * _KEPT and found.hop_ns == HOP_NS
    assert (found.start_ns // HOP_NS).tolist() == [row for row in range(count) if row // 4 % every == 0]
    # In the picture there is no hole between two runs.
    assert set(np.diff(drawn.start_ns)) == {every * HOP_NS} == {drawn.hop_ns} and drawn.start_ns[0] == 0
    assert np.array_equal(drawn.codes, found.codes)


@pytest.mark.parametrize("cut", [17, 80_000])
def test_windows_that_overlap_much_are_thinned_evenly_first(cut):
    hop_ns = SPEC.length_ns * 3 // 40
    found = kept_of(long(80_000, hop_ns), cut).signatures
    assert found.hop_ns == 8 * hop_ns
    assert (found.start_ns // hop_ns).tolist() == [row for row in range(0, 80_000, 8) if row // 32 % 2 == 0]


def test_of_a_short_log_all_is_drawn_where_it_is():
    kept = kept_of(numbered(500))
    assert kept.drawn == kept.signatures and Kept().drawn is None


@pytest.mark.parametrize("hours", [2, 14, 25])
def test_movements_are_told_apart_however_long_the_log(hours):
    count = int(hours * 3600 * NS_PER_S / HOP_NS)
    rng = np.random.default_rng(7)
    base = rng.choice([-60, 60], 64)
    # Of two movements that are .75 alike, one takes the first half; two that are unlike come by turns of 30 s.
    similar, other = np.where(np.arange(64) % 8 == 0, -base, base), rng.choice([-60, 60], 64)
    half = np.arange(count) >= count / 2
    turn = np.arange(count) * HOP_NS // (30 * NS_PER_S) % 2 == 1
    for second, which in ((similar, half), (other, turn)):
        centres = np.stack([base, second])[which.astype(int)]
        codes = np.clip(np.rint(centres + rng.normal(scale=4, size=centres.shape)), -128, 127).astype(np.int8)
        answer = kept_of(long(count, codes=codes), 600).answer()
        assert (answer.windows, answer.kinds) == (count, 2)
        assert answer.longest_s == pytest.approx(hours * 1800, rel=0.1)


def test_the_batches_are_let_go_of_and_those_of_which_nothing_is_kept_are_none():
    kept, given = Kept(), []
    for first in range(0, 60_000, 6):
        codes = np.zeros((6, 64), np.int8)
        given.append(weakref.ref(codes))
        kept.add(replace(numbered(0), start_ns=first + np.arange(6), codes=codes, quality=np.zeros(6, np.uint8)))
    del codes
    assert not any(reference() is not None for reference in given)
    assert len(kept._batches) <= len(kept.signatures) <= 2 * _KEPT and all(map(len, kept._batches))


def test_a_brief_label_of_a_long_log_is_counted():
    signatures = replace(long(40_000), labels=np.full(40_000, "walk"))
    assert kept_of(signatures).answer().labels is None
    labels = np.full(40_000, "walk")
    labels[[30_004, 30_005]] = "fall"
    kept = kept_of(replace(signatures, labels=labels))
    assert "fall" not in kept.signatures.labels and kept.answer().labels == 2
    # Where no window with a label was kept, no neighbour can be asked for.
    labels[:], labels[[30_004, 30_005]] = "", ["fall", "rise"]
    assert kept_of(replace(signatures, labels=labels)).answer().labels is None


def test_with_labels_it_says_how_often_the_nearest_neighbour_has_the_same():
    labels = ["walk"] * 20 + ["run"] * 20 + [""] * 10
    answer = kept_of(labelled(labels)).answer()
    assert (answer.labels, answer.asked, answer.same_label) == (2, 40, 40)
    assert str(answer) == "2 labels; the nearest neighbour has the same label for 40 of 40 windows that were asked"
    # One in the middle of the walk is like the run.
    signatures = labelled(labels)
    codes = signatures.codes.copy()
    codes[10] = codes[30]
    codes[10, :4] //= 2  # not so much that the run finds this one
    answer = kept_of(labelled(labels, codes)).answer()
    assert (answer.asked, answer.same_label) == (40, 39)


def test_a_label_that_nobody_else_has_cannot_be_found_again():
    labels = ["walk"] * 20 + ["fall"] + ["run"] * 20
    answer = kept_of(labelled(labels)).answer()
    assert (answer.labels, answer.asked, answer.same_label) == (3, 41, 40)
    assert str(answer) == "3 labels; the nearest neighbour has the same label for 40 of 41 windows"
    two = replace(labelled(["a"] * 8), labels=np.array(["a", "b", "", "", "", "", "", ""]))
    assert kept_of(two).answer().same_label == 0  # these two overlap, so neither has a neighbour


def test_of_many_windows_some_are_asked():
    answer = kept_of(labelled(["walk", "run"] * 2500)).answer()
    assert answer.windows == 5000
    assert _ASKED / 2 < answer.asked == answer.same_label <= _ASKED
    assert str(answer).endswith("of 1,000 windows that were asked")


@pytest.mark.parametrize("labels", [None, [""] * 60, ["all the same"] * 60])
def test_without_different_labels_it_says_how_many_kinds_there_are(labels):
    signatures = labelled(["x"] * 10 + ["y"] * 40 + ["x"] * 10)
    answer = kept_of(replace(signatures, labels=labels and np.array(labels))).answer()
    assert (answer.windows, answer.kinds, answer.longest, answer.labels) == (60, 2, "B", None)
    assert answer.longest_s == pytest.approx(40 * 1.28, abs=2.6)
    assert str(answer) == f"2 kinds of movement; B is the longest, {answer.longest_s:.0f} s"


def test_in_words():
    assert str(Answer(60, 1, "A", 76.8)) == "1 kind of movement, 77 s"
    assert str(kept_of(numbered(60)).answer()) == "no kind of movement lasted long enough"
    brief = labelled([str(row // 3) for row in range(90)])  # windows in a row that are alike, but few of them
    assert str(kept_of(replace(brief, labels=None)).answer()) == "no kind of movement lasted long enough"
    assert [letter(0), letter(25)] == ["A", "Z"]


def test_of_few_windows_nothing_is_said():
    signatures = labelled(["x"] * 8)
    assert kept_of(signatures[:7]).answer() is None
    assert kept_of(signatures).answer() is not None


def test_batches_of_before_the_first_label_and_after_it():
    unlabelled, rest = replace(numbered(10), labels=None), replace(labelled(["x", "y"] * 10))
    kept = Kept()
    for part in (unlabelled, replace(rest, start_ns=rest.start_ns + 10 * HOP_NS)):
        kept.add(part)
    assert kept.signatures.labels.tolist() == [""] * 10 + ["x", "y"] * 10
    assert kept.answer().asked == 20


def test_a_replay_answers_as_text_and_as_json(tmp_path, capsys):
    log = tmp_path / "walk.msig"
    swing = np.sin(np.arange(1000)[:, None] * [0.12, 0.12, 0.24, 0.12, 0, 0]) * [1, 3, 1, 2, 0, 0]
    noise = np.random.default_rng(0).normal(scale=0.05, size=(4, 1000, 6)) + np.array([0, 0, 9.8, 0, 0, 0])
    with Recorder(log, rate_hz=50, stream_id=3) as recorder:
        for number, data in enumerate(noise):
            # A swing and rest, by turns.
            time_ns = np.arange(1000 * number, 1000 * (number + 1)) * 20_000_000
            recorder.write(SampleBlock(time_ns, (data + swing * (number % 2)).astype(np.float32)))
    to = ["--to", f"store:{tmp_path / 'db'}", "--json"]
    assert main(["replay", str(log), *to]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    with motionsig.open_recording(log) as source, motionsig.open_encoder(device="cpu") as encoder:
        made = concatenate(list(motionsig.signatures(source, encoder)))
    answer = kept_of(made).answer()
    assert answer.kinds == 2
    assert json.loads(last)["alike"] == asdict(answer)
    assert f"alike              {answer}" in lines
    other = shutil.copy(log, tmp_path / "other.msig")
    # Of two logs nothing is said, be one of them complete in the store before or not.
    for again in ([], ["--again"]):
        assert main(["replay", str(log), str(other), *again, *to]) == 0
        *lines, last = capsys.readouterr().out.splitlines()
        assert json.loads(last)["alike"] is None and not any(line.startswith("alike") for line in lines)
