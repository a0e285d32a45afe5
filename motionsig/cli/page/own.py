"""A page without the service: of a sensor that this process reads, or of what is stored. All of it ends with Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from motionsig.cli.page.child import page_process
from motionsig.cli.page.links import from_elsewhere, require_page, shown_links
from motionsig.cli.page.listening import NETWORK_PORT, PORT
from motionsig.cli.replay.making import quietly
from motionsig.cli.sensor_options import open_chosen
from motionsig.config import config_of
from motionsig.control.judged import switch_on_first
from motionsig.control.room import Control
from motionsig.control.serving import SOCKET_NAME, Server
from motionsig.control.unix_sockets import listen_at
from motionsig.errors import InputError, MotionsigError
from motionsig.heads import heads_folder, owned_heads, shipped_heads
from motionsig.page.serving import Listener, open_listener
from motionsig.publishers import split_url
from motionsig.sensors.chips import SIMULATED_TURNS
from motionsig.state import state_folder

_KEPT_BYTES = 1 << 28
"""Of signatures, which is about a month of them; older ones are deleted."""
_MOST_PATH = 70  # leaves room for the folder's own name and the socket's
_PORTS = 20  # tried one after the other, as several pages may be open
_STORES = ("store", "file", "parquet", "postgresql")

_SIMULATED = (
    "A simulated device: it is carried for 12 s, rests for 6 s, then it is turned six times with rests, and so on.\n"
    "First see it move at Live. Then teach it the turning: Teach, a name, Begin; the turns are found by themselves."
)
_LIVE = (
    "First see it move at Live. Then teach it a motion of yours: Teach, a name, and perform it three times, with rests."
)
_STORED = "Look back shows what is stored, and what heads find in it. Without a sensor, nothing is live."


class EndedError(MotionsigError, RuntimeError):
    """The page's process ended by itself."""


def serve_sensor(options: argparse.Namespace) -> None:
    """Serve the page of a sensor until Ctrl-C.

    Raises InputError for a sensor that there is not, SensorError for one that does not answer, EndedError.
    """
    require_page()
    is_simulated = options.sensor.lower() == "simulated"
    if is_simulated:
        options.sensor = f"simulated:{SIMULATED_TURNS}"
    folder = state_folder() / "page"
    settings = {
        "sink": {"url": f"store:{folder.name}/signatures.db", "keep_bytes": _KEPT_BYTES},
        "model": {"device": "cpu"},
    }
    config = replace(config_of(settings, where="page"), sensor={"name": options.sensor})
    # The first time before all else: whoever mistypes a name wants to know, and does not wait for that sensor.
    opened = [open_chosen(options)]

    switch_on_first(heads_folder(), [*shipped_heads(), *owned_heads()])

    from motionsig.daemon.loop import Daemon

    with ExitStack() as resources:
        resources.enter_context(opened[0])
        place = _place(resources)
        with quietly():
            daemon = Daemon(
                config,
                sensor=lambda _: opened.pop() if opened else open_chosen(options),
                control_folder=place,
                page_heads=heads_folder(),
            )
        about = _SIMULATED if is_simulated else _LIVE
        page = _open_page(resources, place, about, network=options.network, stop=daemon.stop)
        daemon.run()
        _require_alive(page)
    print(f"ended; the signatures are in {folder}, the heads in {heads_folder()}")


def serve_stored(url: str, *, network: bool) -> None:
    """Serve the page of what is stored until Ctrl-C. Raises InputError for what is no store, EndedError."""
    require_page()
    scheme, location, _ = split_url(url)
    if scheme not in _STORES:
        raise InputError(f"SOURCE: expected store:PATH, file:PATH, parquet:PATH or postgresql://..., got {url!r:.80}")
    if scheme != "postgresql" and not Path(location).exists():
        raise InputError(
            f"{location}: expected what is stored, got none; `motionsig replay LOG --to {scheme}:...` stores"
        )
    stopped = threading.Event()
    with ExitStack() as resources:
        place = _place(resources)
        control = resources.enter_context(Control(store=url, heads_folder=heads_folder()))
        resources.enter_context(Server(control, listen_at(place / SOCKET_NAME, mode=0o600)))
        page = _open_page(resources, place, _STORED, network=network, stop=stopped.set)
        while not stopped.wait(60.0):
            pass
        _require_alive(page)
    print(f"ended; the heads are in {heads_folder()}")


def _place(resources: ExitStack) -> Path:
    """Return a new folder for the control socket and the codes, which goes when this ends."""
    # The path of a Unix socket has at most 107 bytes (unix(7)).
    parent = tempfile.gettempdir() if len(os.fsencode(tempfile.gettempdir())) < _MOST_PATH else "/tmp"
    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="motionsig-page-", dir=parent)))


def _open_page(
    resources: ExitStack, place: Path, about: str, *, network: bool, stop: Callable[[], None]
) -> SpawnProcess:
    """Start the page, say how to reach it, and have `stop` called when it or this process is to end."""
    state = state_folder() / "page"
    listeners = [_free(PORT)]
    if network:
        from motionsig.page.certificates import keep_certificate

        keep_certificate(state)
        listeners.append(_free(NETWORK_PORT, network=True))
    else:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = [listener.socket.getsockname()[1] for listener in listeners]
    page = resources.enter_context(page_process(listeners, control=place / SOCKET_NAME, codes=place, state=state))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        resources.callback(signal.signal, number, signal.signal(number, lambda *_: stop()))

    def watch() -> None:
        wait([page.sentinel])
        stop()

    threading.Thread(target=watch, name="motionsig-page-ends", daemon=True).start()
    for line in shown_links(place, state, *ports):
        print(line)
    if not network and "SSH_CONNECTION" in os.environ:
        print(f"From your own computer first: {from_elsewhere(ports[0])}")
    print(about)
    if os.isatty(0):
        print("Enter prints another link, for another browser.")
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background a read of the terminal then fails
        threading.Thread(
            target=_links_on_enter, args=(place, state, *ports), name="motionsig-enter", daemon=True
        ).start()
    print("Ctrl-C ends the page, and all that belongs to it.", flush=True)
    return page


def _links_on_enter(*shown: Any) -> None:
    """Print another link whenever somebody presses Enter. Not by sys.stdin: a thread in it keeps Python from ending."""
    with suppress(OSError):
        while os.read(0, 1024):
            for line in shown_links(*shown):
                print(line, flush=True)


def _free(port: int, *, network: bool = False) -> Listener:
    """Listen at the first free port from this one on. Raises InputError where many are in use."""
    for each in range(port, port + _PORTS - 1):
        try:
            return open_listener(each, network=network)
        except InputError:
            continue
    return open_listener(port + _PORTS - 1, network=network)


def _require_alive(page: SpawnProcess) -> None:
    # 0: it was interrupted together with this process.
    if page.exitcode:
        raise EndedError(f"page: expected it to go on, got its end, with exit code {page.exitcode}")
