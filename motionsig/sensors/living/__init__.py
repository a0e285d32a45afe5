"""Whether samples are those of a living sensor, while they come: pure state machines, without a clock.

* `cells`: the samples of a quarter of a second, in a few numbers; all but spikes is judged by these.
* `noise`: how often this very sensor's numbers change at rest.
* `standing`: numbers that stand still.
* `gravity`: 1 g at rest.
* `spikes`: single garbled samples.
* `judge`: all of them over a stream, and what is left out of it.

`motionsig.plausibility.alive` looks for dead stretches in a log, which it knows from end to end and can only leave out.
A live sensor is judged within two seconds, and one that stands still can be started again to see whether it lives.
"""

from motionsig.sensors.living.gravity import scale_error, wrong_gravity
from motionsig.sensors.living.judge import Living, Rows

__all__ = ["Living", "Rows", "scale_error", "wrong_gravity"]
