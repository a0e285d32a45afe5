"""Messages against the grammar in the documentation."""

from __future__ import annotations

import platform

from motionsig.wire import WIRE_CDDL


def check_grammar(data: bytes) -> None:
    """Check a message of CBOR; not on ARM, for which pycddl has no wheel."""
    if platform.machine() == "x86_64":
        import pycddl

        pycddl.Schema(WIRE_CDDL).validate_cbor(data)
