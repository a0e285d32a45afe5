"""What runs on the host around any network, the same for every device: its input and posture codes, from windows."""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.errors import EncoderError, InputError, ModelError
from motionsig.frontend import CHUNK
from motionsig.model_card import Golden, ModelCard
from motionsig.quality import Quality

Codes = NDArray[np.int8]

EDGE_TPU_STEPS = 8
"""Steps by which an Edge TPU's golden codes may be off. The CPU's own kernels differ by up to 3; no Edge TPU has been
measured; noise in place of an answer is off by dozens. A child has to give them at each start; codes that go wrong
later, without an error, are not noticed."""


class Encoder(Closing, Protocol):
    """Makes signatures of windows; `open_encoder` opens one. A context manager.

    Each signature depends on its own window alone, so one encoder serves any number of recordings and threads:

    >>> with motionsig.open_encoder() as encoder:
    ...     for recording in (data, data[:500]):
    ...         print(motionsig.extract(recording, rate_hz=100, encoder=encoder).codes.shape)
    (6, 64)
    (2, 64)

    An encoder that is not closed lets go of its device when nothing refers to it any more.
    """

    @property
    def card(self) -> ModelCard:
        """The model's card: what the encoder takes and makes."""

    @property
    def device(self) -> str:
        """What runs the network at present, as text: "cpu (LiteRT 2.3.0, XNNPACK)"."""

    @property
    def kernels(self) -> str | None:
        """Which of TFLite's kernel sets computes the codes at present, "XNNPACK" as a rule; None: not known."""

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for none. Raises EncoderError if the device fails or was closed."""


class Network(Protocol):
    """An int8 network on some device; `device` says which it is now."""

    card: ModelCard

    @property
    def device(self) -> str: ...

    @property
    def kernels(self) -> str | None:
        """Which of TFLite's kernel sets computes the codes, None where it is not known."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_described(self.card, self.device)})"

    def run(self, inputs: Codes) -> tuple[Codes, NDArray[np.uint8] | int]:
        """Return the motion codes (k, motion_dim) of inputs (k, 1, length, channels), and the `Quality` this adds.

        k is at most CHUNK. Raises EncoderError if the device fails.
        """
        ...

    def close(self) -> None:
        """Let go of the device, if there is one."""
        return


class TensorSpec(NamedTuple):
    """A network's input or output: its type, shape, scale and zero point."""

    kind: str
    shape: list[int]
    scale: float
    zero_point: int


class HostEncoder(Closing):
    """An Encoder: the card's front end and posture on the host, the motion codes from a network. For any thread."""

    def __init__(self, card: ModelCard, network: Network) -> None:
        self.card = card
        self._network, self._closed = network, False
        self._lock = threading.RLock()  # a network serves one caller at a time

    @property
    def device(self) -> str:
        """What runs the network now."""
        return self._network.device

    @property
    def kernels(self) -> str | None:
        """Which of TFLite's kernel sets computes the codes now, None where it is not known."""
        return self._network.kernels

    def __repr__(self) -> str:
        return f"HostEncoder({_described(self.card, self.device)}{', closed' * self._closed})"

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for none. Raises EncoderError if the device fails or was closed."""
        if not isinstance(windows, WindowBatch):
            kind = type(windows).__name__
            raise InputError(f"encode: expected a WindowBatch, got {kind}; motionsig.extract takes arrays")
        card, posture = self.card, self.card.posture
        codes, quality = np.empty((len(windows), card.dim), np.int8), windows.quality.copy()
        for first in range(0, len(windows), CHUNK):
            rows = slice(first, first + CHUNK)
            inputs, upright = network_input(card, windows.data[rows])
            with self._lock:
                if self._closed:
                    raise EncoderError(f"{card.name}: expected an open encoder, got one that was closed")
                codes[rows, : card.motion_dim], made_by = self._network.run(inputs)
            codes[rows, card.motion_dim :] = posture.quantize(upright)
            quality[rows] |= np.asarray(made_by, np.uint8)
        return SignatureBatch(windows.start_ns, codes, quality, windows.hop_ns, card.spec)

    def close(self) -> None:
        """Let go of the device. May be called twice."""
        with self._lock:
            self._closed = True
            self._network.close()


def golden_distance(encoder: Encoder, golden: Golden | None = None) -> tuple[int, int]:
    """Return by how many steps golden windows are off at most, and by how many they may be on this device.

    golden: those of the card, if they have been read.
    """
    windows, codes, tolerance, _ = golden or encoder.card.golden()
    made = encoder.encode(WindowBatch(np.arange(len(windows)), windows, np.zeros(len(windows), np.uint8), 1))
    if (made.quality & Quality.EDGE_TPU).any():
        tolerance = max(tolerance, EDGE_TPU_STEPS)
    return int(np.abs(made.codes.astype(int) - codes).max()), tolerance


def check_golden(encoder: Encoder) -> None:
    """Raise ModelError where an encoder gives other codes for the golden windows than its card tolerates."""
    worst, tolerance = golden_distance(encoder)
    if worst > tolerance:
        where = f"within {tolerance} steps on {encoder.device}, got {worst}"
        raise ModelError(f"{encoder.card.path}: expected the golden windows' codes {where}")


def network_input(card: ModelCard, windows: NDArray[np.float32]) -> tuple[Codes, NDArray[np.float32]]:
    """Return what the network takes of windows (k, length, 6), (k, 1, length, channels), and their posture features."""
    features, upright = card.front_end.apply(windows)
    return np.ascontiguousarray(card.input.quantize(features))[:, None], upright


def check_network(card: ModelCard, name: str, given: TensorSpec, made: TensorSpec) -> None:
    """Raise ModelError unless the network in file `name` has the card's input and output: it would make nonsense."""
    shapes = ([1, 1, card.length, card.input.dim], [1, card.motion_dim])
    groups = (card.input.groups[0], card.motion.groups[0])
    ends = zip(("input", "output"), (given, made), shapes, groups, strict=True)
    for end, spec, shape, (_, scale, zero_point) in ends:
        same = np.isclose(spec.scale, scale, rtol=1e-6) and spec.zero_point == zero_point
        if spec.kind != "int8" or spec.shape != shape or not same:
            got = f"{spec.kind} {spec.shape} with {spec.scale} and {spec.zero_point}"
            wanted = f"{end} int8 {shape} with scale {scale} and zero point {zero_point}"
            raise ModelError(f"{card.path / name}: expected {wanted} as in the card, got {got}")


def _described(card: ModelCard, device: str) -> str:
    """Return what a `repr` says of both; cut, because a device may come with the reason for it."""
    return f"{card.name[:64]} version {card.version}, {card.fingerprint.hex()}, on {device}"[:170]
