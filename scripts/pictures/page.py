"""Make the pictures of the page, scripts/pictures/page_live.png and page_lookback.png; a minute and a half.

    .venv/bin/python scripts/pictures/page.py

They are what Chromium shows of the real service on a simulated sensor, which a scripted hand moves: Live on a laptop,
with a head that was taught a moment ago, and Look back over a made-up week, on a phone. The 256 colours that suit each
best keep them small.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "page" / "browser")]

from house import House  # noqa: E402
from visits import Visits, go  # noqa: E402
from watched import launched  # noqa: E402
from week import fill_week  # noqa: E402

SCENE = ("turn", "walk", "turn", "shake", "turn")
"""What is done for the picture of Live, with rests between."""


def keep(tab: Any, name: str, **what: Any) -> None:
    """Save what a tab shows."""
    shown = Image.open(io.BytesIO(tab.screenshot(**what))).convert("RGB")
    path = Path(__file__).with_name(f"{name}.png")
    shown.quantize(256).save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Perform the scene and take both pictures."""
    with tempfile.TemporaryDirectory(prefix="motionsig-picture-") as folder:
        house = House(Path(folder), extra='[heads]\nnames = ["still", "walking"]\n')
        fill_week(house.store, time.time_ns() - 120 * 10**9, device="hall")
        with house, launched() as browser, Visits(browser, house) as visits:
            house.teach("knock")
            tab = visits.page(size=(1280, 800), scheme="dark")
            for kind in SCENE:
                house.hand.perform(kind, seconds=12.0 if kind == "walk" else 1.0, after_s=4.0)
            house.hand.rest(4.0)
            keep(tab, "page_live")
            phone = visits.page("lookback", size=(375, 800), device_scale_factor=2)
            phone.locator("#view-lookback .progress").wait_for(state="hidden")
            go(phone, "lookback")
            keep(phone, "page_lookback")


if __name__ == "__main__":
    argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    main()
