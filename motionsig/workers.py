"""Processes that work for another one, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when the one that started it by multiprocessing has ended, even by kill -9.

    Otherwise a worker of a pool would wait for work for ever. In a process that nobody started so, nothing happens.
    """
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
