"""Heads and signatures of a small encoder that tests make up: eight codes, of which six are motion."""

import numpy as np

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.heads.card import HIGHEST, LOWEST, STATE, HeadCard, Taught, Timing, Weights
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization

ENCODER = bytes.fromhex("00112233aabbccdd")
SPEC = SignatureSpec(ENCODER, Quantization((Group(6, 0.5, 0), Group(2, 0.25, 3))), 6, 2_560_000_000)
HOP_NS = 160_000_000
START_NS = 1_764_400_000_000_000_000


def head(name="knock", *, rows=((127, 0, 0, 0, 0, 0),), timing=None, is_state=False, kind="prototypes", **more):
    """Return a head that scores the cosine of a signature's motion to its rows: 1 for codes of (c, 0, 0, 0, 0, 0)."""
    rows = np.array(rows, np.int8).reshape(-1, 6)
    weights = Weights(rows, 1 / np.linalg.norm(rows.astype(float), axis=1), np.zeros(len(rows)))
    taught = Taught(np.zeros((0, 8), np.int8), np.zeros(0, np.uint16), np.zeros((0, 8), np.int8))
    settings = {
        "encoder": ENCODER, "codes": (0, 6), "hop_ns": HOP_NS, "at_rest": LOWEST, "weights": weights, "taught": taught,
    }  # fmt: skip
    return HeadCard(name=name, kind=kind, is_state=is_state, timing=timing or Timing(0.9, 0.8), **settings | more)


def signatures(scores, *, start_ns=START_NS, hop_ns=HOP_NS, missing=(), at_rest=()):
    """Return signatures that `head` gives these scores, to two digits; without those numbered `missing`."""
    scores = np.asarray(scores, float)
    codes = np.zeros((len(scores), 8), np.int8)
    codes[:, 0] = np.rint(100 * scores)
    codes[:, 1] = np.rint(100 * np.sqrt(1 - scores**2))
    quality = np.zeros(len(scores), np.uint8)
    quality[list(at_rest)] = Quality.AT_REST
    times = start_ns + np.arange(len(scores)) * hop_ns
    there = [row for row in range(len(scores)) if row not in missing]
    return SignatureBatch(times[there], codes[there], quality[there], hop_ns, SPEC)


def by_rest(name="moving", *, encoder, moves=True, is_state=True, timing=None, **more):
    """Return a head of a real encoder that rest alone decides: of a sensor that moves, or of one that does not."""
    settings = {"encoder": encoder, "at_rest": LOWEST if moves else HIGHEST, "timing": timing or Timing(1.0, 1.0)}
    return head(name, rows=(), kind=STATE, is_state=is_state, **settings | more)
