"""The daemon's process: signals that come early, and a device that keeps its windows."""

from daemons import Daemon
from processes import STALL_S

EARLY_SIGNAL = """
import os, signal, sys
import motionsig.daemon.process as process
from motionsig.cli import main

load = process.load_config

def early(*arguments, **options):
    process.load_config = load
    os.kill(os.getpid(), signal.SIGHUP)
    return load(*arguments, **options)

process.load_config = early
sys.exit(main(sys.argv[1:]))
"""

DEVICE_THAT_HANGS = """
import sys, time
from motionsig.cli import main
from motionsig.daemon import switching

opened = switching.open_encoder

def opens(*arguments):
    encoder = opened(*arguments)
    encode, first = encoder.encode, []

    def hangs(windows):
        if first:
            print("it hangs", file=sys.stderr, flush=True)
            time.sleep(60)
        first.append(windows)
        return encode(windows)

    encoder.encode = hangs
    return encoder

switching.open_encoder = opens
sys.exit(main(sys.argv[1:]))
"""


IMPORTED = """
import atexit, sys
from motionsig.cli import main

atexit.register(lambda: print("imported:", *sys.modules, flush=True))
sys.exit(main(sys.argv[1:]))
"""

UNUSED = {
    # What other sinks, sources, heads, events and commands need.
    *("motionsig.publishers.store", "motionsig.publishers.retention", "motionsig.publishers.file", "sqlite3"),
    *("motionsig.publishers.parquet", "motionsig.publishers.postgresql", "motionsig.recordings", "motionsig.collector"),
    *("motionsig.heads", "motionsig.teaching", "motionsig.watching", "motionsig.lesson", "motionsig.sensors.proving"),
    *("motionsig.daemon.metrics", "motionsig.daemon.collecting", "motionsig.encoders.reference"),
    *("motionsig.encoders.installing", "motionsig.encoders.signing", "motionsig.encoders.compiling"),
    # Heavy ones of others.
    *("scipy", "pandas", "pyarrow", "sklearn", "matplotlib", "cryptography", "prometheus_client", "tqdm", "google"),
    *("asyncio", "multiprocessing", "unittest", "pydoc", "doctest", "xml", "importlib.metadata", "difflib"),
}
"""Modules that a service with a chip and a broker does not import. A new one here is a saving that is kept."""


def _daemon(folder, program, sink=""):
    daemon = Daemon(folder, sink or f"store:{folder}/s.db", extra="[model]\nhop = 8\n")
    daemon.program = ("-c", program)
    return daemon.start()


def test_a_reload_that_is_asked_for_while_it_starts_is_done(tmp_path):
    with _daemon(tmp_path, EARLY_SIGNAL) as daemon:
        daemon.until_told("RELOADING")
        daemon.until_told("READY")
        assert daemon.log.count("configuration read again: nothing changed") == 1


def test_a_device_that_hangs_does_not_delay_the_stop(tmp_path):
    with _daemon(tmp_path, DEVICE_THAT_HANGS) as daemon:
        while "it hangs" not in daemon.log:
            daemon.hear(0.1)
        assert daemon.stop() < 5 + STALL_S
    assert "stopped before the device answered" in daemon.log


def test_it_imports_nothing_that_it_does_not_use(tmp_path):
    with _daemon(tmp_path, IMPORTED, "mqtt://127.0.0.1:1") as daemon:
        daemon.until_told("READY")
        daemon.stop()
        imported = set(daemon.log.partition("imported:")[2].split())
    # It did what it is there for.
    assert {"motionsig.publishers.mqtt", "motionsig.encoders.litert", "motionsig.sensors.reader"} <= imported
    assert not UNUSED & imported
