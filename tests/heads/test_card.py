"""Heads are read as strictly as they are written: what is read is what was written, or it is refused in a line."""

import dataclasses
import io
import json
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from damaged_heads import arrays_in, damaged, npy, outcome, parsed, restated, rezipped, valid_heads, with_arrays
from hypothesis import given, settings
from hypothesis import strategies as st
from made_heads import head

from motionsig.errors import HeadError
from motionsig.heads import card as cards
from motionsig.heads.card import CARD_NAME, HeadCard, Taught, Timing, Weights, files_of, load_head

NAMES = [card.name for card in valid_heads()]


def fields(value):
    """Return all that is in a card, as values that compare."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        return {it.name: fields(getattr(value, it.name)) for it in dataclasses.fields(value)}
    return value


@pytest.mark.parametrize("card", valid_heads(), ids=NAMES)
def test_a_head_is_read_as_it_was_written(card):
    files = files_of(card)
    read = parsed(files)
    assert fields(read) == fields(card)
    assert files_of(read) == files == files_of(card)
    assert read.fingerprint == card.fingerprint == bytes.fromhex(json.loads(files[CARD_NAME])["digest"])[:8]
    assert len(repr(card)) < 200


def test_each_part_of_a_head_is_in_its_fingerprint():
    card = valid_heads()[0]
    others = [
        dataclasses.replace(card, name="other"), dataclasses.replace(card, hop_ns=1),
        dataclasses.replace(card, timing=Timing(0.9, 0.7)), dataclasses.replace(card, measured={"a": 1}),
        dataclasses.replace(card, weights=dataclasses.replace(card.weights, offset=card.weights.offset + 1)),
        dataclasses.replace(card, taught=dataclasses.replace(card.taught, against=card.taught.against[1:])),
    ]  # fmt: skip
    assert len({it.fingerprint for it in [card, *others]}) == len(others) + 1


def test_arrays_are_the_same_bytes_however_they_lie_in_memory():
    card = valid_heads()[0]
    turned = np.asfortranarray(card.weights.rows)
    weights = Weights(turned, card.weights.scale.astype(">f8"), card.weights.offset[::-1][::-1])
    assert files_of(dataclasses.replace(card, weights=weights)) == files_of(card)
    # And numpy reads them, for whoever looks at them.
    with np.load(io.BytesIO(arrays_in(files_of(card)))) as arrays:
        np.testing.assert_array_equal(arrays["rows"], card.weights.rows)


@given(
    st.floats(-1e9, 1e9), st.floats(0, 1e9), st.floats(0, 604800), st.floats(0, 604800), st.integers(1, 604800 * 10**9),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_numbers_come_back(on, below, hold_s, refractory_s, hop_ns, measured):
    timing = Timing(on, max(on - below, -1e9), hold_s=hold_s, refractory_s=refractory_s)
    card = head(timing=timing, hop_ns=hop_ns, measured=measured)
    try:
        files = files_of(card)
    except HeadError:
        assert any("\ud800" <= char <= "\udfff" for key in measured for char in key)
        return
    assert fields(parsed(files)) == fields(card)


def changed(**values):
    return restated(files_of(valid_heads()[0]), lambda text: text.update(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head_version": 2}, "expected head_version 1, got 2"),
        ({"name": "a b"}, "name: expected 1 to 64 of A-Z"),
        ({"name": 7}, "name: expected str, got 7"),
        ({"kind": "magic"}, "kind: expected one of prototypes, linear, novelty, state, got 'magic'"),
        ({"kind": "state"}, r"expected rows for every kind but state, got 5 for state"),
        ({"gives": "joy"}, "gives: expected one of event, state, got 'joy'"),
        ({"encoder": "00112233AABBCCDD"}, "encoder: expected a fingerprint of 16 hexadecimal digits"),
        ({"codes": [0, 257]}, "codes: expected a first one and the one after the last, up to 256"),
        ({"codes": [3, 3]}, "codes: expected a first one"),
        ({"codes": [True, 6]}, "codes: expected a first one"),
        ({"codes": [0, 5]}, "expected arrays that fit, of 5 codes"),
        ({"hop_ns": 0}, "hop_ns: expected 1 up to a week, got 0"),
        ({"hop_ns": 1.0}, "hop_ns: expected int, got 1.0"),
        ({"at_rest": "asleep"}, "at_rest: expected one of scored, lowest, highest, got 'asleep'"),
        ({"on": None}, "on: expected float, got None"),
        ({"on": True}, "on: expected float, got True"),
        ({"on": 10**400}, "on: expected a number of at most 1e"),
        ({"off": 0.95}, "off: expected a level of at most on, got 0.95 and 0.9"),
        ({"hold_s": -1}, "hold_s: expected seconds from 0 to a week, got -1"),
        ({"refractory_s": 604801}, "refractory_s: expected seconds from 0 to a week"),
        ({"most_s": 0.05}, "most_s: expected none for a state, else at least least_s, got 0.05"),
        ({"gives": "state"}, "most_s: expected none for a state"),
        ({"while": "a/b"}, "while: expected 1 to 64 of"),
        ({"after": {"head": "x"}}, "after: expected head and within_s"),
        ({"after": {"head": "x", "within_s": "1"}}, "after.within_s: expected seconds"),
        ({"after": {"head": "x\n", "within_s": 1}}, r"after.head: expected 1 to 64 of .* got 'x\\n'"),
        ({"measured": []}, r"measured: expected dict, got \[\]"),
        ({"measured": {"a": [0] * 5000}}, "measured: expected at most 4,096 characters, got 15,0"),
        ({"measured": [[[[[[[[[1]]]]]]]]]}, "expected values at most 8 deep"),
        ({"measured": {"\ud800": 1}}, "expected JSON, got: .*surrogates not allowed"),
        ({"arrays": {"file": "../head.npz", "sha256": ""}}, "arrays: expected a file and its sha256"),
        ({"more": 1}, "expected no other keys, got 'more'"),
    ],
)
def test_a_card_with_another_value_is_refused(values, message):
    with pytest.raises(HeadError, match=f"^folder/head.json: .*{message}") as refused:
        parsed(changed(**values))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("missing", sorted(json.loads(files_of(valid_heads()[0])[CARD_NAME])))
def test_a_card_without_one_of_its_keys_is_refused(missing):
    files = restated(files_of(valid_heads()[0]), lambda text: text.pop(missing))
    if missing in ("most_s", "while", "after", "digest"):
        # These may be null, and the digest is made anew.
        assert parsed(files).name == "knock"
    else:
        with pytest.raises(HeadError, match=missing if missing != "arrays" else "arrays: expected dict"):
            parsed(files)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{", b"\xff", b'{"head_version": 1}', b'{"head_version": 1, "head_version": 1}',
        b'{"head_version": NaN}', b"[" * 60_000, b'{"head_version": 1, "on": 1e999}', b"9" * 60_000, b" " * 70_000,
        b'{"a":' * 1500 + b"1" + b"}" * 1500,
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_card_is_refused(text):
    with pytest.raises(HeadError, match=r"^folder/head.json: expected ") as refused:
        parsed(files_of(valid_heads()[0]) | {CARD_NAME: text})
    assert str(refused.value).isprintable()


def test_a_card_that_was_edited_is_refused():
    files = files_of(valid_heads()[0])
    edited = files[CARD_NAME].replace(b'"on": 0.9', b'"on": 0.1')
    assert edited != files[CARD_NAME]
    with pytest.raises(HeadError, match="it is damaged, or was edited by hand"):
        parsed(files | {CARD_NAME: edited})


def test_arrays_of_another_head_are_refused():
    one, other = (files_of(card) for card in valid_heads()[:2])
    file = next(name for name in one if name != CARD_NAME)
    with pytest.raises(HeadError, match="it is damaged or another head's"):
        parsed(one | {file: arrays_in(other)})
    with pytest.raises(HeadError, match=f"{file}: expected a head's file, got none"):
        parsed({CARD_NAME: one[CARD_NAME]})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"rows.npy": npy(np.zeros((5, 6)))}, "expected rows of int8"),
        ({"rows.npy": npy(np.zeros(6, np.int8))}, "expected rows of int8"),
        ({"scale.npy": npy(np.zeros((5, 1)))}, "expected scale of float64"),
        ({"scale.npy": npy(np.zeros(4))}, r"'scale': \(4,\)"),
        ({"scale.npy": npy(np.full(5, np.nan))}, "expected finite numbers as scale and offset"),
        ({"offset.npy": npy(np.full(5, 2e6))}, "a scale and offset of at most 1e6"),
        ({"against.npy": npy(np.zeros((1, 9), np.int8))}, r"'against': \(1, 9\)"),
        ({"examples.npy": npy(np.zeros((12, 5), np.int8))}, r"'examples': \(12, 5\)"),
        ({"performance.npy": npy(np.zeros(3, np.uint16))}, r"'performance': \(3,\)"),
        ({"rows.npy": npy(np.zeros((70_000, 6), np.int8))}, "at most 4096 rows"),
        ({"rows.npy": npy(np.array([None]))}, "expected rows of int8"),
        ({"rows.npy": npy(np.zeros((5, 6), np.int8))[:-1]}, r"expected rows of shape \(5, 6\), got 29 bytes"),
        ({"rows.npy": npy(np.zeros((5, 6), np.int8)) + b"x"}, "got 31 bytes"),
        ({"more.npy": b""}, "expected no file of this name, got 'more.npy'"),
        ({"rows.npy": bytes(2 << 20)}, "expected at most 1,048,576 B as rows.npy, got more"),
        ({"rows.npy": None}, "expected the arrays of a head, got none called rows"),
    ],
)
def test_arrays_that_are_no_heads_are_refused(members, message):
    files = files_of(valid_heads()[0])

    def change(there):
        there.update(members)
        for name in [name for name, content in members.items() if content is None]:
            del there[name]

    with pytest.raises(HeadError, match=message):
        parsed(with_arrays(files, rezipped(arrays_in(files), change, method=zipfile.ZIP_DEFLATED)))


def test_a_name_that_stands_twice_among_the_arrays_is_refused():
    files = files_of(valid_heads()[0])
    content = io.BytesIO(arrays_in(files))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("rows.npy", npy(np.ones((5, 6), np.int8)))
    with pytest.raises(HeadError, match=r"expected each file once, got rows.npy twice"):
        parsed(with_arrays(files, content.getvalue()))


def test_a_value_that_json_has_not_is_refused_before_it_is_written():
    for value in (np.int64(1), float("nan"), object(), {1, 2}):
        with pytest.raises(HeadError, match="head knock: expected values that JSON has"):
            files_of(head(measured={"a": value}))


def test_a_folder_is_read_and_what_is_no_file_in_it_is_refused(tmp_path):
    card: HeadCard = valid_heads()[4]
    for name, content in files_of(card).items():
        (tmp_path / name).write_bytes(content)
    assert fields(load_head(tmp_path)) == fields(card)
    (tmp_path / CARD_NAME).rename(tmp_path / "card")
    with pytest.raises(HeadError, match=r"head.json: expected a head's file, got: No such file"):
        load_head(tmp_path)
    (tmp_path / CARD_NAME).symlink_to("card")
    with pytest.raises(HeadError, match="got: a symbolic link"):
        load_head(tmp_path)


def test_a_head_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    one, other = valid_heads()[0], dataclasses.replace(valid_heads()[0], taught=Taught(*(
        np.zeros(shape, kind) for shape, kind in (((0, 8), np.int8), (0, np.uint16), ((0, 8), np.int8))
    )))  # fmt: skip
    read = cards.read_file

    def write(card):
        for old in tmp_path.iterdir():
            old.unlink()
        for name, content in files_of(card).items():
            (tmp_path / name).write_bytes(content)

    def slow(path, *arguments, **more):
        content = read(path, *arguments, **more)
        if path.name == CARD_NAME and not replaced:
            replaced.append(write(other))
        return content

    write(one)
    replaced = []
    monkeypatch.setattr(cards, "read_file", slow)
    assert fields(load_head(tmp_path)) == fields(other) and replaced


def test_no_damage_gives_another_head_or_another_error():
    seen = {}
    for number in range(400):
        kind, *_ = damaged(number)
        began = time.thread_time()
        seen.setdefault(kind, set()).add(outcome(number))
        assert time.thread_time() - began < 5, number
    assert seen["bytes"] <= {"refused", "same"} and all("refused" in outcomes for outcomes in seen.values()), seen


def test_no_damage_takes_much_memory():
    for number in range(400, 500):
        _, files, _ = damaged(number)
        tracemalloc.start()
        try:
            parsed(files)
        except HeadError:
            pass
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 16 << 20, number
