"""What a vector is worth to somebody who meets it frozen: a linear probe, and int8 against float."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HAPT_TEST_PEOPLE = frozenset(f"ha{number:02d}" for number in (2, 4, 9, 10, 12, 13, 18, 20, 24))
"""UCI HAR's own split."""

HAPT_BASIC = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")

HOW = (
    "linear probe: standardised logistic regression (scikit-learn) on the frozen vector, macro-F1 on people neither "
    "the probe nor, in motionsense, the network has seen; hapt was never trained on, UCI's official test people, six "
    "basic activities; turned: every test window turned by a random rotation of its own, the probe taught unturned; "
    "signatures as they leave the int8 network in LiteRT on x86-64"
)


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe's vectors and labels, one row a window."""

    train: NDArray[np.float32]
    train_label: NDArray[np.str_]
    test: NDArray[np.float32]
    test_label: NDArray[np.str_]

    def macro_f1(self) -> float:
        """Fit on train, return the macro-F1 on test."""
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        # Plain statistics of a turned window reach far outside what the scaler saw; float64 keeps the solver quiet.
        probe.fit(self.train.astype(np.float64), self.train_label)
        guessed = probe.predict(self.test.astype(np.float64))
        return round(float(f1_score(self.test_label, guessed, average="macro")), 3)


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each row of `a` with the same row of `b`."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(lengths, 1e-9), np.float32)
