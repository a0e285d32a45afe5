"""Signatures with fewer bits a code: for stores and heads they are those of another encoder."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError
from motionsig.quantization import Group, Quantization

STEPS = {4: 12}
"""How many steps of an encoder of 8 bits are one step of so many bits. 12 lost nothing of the probe, 16 did."""
BITS = tuple(STEPS)
"""How many bits a code may have in place of 8."""


def check_bits(bits: int) -> None:
    """Raise InputError for a number of bits that signatures cannot have."""
    if bits not in (*BITS, 8):
        raise InputError(f"bits: expected one of {', '.join(map(str, (*BITS, 8)))}, got {bits!r}")


def coarser_spec(spec: SignatureSpec, bits: int) -> SignatureSpec:
    """Return what signatures of `spec` are with fewer bits a code, one of BITS.

    Each scale is STEPS[bits] times as large, and each zero point is 0. The fingerprint is the first 8 bytes of the
    SHA-256 of the text "motionsig bits", one byte with the number of bits, and the fingerprint of `spec`.
    """
    groups = tuple(Group(size, scale * STEPS[bits], 0) for size, scale, _ in spec.quantization.groups)
    fingerprint = hashlib.sha256(b"motionsig bits" + bytes([bits]) + spec.fingerprint).digest()[:8]
    return replace(spec, fingerprint=fingerprint, quantization=Quantization(groups))


def coarser(signatures: SignatureBatch, bits: int) -> SignatureBatch:
    """Return the signatures with fewer bits a code, rounded to the nearest; the same ones for 8 bits.

    The codes are within -2^(bits - 1) and 2^(bits - 1) - 1. Raises InputError for another number of bits.
    """
    check_bits(bits)
    if bits == 8:
        return signatures
    spec, most = coarser_spec(signatures.spec, bits), 1 << (bits - 1)
    codes = np.clip(spec.quantization.quantize(signatures.values), -most, most - 1)
    return replace(signatures, codes=codes, spec=spec)
