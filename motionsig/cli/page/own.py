"""A page without the service: of a sensor that this process reads, or of what is stored. All of it ends with Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from motionsig.cli.page.child import page_process
from motionsig.cli.page.links import (
    from_elsewhere,
    let_in,
    network_links,
    print_qr,
    require_page,
    shown_fingerprint,
)
from motionsig.cli.page.listening import NETWORK_PORT, PORT
from motionsig.cli.sensor_options import SENSOR_OPTIONS
from motionsig.config import Config, config_of
from motionsig.errors import InputError, MotionsigError
from motionsig.heads import heads_folder, shipped_heads
from motionsig.page.serving import Listener, open_listener
from motionsig.sensors import open_sensor
from motionsig.sensors.chips import SIMULATED_TURNS
from motionsig.sensors.live import LiveSource
from motionsig.state import state_folder

_FOLDER = "page"  # in the state folder: signatures, sessions and certificate
_KEPT_BYTES = 1 << 28
"""Of signatures: about a month. Older ones are deleted."""

_PORTS = 20  # tried one after the other, for several pages at once

_SIMULATED = "a simulated device: it is carried for 12 s, then rests and is turned six times, again and again"
_FIRST = "See it move at Live. To teach it the turning: Teach, name it, and begin when it has stopped walking."


def serve_sensor(options: argparse.Namespace) -> None:
    """Serve the page of a sensor until Ctrl-C.

    Raises InputError and ConfigError for a sensor that there is not, SensorError for one that does not answer.
    """
    require_page()
    config = _config(options)
    # Before anything is started: whoever mistypes a name wants to know, not to wait for a sensor of that name.
    first = [open_sensor(**config.sensor)]

    def opened(config: Config) -> LiveSource:
        return first.pop() if first else open_sensor(**config.sensor)

    from motionsig.daemon.loop import Daemon

    with ExitStack() as resources:
        resources.callback(lambda: [sensor.close() for sensor in first])
        folder = resources.enter_context(_folder())
        daemon = Daemon(config, sensor=opened, control=folder / "control.sock", page_heads=heads_folder())
        _show(resources, folder, network=options.network, end=daemon.stop, about=_about(config))
        daemon.run()
    print(f"stopped; the signatures are in {state_folder() / _FOLDER}")
