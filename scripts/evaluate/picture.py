"""The map of signatures: what lies near what, in two dimensions."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

MAP = "map.png"
SEED = 1
POINT = 5
COLOURS = dict(
    zip(
        ("walking", "upstairs", "downstairs", "sitting", "standing", "laying"),
        # Okabe and Ito's colours, which stay apart for the colour-blind.
        ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#CC79A7"),
        strict=True,
    )
)


def draw_map(
    file: Path, signatures: NDArray[np.float32], turned: NDArray[np.float32], activity: NDArray[np.str_]
) -> None:
    """Draw signatures (n, 64) of one set and the motion part (n, 48) of the same windows turned, coloured by activity.

    Cosine on the bare codes decides what is near, as a consumer would have it.
    """
    from umap import UMAP  # seconds to import

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
    titles = (
        f"{signatures.shape[1]}-byte signatures, as worn",
        f"their {turned.shape[1]} motion codes, every window turned at random",
    )
    for panel, vectors, title in zip(panels, (signatures, turned), titles, strict=True):
        place = UMAP(metric="cosine", n_neighbors=30, min_dist=0.3, random_state=SEED, n_jobs=1).fit_transform(vectors)
        for name, colour in COLOURS.items():
            rows = activity == name
            panel.scatter(*place[rows].T, s=POINT, c=colour, label=name, linewidths=0, alpha=0.7)
        panel.set(title=title, xticks=[], yticks=[])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(COLOURS), frameon=False, markerscale=3)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
