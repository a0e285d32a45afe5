"""Signatures as a scikit-learn transformer, for pipelines, cross-validation and grid search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from motionsig.arrays import as_samples
from motionsig.encoders import Encoder, open_encoder
from motionsig.errors import InputError, MissingExtraError
from motionsig.hints import install_hint
from motionsig.model_card import ModelCard
from motionsig.pipeline import extract

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils import Tags
except ImportError as error:
    raise MissingExtraError(
        f"motionsig.Signatures needs scikit-learn 1.6 or newer: {install_hint('scikit-learn')}"
    ) from error

_PARTS = ("both", "motion", "posture")
_OUTPUTS = ("codes", "values")


class Signatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn recordings or windows into signatures, one row each, as a transformer of scikit-learn.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> windows = data[:768].reshape(6, 128, 6)  # windows of 128 samples at 50 Hz, what motion64 takes
    >>> model = make_pipeline(motionsig.Signatures(part="motion"), KNeighborsClassifier(n_neighbors=1))
    >>> model.fit(windows, ["walk", "run"] * 3).predict(windows[:2]).tolist()
    ['walk', 'run']

    X of `transform` is windows (k, length, 6) of the model's length and rate, or a sequence of k recordings (n, 6) of
    any length, each an array or a DataFrame as for `extract`. A window gives its signature; a recording gives the mean
    of its signatures.

    * `rate_hz`: of all of X, in samples per second. `model`, `device`: as for `open_encoder`.
    * `part`: "both", "motion" or "posture".
    * `output`: "codes" as they leave a device (int8; the mean of a recording's is float32), or "values" (float32), the
      numbers that the codes stand for.
    * `hop`: samples of the grid from one window of a recording to the next, in place of the model's own.
    * `check_units`: refuse what cannot be m/s² and rad/s with gravity.

    `fit` learns nothing. Every method raises InputError, which is a ValueError, for data that do not fit.
    """

    def __init__(
        self,
        *,
        rate_hz: float = 50.0,
        model: str | Path | None = None,
        device: str = "cpu",
        part: str = "both",
        output: str = "codes",
        hop: int | None = None,
        check_units: bool = True,
    ) -> None:
        self.rate_hz = rate_hz
        self.model = model
        self.device = device
        self.part = part
        self.output = output
        self.hop = hop
        self.check_units = check_units

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; learn nothing."""
        self._chosen(self._card())
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Return an array (k, codes) for k windows or recordings, int8 or float32."""
        with open_encoder(self.model, self.device) as encoder:
            chosen = self._chosen(encoder.card)
            if self._are_windows(X, encoder.card):
                made = extract(X, rate_hz=self.rate_hz, encoder=encoder, check_units=self.check_units)
                return np.array((made.codes if self.output == "codes" else made.values)[:, chosen])
            rows = [self._mean(i, recording, encoder)[chosen] for i, recording in enumerate(_recordings(X))]
        return np.stack(rows)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns, as `SignatureBatch.names` has them: code_0 and so on."""
        card = self._card()
        return np.array([f"code_{i}" for i in range(card.dim)], object)[self._chosen(card)]

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        return tags

    def _card(self) -> ModelCard:
        from motionsig.encoders import find_model

        return find_model(self.model)

    def _chosen(self, card: ModelCard) -> slice:
        if self.part not in _PARTS or self.output not in _OUTPUTS:
            raise InputError(
                f"Signatures: expected part one of {', '.join(_PARTS)} and output one of {', '.join(_OUTPUTS)}, got "
                f"{self.part!r} and {self.output!r}"
            )
        return {"both": slice(None), "motion": slice(card.motion_dim), "posture": slice(card.motion_dim, None)}[
            self.part
        ]

    def _are_windows(self, X: Any, card: ModelCard) -> bool:
        shape: tuple[int, ...] = getattr(X, "shape", ())
        return len(shape) == 3 and shape[1] == card.length and self.rate_hz == card.rate_hz

    def _mean(self, number: int, recording: Any, encoder: Encoder) -> NDArray[np.float32]:
        try:
            if as_samples(recording).ndim != 2:
                raise InputError(f"data: expected a recording (n, 6), got {np.shape(recording)}")
            made = extract(recording, rate_hz=self.rate_hz, encoder=encoder, hop=self.hop, check_units=self.check_units)
        except InputError as error:
            raise InputError(f"recording {number}: {error}") from error
        if not len(made):
            card = encoder.card
            raise InputError(
                f"recording {number}: expected at least {card.length / card.rate_hz:g} s, got {len(recording)} samples "
                f"at {self.rate_hz:g} Hz"
            )
        return np.asarray((made.codes if self.output == "codes" else made.values).mean(axis=0, dtype=np.float32))


def _recordings(X: Any) -> Sequence[Any] | NDArray[Any]:
    """Return the recordings in X, of which there is at least one."""
    shape = getattr(X, "shape", None)
    if hasattr(X, "columns") or not isinstance(X, Sequence | np.ndarray) or (shape is not None and len(shape) != 3):
        got = f"{type(X).__name__} {'' if shape is None else shape}".strip()
        raise InputError(
            f"X: expected windows (k, length, 6) or a list of recordings (n, 6), got {got}; one recording goes in as "
            "[recording]. Reshape your data if they are windows laid flat"
        )
    if not len(X):
        raise InputError("X: expected at least one window or recording, got 0 samples")
    return X
