"""When a motion is on the screen: each of the newest columns of the ribbon is looked at in each frame of Chromium's."""

from __future__ import annotations

from typing import Any

from hand import Hand, Motion
from house import until

_WATCH = """
(canvas) => {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const colour = () => {  // of the column that has most: one that has just come is narrow
    const wide = Math.max(2, Math.round((canvas.width * 300) / 60000));
    const { data } = pen.getImageData(canvas.width - wide, canvas.height * 0.3, wide, canvas.height * 0.5);
    const sums = new Array(wide).fill(0);
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = data.subarray(at, at + 3);
      sums[(at / 4) % wide] += Math.max(red, green, blue) - Math.min(red, green, blue);
    }
    return (4 * wide * Math.max(...sums)) / data.length;
  };
  window.motionSeen = [];
  let rest = 0, frames = 0, moves = false;
  const look = () => {
    const level = colour();
    frames += level > 0;  // before the first column there is nothing
    if (frames <= 60) rest = Math.max(rest, level);
    else if (!moves && level > 1.5 * rest + 4) {
      moves = true;
      window.motionSeen.push(performance.timeOrigin + performance.now());
    }
    else if (moves && level < 1.2 * rest + 2) moves = false;
    window.motionWatched = frames > 60;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


def watch(tab: Any) -> None:
    """Look at the ribbon from now on; the hand rests, so that it is known what rest looks like."""
    tab.locator("#view-live canvas").evaluate(_WATCH)
    tab.wait_for_function("() => window.motionWatched")


def seconds_to_screen(tab: Any, hand: Hand, *, rest_s: float = 3.2) -> float:
    """Have a motion done after a rest; return the seconds from its begin until the ribbon shows it.

    rest_s: longer than a window, so that the motion before is in none of the newest.
    """
    motion: Motion = hand.perform(seconds=0.5, after_s=rest_s)
    begin_s = motion.begin_unix_s
    seen = until(
        lambda: tab.evaluate(f"window.motionSeen.filter((ms) => ms > {1000 * begin_s})"), "it is on the screen"
    )
    return float(seen[0]) / 1000 - begin_s
