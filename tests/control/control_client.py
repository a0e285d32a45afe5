"""A client of the control socket, as a script of somebody's would be."""

import errno
import json
import os
import socket
import time

from motionsig.closing import Closing


class Client(Closing):
    """One connection to a control socket; a socket's path is limited to some hundred characters, pytest's are long."""

    def __init__(self, path, timeout_s=60.0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            while (error := self.socket.connect_ex(f"/proc/self/fd/{folder}/{path.name}")) == errno.EAGAIN:
                time.sleep(0.01)  # too many wait to be let in
            if error:
                raise OSError(error, os.strerror(error), str(path))
        finally:
            os.close(folder)
        self._file = self.socket.makefile("rb")

    def send(self, asked):
        self.socket.sendall(asked if isinstance(asked, bytes) else json.dumps(asked).encode() + b"\n")

    def line(self):
        """Return the next line's object; None at the end."""
        line = self._file.readline()
        return json.loads(line) if line else None

    def ask(self, name, /, **parameters):
        self.send({"ask": name, **parameters})
        return self.line()

    def ok(self, name, /, **parameters):
        answer = self.ask(name, **parameters)
        assert "ok" in answer, answer
        return answer["ok"]

    def error(self, name, /, **parameters):
        answer = self.ask(name, **parameters)
        assert "error" in answer, answer
        return answer["error"]

    def lines(self, key):
        """Yield what lines of one key have, without end."""
        while (line := self.line()) is not None:
            if key in line:
                yield line[key]

    def close(self):
        self._file.close()
        self.socket.close()


def ask_at(path, name, /, **parameters):
    """Ask one thing in a connection of its own."""
    with Client(path) as client:
        return client.ok(name, **parameters)
