"""The vocabulary every other file relies on: channels, units, frame, time base, and what each word means.

* A sample is six numbers, in this order: acc_x, acc_y, acc_z, gyr_x, gyr_y, gyr_z.
* Acceleration is the accelerometer's specific force in m/s²: a device lying flat and still reads +9.81 on the axis
  that points up. Angular rate is in rad/s, right-handed about the same axes.
* The frame is the sensor's own. Nothing rotates it on the way to the encoder's front end.
* Time is int64 nanoseconds since the Unix epoch, the instant the sample was taken.
* Axis order of arrays is time first: samples (n, 6), windows (k, length, 6), codes (k, dim).

The words, each for one idea, in code, documents, messages and commands alike:

| word               | meaning |
| ------------------ | ------- |
| sample             | six numbers that a sensor measured at one instant |
| gap                | samples were lost here; a short one is bridged by a straight line, a longer one ends a segment |
| segment            | samples between two gaps |
| grid               | the uniform times of a model: `rate_hz` of its card, 50 Hz for motion64 |
| window             | `length` neighbouring samples of the grid, 2.56 s for motion64; the next starts `hop` later |
| label              | what a recording says was done at a time, as text; for a window, at its middle |
| signature          | what an encoder makes of a window: `dim` codes, int8; first motion, then posture |
| motion, posture    | what the body did, whichever way the device was turned; how the device was worn and held |
| code, value        | the int8 that is stored and sent; the number it stands for, through the card's quantization |
| quality            | flags of a signature: how it came to be, and what it cannot show |
| at rest            | of a window: its samples spread no more than a sensor's noise |
| above the grid     | faster than half the grid's rate, 25 Hz for motion64, so that no signature shows it |
| encoder            | a model on a device: front end, network, quantization |
| front end          | what numpy computes of a window before the network: the network's input, and posture |
| model, model card  | a folder with a network; the JSON beside it that says all about it |
| fingerprint        | 8 bytes that stand for model, front end and quantization; vectors of two do not compare |
| golden windows     | windows that come with a model, and the codes that must come of them on any device |
| source, sink       | where samples come from; where signatures go |
| recording, reader  | a log of samples on a disk, which is a source; what opens one format of them |
| name               | of a recording: which log signatures come from, as `replay` shows it and `export` chooses it |
| ledger             | what a store notes of the logs that were replayed into it completely |
| device             | who measured, in a message or a store; what runs a network, for an encoder |
| stream, stream id  | samples or signatures in one unbroken numbering; the 63-bit number that names it |
| sequence number    | which signature of its stream, from 0; written `seq` |
| epoch              | in stores, logs and availability messages of version 0.1: the stream id |
| spool              | signatures that wait on the disk until the broker has acknowledged them |
| write-ahead buffer | signatures that wait in RAM before they are written to the spool |
| batch              | several windows or signatures in one object |
| message            | a batch as bytes for a broker, a file or a store |
| heartbeat          | the moment at which a loop was last seen to go on, `heartbeat_s`; what feeds a watchdog |
| requested model    | the model that the configuration names; the one in use may still be another |
| trial              | the first windows of a new model in the daemon, after which it is kept or rejected |
| drift              | how far a sensor's clock runs ahead of ours, and how that changes |
| tensor spec        | type, shape, scale and zero point of a network's input or output |
"""

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
"""The columns of samples, in this order."""

STANDARD_GRAVITY = 9.80665
"""m/s² in one g (CGPM 1901), and so the factor from g to SI."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

MAX_LABEL_CHARS = 128
"""How long a label may be."""

RAW_BYTES_PER_SAMPLE = 12
"""Six int16 counts: the least a device would send of a raw sample without compressing it."""
