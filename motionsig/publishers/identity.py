"""The name by which a broker recognises a publisher.

A broker ends the older of two connections of one name and publishes its will, before it lets the new one in. So the
name stays: no late will can call a publisher offline that is back. But two machines of one name would push each other
out for ever, and SD cards are copied: so what is stored with the spool is mixed with what the machine itself is.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from motionsig.escaping import own_logger
from motionsig.files import replace_file

logger = own_logger(__name__)

_STORED = re.compile(r"[0-9a-f]{32}")


def stable_client_id(device: str, folders: list[Path]) -> str:
    """Return one name for a device, machine and spool; its random part is kept in the first folder that takes it."""
    kept = (_line(folder / "identity") for folder in folders)
    stored = next(filter(_STORED.fullmatch, kept), None) or _store(folders)
    digest = hashlib.sha256("\n".join([device, stored, machine_identity()]).encode("utf-8", "surrogateescape"))
    return f"motionsig-{device[:40]}-{digest.hexdigest()[:16]}"


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

    Only addresses that a network device was born with (Documentation/ABI/testing/sysfs-class-net: addr_assign_type 0).
    """
    if serial := _line(sys / "firmware/devicetree/base/serial-number"):
        return serial
    devices = [net for net in (sys / "class/net").glob("*") if (net / "device").exists()]
    return ",".join(sorted(_line(net / "address") for net in devices if _line(net / "addr_assign_type") == "0"))


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip("\0\n")
    except OSError:
        return ""
