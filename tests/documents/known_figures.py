"""The figures that documents may name without a link: what the product's code and files set, and facts from outside.

`near` is a pattern of the passage that the figure stands in. A promise that only a test holds names that test.
"""

from __future__ import annotations

import json
import os
import re

from checked_figures import FIGURE, Fact, Setting
from documents import ROOT

from motionsig.cli.status import STARTING_S
from motionsig.config.keys import known_keys
from motionsig.control import loop as control_loop
from motionsig.control import serving
from motionsig.control.feed import KEPT_S, SIGNATURES_KEPT_S
from motionsig.control.listening import PATIENCE_S
from motionsig.daemon.switching import TRIAL_WINDOWS
from motionsig.encoders import DEFAULT_MODEL, shipped_models
from motionsig.encoders.edgetpu.worker import Limits
from motionsig.filter_bank import HALF_WIDTH_S
from motionsig.heads.contest import SETTLE_S
from motionsig.model_card import CARD_NAME, load_card
from motionsig.packing.tables import NAME_BYTES
from motionsig.page.people import CODE_S, IDLE_S
from motionsig.publishers.durable import FSYNC_AFTER_S
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import SMALL_BACKLOG_BYTES
from motionsig.publishers.spool import BUFFER_BYTES_AT_LEAST
from motionsig.sensors import CHIPS
from motionsig.sensors.calibration.fit import GOOD_RESIDUAL
from motionsig.sensors.calibration.rest import REST_S
from motionsig.sensors.chips import settle
from motionsig.sensors.fifo import MOST_LOAD
from motionsig.sensors.reader import SensorReader

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK))

CARD = load_card(shipped_models()[DEFAULT_MODEL])
BROKER = MqttOptions()
EDGETPU = Limits()
LIMITS = " ".join(json.loads((CARD.path / CARD_NAME).read_text(encoding="utf-8"))["limits"])
MODEL_README = (CARD.path / "README.md").read_text(encoding="utf-8")


def head_of(script: str) -> str:
    """Return what a script says of itself with --help, in one line."""
    text = (ROOT / "scripts" / script).read_text(encoding="utf-8")
    shell = re.match(r"#!/usr/bin/env bash\n((?:#.*\n)+)", text)
    return " ".join(re.sub(r"^# ?", "", shell[1], flags=re.M).split() if shell else text.split('"""')[1].split())


def _scripts_own() -> list[Setting]:
    """Return what each script says of how long it takes."""
    heads = {script: head_of(script) for script in SCRIPTS}
    heads |= {f"-m scripts.{name}": head_of(f"{name}/__main__.py") for name in ("train", "evaluate")}
    return [
        Setting(rf"(?:scripts/|(?=-)){script}\b", lambda figure=found[0]: figure.lower())
        for script, head in heads.items()
        for found in FIGURE.finditer(head)
    ]


def tested(figure: str, test: str, line: str) -> str:
    """Return the figure as long as a test has the line that holds it."""
    return figure if line in (ROOT / "tests" / test).read_text(encoding="utf-8") else f"nothing: {test} lacks {line}"


def stated(pattern: str, text: str) -> str:
    """Return what the group of a pattern finds in a text of the product."""
    found = re.search(pattern, text)
    return found[1] if found else f"nothing: {pattern} is not there any more"


def of_unit(key: str) -> str:
    """Return a time of the service's unit."""
    return stated(rf"(?m)^{key}=(\d+)$", (ROOT / "systemd/motionsig.service").read_text(encoding="utf-8")) + " s"


def in_words(number: float) -> str:
    """Return a number as sentences have it."""
    return {2: "two", 18: "eighteen"}.get(number, f"{number:g}")


def next_rate(chip: str) -> str:
    """Return the rate of a chip for the 100 Hz that are asked for by default."""
    return f"{settle(CHIPS[chip], rate_hz=100.0, accel_range_g=8.0, gyro_range_dps=1000.0).rate_hz:g} Hz"


SETTINGS: tuple[Setting, ...] = (
    # The model.
    Setting("one-time code", lambda: f"{CODE_S // 60} minutes"),
    Setting("cookie", lambda: f"{IDLE_S // 86400} days"),
    Setting("first that could be told", lambda: f"{SETTLE_S:g} s"),
    Setting("signature", lambda: f"{CARD.dim} bytes"),
    Setting("vibration above|energy is above", lambda: f"{CARD.rate_hz / 2:g} Hz"),
    Setting("needs an accelerometer", lambda: stated(r"delivered it \((\d+) to \d+ Hz", MODEL_README) + " Hz"),
    Setting("signature|window", lambda: f"{CARD.hop / CARD.rate_hz:g} s"),
    Setting("signature|window|motion", lambda: f"{CARD.length / CARD.rate_hz:g} s"),
    Setting("loss|missing|lost", lambda: f"{CARD.max_gap_s * 1000:g} ms"),
    Setting("motion above", lambda: stated(r"motion above (\d+ Hz)", LIMITS)),
    Setting("tries it|trial", lambda: f"{TRIAL_WINDOWS} windows"),
    Setting("resampler", lambda: f"{HALF_WIDTH_S * 1000:g} ms"),
    # The Edge TPU's child process.
    Setting("ends that child", lambda: f"{EDGETPU.call_s:g} s"),
    Setting("an error", lambda: f"{EDGETPU.starts} starts"),
    Setting("then refused", lambda: f"{EDGETPU.held_s:g} s"),
    Setting("starts within", lambda: f"{EDGETPU.per_s / 60:g} minutes"),
    # The control socket.
    Setting("a line", lambda: f"{serving.MOST_LINE_BYTES >> 10} KiB"),
    Setting("an import", lambda: f"{serving.MOST_IMPORT_BYTES >> 20} MiB"),
    Setting("a line", lambda: f"{serving.LINE_S:g} s"),
    Setting("asks nothing", lambda: f"{serving.IDLE_S:g} s"),
    Setting("calls of the loop", lambda: f"{control_loop.LIMIT_S:g} s"),
    Setting("without a performance", lambda: {10: "ten minutes"}.get(PATIENCE_S / 60, "nothing")),
    Setting("somebody watches", lambda: f"{KEPT_S:g} s"),
    Setting("somebody watched then", lambda: {10: "ten minutes"}.get(SIGNATURES_KEPT_S / 60, "nothing")),
    # Packing.
    Setting("SHA-256", lambda: f"{NAME_BYTES} bytes"),
    Setting("SHA-256", lambda: f"{len(CARD.fingerprint)} bytes"),
    # A broker.
    Setting("delay_s", lambda: f"{BROKER.delay_s:g} s"),
    Setting("keep_bytes", lambda: f"{known_keys('store')['sink.keep_bytes'].default >> 30} GiB"),
    Setting("max_bytes|queue", lambda: f"{BROKER.max_bytes >> 20} MiB"),
    Setting("acknowledged", lambda: f"{FSYNC_AFTER_S:g} s"),
    Setting("of RAM", lambda: f"{BUFFER_BYTES_AT_LEAST >> 20} MiB"),
    Setting("between attempts", lambda: f"{BROKER.max_retry_s / 60:g} minutes"),
    Setting("backlog", lambda: f"{SMALL_BACKLOG_BYTES >> 10} KiB"),
    Setting("power cut", lambda: stated(r"a power cut costs the last (\d+ s)", " ".join(MqttOptions.__doc__.split()))),
    Setting("store grows", lambda: tested("8 MB", "publishers/test_store.py", "* 10 / 1e6) == 8")),
    # Sensors.
    Setting("I2C", lambda: f"{in_words(len(CHIPS))} chips"),
    Setting("LSM6DSO", lambda: next_rate("lsm6dso")),
    Setting("LSM9DS1", lambda: next_rate("lsm9ds1")),
    Setting("bus", lambda: f"{MOST_LOAD:.0%}".replace("%", " %")),
    Setting("still", lambda: f"{in_words(REST_S)} seconds"),
    Setting(r"\|acc\|", lambda: f"{GOOD_RESIDUAL:g} m/s²"),
    Setting("while it is away", lambda: f"{SensorReader.pauses_s[-1] * 1000:g} ms"),
    Setting("gives each sample its time", lambda: tested("1 ms", "test_timebase.py", "errors_ns()).max() <= 1 * MS")),
    Setting("the chip's clock is", lambda: tested("5 %", "test_timebase.py", "st.floats(-0.05, 0.05)")),
    Setting("true_rate_hz", lambda: tested("100 ppm", "test_timebase.py", "rate_errors(20)).max() <= 100e-6")),
    Setting("true_rate_hz", lambda: tested("20 s", "test_timebase.py", "rate_errors(20)).max() <= 50e-6")),
    # The service.
    Setting("watchdog", lambda: of_unit("WatchdogSec")),
    Setting("SIGTERM", lambda: tested("5 s", "daemon/test_daemon.py", 'assert life["stop_s"] < 5')),
    Setting("starting", lambda: f"{STARTING_S:g} s"),
)

TIMES_OF_SCRIPTS: tuple[Setting, ...] = (*_scripts_own(),)

FACTS: tuple[Fact, ...] = (
    Fact("Hailo-8L", "185 µs", "hailo_model_zoo 2.11, HAILO8L: tddfa_mobilenet_v1 at 5,401 frames a second"),
    Fact("header", "5 V", "Raspberry Pi documentation, GPIO: pins 2 and 4 of the 40-pin header carry 5 V"),
)
