"""A real PostgreSQL server in a folder of its own, to be killed and started again, with empty databases for tests."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest
from broker import free_port
from made import wait_until
from processes import children_of, is_running

WITH_PASSWORD = "walker"


def programs() -> Path:
    """Return the folder of the server's programs; skip the test where PostgreSQL or psycopg is not installed.

    MOTIONSIG_TEST_POSTGRESQL names another one, such as that of a server with pgvector.
    """
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install psycopg)")
    if chosen := os.environ.get("MOTIONSIG_TEST_POSTGRESQL"):
        return Path(chosen)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: int(it.parts[-3]))
    if not folders:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return folders[-1].parent


class Server:
    """Listens on a port of 127.0.0.1 and on a socket in `folder`.

    Only the role WITH_PASSWORD needs a password, and not the superuser, `postgres`. durable: with fsync, which kill -9
    does without: what was written is in the kernel. settings: lines of postgresql.conf.
    """

    def __init__(self, *, durable: bool = False, settings: str = "") -> None:
        self._programs = programs()
        # Not pytest's folder, which its owner alone may enter: the server refuses to run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="motionsig-postgres-"))
        self.port = free_port()
        self._made = 0
        self._empty: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: list[str] = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self._data = self.folder / "data"
        made = ["-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [*self._as_user, str(self._programs / "initdb"), *made], check=True, capture_output=True, cwd=self.folder
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.folder}'\n"
                f"fsync = {'on' if durable else 'off'}\nshared_buffers = 64MB\nlog_min_messages = warning\n{settings}"
            )
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def start(self) -> Server:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, str(self._programs / "postgres"), "-D", str(self._data)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while subprocess.run(
            [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        ).returncode:
            assert time.monotonic() < deadline, f"PostgreSQL does not start: {(self.folder / 'log').read_text()}"
            time.sleep(0.02)
        return self

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Return the URL of an empty database; options: of one that is made for it."""
        if self._empty and not options:
            return self._empty.pop()
        self._made += 1
        name = f"test_{self._made}"
        self.run("postgres", f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """Empty a database, for the next test: to make another one takes longer than most tests."""
        self.run(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()",
            "DROP SCHEMA IF EXISTS motionsig CASCADE",
            "DROP SCHEMA IF EXISTS extras CASCADE",
        )
        self._empty.append(url)

    def run(self, database: str, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the superuser, each by itself; return the rows of the last."""
        import psycopg

        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url(database.rpartition("/")[2]), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def kill(self) -> None:
        """Kill -9 of every process of the server, as at a power cut but for the disk."""
        assert self._process is not None
        # One that is stopped starts no further process between the listing and its end.
        self._process.send_signal(signal.SIGSTOP)
        children = children_of(self._process.pid)
        for each in (self._process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait()
        # A server does not start while one of them holds the memory that they shared.
        wait_until(lambda: not any(map(is_running, children)))
        # Its lock is that of a process that is gone.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)
