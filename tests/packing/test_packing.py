"""Packing by the shipped tables: exact, the same bytes everywhere, and damage is noticed."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import tracemalloc
from pathlib import Path

import cbor2
import numpy as np
import pytest

import motionsig
from motionsig import packing, wire
from motionsig.blocks import SignatureBatch
from motionsig.encoders import find_model
from motionsig.errors import InputError, ModelError, WireError
from motionsig.fewer_bits import coarser, coarser_spec

CARD = find_model()
FILE = CARD.path / packing.FILE_NAME
TABLES = packing.read_tables(FILE.read_bytes(), str(FILE))
EIGHT, FOUR = TABLES[CARD.fingerprint], TABLES[coarser_spec(CARD.spec, 4).fingerprint]
README = Path(packing.__file__).parent / "README.md"


@pytest.fixture(scope="module")
def walk(motion) -> SignatureBatch:
    return motionsig.extract(motion(400, 100), rate_hz=100)


def batch(codes: np.ndarray) -> SignatureBatch:
    start_ns, quality = np.arange(len(codes), dtype=np.int64) * 1_280_000_000, np.zeros(len(codes), np.uint8)
    return SignatureBatch(start_ns, codes, quality, 1_280_000_000, CARD.spec)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (count, 64), dtype=np.int8)


def extremes(count: int) -> np.ndarray:
    """Return codes that no prediction comes near."""
    return np.random.default_rng(1).choice(np.array([-128, 127], np.int8), (count, 64))


@pytest.mark.parametrize("count", [1, 2, 3, 16, 256])
def test_every_code_comes_back(count, walk):
    for tables, codes in (
        (EIGHT, np.resize(walk.codes, (count, 64))), (EIGHT, noise(count)), (EIGHT, extremes(count)),
        (EIGHT, np.zeros((count, 64), np.int8)), (FOUR, np.resize(coarser(walk, 4).codes, (count, 64))),
    ):  # fmt: skip
        again = packing.unpack(tables, packing.pack(tables, codes), count)
        assert again.dtype == np.int8 and np.array_equal(again, codes)


def test_many_at_once_are_those_one_by_one(walk):
    counts = [1, 47, 5, 16, 2, 5, 3] * 10
    messages = [np.resize(np.roll(walk.codes, shift, axis=0), (it, 64)) for shift, it in enumerate(counts)]
    messages[5], messages[11] = noise(5), extremes(47)[: counts[11]]
    packed = [packing.pack(EIGHT, codes) for codes in messages]
    packed[8] = packed[8][:-2]
    found = packing.unpack_all(EIGHT, packed, counts)
    assert isinstance(found.pop(8), WireError)
    assert all(np.array_equal(a, b) for a, b in zip(found, messages[:8] + messages[9:], strict=True))


def test_the_same_bytes_on_every_machine():
    codes = np.cumsum(np.random.default_rng(3).integers(-9, 10, (40, 64)), axis=0).astype(np.int8)
    digests = [hashlib.sha256(packing.pack(tables, codes)).hexdigest()[:16] for tables in (EIGHT, FOUR)]
    assert digests == ["91c78818e43b428e", "fa95e19ce1633e6c"]


def test_it_beats_deflate(walk):
    codes = walk.codes[:47]
    trained, deflated = (
        len(wire.encode(wire.Message("d", 1, 0, batch(codes)), compress=it)) for it in ("trained", "deflate")
    )
    assert trained < deflated
    four = coarser(walk[:47], 4)
    assert len(packing.pack(FOUR, four.codes)) / 47 < 26.5


def test_the_readme_s_decoder_needs_no_motionsig(walk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert "motionsig" not in re.sub(r"#.*", "", code)
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    strange = np.concatenate([walk.codes[:4], extremes(2), walk.codes[4:6]])
    for signatures in (batch(strange), coarser(walk[:5], 4)):
        data = wire.encode(wire.Message("d", 1, 0, signatures), compress="trained")
        message = dict(cbor2.loads(data))
        if message[11][0] == 1:
            message[11] = [2, EIGHT.name, packing.pack(EIGHT, signatures.codes)]
        assert names["unpack"](message, FILE.read_bytes()) == signatures.codes.tolist()


def test_damage_is_noticed(walk):
    codes = walk.codes[:8]
    sound = packing.pack(EIGHT, codes)
    random = np.random.default_rng(0)
    damaged = []
    for _ in range(3000):
        data = bytearray(sound)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        damaged.append(bytes(data))
    damaged += [sound[:-2], sound + b"\0\0", sound[2:], bytes(4), b"\xff" * 4, sound[:4], b"\xff" * len(sound)]
    found = packing.unpack_all(EIGHT, damaged, [8] * len(damaged))
    assert sum(not isinstance(it, WireError) for it in found) == 0
    with pytest.raises(WireError, match="expected 8 packed signatures, got damaged bytes"):
        packing.unpack(EIGHT, damaged[0], 8)
    for data, count in ((sound[:-1], 8), (b"", 8), (sound, 0), (sound, packing.MAX_ROWS + 1)):
        with pytest.raises(WireError, match="expected"):
            packing.unpack(EIGHT, data, count)


def test_a_short_message_cannot_stand_for_much_work():
    EIGHT.plain, EIGHT.symbol  # noqa: B018  made once
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(WireError):
        packing.unpack(EIGHT, b"\0\1\0\0", packing.MAX_ROWS)
    took = time.process_time() - began
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert took < 1  # .1 s without the tracing, on a machine of its own


def test_more_than_fits_a_message_is_refused():
    with pytest.raises(InputError, match="expected 1 to 256 signatures of 64 codes"):
        packing.pack(EIGHT, noise(257))


def test_a_file_of_tables_is_checked():
    content = FILE.read_bytes()
    for data in (b"", content[:1000], content[:5000] + bytes(50) + content[5050:]):
        with pytest.raises(ModelError, match="m: expected tables for packing"):
            packing.read_tables(data, "m")


def test_only_the_tables_that_are_asked_for_are_unpacked():
    assert list(TABLES) == [EIGHT.fingerprint, FOUR.fingerprint]
    for tables in (EIGHT, FOUR):
        (only,) = packing.read_tables(FILE.read_bytes(), "m", tables.fingerprint).values()
        assert (only.name, only.fingerprint) == (tables.name, tables.fingerprint)
        assert np.array_equal(only.frequency, tables.frequency)
    assert packing.read_tables(FILE.read_bytes(), "m", bytes(8)) == {}


def test_the_card_names_the_tables():
    assert CARD.text["files"][packing.FILE_NAME]["sha256"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert FILE.stat().st_size < 60_000


def test_tables_that_are_installed_later_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path))
    with np.load(FILE) as stored:
        other = tmp_path / "other.npz"
        np.savez(other, **dict(stored))  # the same tables, not compressed: another name
    name = hashlib.sha256(other.read_bytes()).digest()[:4]
    assert packing.find_tables(CARD.fingerprint, name) is None
    folder = tmp_path / "motion64" / "3-abc"
    folder.mkdir(parents=True)
    (folder / packing.FILE_NAME).write_bytes(b"damaged")
    assert packing.find_tables(CARD.fingerprint, name) is None
    shutil.copy(other, folder / packing.FILE_NAME)
    found = packing.find_tables(CARD.fingerprint, name)
    assert found is not None and found.name == name
    assert packing.find_tables(bytes(8)) is None
