"""[sensor] and [model], checked as `open_sensor` and `open_encoder` do.

Of a model only the card is read here; `check_config` reads all its files.
"""

from __future__ import annotations

from motionsig.config.draft import Draft
from motionsig.config.keys import sensor_keys, shown
from motionsig.encoders.models import check_device, find_model, model_folders
from motionsig.errors import InputError, ModelError
from motionsig.model_card import ModelCard, load_card
from motionsig.resampling import Resampler
from motionsig.sensors.bus import parse_bus
from motionsig.sensors.calibration.model import parse_mount
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.chips import Chip, settle
from motionsig.sensors.names import PHONE, refusal, require_chip, simulated_part
from motionsig.sensors.names import named_chip as find_named
from motionsig.sensors.serial import SERIAL, require_serial
from motionsig.sensors.serial.port import require_baud
from motionsig.sensors.spi import over_spi
from motionsig.windowing import Windower

SETTLED = ("rate_hz", "accel_range_g", "gyro_range_dps")  # a chip has certain settings and gets the next one up


def named_chip(name: str) -> Chip | None:
    """Return the chip of a sensor's name, None where that is only known once it is opened."""
    return simulated_part(name)[0] if name.lower().partition(":")[0] == "simulated" else find_named(name)


def check_sensor(draft: Draft) -> None:
    """Note what `open_sensor`, or the pipeline after it, would refuse, and a phone, which only a command lets in."""
    name = draft.value("sensor.name")
    options = draft.table("sensor")
    kind = name.partition(":")[0].lower()
    chip = named_chip(name)
    if kind in SERIAL:
        with draft.noting("sensor.name"):
            require_serial(name)
    elif kind == PHONE:
        why = (
            "expected a sensor that is wired to this device, got a phone: motion is taken from the network only while a"
        )
        draft.note("sensor.name", f"{why} command asks for it; try `motionsig page --sensor phone`")
    elif chip is None and name.lower() != "auto" and kind != "iio":
        draft.note("sensor.name", refusal(name, shown=shown(name)))
    if "chip" in options:
        with draft.noting("sensor.chip"):
            taken = require_chip(options["chip"], where="")
            if chip is not None and chip is not taken:
                raise InputError(f"expected {chip.name} or no chip, as sensor.name says {name}, got {taken.name}")
            chip = taken
    if chip is not None and not chip.gyro_ranges:
        draft.note("sensor.name", f"expected a sensor with a gyroscope, which every model needs, got {chip.name}")
    for option in ("bus", "address", "chip", "bus_clock_hz"):
        if option in options and kind in ("iio", "simulated", PHONE, *SERIAL):
            said = f"expected none: it is for a chip on I2C or SPI, got {options[option]} with {name}"
            draft.note(f"sensor.{option}", said)
    if "baud" in options and kind not in SERIAL:
        draft.note(
            "sensor.baud", f"expected none: it is for a sensor on a serial port, got {options['baud']} with {name}"
        )
    elif "baud" in options:
        with draft.noting("sensor.baud"):
            require_baud(options["baud"], where="")
    if isinstance(options.get("bus"), str):
        with draft.noting("sensor.bus"):
            if isinstance(parse_bus(options["bus"]), str):
                if "address" in options:
                    draft.note("sensor.address", f"expected none on SPI, got {options['address']:#x}")
                chip = chip and over_spi(chip)
    if not 0x03 <= options.get("address", 0x68) <= 0x77:
        draft.note("sensor.address", f"expected 0x03 to 0x77, as 7-bit addresses are, got {options['address']:#x}")
    for option in ("bus_clock_hz", *SETTLED):
        asked = options.get(option, sensor_keys()[f"sensor.{option}"].default)
        with draft.noting(f"sensor.{option}"):
            if asked == 0:
                raise InputError("expected a number above 0, got 0")
            if chip is not None and option in SETTLED:
                # Each together with the smallest of the others, to know which one is refused.
                least = {"rate_hz": min(chip.rates), "accel_range_g": min(chip.accel_ranges), "gyro_range_dps": 1.0}
                asked = getattr(settle(chip, **least | {option: asked}), option)
            if option == "rate_hz":
                Resampler(asked)
    with draft.noting("sensor.mount"):
        parse_mount(options.get("mount"))
    if "calibration" in options:
        with draft.noting("sensor.calibration"):
            choose_calibration(options["calibration"], None, "")


def check_model(draft: Draft) -> list[ModelCard]:
    """Note a model that does not exist, and a device or a hop that it cannot have; return what its name may mean."""
    name, device, hop = (draft.value(f"model.{key}") for key in ("name", "device", "hop"))
    cards: list[ModelCard] = []
    with draft.noting("model.name"):
        if "/" in name and not name.startswith("/"):
            raise InputError(f"expected a model's name, or its folder's path from / on, got {shown(name)}")
        cards = _cards(name)
    with draft.noting("model.device"):
        check_device(device)
        if device.startswith("edgetpu") and cards and not any(card.compiled for card in cards):
            cards[0].compiled_bytes()
    if cards and hop is not None:
        with draft.noting("model.hop"):
            Windower(length=cards[0].length, hop=hop)
    return cards


def _cards(name: str) -> list[ModelCard]:
    """Return the cards of the models that a name or folder may mean; skip damaged ones, as the daemon does."""
    cards, damage = [], None
    for folder in model_folders(name):
        try:
            cards.append(load_card(folder))
        except ModelError as error:
            damage = error
    if damage is not None and not cards:
        raise damage
    return cards or [find_model(name)]
