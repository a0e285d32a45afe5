"""The name by which a broker recognises a publisher.

A broker ends the older of two connections of one name, and publishes its will then, before it lets the new one in. So
a publisher that comes back under its old name cannot be called offline afterwards, by the late will of a connection
that the broker had not yet given up. But two machines of one name would push each other out for ever, and the SD card
of a fleet's machine is a copy of another's: so what is stored with the spool is mixed with what the machine itself is.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from pathlib import Path

from motionsig.files import replace_file

logger = logging.getLogger(__name__)

_STORED = re.compile(r"[0-9a-f]{32}")


def stable_client_id(device: str, folders: list[Path]) -> str:
    """Return one name for a device, machine and spool; its random part is kept in the first folder that takes it."""
    stored = next(filter(None, map(_stored, folders)), None) or _store(folders)
    digest = hashlib.sha256("\n".join([device, stored, machine_identity()]).encode("utf-8", "surrogateescape"))
    return f"motionsig-{device[:40]}-{digest.hexdigest()[:16]}"


def _stored(folder: Path) -> str | None:
    try:
        text = (folder / "identity").read_text("ascii", "replace")
    except OSError:
        return None
    return text if _STORED.fullmatch(text) else None


def _store(folders: list[Path]) -> str:
    stored = secrets.token_hex(16)
    for folder in filter(Path.is_dir, folders):
        try:
            # Cut short by a power cut, it would be another one afterwards.
            replace_file(folder / "identity", stored.encode("ascii"))
            break
        except OSError as error:
            logger.debug("%s: %s", folder, error)
    return stored


def machine_identity(sys: Path = Path("/sys")) -> str:
    """Return what no copy of this machine's disk has: a Raspberry Pi's serial number, else its network addresses.

    Only addresses that a network device was born with (Documentation/ABI/testing/sysfs-class-net: addr_assign_type 0);
    empty where there are none.
    """
    serial = _line(sys / "firmware/devicetree/base/serial-number")
    if serial:
        return serial
    devices = sorted((sys / "class/net").glob("*"))
    return ",".join(
        sorted(
            _line(net / "address")
            for net in devices
            if _line(net / "addr_assign_type") == "0" and (net / "device").exists()
        )
    )


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip("\0\n")
    except OSError:
        return ""
