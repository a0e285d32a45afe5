"""Which motion sensors the kernel's drivers offer, and what each can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from motionsig.conventions import CHANNELS
from motionsig.errors import SensorError
from motionsig.sensors.iio.device import ACCEL, GYRO, Device, devices, numbers, partner, read


@dataclass(frozen=True)
class IioSensor:
    """A motion sensor, or two that belong together, as the kernel offers it.

    rates_hz: which can be chosen; empty where the driver lists none. accel_ranges_g, gyro_ranges_dps: likewise, or the
    only one. buffer, watermark, hardware_fifo: what its driver has. trigger: the one that is set, if any.
    """

    name: str
    driver: str
    devices: tuple[str, ...]
    channels: tuple[str, ...]
    rates_hz: tuple[float, ...]
    accel_ranges_g: tuple[float, ...]
    gyro_ranges_dps: tuple[float, ...]
    buffer: bool
    watermark: bool
    hardware_fifo: bool
    trigger: str | None


def list_iio(root: str | Path = "/") -> list[IioSensor]:
    """Return what the kernel's drivers offer: each accelerometer, with its gyroscope where there is one."""
    found = devices(Path(root))
    return [_describe(grouped(device, found)) for device in found if device.has(ACCEL)]


def grouped(device: Device, found: list[Device]) -> tuple[Device, ...]:
    other = None if device.has(GYRO) else partner(device, found)
    return (device, other) if other else (device,)


def _ranges(group: tuple[Device, ...], kind: str) -> tuple[float, ...]:
    device = next((device for device in group if device.has(kind)), None)
    path = device.find(kind, "scale") if device else None
    if device is None or path is None:
        return ()
    scales = numbers(device.listed(kind, "scale")) or numbers(read(path))
    return tuple(sorted(float(f"{device.full_scale(kind, scale):.3g}") for scale in scales))


def _describe(group: tuple[Device, ...]) -> IioSensor:
    first = group[0]
    return IioSensor(
        name="+".join(device.name for device in group),
        driver=first.driver,
        devices=tuple(device.path.name for device in group),
        channels=tuple(CHANNELS[: 6 if any(device.has(GYRO) for device in group) else 3]),
        rates_hz=tuple(numbers(first.listed(ACCEL, "sampling_frequency"))),
        accel_ranges_g=_ranges(group, ACCEL),
        gyro_ranges_dps=_ranges(group, GYRO),
        buffer=(first.path / "buffer").is_dir() and first.node.exists(),
        watermark=(first.path / "buffer/watermark").exists(),
        hardware_fifo=(first.path / "buffer/hwfifo_enabled").exists(),
        trigger=first.read("trigger/current_trigger") or None,
    )


def find(root: Path, name: str) -> tuple[Device, ...]:
    """Return the device, or the two, that a name stands for; raise SensorError if it is not there."""
    found = devices(root)
    if name == "auto":
        first = next((device for device in found if device.has(ACCEL)), None)
        if first:
            return grouped(first, found)
    else:
        # `open_sensor("iio:device2")` hands on what follows the colon.
        names = {alias: each for each in reversed(found) for alias in (each.path.name[4:], each.path.name, each.name)}
        named = [names[part] for part in name.split("+") if part in names]
        if len(named) == name.count("+") + 1 and named[0].has(ACCEL):
            if len(named) == 1:
                return grouped(named[0], found)
            if len(named) == 2 and named[1].has(GYRO):
                return named[0], named[1]
    listing = ", ".join(f"{device.name} ({device.path.name})" for device in found) or "no device at all"
    raise SensorError(
        f"{root / 'sys/bus/iio/devices'}: expected {'an accelerometer' if name == 'auto' else repr(name)}, got "
        f"{listing}; is the sensor in the device tree and its driver loaded?"
    )
