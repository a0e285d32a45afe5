"""The real daemon through the faults of `scripts/trial`, in short: of disk, clock, sensor, device, and its own end."""

import sqlite3
import time
from functools import partial

import machine_faults as faults
import pytest
import sites
from sites import FAST, HOUR_NS, TEN_YEARS_NS
from surviving import through, wait_for

site = partial(sites.site, speed=FAST)
needs_mount = pytest.mark.skipif(not sites.can_mount(), reason="needs root, to mount disks that fail")


@needs_mount
def test_a_disk_that_is_full(tmp_path):
    through(sites.ram_disk_site(tmp_path, speed=FAST), partial(faults.disk_full, seconds=2, broker=False))


@needs_mount
def test_a_state_directory_that_is_read_only(tmp_path):
    made = sites.ram_disk_site(tmp_path, mount="size=2m,ro", speed=FAST)
    through(made, partial(faults.disk_read_only, seconds=1, broker=False))


@needs_mount
def test_a_disk_that_fails_in_the_middle(tmp_path):
    through(sites.ext4_site(tmp_path, speed=FAST), partial(faults.disk_fails, seconds=2, broker=False))


def test_a_clock_that_is_set(tmp_path):
    # What is due cannot be told by times that jump.
    (noticed,) = through(
        sites.clock_site(tmp_path, speed=FAST),
        partial(faults.clock_set, steps_ns=(HOUR_NS, -TEN_YEARS_NS), seconds=1.2),
        windows_lost=None,
    )
    assert noticed == "3 steps noticed"


def test_a_boot_in_the_past_with_kill_9_before_the_time_comes(tmp_path):
    """One part is delivered with the wrong time, one waits through kill -9, and one is made by the second process."""
    made = sites.clock_site(tmp_path, speed=FAST, ahead_ns=-TEN_YEARS_NS, synchronised=False)
    with made as site:

        def times_and_flags():
            rows = sqlite3.connect(f"file:{site.store}?mode=ro", uri=True).execute(
                "SELECT start_ns, quality & 16 FROM signatures"
            )
            return [(abs(start_ns / 1e9 - time.time()) < 3600, flag) for start_ns, flag in rows]

        wait_for(lambda: len(times_and_flags()) > 3, "some to be stored")
        assert set(times_and_flags()) == {(False, 16)}
        site.broker.stop()
        before = len(site.daemon.taken())
        wait_for(lambda: len(site.daemon.taken()) > before + 4, "some to wait")
        site.kill()
        site.daemon.start(**site.environment)
        wait_for(site.answers, "the second process to answer")
        assert not site.status()["clock_is_set"]
        site.control(0)
        site.broker.start()
        taken = len(site.daemon.taken())
        wait_for(lambda: len(times_and_flags()) > taken, "all to be stored", told=lambda: site.daemon.log[-3000:])
        wait_for(lambda: set(times_and_flags()) == {(True, 0)}, "all to be put right")
        assert site.status()["clock_is_set"]


def test_a_sensor_that_is_pulled(tmp_path):
    (counted,) = through(sites.chip_site(tmp_path), partial(faults.sensor_pulled, seconds=1), windows_lost=None)
    assert counted.startswith("1 gap, ")


def test_an_edge_tpu_whose_child_is_killed(tmp_path):
    (windows,) = through(sites.edgetpu_site(tmp_path), partial(faults.edgetpu_killed, times=2))
    on_it, of = windows.split(" windows")[0].split(" of ")
    assert on_it == of


def test_a_daemon_that_is_killed(tmp_path):
    through(site(tmp_path), partial(faults.killed, times=4, most_s=2), windows_lost=None)


def test_a_storm_of_reloads(tmp_path):
    through(site(tmp_path), partial(faults.reloaded, times=100))


def test_hours_leave_nothing_behind(tmp_path):
    made = sites.site(tmp_path, speed=2000.0, hop=64, options="delay_s = 0.5\nhold_s = 0.5\n")
    # Its memory still grows in its first seconds, however much comes in them; `scripts/trial week` sees a week.
    through(made, partial(faults.long_time, seconds=12000, most_kib=12 * 1024))
