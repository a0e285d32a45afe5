"""The Edge TPU's path through real child processes and the real runtime, with the double of its library.

Nothing here has met an Edge TPU: what is proven is what becomes of windows, whatever the library does.
"""

import dataclasses
import logging
import threading

import numpy as np
import pytest
from edgetpu_runs import (
    FAULTS,
    GOLDEN,
    HANGING,
    QUICK,
    WINDOWS,
    bad,
    batch,
    children,
    strict,
)

from motionsig.encoders.edgetpu import Limits
from motionsig.errors import EncoderError
from motionsig.quality import Quality


def test_every_window_is_the_twins_and_flagged(control, model, data, twin):
    with strict(model) as encoder:
        made = encoder.encode(batch(data))
        assert encoder.device.startswith("edgetpu (")
        assert encoder.encode(batch(data[:0])).codes.shape == (0, encoder.card.dim)
    assert made.codes.tobytes() == twin.codes.tobytes()
    assert made.spec == twin.spec  # and so the fingerprint: the two may be compared
    assert (made.quality == twin.quality | Quality.EDGE_TPU).all() and not (twin.quality & Quality.EDGE_TPU).any()
    assert control.counts().answered == GOLDEN + WINDOWS


@pytest.mark.parametrize("which", ["usb", ":0", "usb:0"])
def test_a_certain_one_may_be_asked_for(control, model, data, which):
    with strict(model, which=which) as encoder:
        assert encoder.device.startswith(f"edgetpu:{which.removeprefix(':')} (")
        assert len(encoder.encode(batch(data[:1])))
    with pytest.raises(EncoderError, match="expected one as pci to answer, got none; more: motionsig doctor"):
        strict(model, which="pci")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_edge_tpu_alone_takes_the_window_up_again(control, model, data, twin, caplog, fault):
    control.write(f"{fault} {GOLDEN + 150}")
    with strict(model, HANGING if fault == "hang" else QUICK) as encoder:
        made = encoder.encode(batch(data))
    assert made.codes.tobytes() == twin.codes.tobytes() and (made.quality & Quality.EDGE_TPU).all()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    expected = {
        "err": "it failed on a window: fake_edgetpu",
        "abort": "its process died of signal 6 (Aborted) while running the model; it said: F fake_edgetpu.c: ",
        "hang": "a window took it more than 4 s",
        "segfault": "its process died of signal 11 (Segmentation fault) while running the model",
        "exit": "its process ended with exit code",
    }
    assert warning.startswith(f"Edge TPU: {expected[fault]}") and warning.endswith("; starting it again")
    # What was done before the fault was not done again, and nothing twice.
    counts = control.counts()
    assert counts.answered == 2 * GOLDEN + WINDOWS and counts.creations == 2


@pytest.mark.parametrize("fault", [*FAULTS, "stall"])
def test_many_faults_lose_and_double_nothing(control, model, data, twin, fault):
    control.write("stall every 97 900000" if fault == "stall" else f"{fault} every 97")
    rng, made, row = np.random.default_rng(3), [], 0
    with strict(
        model, Limits(call_s=0.15 if fault in ("hang", "stall") else 30.0, retry_s=0.0, starts=1000)
    ) as encoder:
        while row < WINDOWS:
            count = int(rng.integers(1, 80))
            made.append(encoder.encode(batch(data[row : row + count])).codes)
            row += count
    assert np.concatenate(made).tobytes() == twin.codes.tobytes()
    assert control.counts().creations >= 4


def test_an_edge_tpu_that_never_recovers_is_an_error_and_loses_no_process(control, model, data):
    control.write(f"abort every {GOLDEN + 1}")
    with strict(model, dataclasses.replace(QUICK, starts=3)) as encoder:
        with pytest.raises(EncoderError, match=r"signal 6 \(Aborted\).*; given up after 3 starts within 600 s"):
            encoder.encode(batch(data))
        assert control.counts().creations == 3
        # Nor does asking again help before the time is over.
        with pytest.raises(EncoderError, match="given up after 3 starts"):
            encoder.encode(batch(data[:1]))
    assert not children()


TROUBLES = {
    "none": "libedgetpu.so.1: expected the Edge TPU's library, got: libedgetpu.so.1: cannot open shared object file",
    "junk": "libedgetpu.so.1: expected the Edge TPU's library, got: .*libedgetpu.so.1: (file too short|invalid ELF)",
    "NO_PLUGIN": "expected the Edge TPU's library, got one without a delegate; more: motionsig doctor",
    "OLD_ABI": r"its process died of signal \d+ \(.*\) while preparing the model on the Edge TPU",
    "absent": "expected one to answer, got none; more: motionsig doctor",
    "denied": "expected one to answer, got none; more: motionsig doctor",
    "runtime 10": "cannot prepare the model",
    "abort create": r"its process died of signal 6 \(Aborted\) while opening the Edge TPU with libedgetpu.so.1",
    "hang create": "it was still opening the Edge TPU with libedgetpu.so.1 after 8 s",
    "segfault prepare": r"its process died of signal 11 \(Segmentation fault\) while preparing the model",
    "hang prepare": "it was still preparing the model on the Edge TPU after 8 s",
    "hang 3": "a window took it more than 4 s",
    "wrong every 1": "its codes for the golden windows are off by [0-9]+, where 8 is allowed",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_start_is_one_clear_error(control, model, tmp_path, monkeypatch, trouble):
    bad(tmp_path, control, monkeypatch, trouble)
    with pytest.raises(EncoderError, match=f"^Edge TPU: .*{TROUBLES[trouble]}") as error:
        strict(model, Limits(call_s=4.0, start_s=8.0 if trouble in ("hang create", "hang prepare") else 60.0))
    assert "\n" not in str(error.value) and not children()


def test_threads_share_an_encoder(control, model, data, twin):
    with strict(model) as encoder:
        wrong = []

        def work():
            for first in range(0, WINDOWS, 20):
                made = encoder.encode(batch(data[first : first + 20]))
                wrong.append(made.codes.tobytes() != twin.codes[first : first + 20].tobytes())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(wrong) == 4 * WINDOWS / 20 and not any(wrong)
