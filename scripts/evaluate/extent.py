"""How much is measured: everything, or a tenth to see that the evaluation runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scripts.train.data import WindowSet

SEED = 1

BESIDE_RIVALS = frozenset({"hapt", "left_out"})
"""Parts that measure others beside the model: they need the others' packages, and TensorFlow."""

PARTS = {
    "hapt": "every contestant on hapt, privacy, time",
    "few_shot": "a person's own movements from a few examples, and false alarms",
    "heads": "heads taught by performing a motion",
    "left_out": "sets left out of training",
    "kernels": "what other kernels of TFLite change",
}


@dataclass(frozen=True)
class Extent:
    """batches: of each training without some sets. left_out_windows: of each set left out, at most.

    share: of hapt's windows, of the people whose other life is searched for false alarms, of those whose motions are
    taught, of draws and batches timed.
    """

    batches: int = 1500
    left_out_windows: int = 6000
    share: float = 1.0

    def thinned(self, windows: WindowSet) -> WindowSet:
        """Return the share of `windows`, drawn at random."""
        if self.share == 1:
            return windows
        return windows.where(np.random.default_rng(SEED).random(len(windows)) < self.share)


FULL = Extent()
QUICK = Extent(batches=100, left_out_windows=600, share=0.1)
