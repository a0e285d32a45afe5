"""Where heads are: found by name, written in one step, removed with all that they hold."""

import dataclasses
import os
import shutil
import stat
import threading

import pytest
from damaged_heads import valid_heads
from made_heads import head

from motionsig import files, state
from motionsig.errors import HeadError
from motionsig.heads import all_heads, find_head, heads_folder, open_head, owned_heads, remove_head, with_needed
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, HeadCard, files_of, load_head
from motionsig.heads.places import write_files, write_head

ONE, WALKING, _, STILL, NOD = valid_heads()
OTHER = dataclasses.replace(ONE, timing=dataclasses.replace(ONE.timing, on=0.95), taught=WALKING.taught)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    return tmp_path / "heads"


def contents(place):
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_a_head_is_found_by_its_name_and_by_its_folder(folder, tmp_path):
    assert owned_heads() == {} and heads_folder() == folder
    write_head(ONE, folder / "knock")
    write_head(WALKING, tmp_path / "elsewhere")
    assert owned_heads() == {"knock": folder / "knock"}
    assert find_head("knock").fingerprint == ONE.fingerprint
    # A folder may be called anything: by its path a head is that one.
    for given in (tmp_path / "elsewhere", str(tmp_path / "elsewhere")):
        assert find_head(given).fingerprint == WALKING.fingerprint
    assert open_head("knock").card.name == "knock"


@pytest.mark.parametrize("given", ["knok", "", "../knock", "a\0b", "x" * 5000, "/"])
def test_a_head_that_is_not_there_is_refused_with_those_that_are(given, folder):
    write_head(ONE, folder / "knock")
    with pytest.raises(HeadError, match=r"^head: expected one of .*knock.* or a folder with a head.json, got '"):
        find_head(given)


def test_without_any_head_it_is_said(monkeypatch):
    monkeypatch.setattr("motionsig.heads.places.shipped_heads", dict)
    with pytest.raises(HeadError, match="expected one of none, as there is none yet, or a folder"):
        find_head("knock")


def test_a_head_in_a_folder_of_another_name_is_not_found_by_that(folder):
    write_head(ONE, folder / "walking")
    with pytest.raises(HeadError, match=r"walking/head.json: expected the head walking, got one called knock"):
        find_head("walking")


def test_where_heads_are(monkeypatch, tmp_path):
    monkeypatch.delenv("MOTIONSIG_HEADS")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(heads_folder()) == "/var/lib/motionsig-heads"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert heads_folder() == state.state_folder() / "heads"
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert str(heads_folder()) == "/var/lib/motionsig-heads"


def test_all_heads_are_listed_also_where_one_is_damaged(folder):
    for card in (ONE, WALKING):
        write_head(card, folder / card.name)
    (folder / "knock" / CARD_NAME).write_bytes(b"{")
    (folder / "not-a-head").mkdir()
    (folder / "a b").mkdir()
    (folder / "a b" / CARD_NAME).write_bytes(b"{")
    heads = {name: head for name, head in all_heads().items() if name in ("knock", "walking", "a b", "not-a-head")}
    assert list(heads) == ["knock", "walking"] and isinstance(heads["walking"], HeadCard)
    assert "expected JSON" in str(heads["knock"])


def test_what_a_head_needs_comes_along_and_each_once(folder):
    for card in (ONE, STILL):
        write_head(card, folder / card.name)
    assert [card.name for card in with_needed([NOD, ONE, ONE])] == ["nod", "knock", "resting"]
    with pytest.raises(HeadError, match="expected one of each name, got two called 'knock'"):
        with_needed([ONE, OTHER])
    remove_head("resting")
    with pytest.raises(HeadError, match="got 'resting'"):
        with_needed([NOD])


def test_a_head_takes_the_place_of_the_former(folder):
    write_head(ONE, folder / "knock", signature=b"one\n")
    assert contents(folder / "knock") == files_of(ONE) | {SIGNATURE_NAME: b"one\n"}
    write_head(OTHER, folder / "knock")
    assert contents(folder / "knock") == files_of(OTHER)
    for path in (folder / "knock").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_folder_of_somebody_else_is_left_alone(folder, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"x")
    for place in (tmp_path / "photos", tmp_path / "photos" / "me.png"):
        with pytest.raises(
            HeadError, match=r"expected a new folder or that of a head|expected to write a head, got: Not"
        ):
            write_head(ONE, place)
    assert contents(tmp_path / "photos") == {"me.png": b"x"}
    # Also where something lies beside a head: it would be deleted.
    write_head(ONE, folder / "knock")
    (folder / "knock" / "notes.txt").write_bytes(b"x")
    with pytest.raises(HeadError, match="with files in it"):
        write_head(OTHER, folder / "knock")
    assert load_head(folder / "knock").fingerprint == ONE.fingerprint


def test_what_could_not_be_read_again_is_not_written(folder):
    wrong = dataclasses.replace(ONE, hop_ns=0)
    with pytest.raises(HeadError, match="hop_ns: expected 1 up to a week"):
        write_head(wrong, folder / "knock")
    with pytest.raises(HeadError, match=r"head.json: expected a head's file, got none"):
        write_files({}, folder / "knock")
    assert not folder.exists()


class Killed(BaseException):
    """What a kill is in these tests: nothing of the writer runs any more."""


CALLS = ("open", "fsync", "rename", "replace", "unlink", "mkdir", "fchmod", "write")  # a kill closes what is open


def killed_at(monkeypatch, number, error):
    """Have the os call of this number fail, and after a kill all that follow; return the list of calls so far."""
    called = []

    def failing(name, real):
        def call(*arguments, **more):
            called.append(name)
            if len(called) == number or (len(called) > number and error is Killed):
                raise Killed if error is Killed else error(5, "Input/output error")
            return real(*arguments, **more)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, failing(name, getattr(os, name)))
    return called


@pytest.mark.parametrize("error", [Killed, OSError])
@pytest.mark.parametrize("before", [None, ONE], ids=["new", "replaced"])
def test_whenever_it_is_killed_one_whole_head_is_there(folder, error, before):
    place = folder / "knock"
    outcomes = []
    for number in range(1, 200):
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            write_head(before, place)
        else:
            folder.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            called = killed_at(patched, number, error)
            try:
                write_head(OTHER, place)
                failed = False
            except (Killed, HeadError):
                failed = True
        if len(called) < number:
            break
        there = load_head(place).fingerprint if (place / CARD_NAME).exists() else None
        assert there in (before and before.fingerprint, OTHER.fingerprint), (number, called)
        outcomes.append(there == OTHER.fingerprint)
        # The next one that is written cleans up, whatever was left.
        write_head(OTHER, place)
        assert contents(place) == files_of(OTHER), (number, called[-1], failed)
    assert number > 10 and True in outcomes and False in outcomes
    # An error may be of no consequence, as that of making a folder which is there; after a kill nothing follows.
    assert error is OSError or outcomes == sorted(outcomes)


def test_writers_wait_for_each_other(folder):
    place = folder / "knock"
    write_head(ONE, place)

    def write(card):
        for _ in range(20):
            write_head(card, place)

    threads = [threading.Thread(target=write, args=(card,)) for card in (ONE, OTHER)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert load_head(place).fingerprint in (ONE.fingerprint, OTHER.fingerprint)
    for thread in threads:
        thread.join()
    assert load_head(place).name == "knock" and len(contents(place)) == 2


def test_a_head_that_is_removed_leaves_nothing(folder):
    for card in (ONE, WALKING):
        write_head(card, folder / card.name)
    # As a kill left it, during an earlier removal.
    write_head(ONE, folder / ".knock.0badcafe")
    assert remove_head("knock") == folder / "knock"
    assert [path.name for path in folder.iterdir()] == ["walking"]
    for name in ("knock", "../walking", ".", ""):
        with pytest.raises(HeadError, match="head: expected one of walking of yours, got "):
            remove_head(name)


def test_a_disk_that_takes_nothing_is_said(folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", refuse)
    with pytest.raises(HeadError, match=r"knock: expected to write a head, got: No space left on device"):
        write_head(head(), folder / "knock")
