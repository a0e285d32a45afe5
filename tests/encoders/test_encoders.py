"""What every encoder promises, on each device."""

import json
import shutil

import numpy as np
import pytest

from motionsig.blocks import WindowBatch
from motionsig.encoders import open_encoder, shipped_models
from motionsig.errors import EncoderError, InputError, ModelError
from motionsig.model_card import CARD_NAME, MODEL_NAME


@pytest.fixture(scope="module", params=["cpu", "reference"])
def device(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(device):
    return open_encoder(device=device)


def windows(data):
    count = len(data)
    return WindowBatch(np.arange(count, dtype=np.int64) * 1000, data, np.arange(count, dtype=np.uint8) % 2, 1000)


@pytest.mark.parametrize("name", shipped_models())
def test_golden_vectors(name, device):
    encoder = open_encoder(name, device)
    golden = encoder.card.golden()
    made = encoder.encode(windows(golden.windows)).codes
    difference = np.abs(made.astype(int) - golden.codes)
    # The golden codes are the reference kernels', so only the front end's own last bits can move the reference; the
    # tolerance is for a runtime's default kernels, which round otherwise, and differently on other processors.
    assert difference.max() <= (1 if device == "reference" else golden.tolerance)


def test_a_signature_depends_on_its_own_window_alone(encoder, motion):
    data = motion(0, 50, count=70 * 128).reshape(70, 128, 6)
    whole = encoder.encode(windows(data))
    for row in (0, 1, 37, 69):
        assert encoder.encode(windows(data[row : row + 1])).codes.tobytes() == whole.codes[row].tobytes()
    backwards = encoder.encode(windows(data[::-1])).codes[::-1]
    assert backwards.tobytes() == whole.codes.tobytes()


def test_times_and_quality_travel_along(encoder, motion):
    batch = windows(motion(0, 50, count=5 * 128).reshape(5, 128, 6))
    made = encoder.encode(batch)
    assert made.start_ns.tolist() == batch.start_ns.tolist() and made.quality.tolist() == [0, 1, 0, 1, 0]
    assert made.spec == encoder.card.spec and made.codes.shape == (5, encoder.card.dim)
    assert made.motion.shape[1] == encoder.card.motion_dim


def test_no_windows_make_no_signatures(encoder):
    made = encoder.encode(windows(np.empty((0, 128, 6), np.float32)))
    assert made.codes.shape == (0, encoder.card.dim)


def test_motion_stays_when_the_device_is_turned_and_posture_does_not(encoder, motion):
    data = motion(0, 50, count=20 * 128).reshape(20, 128, 6)
    quarter = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    turned = np.concatenate([data[..., :3] @ quarter.T, data[..., 3:] @ quarter.T], axis=-1)
    straight, rotated = encoder.encode(windows(data)), encoder.encode(windows(turned))
    assert np.abs(straight.motion.astype(int) - rotated.motion).max() <= 4
    assert np.abs(straight.posture.astype(int) - rotated.posture).max() > 30


@pytest.mark.parametrize("name", ["tpu", "", "edgetpu:", "edgetpu:usb:", "edgetpu:usb0", "edgetpu:1:usb", "edgetpu:-1"])
def test_a_device_that_is_none_is_refused(name):
    with pytest.raises(InputError, match=rf"device: expected auto, cpu, edgetpu.* or reference, got '{name}'"):
        open_encoder(device=name)


def test_a_closed_encoder_says_so(device):
    with open_encoder(device=device) as encoder:
        assert len(encoder.encode(windows(np.zeros((1, 128, 6), np.float32))))
    encoder.close()
    with pytest.raises(EncoderError, match="expected an open encoder, got one that was closed"):
        encoder.encode(windows(np.zeros((1, 128, 6), np.float32)))


def test_what_is_printed_of_an_encoder_says_what_it_is(device):
    encoder = open_encoder(device=device)
    about = f"motion64 version {encoder.card.version}, {encoder.card.fingerprint.hex()}, on {encoder.device}"
    assert repr(encoder) == f"HostEncoder({about})"
    assert repr(encoder._network).endswith(f"Network({about})")
    encoder.close()
    assert repr(encoder) == f"HostEncoder({about}, closed)"


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped model."""
    return shutil.copytree(shipped_models()["motion64"], tmp_path / "model")


def test_a_damaged_network_is_never_run(model, device):
    content = bytearray((model / MODEL_NAME).read_bytes())
    content[len(content) // 2] ^= 1
    (model / MODEL_NAME).write_bytes(content)
    with pytest.raises(ModelError, match=f"{MODEL_NAME}: expected sha256 "):
        open_encoder(model, device)


@pytest.mark.parametrize(("end", "what"), [("input", r"\[1, 1, 128, 12\]"), ("output", r"\[1, 48\]")])
def test_a_network_that_is_not_the_cards_is_refused(model, device, end, what):
    card = json.loads((model / CARD_NAME).read_text())
    if end == "input":
        card["input"]["scale"] *= 2
    else:
        card["quantization"][0][1] *= 2
    (model / CARD_NAME).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=f"expected {end} int8 {what} with scale .* as in the card, got int8 {what}"):
        open_encoder(model, device)
