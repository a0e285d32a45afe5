"""A head as files that are sent: the same bytes arrive, and no zip file, however it is made, does more than that."""

import io
import random
import stat
import zipfile

import pytest
from damaged_heads import valid_heads

from motionsig.errors import HeadError
from motionsig.heads.archives import pack, unpack
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, files_of
from motionsig.heads.sending import read_files, zipped

FILES = files_of(valid_heads()[0])
ARRAYS = next(name for name in FILES if name != CARD_NAME)


def made(tmp_path, content):
    (tmp_path / "head.zip").write_bytes(content)
    return tmp_path / "head.zip"


def with_entry(name, content=b"x", *, mode=stat.S_IFREG | 0o644, method=zipfile.ZIP_STORED, files=FILES):
    """Return a zip file with one more entry."""
    file = io.BytesIO(pack(files))
    with zipfile.ZipFile(file, "a") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr, entry.compress_type = mode << 16, method
        archive.writestr(entry, content)
    return file.getvalue()


def test_a_head_comes_out_of_a_zip_file_as_it_went_in(tmp_path):
    files = FILES | {SIGNATURE_NAME: b"AAAA\n"}
    sent = read_files(made(tmp_path, zipped(files)))
    assert sent.files == files and sent.card.fingerprint == valid_heads()[0].fingerprint
    assert zipped(files) == zipped(dict(reversed(files.items())))
    for name, content in files.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "folder" / "notes.txt").write_bytes(b"x")
    assert read_files(tmp_path / "folder").files == files


def test_a_zip_file_of_another_program_will_do(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert read_files(made(tmp_path, file.getvalue())).files == FILES


LINK = stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_entry("../head.json"), r"expected no file of this name, got '\.\./head.json'"),
        (with_entry("/etc/passwd"), "expected no file of this name, got '/etc/passwd'"),
        (with_entry("knock/"), "expected no file of this name, got 'knock/'"),
        (with_entry("knock/head.json"), "expected no file of this name, got 'knock/head.json'"),
        (with_entry("a\x1b[31m"), r"expected no file of this name, got 'a\\x1b\[31m'"),
        (with_entry("HEAD.JSON"), "expected no file of this name"),
        (with_entry("head-0.npz"), "expected no file of this name"),
        (with_entry(SIGNATURE_NAME, b"/etc/passwd", mode=LINK), "expected plain files, got a link or device as head"),
        (with_entry(SIGNATURE_NAME, mode=stat.S_IFCHR), "expected plain files, got a link or device"),
        (with_entry(SIGNATURE_NAME, bytes(2000)), "expected at most 1,024 B as head.json.sig, got more"),
        (with_entry(SIGNATURE_NAME, bytes(50_000_000), method=zipfile.ZIP_DEFLATED), "expected at most 1,024 B"),
        (with_entry(SIGNATURE_NAME, method=zipfile.ZIP_BZIP2), "expected files that are stored or deflated"),
        (with_entry("head-0123456789abcdef.npz"), "expected the files of one head, got head-"),
        (with_entry(CARD_NAME, b"{}", files={ARRAYS: FILES[ARRAYS]}), "expected head_version 1, got None"),
        (pack({ARRAYS: FILES[ARRAYS]}), "head.json: expected a head's file, got none"),
        (pack({CARD_NAME: FILES[CARD_NAME]}), f"{ARRAYS}: expected a head's file, got none"),
        (b"", "expected a zip file with a head, got: File is not a zip file"),
        (b"PK\x05\x06" + bytes(18), "head.json: expected a head's file, got none"),
        (bytes(2 << 20), r"expected a head's file, got: .* bytes, more than"),
    ],
)  # fmt: skip
def test_a_hostile_zip_file_is_refused_in_a_line(content, message, tmp_path):
    with pytest.raises(HeadError, match=message) as refused:
        read_files(made(tmp_path, content))
    assert str(refused.value).isprintable() and list(tmp_path.iterdir()) == [tmp_path / "head.zip"]


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = with_entry(CARD_NAME, FILES[CARD_NAME])
    with pytest.raises(HeadError, match=r"expected each file once, got head.json twice"):
        read_files(made(tmp_path, content))


def test_what_is_encrypted_or_lies_about_its_size_is_refused(tmp_path):
    content = bytearray(pack(FILES))
    central = content.rindex(b"PK\x01\x02")
    content[central + 8] |= 1
    with pytest.raises(HeadError, match="expected files that are stored or deflated"):
        read_files(made(tmp_path, bytes(content)))
    content = bytearray(with_entry(SIGNATURE_NAME, bytes(50_000_000), method=zipfile.ZIP_DEFLATED))
    central = content.rindex(b"PK\x01\x02")
    content[central + 24 : central + 28] = (100).to_bytes(4, "little")
    with pytest.raises(HeadError, match="expected a zip file with a head, got: "):
        read_files(made(tmp_path, bytes(content)))


def test_too_many_entries_are_refused():
    with pytest.raises(ValueError, match="expected at most 16 files, got 17"):
        unpack(pack({str(number): b"" for number in range(17)}), lambda _: 1)


def test_a_damaged_zip_file_is_refused_or_the_same(tmp_path):
    whole, outcomes = zipped(FILES | {SIGNATURE_NAME: b"AAAA\n"}), set()
    for number in range(400):
        random_ = random.Random(number)
        content = bytearray(whole)
        for _ in range(random_.choice((1, 2, 20))):
            # Half of them in the directory at the end, which is what misleads.
            first = random_.choice((0, len(content) - 300))
            content[random_.randrange(first, len(content))] = random_.randrange(256)
        if random_.random() < 0.3:
            del content[random_.randrange(len(content)) :]
        try:
            sent = read_files(made(tmp_path, bytes(content)))
        except HeadError as error:
            assert str(error).isprintable()
            outcomes.add("refused")
        else:
            assert {name: sent.files[name] for name in FILES} == FILES
            outcomes.add("same")
    assert outcomes == {"refused", "same"}


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / SIGNATURE_NAME).symlink_to("/etc/hostname")
    with pytest.raises(HeadError, match=r"head.json.sig: expected a head's file, got: a symbolic link"):
        read_files(tmp_path)
    with pytest.raises(HeadError, match="none: expected a head's file, got: No such file"):
        read_files(tmp_path / "none")
