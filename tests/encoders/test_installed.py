import hashlib
import json
import os
import resource
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from motionsig.encoders import find_model, installed, installing, shipped_models, signing
from motionsig.errors import MissingExtraError, ModelError
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, load_card

PEM = serialization.Encoding.PEM
SHIPPED = find_model().text


def golden(**arrays):
    content = BytesIO()
    np.savez(content, **{"windows": np.zeros((1, 128, 6), np.float32), "codes": np.zeros((1, 64), np.int8)} | arrays)
    return content.getvalue()


GOLDEN = golden(tolerance=0)


def make(folder, version=1, network=b"a network", **changes):
    """Make a model that is whole but no network, and return its folder."""
    folder.mkdir(parents=True)
    files = {MODEL_NAME: network, GOLDEN_NAME: GOLDEN}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    stated = {name: {"sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file)} for name, file in files.items()}
    text = SHIPPED | {"name": "m", "version": version, "files": stated, "quality": {}, "training": {}} | changes
    (folder / CARD_NAME).write_text(json.dumps(text))
    return folder


def change(folder, **changes):
    card = folder / CARD_NAME
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def install(folder, key="key.pem"):
    return installing.install(installing.read_package([folder]), folder / key, lambda _: None)


def tree(root):
    """Return all that is below a folder, with bytes, targets of links and modes."""
    return {
        path.relative_to(root): (
            os.lstat(path).st_mode,
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in root.rglob("*")
    }


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder of installed models."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_the_current_model_goes_before_the_shipped_one(tmp_path, store):
    name = "motion64"
    shipped = shipped_models()[name]
    assert installed.current(name) is None and installed.names() == [] and find_model(name).path == shipped
    folder = install(make(tmp_path / "a", 2, name=name))
    assert folder == installed.current(name) == store / name / f"2-{load_card(folder).fingerprint.hex()}"
    assert find_model(name).path == find_model().path == folder and find_model(shipped).path == shipped
    assert installed.names() == [name] and installed.previous(name) is None
    assert installing.signed_by(folder) == "key.pem"


def test_a_name_that_only_was_installed_is_found(tmp_path, store):
    folder = install(make(tmp_path / "a"))
    assert find_model("m").path == folder
    with pytest.raises(ModelError, match="expected one of m, motion64 or a folder"):
        find_model("n")


@pytest.mark.parametrize("name", ["../m", ".", "..", "", "m/../m", "m\n", "/", "m\0", ".new-x", "ü"])
def test_a_name_leads_nowhere_else(tmp_path, store, name):
    install(make(tmp_path / "a"))
    assert installed.current(name) is None and installed.previous(name) is None
    with pytest.raises(ModelError, match="no installed model"):
        installing.rollback(name)
    change(tmp_path / "a", name=name)
    with pytest.raises(ModelError, match="name: expected letters"):
        installing.read_package([tmp_path / "a"])


def test_two_are_kept_and_change_places(tmp_path, store):
    first, second, third = (install(make(tmp_path / str(n), n, b"%d" % n)) for n in (1, 2, 3))
    assert installed.current("m") == third and installed.previous("m") == second and not first.exists()
    assert installing.rollback("m") == second
    assert installed.current("m") == second and installed.previous("m") == third
    assert installing.rollback("m") == third == installed.current("m")
    # Nothing but the two, for everybody to read and nobody to write.
    assert {path.name for path in (store / "m").iterdir()} == {"current", "previous", second.name, third.name}
    assert all(mode & 0o777 in (0o755, 0o644, 0o777) for mode, _ in tree(store).values())
    assert not any(mode & 0o022 for mode, content in tree(store).values() if not isinstance(content, str))


def test_going_back_ends_at_the_shipped_model(tmp_path, store):
    folder = install(make(tmp_path / "a", 2, name="motion64"))
    assert installing.rollback("motion64") is None
    assert installed.current("motion64") is None and installed.previous("motion64") == folder
    assert installed.names() == ["motion64"] and find_model().path == shipped_models()["motion64"]
    assert installing.rollback("motion64") == folder == find_model().path and installed.previous("motion64") is None
    # From the shipped one on, what is installed next has that behind it.
    installing.rollback("motion64")
    install(make(tmp_path / "b", 3, b"b", name="motion64"))
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
    assert again.name == f"{second.name}-2" and installed.previous("m") == first and not second.exists()


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
    with pytest.raises(ModelError, match="expected another version than 1, which the shipped model"):
        install(make(tmp_path / "g", 1, name="motion64"))


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
    assert other.name == f"{folder.name}-2" and installed.previous("m") == folder
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
    assert install(tmp_path / "b") == installed.current("m")


def test_a_full_disk_changes_nothing(tmp_path, store):
    install(make(tmp_path / "a"))
    package, before = installing.read_package([make(tmp_path / "b", 2, b"b" * 5000)]), tree(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 10, len(package.files[CARD_NAME]), 4999):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            with pytest.raises(ModelError, match="expected to install a model there, got: File too large"):
                installing.install(package, None, lambda _: None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert tree(store) == before
    install(tmp_path / "b")


KILLED = """
import os, shutil, signal, sys
from itertools import count
from pathlib import Path
from motionsig.encoders import installed, installing

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
    before = installed.current("m"), installed.previous("m")
    killed = killed_at(point)
    now = installing.read_package([installed.current("m")]).card.version
    assert now in ((2, 3) if sys.argv[3] == "install" else (2, 1)), now
    if installed.previous("m"):
        installing.read_package([installed.previous("m")])
    if not killed:
        break
    installing.install(package, new, lambda _: None)
    versions = [installing.read_package([which("m")]).card.version for which in (installed.current, installed.previous)]
    assert versions[0] == 3 and versions[1] in (2, now), versions
    assert len(list((root / "m").iterdir())) == 4 and [path.name for path in root.iterdir()] == ["m"]
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
    folder = install(make(tmp_path / "a", name="motion64", version=2))
    (store / "motion64" / "previous").symlink_to(folder.name)
    assert installed.previous("motion64") is None
    with pytest.raises(ModelError, match="no previous model"):
        installing.rollback("motion64")


def test_what_is_no_link_is_said(tmp_path, store):
    install(make(tmp_path / "a"))
    (store / "m" / "current").unlink()
    (store / "m" / "current").mkdir()
    with pytest.raises(ModelError, match="expected a link to an installed model, got: Invalid argument"):
        installed.current("m")
    (store / "m" / "current").rmdir()
    (store / "m" / "current").symlink_to("elsewhere")
    with pytest.raises(ModelError, match="expected a folder VERSION-FINGERPRINT, got 'elsewhere'"):
        install(tmp_path / "a")


def test_the_files_of_a_model_may_be_given_one_by_one(tmp_path):
    folder = make(tmp_path / "a")
    (folder / "README.md").write_text("not the card's")
    files = installing.read_package([folder]).files
    assert list(files) == [CARD_NAME, MODEL_NAME, GOLDEN_NAME]
    assert files == installing.read_package([folder / name for name in files]).files
    with pytest.raises(ModelError, match=r"README.md: expected a file that card.json names"):
        installing.read_package(list(folder.iterdir()))
    with pytest.raises(ModelError, match="two of the same name"):
        installing.read_package([folder / CARD_NAME, make(tmp_path / "b") / CARD_NAME])
    for names, missing in (([CARD_NAME, MODEL_NAME], GOLDEN_NAME), ([CARD_NAME, GOLDEN_NAME], MODEL_NAME)):
        with pytest.raises(ModelError, match=f"{missing} is missing, beside card.json or in it"):
            installing.read_package([folder / name for name in names])
    with pytest.raises(ModelError, match=r"expected card.json among the files, got m.tar"):
        installing.read_package([tmp_path / "m.tar"])


def test_a_compiled_file_that_the_card_names_is_needed(tmp_path):
    compiled = {"file": "m_edgetpu.tflite", "compiler": "16.0", "min_runtime": 14}
    folder = make(tmp_path / "a", compiled=compiled)
    files = json.loads((folder / CARD_NAME).read_text())["files"]
    change(folder, files=files | {"m_edgetpu.tflite": {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}})
    with pytest.raises(ModelError, match=r"m_edgetpu.tflite is missing"):
        installing.read_package([folder])
    (folder / "m_edgetpu.tflite").write_bytes(b"x")
    assert "m_edgetpu.tflite" in installing.read_package([folder]).files


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        (MODEL_NAME, b"b network", "expected sha256 .* as in card.json, got"),
        (MODEL_NAME, b"a networ", "expected 9 B as in card.json, got 8"),
        (MODEL_NAME, b"a network ", "expected at most 9 B, got 10"),
        (GOLDEN_NAME, GOLDEN[:-1], r"expected [\d,]+ B as in card.json"),
        (CARD_NAME, b"", "expected JSON"),
        (CARD_NAME, b"[" * 100_000, "expected JSON, got: maximum recursion"),
        (CARD_NAME, b"[]", "expected a JSON object"),
        (CARD_NAME, b'{"card_version": 1}', "expected the keys"),
    ],
)
def test_other_files_than_the_card_says_are_refused(tmp_path, file, content, what):
    folder = make(tmp_path / "a")
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=what):
        installing.read_package([folder])


@pytest.mark.parametrize("name", [CARD_NAME, MODEL_NAME, GOLDEN_NAME, signing.SIGNATURE_NAME])
def test_what_is_no_file_is_refused_at_once(tmp_path, name):
    folder = make(tmp_path / "a")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match="got a folder, pipe or device"):
        installing.read_package([folder])
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name}: expected a file, got: a symbolic link"):
        installing.read_package([folder])
    (folder / name).unlink()
    with open(folder / name, "wb") as sparse:
        sparse.truncate(1 << 30)
    with pytest.raises(ModelError, match=r"expected at most .* B, got 1,073,741,824"):
        installing.read_package([folder])


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"../x": {}}, "expected names of files .* got '../x'"),
        ({"/etc/shadow": {}}, "expected names of files"),
        ({"a\x1b[2J": {}}, r"got 'a\\x1b\[2J'"),
        ({"installed.json": {}}, "expected names of files beside"),
        ({"card.json": {}}, "expected names of files beside"),
        ({"x": 1}, "files.x.bytes: expected 1 to 67108864, got None"),
        ({"x": {"bytes": 1 << 30, "sha256": "0" * 64}}, "files.x.bytes: expected 1 to 67108864"),
        ({"x": {"bytes": True, "sha256": "0" * 64}}, "files.x.bytes: expected"),
        ({"x": {"bytes": 1, "sha256": "\x1b[2J"}}, r"expected 64 hexadecimal digits, got '\\x1b\[2J'"),
    ],
)
def test_what_can_be_no_file_of_a_model_is_refused(tmp_path, files, what):
    folder = make(tmp_path / "a")
    change(folder, files=json.loads((folder / CARD_NAME).read_text())["files"] | files)
    with pytest.raises(ModelError, match=what):
        installing.read_package([folder])


def test_what_a_card_says_steers_no_terminal(tmp_path):
    for changes in ({"units": "\x1b[2J"}, {"input": SHIPPED["input"] | {"shape": "\x1b[2J"}}, {"name": "\x1b[2J"}):
        with pytest.raises(ModelError) as caught:
            installing.read_package([make(tmp_path / next(iter(changes)), **changes)])
        assert str(caught.value).isprintable()


def with_golden(folder, content):
    (folder / GOLDEN_NAME).write_bytes(content)
    files = json.loads((folder / CARD_NAME).read_text())["files"]
    files[GOLDEN_NAME] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(folder, files=files)
    return folder


def test_golden_windows_that_fill_the_memory_are_refused(tmp_path):
    content = BytesIO()
    np.savez_compressed(content, windows=np.zeros(65 << 20, np.int8))
    with pytest.raises(ModelError, match=r"golden.npz: expected at most 67,108,864 B unpacked, got 68,"):
        installing.read_package([with_golden(make(tmp_path / "a"), content.getvalue())])


@given(st.integers(0, len(GOLDEN) - 1), st.integers(1, 255), st.booleans())
def test_damaged_golden_windows_are_taken_or_refused(tmp_path_factory, place, flip, cut):
    content = bytearray(GOLDEN)
    content[place] ^= flip
    folder = with_golden(make(tmp_path_factory.mktemp("a") / "m"), bytes(content[: place + 1] if cut else content))
    try:
        installing.read_package([folder])
    except ModelError as error:
        assert GOLDEN_NAME in str(error)


# Who signed it


@pytest.fixture
def keys(tmp_path):
    """A private key that its owner alone can read, and a folder with its public key."""
    private, folder = Ed25519PrivateKey.generate(), tmp_path / "keys"
    folder.mkdir(0o755)
    write_private(tmp_path / "private.pem", private)
    write_public(folder / "owner.pem", private)
    return tmp_path / "private.pem", folder


def write_private(file, key, encryption=None):
    encryption = encryption or serialization.NoEncryption()
    file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    file.chmod(0o600)
    return file


def write_public(file, key):
    file.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    file.chmod(0o644)


def test_a_signature_names_the_key_that_made_it(keys):
    private, folder = keys
    write_public(folder / "another.pem", Ed25519PrivateKey.generate())
    (folder / "README").write_text("no key")
    signature = signing.sign(b"a card", private)
    assert len(signature) == 89 and signing.signer(b"a card", signature, folder) == folder / "owner.pem"
    with pytest.raises(ModelError, match=r"expected a signature of this very card by .*another.pem or .*owner.pem"):
        signing.signer(b"A card", signature, folder)
    (folder / "owner.pem").unlink()
    with pytest.raises(ModelError, match="or somebody else signed it"):
        signing.signer(b"a card", signature, folder)


# RFC 8032, section 7.1, test 3.
RFC_KEY = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
RFC_SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def test_a_signature_is_the_base64_of_what_rfc_8032_says(tmp_path):
    private = write_private(tmp_path / "k.pem", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_KEY)))
    text = subprocess.run(["base64", "-w0"], input=bytes.fromhex(RFC_SIGNATURE), capture_output=True).stdout
    assert signing.sign(bytes.fromhex("af82"), private) == text + b"\n"


@pytest.mark.parametrize("signature", [b"", b"\n", b"junk!", b"AAAA", b"A" * 88, b"\xff" * 88, b"AA\nAA", b"="])
def test_what_is_no_signature_is_refused(keys, signature):
    with pytest.raises(ModelError, match=r"card.json.sig: expected"):
        signing.signer(b"a card", signature, keys[1])


def test_without_a_key_nothing_is_believed(keys, tmp_path):
    signature = signing.sign(b"a card", keys[0])
    (tmp_path / "none").mkdir(0o755)
    for folder in (tmp_path / "none", tmp_path / "missing"):
        with pytest.raises(
            ModelError, match=r"expected the public keys .* got none; sudo cp PUBLIC.pem .*/, which openssl pkey"
        ):
            signing.signer(b"a card", signature, folder)
    with pytest.raises(ModelError, match="expected a folder of keys, got: Not a directory"):
        signing.signer(b"a card", signature, keys[0])


def test_a_key_that_others_may_change_is_refused(keys):
    private, folder = keys
    signature = signing.sign(b"a card", private)
    for path, mode in ((folder / "owner.pem", 0o664), (folder / "owner.pem", 0o646), (folder, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(
            ModelError, match=f"nobody but its owner to change it, got mode 0{mode:o}; sudo chmod go-w "
        ):
            signing.signer(b"a card", signature, folder)
        path.chmod(before)
    assert signing.signer(b"a card", signature, folder)


def test_what_is_no_public_key_is_said(keys):
    private, folder = keys
    signature = signing.sign(b"a card", private)
    other = folder / "a.pem"
    for content in (b"junk", private.read_bytes(), b""):
        other.write_bytes(content)
        other.chmod(0o644)
        with pytest.raises(ModelError, match=r"a.pem: expected a public key in PEM"):
            signing.signer(b"a card", signature, folder)
    write_public(other, generate_private_key(SECP256R1()))
    with pytest.raises(ModelError, match=r"a.pem: expected an ed25519 key, got _?E"):
        signing.signer(b"a card", signature, folder)


def test_a_private_key_that_is_not_private_is_refused(keys, tmp_path):
    private = keys[0]
    for mode in (0o640, 0o604, 0o644):
        private.chmod(mode)
        with pytest.raises(
            ModelError, match=f"nobody but its owner to read or change it, got mode 0{mode:o}; chmod go= "
        ):
            signing.sign(b"a card", private)
    private.chmod(0o400)
    signing.sign(b"a card", private)
    locked = serialization.BestAvailableEncryption(b"word")
    with pytest.raises(ModelError, match="expected an unencrypted private key"):
        signing.sign(b"a card", write_private(tmp_path / "locked.pem", Ed25519PrivateKey.generate(), locked))
    with pytest.raises(ModelError, match=r"expected an ed25519 key, got _?E"):
        signing.sign(b"a card", write_private(tmp_path / "ec.pem", generate_private_key(SECP256R1())))
    with pytest.raises(ModelError, match="expected a file, got: No such file"):
        signing.sign(b"a card", tmp_path / "missing.pem")


def test_signatures_need_the_extra(keys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: signing.sign(b"", keys[0]), lambda: signing.signer(b"", b"", keys[1])):
        with pytest.raises(MissingExtraError, match=r"motionsig\[signing\]"):
            call()
