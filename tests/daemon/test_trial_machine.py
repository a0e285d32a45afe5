"""The real daemon through the faults of `scripts/trial`, in short: of disk, clock, sensor, device, and its own end."""

from functools import partial

import machine_faults as faults
import pytest
import sites
from sites import FAST, HOUR_NS, TEN_YEARS_NS
from surviving import through

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
