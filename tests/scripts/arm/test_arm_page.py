"""The page on each ARM, with the libraries that it has there, on a socket that is passed to it as systemd does."""

import socket
import subprocess
from http.client import HTTPConnection

import pytest

from scripts.arm import roots

# The process has the number of the shell, as each program on the way to it takes the place of the one before.
START = 'LISTEN_PID=$$ exec "$@" 3<&0 </dev/null'
FIRST_S = 120
"""For a first time, when Python has to compile everything."""

pytestmark = pytest.mark.usefixtures("arm")


@pytest.mark.parametrize("root", roots.ROOTS)
def test_it_shows_its_frame_to_anybody_and_nothing_else(root, tmp_path):
    passed = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "page"}
    folders = {"STATE_DIRECTORY": str(tmp_path), "RUNTIME_DIRECTORY": str(tmp_path)}
    command = roots.command(root, ["python3", "-m", "motionsig.page", str(tmp_path / "control.sock")])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        page = subprocess.Popen(
            ["sh", "-c", START, "sh", *command],
            cwd=roots.TREE,
            env=roots.surroundings() | passed | folders,
            stdin=listening.fileno(),
            stderr=subprocess.PIPE,
            text=True,
        )
        connection = HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=FIRST_S)
        answers = {}
        try:
            for path in ("/", "/api/session"):
                connection.request("GET", path)
                answer = connection.getresponse()
                answers[path] = answer.status, answer.headers["Content-Type"], answer.read()
        finally:
            connection.close()
            page.terminate()
            _, said = page.communicate(timeout=60)
    assert answers["/"][0] == 200 and b"<html" in answers["/"][2], said
    assert answers["/api/session"][:2] == (401, "application/json"), said
    assert (page.returncode, said) == (0, "")
