"""The page as a process beside the one that has the sensor or the store; it ends with that one.

It imports nothing of what that one needs, so it stays as small as the service's page.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path

from motionsig.page.serving import Listener, serve
from motionsig.workers import end_with_parent

_END_S = 1.0


@contextmanager
def page_process(listeners: Sequence[Listener], *, control: Path, codes: Path, state: Path) -> Iterator[SpawnProcess]:
    """Serve the page in a process of its own for as long as the context lasts. The listeners are closed here."""
    made = multiprocessing.get_context("spawn").Process(target=_serve, args=(listeners, control, codes, state))
    # Until it can hear an interrupt, Ctrl-C would kill it. The tracker comes first, as its start unblocks the signal.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        made.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    for listener in listeners:
        listener.socket.close()
    try:
        yield made
    finally:
        made.terminate()
        made.join(_END_S)
        made.kill()
        made.join()
        made.close()


def _serve(listeners: Sequence[Listener], control: Path, codes: Path, state: Path) -> None:
    # Whoever started it is interrupted, too, and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    end_with_parent()
    serve(listeners, control=control, codes=codes, state=state)
