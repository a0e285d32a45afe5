"""What flows through the pipeline: samples, windows, signatures; and the Source they come from.

`sample_block` checks arrays from outside. Inside the pipeline each step trusts the one before it and checks nothing
again.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.closing import Closing
from motionsig.conventions import CHANNELS, MAX_LABEL_CHARS, NS_PER_S
from motionsig.errors import InputError, MissingExtraError, MotionsigError
from motionsig.facts import Fact
from motionsig.hints import install_hint
from motionsig.quantization import Quantization

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """Consecutive samples as delivered. `sample_block` makes one of arrays and checks them.

    >>> with motionsig.open_recording("walk.npz") as source:
    ...     print(next(iter(source)))
    SampleBlock(1000 samples from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:09.990Z)

    * `time_ns`: (n,) int64, Unix nanoseconds, strictly increasing.
    * `data`: (n, 6) float32, acc_x, acc_y, acc_z in m/s² and gyr_x, gyr_y, gyr_z in rad/s, sensor frame.
    * `gap`: samples were lost just before the first one.
    * `quality`: (n,) uint8 of `Quality`, or None where all are clear; the Resampler sets it, a source leaves it None.
    * `label`: what was done meanwhile, where a recording says so. A block has one label: readers cut where it changes.
    * `above`: (n, 2) float32, set by the Resampler: mean square of what its low-pass took away around each grid point,
      of acceleration, (m/s²)², and of angular rate, (rad/s)², summed over the axes. Only its mean over many points
      means something: single ones may be negative. None where the source is no faster than the grid.
    """

    time_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    gap: bool = False
    quality: NDArray[np.uint8] | None = None
    label: str = ""
    above: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.time_ns)

    def __repr__(self) -> str:
        until = f" to {_instant(self.time_ns[-1])}" if len(self) else ""
        after, label = ", after a gap" if self.gap else "", f", {self.label[:32]!r}" if self.label else ""
        return f"SampleBlock({_counted(self.time_ns, 'sample')}{until}{after}{label})"


def _counted(time_ns: NDArray[np.int64], noun: str) -> str:
    start = f" from {_instant(time_ns[0])}" if len(time_ns) else ""
    return f"{len(time_ns)} {noun}{'' if len(time_ns) == 1 else 's'}{start}"


def _instant(time_ns: np.int64) -> str:
    return f"{np.datetime64(int(time_ns), 'ns').astype('datetime64[ms]')}Z"


def sample_block(time_ns: ArrayLike, data: ArrayLike, *, gap: bool = False, label: str = "") -> SampleBlock:
    """Return a SampleBlock of arrays that come from outside, checked.

    >>> motionsig.sample_block(np.arange(1000) * 10_000_000, data, label="walking")
    SampleBlock(1000 samples from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:09.990Z, 'walking')

    time_ns: (n,) integers, Unix ns. data: (n, 6), m/s² and rad/s; NaN is let through, and the Resampler counts such
    samples as lost. Raises InputError for other shapes, times that do not increase, or a label that is longer than
    128 characters or no Unicode.
    """
    times = np.asarray(time_ns)
    values = np.asarray(data, dtype=np.float32)
    if times.ndim != 1 or values.shape != (len(times), len(CHANNELS)):
        wanted = f"time_ns (n,) and data (n, {len(CHANNELS)}) with columns {', '.join(CHANNELS)}"
        raise InputError(f"samples: expected {wanted}, got {times.shape} and {values.shape}")
    if times.dtype.kind not in "iu":
        raise InputError(f"time_ns: expected integer nanoseconds, got {times.dtype}")
    times = times.astype(np.int64, copy=False)
    backwards = np.flatnonzero(times[1:] <= times[:-1])
    if len(backwards):
        row = int(backwards[0]) + 1
        got = f"got {times[row]} after {times[row - 1]} at sample {row}"
        raise InputError(f"time_ns: expected strictly increasing times, {got}")
    check_label(label, "label")
    return SampleBlock(times, values, gap, label=label)


def check_label(label: str, where: str, error: type[MotionsigError] = InputError) -> None:
    """Raise `error` for a label that is too long, or that UTF-8 cannot hold."""
    if len(label) > MAX_LABEL_CHARS:
        got = f"got {len(label)}: {label[:40]!r}..."
        raise error(f"{where}: expected a label of at most {MAX_LABEL_CHARS} characters, {got}")
    try:
        label.encode()
    except UnicodeEncodeError:
        raise error(f"{where}: expected a label in Unicode, got {label[:40]!r}") from None


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """k complete windows on the model's grid, as `Windower` returns them and an `Encoder` takes them.

    >>> grid = motionsig.sample_block(np.arange(300) * 20_000_000, data[:300])  # 6 s at 50 Hz
    >>> motionsig.Windower(length=128, hop=64).push(grid)
    WindowBatch(3 windows from 1970-01-01T00:00:00.000Z, of 128 samples, every 1.28 s)

    * `start_ns`: (k,) int64, Unix time of each window's first sample. `hop_ns`: from one window to the next.
    * `data`: (k, length, 6) float32, m/s² and rad/s, often a view.
    * `quality`: (k,) uint8, the `Quality` of all samples in the window together, and what the window itself tells.
    * `number`: of the first window since the last gap, from 0; the others follow.
    """

    start_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    quality: NDArray[np.uint8]
    hop_ns: int
    number: int = 0

    def __len__(self) -> int:
        return len(self.start_ns)

    def __repr__(self) -> str:
        counted = _counted(self.start_ns, "window")
        return f"WindowBatch({counted}, of {self.data.shape[1]} samples, every {self.hop_ns / NS_PER_S:g} s)"


@dataclass(frozen=True)
class SignatureSpec:
    """What must agree before two signatures may be compared, and what is needed to read one.

    fingerprint: 8 bytes that stand for the model, its front end, its card's version and its quantization.
    motion_dim: the first so many codes are motion, the rest are posture. length_ns: time one signature covers.
    """

    fingerprint: bytes
    quantization: Quantization
    motion_dim: int
    length_ns: int

    def __repr__(self) -> str:
        posture = self.quantization.dim - self.motion_dim
        return (
            f"SignatureSpec(encoder {self.fingerprint.hex()}, {self.motion_dim} motion + {posture} posture codes of "
            f"{self.length_ns / NS_PER_S:g} s)"
        )


@dataclass(frozen=True, eq=False)
class SignatureBatch:
    """What leaves the device: k signatures.

    >>> signatures.codes.shape, signatures.motion.shape, signatures.posture.shape
    ((6, 64), (6, 48), (6, 16))
    >>> values = signatures.values
    >>> likeness = values @ values[0]  # the more alike the motion, the larger
    >>> len(signatures[-1]), len(signatures[2:]), len(signatures[signatures.quality == motionsig.Quality.CLEAR])
    (1, 4, 6)

    * `start_ns`: (k,) int64, Unix time of each window's first sample. `hop_ns`: from one window to the next, where
      nothing was lost.
    * `codes`: (k, dim) int8. `quality`: (k,) uint8 of `Quality`.
    * `spec`: `fingerprint` (8 bytes that stand for the encoder), `quantization`, `motion_dim`, and `length_ns`, the
      time that a signature covers. Signatures of different specs do not compare.
    * `labels`: (k,) text, what the recording says was done in the middle of each window, "" where it says nothing; None
      where it never does.

    The arrays are read-only. An index, a slice, a mask or a list of indices gives a batch, and iteration gives batches
    of one; `np.asarray(batch)` is the codes. Two batches are equal where their content and spec are.
    """

    start_ns: NDArray[np.int64]
    codes: NDArray[np.int8]
    quality: NDArray[np.uint8]
    hop_ns: int
    spec: SignatureSpec
    labels: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.start_ns)

    def __post_init__(self) -> None:
        """Make the arrays read-only: whoever holds a batch relies on it, and its slices share its memory."""
        for name in ("start_ns", "codes", "quality", *(() if self.labels is None else ("labels",))):
            array = getattr(self, name).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        motion, posture = self.motion.shape[1], self.posture.shape[1]
        return (
            f"SignatureBatch({_counted(self.start_ns, 'signature')}, {motion} motion + {posture} posture codes every "
            f"{self.hop_ns / NS_PER_S:g} s, encoder {self.spec.fingerprint.hex()})"
        )

    def _repr_html_(self) -> str:
        """Show the codes as a picture in a notebook, below the line that `repr` gives."""
        from motionsig.heatmap import html

        return html(self.codes, self.spec.motion_dim, repr(self))

    def __getitem__(self, rows: int | slice | ArrayLike) -> SignatureBatch:
        """Return a batch of the rows chosen; of one for an integer. Raises IndexError as an array does."""
        if not isinstance(rows, slice | list | np.ndarray) or (isinstance(rows, np.ndarray) and not rows.ndim):
            try:
                index = operator.index(rows)  # type: ignore[arg-type]
            except TypeError as error:
                raise TypeError(
                    "signatures: expected an integer, a slice, a mask or a list of integers as index, got "
                    f"{type(rows).__name__}; single codes are in .codes"
                ) from error
            row = index + len(self) if index < 0 else index
            if not 0 <= row < len(self):
                raise IndexError(f"signatures: expected an index of {len(self)} signatures, got {index}")
            rows = slice(row, row + 1)
        labels = None if self.labels is None else self.labels[rows]
        start_ns, codes, quality = self.start_ns[rows], self.codes[rows], self.quality[rows]
        return replace(self, start_ns=start_ns, codes=codes, quality=quality, labels=labels)

    def __iter__(self) -> Iterator[SignatureBatch]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SignatureBatch):
            return NotImplemented
        return (
            (self.spec, self.hop_ns) == (other.spec, other.hop_ns)
            and np.array_equal(self.start_ns, other.start_ns)
            and np.array_equal(self.codes, other.codes)
            and np.array_equal(self.quality, other.quality)
            and (self.labels is None) == (other.labels is None)
            and (self.labels is None or np.array_equal(self.labels, other.labels))  # type: ignore[arg-type]
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the codes; `np.asarray(batch)` is what calls this."""
        if copy is False and dtype is not None and np.dtype(dtype) != self.codes.dtype:
            raise ValueError(f"signatures: expected to copy for codes as {np.dtype(dtype)}, got copy=False")
        return np.array(self.codes, dtype) if copy else np.asarray(self.codes, dtype)

    @property
    def time(self) -> NDArray[np.datetime64]:
        """(k,) datetime64[ns], UTC: when each window starts."""
        return self.start_ns.view("datetime64[ns]")

    @property
    def values(self) -> NDArray[np.float32]:
        """(k, dim) float32: the codes in the encoder's own unit."""
        return self.spec.quantization.dequantize(self.codes)

    @property
    def motion(self) -> NDArray[np.int8]:
        """(k, motion_dim) int8: what the body did, whichever way the device was turned."""
        return self.codes[:, : self.spec.motion_dim]

    @property
    def posture(self) -> NDArray[np.int8]:
        """(k, dim - motion_dim) int8: how the device was worn and held."""
        return self.codes[:, self.spec.motion_dim :]

    @property
    def names(self) -> list[str]:
        """What each code is called in tables, here and in `motionsig export`: code_0 and so on."""
        return [f"code_{i}" for i in range(self.codes.shape[1])]

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame: start (UTC), quality and one int8 column per code; spec and hop as text in its `attrs`.

        >>> signatures.to_pandas().shape
        (6, 66)

        With labels there is a column `label`, too. Raises MissingExtraError without pandas.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError(f"to_pandas needs pandas: {install_hint('pandas')}") from error
        frame = pd.DataFrame(self.codes, columns=self.names)
        frame.insert(0, "quality", self.quality)
        if self.labels is not None:
            frame.insert(0, "label", self.labels.astype(object))
        frame.insert(0, "start", pd.to_datetime(self.start_ns, utc=True))
        frame.attrs.update(self._about())
        return frame

    def to_arrow(self) -> pa.Table:
        """Return a pyarrow Table: start (UTC), quality and codes, a list of fixed size; metadata as `to_pandas` has.

        >>> signatures.to_arrow().column_names
        ['start', 'quality', 'codes']

        With labels there is a column `label`, too. Raises MissingExtraError without pyarrow.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtraError(f"to_arrow needs pyarrow: {install_hint('pyarrow')}") from error
        columns = {
            "start": pa.array(self.start_ns, pa.timestamp("ns", tz="UTC")),
            **({} if self.labels is None else {"label": pa.array(self.labels.tolist(), pa.string())}),
            "quality": pa.array(self.quality),
            "codes": pa.FixedSizeListArray.from_arrays(pa.array(self.codes.ravel()), self.codes.shape[1]),
        }
        return pa.table(columns).replace_schema_metadata(self._about())

    def _about(self) -> dict[str, str]:
        return {
            "fingerprint": self.spec.fingerprint.hex(),
            "motion_dim": str(self.spec.motion_dim),
            "length_ns": str(self.spec.length_ns),
            "hop_ns": str(self.hop_ns),
        }


def concatenate(batches: Sequence[SignatureBatch]) -> SignatureBatch:
    """Return one batch of all signatures in order.

    >>> motionsig.concatenate([signatures[:2], signatures[2:]]) == signatures
    True

    Raises InputError for an empty sequence and for batches of different encoders or hops: their vectors do not compare.
    """
    if not batches:
        raise InputError("concatenate: expected at least one SignatureBatch, got none")
    first = batches[0]
    for batch in batches[1:]:
        if batch.spec != first.spec or batch.hop_ns != first.hop_ns:
            raise InputError(
                f"concatenate: expected signatures of encoder {first.spec.fingerprint.hex()} every {first.hop_ns} ns, "
                f"got some of {batch.spec.fingerprint.hex()} every {batch.hop_ns} ns; vectors of different encoders or "
                "hops must not be mixed"
            )
    labels = None
    if any(batch.labels is not None for batch in batches):
        none = (np.zeros(len(batch), "U1") if batch.labels is None else batch.labels for batch in batches)
        labels = np.concatenate(list(none))
    return replace(
        first,
        start_ns=np.concatenate([batch.start_ns for batch in batches]),
        codes=np.concatenate([batch.codes for batch in batches]),
        quality=np.concatenate([batch.quality for batch in batches]),
        labels=labels,
    )


@dataclass(frozen=True)
class SourceInfo:
    """What a source knows of itself before the first sample.

    >>> with motionsig.open_recording("walk.npz") as source:
    ...     print(source.info)
    SourceInfo('walk.npz', npz, 1000 samples, stream ...)

    * `name`: for people (a file name, a sensor). `format`: which reader or driver.
    * `stream_id`: names this stream of samples, 0 to 2^63 - 1, so that a recording replayed twice is stored once.
    * `samples`: about how many will come, where known. `device`: who recorded it, where known.
    * `scale`: (6,) SI units per int16 count, where every sample is a whole number of counts.
    * `facts`: what was understood of a log and how it is known; what is only assumed is in `assumed`.
    """

    name: str
    format: str
    stream_id: int
    samples: int | None = None
    scale: tuple[float, ...] | None = None
    device: str | None = None
    facts: tuple[Fact, ...] = ()

    @property
    def assumed(self) -> tuple[Fact, ...]:
        """What neither the log's words nor its numbers nor an option say: it may be wrong."""
        return tuple(fact for fact in self.facts if fact.how == "assumed")

    def __repr__(self) -> str:
        count = "" if self.samples is None else f", {self.samples} samples"
        device = "" if self.device is None else f" of {self.device[:32]!r}"
        return f"SourceInfo({self.name[:64]!r}{device}, {self.format[:32]}{count}, stream {self.stream_id})"


class Source(Closing, Protocol):
    """An iterable of SampleBlock with a rate; `open_recording` and `open_sensor` open one. A context manager.

    >>> class Mine(motionsig.Source):
    ...     rate_hz, info = 100.0, motionsig.SourceInfo("mine", "array", stream_id=1)
    ...     def __iter__(self):
    ...         yield motionsig.sample_block(np.arange(1000) * 10_000_000, data)
    >>> with motionsig.open_encoder() as encoder:
    ...     print(motionsig.run(Mine(), encoder, print).signatures)
    SignatureBatch(6 signatures ...)
    6

    * `rate_hz`: samples per second, nominal: a sensor's clock may be off by 5 %.
    * `info`: a `SourceInfo`.

    A class of your own inherits from this one, or has the same members; `run` and `signatures` use `rate_hz` and the
    iteration alone. A source that holds nothing open between iterations needs no close method.
    """

    if TYPE_CHECKING:
        # Not there at run time, where a property of this class would keep others from setting an attribute.
        @property
        def rate_hz(self) -> float: ...

        @property
        def info(self) -> SourceInfo: ...

    def __iter__(self) -> Iterator[SampleBlock]: ...
