"""Who signed a model: ed25519 by keys that nobody else may change."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motionsig.encoders import signing
from motionsig.errors import MissingExtraError, ModelError

PEM = serialization.Encoding.PEM


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["keys/owner.pem", "keys", "."])
def test_a_key_that_another_user_may_exchange_is_refused(keys, tmp_path, place):
    private, folder = keys
    signature = signing.sign(b"a card", private)
    os.chown(tmp_path / place, 65534, -1)
    with pytest.raises(ModelError, match=r"of root or this user, got one of user 65534, who may .* sudo chown root"):
        signing.signer(b"a card", signature, folder)
    os.chown(tmp_path / place, 0, -1)
    # By another way, in a folder of somebody else's.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "link").symlink_to(folder)
    os.chown(tmp_path / "theirs", 65534, -1)
    with pytest.raises(ModelError, match="theirs: expected a key, and folders above it, of root"):
        signing.signer(b"a card", signature, tmp_path / "theirs" / "link")
    assert signing.signer(b"a card", signature, folder) == folder / "owner.pem"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("theirs", ["between", "between/link", "first"])
def test_a_link_of_another_user_on_the_way_to_a_key_is_refused(keys, tmp_path, theirs):
    """Also one that is neither in the path as given nor in the one where it ends, and one in a folder like /tmp."""
    private = keys[0]
    signature = signing.sign(b"a card", private)
    (tmp_path / "between").mkdir()
    (tmp_path / "between").chmod(0o1777)
    (tmp_path / "between" / "link").symlink_to("../keys")
    (tmp_path / "first").symlink_to(tmp_path / "between" / "link")
    assert signing.signer(b"a card", signature, tmp_path / "first") == tmp_path / "first" / "owner.pem"
    os.chown(tmp_path / theirs, 65534, -1, follow_symlinks=False)
    with pytest.raises(ModelError, match=f"{theirs}: expected a key, and folders above it, of root"):
        signing.signer(b"a card", signature, tmp_path / "first")


def test_links_in_a_circle_are_no_way_to_a_key(keys, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ModelError, match="expected a folder of keys, got: Too many levels"):
        signing.signer(b"a card", signing.sign(b"a card", keys[0]), tmp_path / "a")


def test_a_folder_above_that_others_may_change_is_refused(keys, tmp_path):
    private, folder = keys
    signature = signing.sign(b"a card", private)
    before = tmp_path.stat().st_mode
    tmp_path.chmod(0o777)
    with pytest.raises(ModelError, match="nobody but its owner to change it, got mode 0777"):
        signing.signer(b"a card", signature, folder)
    tmp_path.chmod(0o1777)  # as /tmp, where nobody may move what is another's
    assert signing.signer(b"a card", signature, folder)
    tmp_path.chmod(before)


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
        with pytest.raises(MissingExtraError, match="-m pip install 'cryptography>="):
            call()
