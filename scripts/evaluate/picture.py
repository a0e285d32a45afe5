"""The map of signatures: what lies near what, in two dimensions."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

MAP = "map.png"
SEED = 1
POINT = 9
LOOKS = dict(
    zip(
        ("walking", "upstairs", "downstairs", "sitting", "standing", "laying"),
        # Okabe and Ito's colours, which stay apart for the colour-blind; and shapes, which need no colour.
        (("#0072B2", "o"), ("#56B4E9", "^"), ("#009E73", "v"), ("#D55E00", "s"), ("#E69F00", "D"), ("#CC79A7", "P")),
        strict=True,
    )
)
CAPTION = (
    "Each point is a window of {seconds:g} s; points that are close have similar codes.\n"
    "Turned: before encoding, each window was rotated by a random rotation of its own,\n"
    "as if the device were worn another way each time. The motion codes hardly change."
)


def draw_map(
    file: Path,
    signatures: NDArray[np.float32],
    turned: NDArray[np.float32],
    activity: NDArray[np.str_],
    *,
    seconds: float,
) -> None:
    """Draw signatures (n, 64) of one set and the motion part (n, 48) of the same windows turned, coloured by activity.

    seconds: of a window, for the caption, which says what turned means.

    Cosine on the bare codes decides what is near, as a consumer would have it.
    """
    from umap import UMAP  # seconds to import

    mpl.use("Agg")
    from matplotlib import pyplot

    with mpl.rc_context({"font.size": 15, "axes.titlesize": 16}):
        figure, panels = pyplot.subplots(1, 2, figsize=(11, 6.6), layout="constrained")
        titles = (
            f"{signatures.shape[1]}-byte signatures, as worn",
            f"their {turned.shape[1]} motion codes, every window turned",
        )
        for panel, vectors, title in zip(panels, (signatures, turned), titles, strict=True):
            nearby = UMAP(metric="cosine", n_neighbors=30, min_dist=0.3, random_state=SEED, n_jobs=1)
            place = nearby.fit_transform(vectors)
            for name, (colour, shape) in LOOKS.items():
                rows = activity == name
                panel.scatter(*place[rows].T, s=POINT, c=colour, marker=shape, label=name, linewidths=0, alpha=0.7)
            panel.set(title=title, xticks=[], yticks=[])
        handles, labels = panels[0].get_legend_handles_labels()
        look = {"frameon": False, "markerscale": 3, "columnspacing": 1.0, "handletextpad": 0.1}
        figure.legend(handles, labels, loc="outside upper center", ncols=len(LOOKS), **look)
        figure.supxlabel(CAPTION.format(seconds=seconds), fontsize=15)
        figure.savefig(file, dpi=110)
        pyplot.close(figure)
