"""A device at the other end of a pseudo-terminal, in real time. It imports nothing of motionsig."""

import os
import pty
import threading
import tty
from typing import Self


class PtyDevice:
    """`path` is its port. `__init__` begins what a subclass does until `_stop` is set: attributes come before it."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Take the port away: who reads it gets an error."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._slave)
            os.close(self._master)

    def _run(self) -> None:
        raise NotImplementedError
