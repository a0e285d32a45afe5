"""What may be done with a head that was taught at the page: pause, rename, remove; and it travels, signed."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from house import until
from visits import go
from watched import PHONE


@pytest.fixture
def taught(house):
    """A head of one performance, as many as a head needs; its folder."""
    house.teach("turn", times=1)
    yield house.folder / "state" / "heads" / "turn"
    house.forget_heads()


def card(tab, name):
    return tab.locator(f"#view-heads article[aria-label={name}]")


def names(house):
    return [head["name"] for head in house.ask("heads") if head["whose"] == "page"]


def test_pause_and_resume(visits, house, taught):
    tab = visits.page("heads", size=PHONE, scheme="dark")
    other = tab.context.new_page()
    other.goto(house.origin + "/#heads")
    card(tab, "turn").get_by_role("button", name="Pause").click()
    for each in (tab, other):
        card(each, "turn").locator(".chip.off", has_text="paused").wait_for()
    go(other, "live")
    told = other.locator("#view-live .rows li", has_text="turn")
    house.hand.rest(3)
    before = told.count()  # what it was taught by may have been told, too
    house.hand.perform()
    house.hand.rest(2.5)
    assert told.count() == before
    card(tab, "turn").get_by_role("button", name="Resume").click()
    card(tab, "turn").get_by_role("button", name="Pause").wait_for()
    house.hand.perform(after_s=1.0)
    told.nth(before).wait_for()


def test_rename_and_remove_with_all_that_it_was_taught_with(visits, house, taught):
    tab = visits.page("heads")
    card(tab, "turn").get_by_role("button", name="Rename").click()
    tab.keyboard.type("walking")
    tab.keyboard.press("Enter")
    card(tab, "turn").locator(".error", has_text="walking").wait_for()
    tab.locator("#name-turn").fill("wave")
    tab.keyboard.press("Enter")
    card(tab, "wave").wait_for()
    assert names(house) == ["wave"] and not taught.exists()
    card(tab, "wave").get_by_role("button", name="Remove").click()
    dialog = tab.locator("dialog")
    assert "must be taught again" in dialog.text_content()
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert names(house) == ["wave"]
    card(tab, "wave").get_by_role("button", name="Remove").click()
    tab.locator("dialog").get_by_role("button", name="Remove").click()
    card(tab, "wave").wait_for(state="detached")
    assert names(house) == []
    assert not [
        path for path in (house.folder / "state" / "heads").rglob("*") if "wave" in path.name or "turn" in path.name
    ]
    # Root's stay as they are, and say so.
    assert not card(tab, "walking").get_by_role("button", name="Remove").count()
    assert "Root configured this head" in card(tab, "walking").text_content()


def test_a_head_travels_signed_and_not_otherwise(visits, house, taught, tmp_path):
    tab = visits.page("heads")
    with tab.expect_download() as download:
        card(tab, "turn").get_by_role("button", name="Export").click()
    sent = tmp_path / "turn.zip"
    download.value.save_as(sent)
    assert "not signed" in tab.locator("#say").text_content()
    house.forget_heads()
    until(lambda: not card(tab, "turn").count(), "the head is gone")
    tab.locator("#import").set_input_files(sent)
    tab.locator("#view-heads .error", has_text="got an unsigned one").wait_for()
    assert names(house) == []
    signed = sign(sent, tmp_path, house.folder / "keys")
    tab.locator("#import").set_input_files(signed)
    card(tab, "turn").wait_for()
    assert "is imported" in tab.locator("#say").text_content()
    house.hand.perform(after_s=1.0)
    go(tab, "live")
    tab.locator("#view-live .rows li", has_text="turn").first.wait_for()


def sign(sent, folder, keys):
    """Sign a head as its owner does, away from the device, who has the public key; return the new file."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (folder / "owner.key").touch(0o600)
    (folder / "owner.key").write_bytes(private)
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    (keys / "owner.pem").write_bytes(public)
    with zipfile.ZipFile(sent) as held:
        held.extractall(folder / "held")
    (head,) = (path.parent for path in (folder / "held").rglob("head.json"))
    command = [sys.executable, "-m", "motionsig", "heads", "sign", str(head), "--key", str(folder / "owner.key")]
    subprocess.run(command, check=True, timeout=60)
    signed = folder / "signed.zip"
    with zipfile.ZipFile(signed, "w") as archive:
        for path in sorted(head.iterdir()):
            archive.write(path, str(path.relative_to(folder / "held")))
    return signed
