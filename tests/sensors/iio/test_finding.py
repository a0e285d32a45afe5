"""Which devices there are, and what they are called."""

import pytest

from motionsig.errors import SensorError
from motionsig.sensors.iio import list_iio, open_iio


def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(tree, chip):
    with pytest.raises(SensorError, match=r"expected 'lsm6dsox', got bmi999 \(iio:device0\)"):
        open_iio("lsm6dsox", root=tree.root)


@pytest.mark.parametrize("name", ["auto", "bmi999", "iio:device0", "device0"])
def test_names_of_a_device(tree, chip, name):
    with open_iio(name, root=tree.root) as source:
        assert source.device_id == "iio-bmi999"


def test_what_is_there_is_listed(tree, pair):
    tree.put("iio:device5", name="bme280", in_temp_input=20)
    (sensor,) = list_iio(tree.root)
    assert sensor.name == "lsm6dsox_accel+lsm6dsox_gyro"
    assert sensor.devices == ("iio:device1", "iio:device0")
    assert sensor.rates_hz == (25, 50, 100, 200)
    assert sensor.accel_ranges_g == (2, 4, 8, 16)
    assert sensor.gyro_ranges_dps == (250, 500, 1000, 2000)
    assert len(sensor.channels) == 6
    assert sensor.buffer
    assert sensor.watermark
    assert not sensor.hardware_fifo
    assert sensor.trigger == "lsm6dsox_accel-x"
    assert list_iio(tree.root / "nowhere") == []
