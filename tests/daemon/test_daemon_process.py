"""The daemon's process: signals that come early, and a device that keeps its windows."""

from daemons import Daemon

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


def _daemon(folder, program):
    daemon = Daemon(folder, f"store:{folder}/s.db", extra="[model]\nhop = 8\n")
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
        assert daemon.stop() < 5
    assert "stopped before the device answered" in daemon.log
