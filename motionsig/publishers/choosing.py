"""Which encoder's signatures are read back: vectors of different encoders do not compare."""

from __future__ import annotations

from motionsig.errors import InputError


def check_encoders(where: str, found: set[bytes], device: str | None, fingerprint: bytes | None) -> None:
    """Raise InputError where what was asked for is not among the fingerprints found, or none was chosen of several."""
    known = ", ".join(sorted(one.hex() for one in found))
    if not found or (fingerprint is not None and fingerprint not in found):
        wanted = f" of encoder {fingerprint.hex()}" if fingerprint is not None else ""
        wanted += f" of device {device!r}" if device is not None else ""
        raise InputError(f"{where}: expected signatures{wanted}, got {known or 'none at all'}")
    if fingerprint is None and len(found) > 1:
        raise InputError(
            f"{where}: vectors of different encoders do not compare; choose one with fingerprint=: {known}"
        )
