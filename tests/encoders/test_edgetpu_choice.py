"""Edge TPU or CPU: measured, remembered, measured again where the conditions are others."""

import json
import os
import platform
from datetime import date

import pytest
from edgetpu_runs import (
    GOLDEN,
    LazyCpu,
    auto,
    batch,
    children,
    plug,
    strict,
    unplug,
)

from motionsig.encoders.edgetpu import AutoNetwork, Limits, choice
from motionsig.encoders.edgetpu.choice import Choice
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.host import HostEncoder
from motionsig.errors import EncoderError
from motionsig.model_card import load_card
from motionsig.quality import Quality


def test_auto_measures_both_and_remembers(control, model, root, tmp_path, data):
    card = load_card(model)
    with HostEncoder(card, AutoNetwork(card, LazyCpu(card), root=root)) as encoder:
        words = encoder.device
        assert words.startswith("edgetpu (") and " us a window on edgetpu, " in words and " x, measured 20" in words
        assert (encoder.encode(batch(data[:5])).quality & Quality.EDGE_TPU).all()
    measured = control.counts().calls
    with HostEncoder(card, AutoNetwork(card, LazyCpu(card), root=root)) as encoder:
        assert encoder.device == words
    assert control.counts().calls == measured + GOLDEN  # The golden windows, and no more: nothing was measured.
    kept = json.loads((tmp_path / "state/devices" / f"{card.name}.json").read_text())["choice"]
    assert kept["edgetpu_us"] < kept["cpu_us"] >= 3000 and date.fromisoformat(kept["date"])


def test_auto_stays_on_the_cpu_where_that_is_faster(control, model, root, data, twin):
    control.write("slow 2000")
    with auto(model, root) as encoder:
        words = encoder.device
        assert words.startswith("cpu (") and " us a window on cpu, " in words and " on edgetpu: " in words
        assert not children()
    started = control.counts().creations
    with auto(model, root) as encoder:
        assert encoder.device == words and control.counts().creations == started
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    # In another port it is another device, and another compiled file another model.
    unplug(root, "1-1.4")
    plug(root, "2-1")
    with auto(model, root):
        assert control.counts().creations == started + 1
    with auto(model, root):
        assert control.counts().creations == started + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"choice": 1}',
        b'{"conditions": {}, "choice": {"edgetpu_us": 0, "cpu_us": 1, "date": "2026-11-23"}}',
        b'{"conditions": {}, "choice": {"edgetpu_us": NaN, "cpu_us": 1, "date": "2026-11-23"}}',
        b'{"conditions": {}, "choice": {"edgetpu_us": 1' + 400 * b"0" + b', "cpu_us": 1, "date": "2026-11-23"}}',
        b"[" * 60_000,
    ],
)
def test_a_damaged_memory_is_measured_anew(control, model, root, tmp_path, content):
    control.write("slow 1000")
    place = tmp_path / "state/devices" / f"{load_card(model).name}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with auto(model, root) as encoder:
        assert "on edgetpu" in encoder.device
    assert json.loads(place.read_text())["choice"]["edgetpu_us"] > 1000


def test_where_nothing_can_be_remembered_it_goes_on(control, model, root, tmp_path):
    control.write("slow 1000")
    (tmp_path / "state").write_text("a file where the folder should be")
    with auto(model, root) as encoder:
        assert "measured" in encoder.device


def test_a_device_that_answers_too_slowly_is_given_up_within_its_time(control, model, root):
    control.write("slow 150000")
    with pytest.raises(EncoderError, match=r"it had done [0-9]+ of 24 windows when the time was over"):
        strict(model, Limits(start_s=2.5))
    control.write("slow 40000")
    before = control.counts().calls
    with auto(model, root) as encoder:
        assert encoder.device.startswith("cpu (") and " on edgetpu: " in encoder.device
    assert control.counts().calls < before + GOLDEN + 100  # Measuring stops where windows would wait for it.


@pytest.mark.parametrize(
    ("name", "other"),
    [("model", "0" * 64), ("compiled", "0" * 64), ("cpu", "cpu (LiteRT 0)"), ("machine", "other 1"), ("edgetpus", [])],
)
def test_a_choice_holds_for_its_conditions_alone(control, model, root, name, other):
    card = load_card(model)
    conditions = choice.conditions(card, "cpu (LiteRT 2)", edgetpus(root))
    choice.remember(card, conditions, Choice(20.0, 50.0, "2026-11-23"))
    assert choice.remembered(card, conditions) == Choice(20.0, 50.0, "2026-11-23")
    assert name in conditions and choice.remembered(card, conditions | {name: other}) is None


def test_the_conditions_are_those_of_this_model_and_machine(model, root):
    card = load_card(model)
    conditions = choice.conditions(card, "cpu (LiteRT 2)", edgetpus(root))
    assert conditions == {
        "model": card.sha256,
        "compiled": card.compiled.sha256,
        "cpu": "cpu (LiteRT 2)",
        "machine": f"{platform.machine()} {os.cpu_count()}",
        "edgetpus": ["usb 1-1.4"],
    }
