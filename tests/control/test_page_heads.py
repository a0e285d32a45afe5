"""Heads that are taught at the page, on a disk that is full or damaged, and over a kill in the middle of a change."""

import errno
import json

import pytest
from made_heads import by_rest

from motionsig.control import page_heads
from motionsig.control.asking import FAILED, HEAD, AskError
from motionsig.control.judged import switched_on
from motionsig.control.room import Control
from motionsig.encoders import find_model
from motionsig.heads import load_head, owned_heads, shipped_heads
from motionsig.heads.places import named_head
from motionsig.state import state_folder


@pytest.fixture
def place(tmp_path):
    return tmp_path / "heads"


@pytest.fixture
def control(place):
    return Control(heads_folder=place)


def save(control, *names):
    for name in names:
        page_heads.save(control, by_rest(name, encoder=find_model("motion64").fingerprint))


def ask(control, name, /, **parameters):
    return control.ask({"ask": name, "request": f"{name}1", **parameters})


def refused(control, name, /, **parameters):
    with pytest.raises(AskError) as error:
        ask(control, name, **parameters)
    return error.value


@pytest.mark.parametrize("name", ["page", "answered", "head"])
def test_a_head_may_be_called_as_a_file_beside_it(control, place, name):
    save(control, "moving", name)
    ask(control, "pause", head="moving", paused=False)
    assert ask(control, "remove", head=name) == name
    assert sorted(path.name for path in place.iterdir()) == [".answered.json", ".page.json", "moving"]


def test_a_rename_that_was_killed_has_one_head_judge_and_can_be_done_again(control, place, monkeypatch):
    save(control, "moving")
    for step in ("hand_over", "_remove"):

        def die(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(page_heads, step, die)
            ask(control, "rename", head="moving", name="carried")
        assert len(switched_on(place)) == 1 and switched_on(place)[0] in owned_heads(place)
    assert ask(Control(heads_folder=place), "rename", head="moving", name="carried")["name"] == "carried"
    assert (list(owned_heads(place)), switched_on(place)) == (["carried"], ["carried"])


def test_a_rename_takes_no_other_heads_name_also_where_that_is_alike(control, place):
    save(control, "moving", "carried")
    (place / "carried" / "head.json").write_bytes((place / "moving" / "head.json").read_bytes())
    for name in ("carried", "moving"):
        assert refused(control, "rename", head="moving", name=name).kind == HEAD
    assert load_head(place / "moving").name == "moving"


def test_a_rename_without_room_on_the_disk_changes_nothing(control, place, monkeypatch):
    save(control, "moving")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(page_heads, "hand_over", full)
        assert "No space left" in str(refused(control, "rename", head="moving", name="carried"))
    assert (list(owned_heads(place)), switched_on(place)) == (["moving"], ["moving"])
    with monkeypatch.context() as disk:
        disk.setattr(page_heads, "switch", full)
        # It is gone, and so it is said.
        assert ask(control, "remove", head="moving") == "moving"


def test_settings_that_cannot_be_read_at_present_are_not_written_anew(control, place):
    save(control, "moving", "carried")
    settings = place / ".page.json"
    settings.rename(place / "elsewhere")
    settings.symlink_to("elsewhere")
    assert refused(control, "pause", head="moving", paused=False).kind == FAILED
    settings.unlink()
    (place / "elsewhere").rename(settings)
    assert switched_on(place) == ["moving", "carried"]


def test_an_ask_about_one_head_reads_that_one_alone_and_all_are_read_once(control, place, monkeypatch):
    save(control, "moving", "carried", "swung")
    read = []

    def reading(folder):
        read.append(folder.name)
        return named_head(folder)

    monkeypatch.setattr(page_heads, "named_head", reading)

    def reads(what, /, **parameters):
        read.clear()
        ask(control, what, **parameters)
        return read

    assert reads("pause", head="moving", paused=True) == ["moving"]
    # Nothing of another one is read but whether it needs this one; and the new one as it is then.
    assert sorted(set(reads("rename", head="moving", name="shaken")) - {*shipped_heads()}) == [
        "carried", "moving", "shaken", "swung"
    ]  # fmt: skip
    assert len(read) == len(set(read))
    assert reads("remove", head="shaken") == ["shaken"]
    read.clear()
    shown = control.ask({"ask": "heads"})
    assert sorted(read) == sorted(head["name"] for head in shown)


def test_what_a_kill_left_goes_with_the_next_start(control, place):
    save(control, "moving")
    left = [place / ".gone.0123abcd", place / "..page.json.0123abcd", state_folder() / ".lesson.json.0123abcd"]
    left[0].mkdir()
    (left[0] / "head.json").write_text("examples")
    left[2].parent.mkdir(parents=True)
    for path in left[1:]:
        path.write_text("{}")
    (place / ".mine").write_text("")
    control.resume()
    assert not any(path.exists() for path in left) and (place / ".mine").exists()
    assert json.loads((place / ".page.json").read_text()) == {"on": ["moving"]}
