"""Raspberry Pis for QEMU's user mode: its model of the core, and the files in which a kernel describes the processor.

A runtime chooses its kernels from these files. Without them LiteRT does without XNNPACK, and on those of another
machine (an x86 `/proc/cpuinfo`) it may crash. QEMU itself tells programs the features of `-cpu` (getauxval).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4


@dataclass(frozen=True)
class Machine:
    """One board, as a kernel of 64 or 32 bits describes it."""

    model: str
    core: str
    """QEMU's `-cpu`."""
    variant: int
    part: int
    revision: int
    features: str
    bogomips: str
    khz: tuple[int, int]
    """The slowest and the fastest clock."""
    architecture: int = 8


MACHINES = {
    # /proc/cpuinfo of a Pi 3B+: github.com/hrw/arm-socs-table/issues/29; clocks: config.txt's documentation (arm_freq).
    "pi3": Machine(
        "Raspberry Pi 3 Model B Plus Rev 1.3",
        "cortex-a53",
        *(0x0, 0xD03, 4),
        "fp asimd evtstrm crc32 cpuid",
        "38.40",
        (600_000, 1_400_000),
    ),
    # Of a Pi 4: github.com/fastfetch-cli/fastfetch/issues/1529.
    "pi4": Machine(
        "Raspberry Pi 4 Model B Rev 1.5",
        "cortex-a72",
        *(0x0, 0xD08, 3),
        "fp asimd evtstrm crc32 cpuid",
        "108.00",
        (600_000, 1_800_000),
    ),
    # The features of r4p1, which a Pi 5 has; without `ssbs`, which QEMU 7.2 does not emulate.
    "pi5": Machine(
        "Raspberry Pi 5 Model B Rev 1.0",
        "cortex-a76",
        *(0x4, 0xD0B, 1),
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        "108.00",
        (1_500_000, 2_400_000),
    ),
    # A Pi 2, whose A7 is the least that Debian's armhf runs on: no crc32, no instructions of ARMv8.
    "pi2": Machine(
        "Raspberry Pi 2 Model B Rev 1.1",
        "cortex-a7",
        *(0x0, 0xC07, 5),
        "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm",
        "38.40",
        (600_000, 900_000),
        architecture=7,
    ),
}


def write(machine: Machine, folder: Path) -> None:
    """Write `proc/cpuinfo` and `sys/` of a machine into a folder, and QEMU's name of its core into `core`."""
    for name, text in ({"core": f"{machine.core}\n"} | _files(machine)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _files(machine: Machine) -> dict[str, str]:
    last = CORES - 1
    cpu = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": "".join(_processor(machine, number) for number in range(CORES))
        + f"Model\t\t: {machine.model}\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        f"{cpu}/kernel_max": f"{last}\n",
        **{f"{cpu}/{which}": f"0-{last}\n" for which in ("possible", "present", "online")},
    }
    slow, fast = machine.khz
    for number in range(CORES):
        files |= {
            f"{cpu}/cpu{number}/cpufreq/cpuinfo_min_freq": f"{slow}\n",
            f"{cpu}/cpu{number}/cpufreq/cpuinfo_max_freq": f"{fast}\n",
            f"{cpu}/cpu{number}/cpufreq/scaling_cur_freq": f"{fast}\n",
            f"{cpu}/cpu{number}/cpufreq/scaling_governor": "ondemand\n",
            f"{cpu}/cpu{number}/topology/core_id": f"{number}\n",
            f"{cpu}/cpu{number}/topology/physical_package_id": "0\n",
            f"{cpu}/cpu{number}/topology/core_siblings_list": f"0-{last}\n",
            f"{cpu}/cpu{number}/topology/thread_siblings_list": f"{number}\n",
        }
    return files


def _processor(machine: Machine, number: int) -> str:
    """Return one core's lines as arch/arm64/kernel/cpuinfo.c and arch/arm/kernel/setup.c print them."""
    name = f"model name\t: ARMv7 Processor rev {machine.revision} (v7l)\n" if machine.architecture == 7 else ""
    return (
        f"processor\t: {number}\n{name}BogoMIPS\t: {machine.bogomips}\nFeatures\t: {machine.features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: {machine.architecture}\nCPU variant\t: 0x{machine.variant:x}\n"
        f"CPU part\t: 0x{machine.part:03x}\nCPU revision\t: {machine.revision}\n\n"
    )
