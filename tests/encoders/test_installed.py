"""Installing models and going back: whatever is cut off, a whole model is the current one."""

import json
import os
import re
import resource
import subprocess
import sys

import pytest
from made_packages import change, install, make, tree

from motionsig.encoders import find_model, installing, models, shipped_models
from motionsig.errors import ModelError
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, load_card

SHIPPED = load_card(shipped_models()["motion64"]).version


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder of installed models."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_the_current_model_goes_before_the_shipped_one(tmp_path, store):
    name = "motion64"
    shipped = shipped_models()[name]
    assert models.current(name) is None and models.installed_names() == [] and find_model(name).path == shipped
    folder = install(make(tmp_path / "a", SHIPPED + 1, name=name))
    assert folder == models.current(name) == store / name / f"{SHIPPED + 1}-{load_card(folder).fingerprint.hex()}"
    assert find_model(name).path == find_model().path == folder and find_model(shipped).path == shipped
    assert models.installed_names() == [name] and models.previous(name) is None
    assert installing.signed_by(folder) == "key.pem"


def test_a_name_that_only_was_installed_is_found(tmp_path, store):
    folder = install(make(tmp_path / "a"))
    assert find_model("m").path == folder
    with pytest.raises(ModelError, match="expected one of m, motion64 or a folder"):
        find_model("n")


@pytest.mark.parametrize("name", ["../m", ".", "..", "", "m/../m", "m\n", "/", "m\0", ".new-x", "ü"])
def test_a_name_leads_nowhere_else(tmp_path, store, name):
    install(make(tmp_path / "a"))
    assert models.current(name) is None and models.previous(name) is None
    with pytest.raises(ModelError, match=r"no installed model .*; `motionsig models` lists those that are there$"):
        installing.rollback(name)
    change(tmp_path / "a", name=name)
    with pytest.raises(ModelError, match=r"name: expected (letters|printable text)"):
        installing.read_package([tmp_path / "a"])


def test_two_are_kept_and_change_places(tmp_path, store):
    first, second, third = (install(make(tmp_path / str(n), n, b"%d" % n)) for n in (1, 2, 3))
    assert models.current("m") == third and models.previous("m") == second and not first.exists()
    assert installing.rollback("m") == second
    assert models.current("m") == second and models.previous("m") == third
    assert installing.rollback("m") == third == models.current("m")
    # Nothing but the two, for everybody to read and nobody to write.
    assert {path.name for path in (store / "m").iterdir()} == {
        "current",
        "previous",
        "highest",
        second.name,
        third.name,
    }
    assert all(mode & 0o777 in (0o755, 0o644, 0o777) for mode, _ in tree(store).values())
    assert not any(mode & 0o022 for mode, content in tree(store).values() if not isinstance(content, str))


def test_going_back_ends_at_the_shipped_model(tmp_path, store):
    folder = install(make(tmp_path / "a", SHIPPED + 1, name="motion64"))
    assert installing.rollback("motion64") is None
    assert models.current("motion64") is None and models.previous("motion64") == folder
    assert models.installed_names() == ["motion64"] and find_model().path == shipped_models()["motion64"]
    assert installing.rollback("motion64") == folder == find_model().path and models.previous("motion64") is None
    # From the shipped one on, what is installed next has that behind it.
    installing.rollback("motion64")
    install(make(tmp_path / "b", SHIPPED + 2, b"b", name="motion64"))
    assert not folder.exists() and installing.rollback("motion64") is None
    with pytest.raises(ModelError, match="expected a previous or a shipped model, got neither"):
        install(make(tmp_path / "c")) and installing.rollback("m")


def test_there_is_no_going_back_to_a_damaged_one(tmp_path, store):
    first, second = (install(make(tmp_path / str(n), n, b"%d" % n)) for n in (1, 2))
    (first / MODEL_NAME).write_bytes(b"x")
    before = tree(store)
    with pytest.raises(ModelError, match="expected sha256"):
        installing.rollback("m")
    assert tree(store) == before
    # The current one damaged, and installed again: what was behind it stays there.
    (first / MODEL_NAME).write_bytes(b"1")
    (second / MODEL_NAME).write_bytes(b"y")
    again = install(tmp_path / "2")
    assert again.name == f"{second.name}-2" and models.previous("m") == first and not second.exists()


def test_versions_only_rise(tmp_path, store):
    install(make(tmp_path / "a", 5))
    with pytest.raises(
        ModelError, match=r"expected version 5 of m or a later one, as the current .* got 4; .*rollback"
    ):
        install(make(tmp_path / "b", 4, b"b"))
    with pytest.raises(ModelError, match="expected another version than 5, which the current model"):
        install(make(tmp_path / "c", 5, b"c"))
    install(make(tmp_path / "d", 6, b"d"))
    installing.rollback("m")
    with pytest.raises(ModelError, match="expected another version than 6, which the previous model"):
        install(make(tmp_path / "e", 6, b"e"))
    install(tmp_path / "d")
    with pytest.raises(ModelError, match="as the shipped model has it, got 0"):
        install(make(tmp_path / "f", 0, name="motion64"))
    with pytest.raises(ModelError, match=f"expected another version than {SHIPPED}, which the shipped model"):
        install(make(tmp_path / "g", SHIPPED, name="motion64"))


def test_a_lower_version_is_not_taken_after_a_rollback_either(tmp_path, store):
    for version in (4, 9):
        install(make(tmp_path / str(version), version, b"%d" % version))
    installing.rollback("m")
    assert models.current("m").name.startswith("4-")
    with pytest.raises(ModelError, match=r"expected version 9 of m or a later one, as the previous model .* --lower"):
        install(make(tmp_path / "5", 5, b"5"))
    # Nor when the highest one is installed no longer.
    lower = installing.read_package([tmp_path / "5"])
    installing.install(lower, None, lambda _: None, take_lower=True)
    installing.install(installing.read_package([make(tmp_path / "6", 6, b"6")]), None, lambda _: None, take_lower=True)
    assert not any(path.name.startswith("9-") for path in (store / "m").iterdir())
    with pytest.raises(ModelError, match="expected version 9 of m or a later one, as the highest model"):
        install(make(tmp_path / "7", 7, b"7"))
    with pytest.raises(ModelError, match="expected another version than 9, which the highest model"):
        install(make(tmp_path / "9b", 9, b"another"))
    assert install(tmp_path / "9").name.startswith("9-")


def test_a_lower_version_is_not_taken_behind_the_shipped_model(tmp_path, store):
    install(make(tmp_path / "a", SHIPPED + 5, name="motion64"))
    assert installing.rollback("motion64") is None
    with pytest.raises(ModelError, match=f"expected version {SHIPPED + 5} of motion64"):
        install(make(tmp_path / "b", SHIPPED + 4, b"b", name="motion64"))


def test_a_card_without_a_version_counts_as_0(tmp_path, store):
    folder = make(tmp_path / "a")
    text = json.loads((folder / CARD_NAME).read_text())
    del text["version"]
    (folder / CARD_NAME).write_text(json.dumps(text))
    assert install(folder).name.startswith("0-")
    for version in (-1, True, "2", 1.5, None, 10**9):
        change(folder, version=version)
        with pytest.raises(ModelError, match="version: expected a whole number"):
            install(folder)


def test_the_same_again_changes_nothing_but_the_time(tmp_path, store):
    folder = install(make(tmp_path / "a"))
    before, changed_ns = tree(store), folder.stat().st_ctime_ns
    assert install(tmp_path / "a") == folder and tree(store) == before and folder.stat().st_ctime_ns > changed_ns
    # The same network with other words, or other words about who signed it, is a model of its own.
    change(tmp_path / "a", limits=["none"])
    other = install(tmp_path / "a")
    assert other.name == f"{folder.name}-2" and models.previous("m") == folder
    assert install(tmp_path / "a", "other.pem").name == folder.name + "-3"


def test_a_model_that_fails_its_trial_changes_nothing(tmp_path, store):
    install(make(tmp_path / "a"))
    before, seen = tree(store), []

    def fail(folder):
        seen.append(installing.read_package([folder]).card.version)
        raise ModelError("it does not work")

    with pytest.raises(ModelError, match="does not work"):
        installing.install(installing.read_package([make(tmp_path / "b", 2)]), None, fail)
    assert seen == [2] and tree(store) == before


def test_a_second_installation_at_the_same_time_is_refused(tmp_path, store):
    make(tmp_path / "b", 2)

    def meanwhile(_):
        with pytest.raises(ModelError, match="got another installation at work"):
            install(tmp_path / "b")

    installing.install(installing.read_package([make(tmp_path / "a")]), None, meanwhile)
    assert install(tmp_path / "b") == models.current("m")


def test_a_full_disk_changes_nothing(tmp_path, store):
    install(make(tmp_path / "a"))
    network = b"b" * 50_000
    package, before = installing.read_package([make(tmp_path / "b", 2, network)]), tree(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert len(package.files[CARD_NAME]) < len(network)
    for room in (0, 10, len(package.files[CARD_NAME]), len(network) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(ModelError, match="expected to install a model there, got: File too large"):
                installing.install(package, None, lambda _: None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert tree(store) == before
    install(tmp_path / "b")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """What reached the disk and what got its name, in order; what is not yet installed is called NEW."""
    happened = []

    def named(path):
        return re.sub(r"\.new-\w+", "NEW", os.path.relpath(path, tmp_path))

    def watch(name, describe):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given: (happened.append(f"{name} {describe(*given)}"), real(*given))[1])

    watch("fsync", lambda descriptor: named(os.readlink(f"/proc/self/fd/{descriptor}")))
    watch("rename", lambda old, new: f"{named(old)} {named(new)}")
    watch("replace", lambda old, new: named(new))
    return happened


def test_a_power_cut_leaves_a_model_whole_or_not_there(tmp_path, store, disk):
    """Files are on the disk before their folder has its name, and that before a link leads to it."""
    (first, second) = (install(make(tmp_path / str(number), number, b"%d" % number)) for number in (1, 2))
    files = [f"fsync store/NEW/{name}" for name in (CARD_NAME, MODEL_NAME, GOLDEN_NAME, installing.NOTE_NAME)]
    placed = ["fsync store/m", "fsync store"]
    linked = ["replace store/m/highest", "replace store/m/current", "fsync store/m"]
    expected = ["fsync .", *files, "fsync store/NEW", f"rename store/NEW store/m/{first.name}", *placed, *linked]
    assert disk[: len(expected)] == expected
    again = [*files, "fsync store/NEW", f"rename store/NEW store/m/{second.name}", *placed]
    assert disk[len(expected) :] == [*again, "replace store/m/previous", *linked]


def test_a_rollback_survives_a_power_cut(tmp_path, store, disk):
    for number in (1, 2):
        install(make(tmp_path / str(number), number, b"%d" % number))
    disk.clear()
    installing.rollback("m")
    assert disk == ["replace store/m/current", "replace store/m/previous", "fsync store/m"]


KILLED = """
import os, shutil, signal, sys
from itertools import count
from pathlib import Path
from motionsig.encoders import models, installing

os.fsync = lambda descriptor: None  # a kill is no power cut, and this is 70 installations
root, base, new = Path(os.environ["MOTIONSIG_MODELS"]), Path(sys.argv[1]), Path(sys.argv[2])
package = installing.read_package([new])

def act():
    if sys.argv[3] == "install":
        installing.install(package, new, lambda _: None)
    else:
        installing.rollback("m")

def killed_at(point):
    left = [point]
    def hook(event, arguments):
        if event == "open" or event.partition(".")[0] in ("os", "shutil", "tempfile", "fcntl"):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if not child:
        sys.addaudithook(hook)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

for point in count(1):
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root, symlinks=True)
    before = models.current("m"), models.previous("m")
    killed = killed_at(point)
    now = installing.read_package([models.current("m")]).card.version
    assert now in ((2, 3) if sys.argv[3] == "install" else (2, 1)), now
    if models.previous("m"):
        installing.read_package([models.previous("m")])
    if not killed:
        break
    installing.install(package, new, lambda _: None)
    versions = [installing.read_package([which("m")]).card.version for which in (models.current, models.previous)]
    assert versions[0] == 3 and versions[1] in (2, now), versions
    assert len(list((root / "m").iterdir())) == 5 and [path.name for path in root.iterdir()] == ["m"]
print(point)
"""


@pytest.mark.parametrize(("what", "least"), [("install", 40), ("rollback", 10)])
def test_killed_at_any_moment_a_whole_model_is_current_and_a_second_try_works(tmp_path, store, what, least):
    for version in (1, 2):
        install(make(tmp_path / str(version), version, b"%d" % version))
    store.rename(tmp_path / "base")
    arguments = [tmp_path / "base", make(tmp_path / "3", 3, b"3"), what]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > least


def test_cut_off_between_two_links_there_is_nothing_to_go_back_to(tmp_path, store):
    folder = install(make(tmp_path / "a", name="motion64", version=SHIPPED + 1))
    (store / "motion64" / "previous").symlink_to(folder.name)
    assert models.previous("motion64") is None
    with pytest.raises(ModelError, match="no previous model"):
        installing.rollback("motion64")


def test_what_is_no_link_is_said(tmp_path, store):
    install(make(tmp_path / "a"))
    (store / "m" / "current").unlink()
    (store / "m" / "current").mkdir()
    with pytest.raises(ModelError, match="expected a link to an installed model, got: Invalid argument"):
        models.current("m")
    (store / "m" / "current").rmdir()
    (store / "m" / "current").symlink_to("elsewhere")
    with pytest.raises(ModelError, match="expected a folder VERSION-FINGERPRINT, got 'elsewhere'"):
        install(tmp_path / "a")
