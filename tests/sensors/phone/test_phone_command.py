"""`--sensor phone` as a person types it: what is shown, that it records, and that nothing listens afterwards."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from phone_model import G, PhoneModel, flat
from real_time import undisturbed

import motionsig
from motionsig.cli import main
from motionsig.page.certificates import fingerprint


def started(*arguments: str) -> tuple[subprocess.Popen[str], str, str]:
    """Return a command that waits for a phone, the link that it shows, and all that it has said until then."""
    command = [sys.executable, "-m", "motionsig", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said, link = "", ""
    assert process.stderr is not None
    while "Waiting for the phone" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
        link = link or next(iter(re.findall(r"https://\S+", line)), "")
    return process, link, said


@undisturbed
def test_record_shows_the_link_and_what_the_browser_will_warn_of_and_ends_with_no_port(
    tmp_path: Path, state: Path
) -> None:
    log = tmp_path / "phone.msig"
    process, link, said = started("record", "--sensor", "phone", "--seconds", "2", "--out", str(log))
    pairs = fingerprint(state / "page").split(":")
    assert ":".join(pairs[:16]) in said and ":".join(pairs[16:]) in said and "warns once" in said
    assert re.fullmatch(r"https://[0-9a-f.:\[\]]+:\d+/#[A-Za-z0-9_-]{22}", link)
    with PhoneModel(link, motion=lambda t: (flat(t)[0], flat(t)[1] + [0.5, 0, 0])) as phone:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert "samples of phone to" in out
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", phone.address.port), timeout=60)
    with motionsig.open_recording(log) as recording:
        data = np.concatenate([block.data for block in recording])
    assert len(data) > 60 and np.allclose(data.mean(axis=0), [0, 0, G, 0.5, 0, 0], atol=0.05)


def test_an_interrupt_while_it_waits_ends_it_at_once(tmp_path: Path) -> None:
    process, link, _ = started("record", "--sensor", "phone", "--out", str(tmp_path / "phone.msig"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PhoneModel(link).address.port), timeout=60)


def test_calibrate_takes_no_phone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--sensor", "phone"]) == 2
    assert "--sensor: expected a sensor that stays the same, got a phone" in capsys.readouterr().err
