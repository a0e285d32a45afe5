"""The motion encoder: a small convolutional network, how it is taught, and its int8 twin.

The 48 motion codes have three training targets, each behind layers that are removed afterwards. First, the activity
labels of every set: a window is compared with the classes of its own set only, so sets need not agree on what a class
is. Second, the whitened principal components of the hand-made statistics of the network's input, because labels alone
forget whatever no label needs. Third, contrast: windows of one activity shall point the same way, whoever moved,
because codes are compared by cosine. A batch norm without scale and offset gives every code unit variance, so one scale
fits all of them: code = round(32 value). The kept weights are an average over the last steps.

All layers are two-dimensional with height 1, which the converter turns into plain operations that every runtime and
the Edge TPU know.
"""

from __future__ import annotations

import json
import os
import time
import zipfile
import zlib
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from motionsig.frontend import FEATURE_CHANNELS
from scripts.train import data

MOTION_DIM = 48
INPUT_SHAPE = (1, data.LENGTH, FEATURE_CHANNELS)
INPUT_SCALE = 1 / 128
OUTPUT_SCALE = 1 / 32
ZERO_POINT = 0

CONVOLUTIONS = ((48, 9, 2), (80, 5, 2), (112, 5, 1), (128, 5, 2), (128, 5, 1))
"""(filters, width, stride) of each."""
HIDDEN = 160

BATCH = 256
PEAK_RATE = 4e-3
AVERAGED_STEPS = 500
"""The weights that are kept are an average over about so many of the last steps."""
STATISTICS_WEIGHT = 8.0
CONTRAST_WEIGHT = 0.3
TEMPERATURE = 0.2
SETTLING = 400
"""Batches that the averaged weights run on, to set the batch norms."""
REPORTS = 24
"""How often training reports its figures and saves its state."""
FIGURES = ("cross_entropy", "statistics_mse", "contrast", "accuracy")
SETS_EXPONENT = 0.5
"""A set of n windows is drawn in proportion to n to this power: 1 treats all windows alike, 0 all sets alike."""

WARP = 0.15
"""Half the windows are played faster or slower by up to this share."""
GAIN = 0.2
"""Spread of the logarithm of a factor on acceleration and one on angular rate: people differ in vigour."""
_GAIN_OF_CHANNEL = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1])
"""Which of the two gains goes with each channel of the front end."""
_SWING_CHANNELS = slice(8, 12)
"""Those along the swing axis and perpendicular to it. In many windows the axis could as well point the other way."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the network is taught from.

    codes: (n, 128, 12) int8, the quantised features. targets: (n, t) whitened. label: (n,) column in `classes`, -1
    where there is none. classes: (c,) the group of each class. group: (n,) the group whose classes a window is judged
    among. set_index: (n,) which set it came from.
    """

    codes: NDArray[np.int8]
    targets: NDArray[np.float32]
    label: NDArray[np.int32]
    classes: NDArray[np.int32]
    group: NDArray[np.int32]
    set_index: NDArray[np.int32]


def seed(number: int) -> None:
    """Make what follows repeatable, on two threads at most."""
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(number)
    tf.config.experimental.enable_op_determinism()


def build() -> tf.keras.Model:
    """Return the network with random weights, features (k, 1, 128, 12) to values (k, 48)."""
    layers = tf.keras.layers
    entry = x = tf.keras.Input(INPUT_SHAPE)
    for filters, width, stride in CONVOLUTIONS:
        x = layers.Conv2D(filters, (1, width), strides=stride, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    # The mean says how much there was of something, the maximum whether there was any at all: a knock, a rotation.
    largest = layers.Flatten()(layers.MaxPooling2D((1, x.shape[2]))(x))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), largest])
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Dense(HIDDEN, use_bias=False)(x)))
    x = layers.Dense(MOTION_DIM, use_bias=False)(x)
    return tf.keras.Model(entry, layers.BatchNormalization(center=False, scale=False)(x))


def parameters(network: tf.keras.Model) -> int:
    """Return how many parameters are trained, without the statistics of the batch norms."""
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


def multiply_accumulates(network: tf.keras.Model) -> int:
    """Return the multiply-accumulates of one call."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    return sum(int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1])) for layer in layers)


def settle(network: tf.keras.Model, codes: NDArray[np.int8]) -> None:
    """Set the batch norms' statistics, batch by batch, for the weights that the network has now."""
    for row in range(0, len(codes) - BATCH + 1, BATCH):
        network(_features(codes[row : row + BATCH]), training=True)


class Course:
    """A training that can stop at any report and go on from its file with the same result."""

    def __init__(self, network: tf.keras.Model, lessons: Lessons, *, steps: int, rng: np.random.Generator) -> None:
        self.lessons, self.steps, self._rng = lessons, steps, rng
        self._draw = _Draw(lessons)
        label_head = tf.keras.layers.Dense(len(lessons.classes))
        statistics_head = tf.keras.layers.Dense(lessons.targets.shape[1])
        for head in (label_head, statistics_head):
            head.build((None, MOTION_DIM))
        self._weights = (
            network.trainable_variables + label_head.trainable_variables + statistics_head.trainable_variables
        )
        self._optimizer = tf.keras.optimizers.AdamW(
            tf.keras.optimizers.schedules.CosineDecay(
                PEAK_RATE / 20, steps, warmup_target=PEAK_RATE, warmup_steps=steps // 20, alpha=0.0
            ),
            weight_decay=1e-4,
            use_ema=True,
            ema_momentum=1 - 1 / AVERAGED_STEPS,
        )
        self._optimizer.build(self._weights)
        self._network = network
        self._done, self._figures, self.seconds = 0, dict[str, float](), 0.0
        self._course = _identity(steps, lessons, rng)
        classes = tf.constant(lessons.classes)

        def step(features: tf.Tensor, targets: tf.Tensor, label: tf.Tensor, group: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape() as tape:
                values = network(features, training=True)
                missed = tf.reduce_mean((statistics_head(values) - targets) ** 2)
                logits = tf.where(group[:, None] == classes[None, :], label_head(values), -1e9)
                labelled = tf.cast(label >= 0, tf.float32)
                surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(label, 0), logits)
                surprise = tf.reduce_sum(surprise * labelled) / tf.maximum(tf.reduce_sum(labelled), 1.0)
                apart = _contrast(values, label, group)
                loss = surprise + STATISTICS_WEIGHT * missed + CONTRAST_WEIGHT * apart
            gradients = tape.gradient(loss, self._weights)
            self._optimizer.apply_gradients(zip(gradients, self._weights, strict=True))
            right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == label, tf.float32)
            return surprise, missed, apart, tf.reduce_sum(right) / tf.maximum(tf.reduce_sum(labelled), 1.0)

        self._step = tf.function(step)

    def run(self, checkpoint: Path | None = None) -> dict[str, float]:
        """Train to the end and return the last figures; start from `checkpoint` if it exists, and keep it current."""
        lessons, seen = self.lessons, []
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
            print(f"  going on after step {self._done}/{self.steps}", flush=True)
        begun, first = time.monotonic() - self.seconds, self._done
        resumed = self.seconds
        report = -(-self.steps // REPORTS)
        while self._done < self.steps:
            rows = self._draw(self._rng)
            features = tf.constant(_varied(_features(lessons.codes[rows]), self._rng))
            got = self._step(features, lessons.targets[rows], lessons.label[rows], lessons.group[rows])
            seen.append([float(value) for value in got])
            self._done += 1
            if self._done % report == 0 or self._done == self.steps:
                self._figures = dict(zip(FIGURES, np.mean(seen, axis=0).tolist(), strict=True))
                shown = "  ".join(f"{name} {value:.3f}" for name, value in self._figures.items())
                self.seconds = time.monotonic() - begun
                left = (self.seconds - resumed) / (self._done - first) * (self.steps - self._done)
                print(
                    f"  step {self._done}/{self.steps}  {shown}  {self.seconds:.0f} s, {left:.0f} s to go", flush=True
                )
                seen = []
                if checkpoint is not None:
                    self._save(checkpoint)
        self._optimizer.finalize_variable_values(self._weights)
        settle(self._network, lessons.codes[np.concatenate([self._draw(self._rng) for _ in range(SETTLING)])])
        return {name: round(value, 4) for name, value in self._figures.items()}

    def _state(self) -> list[tf.Variable]:
        # All randomness of a step comes from the generator, so this and the generator's state are the whole state.
        return [*self._weights, *self._network.non_trainable_variables, *self._optimizer.variables]

    def _save(self, file: Path) -> None:
        text = json.dumps(
            {"generator": self._rng.bit_generator.state, "figures": self._figures, "seconds": self.seconds}
        )
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(self._state())}
        whole = file.with_suffix(".part")
        with whole.open("wb") as stream:
            np.savez(stream, course=self._course, done=self._done, text=text, **arrays)
        whole.replace(file)

    def _resume(self, file: Path) -> None:
        state = self._state()
        names = [f"v{number}" for number in range(len(state))]
        try:
            with np.load(file) as stored:
                same = stored["course"].tolist() == self._course
                values = [stored[name] for name in names] if same else []
                done, text = int(stored["done"]), json.loads(str(stored["text"]))
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise SystemExit(
                f"{file}: expected the state of a training, got: {error}; delete it to start again"
            ) from error
        if not same:
            raise SystemExit(
                f"{file}: expected the state of this very training (steps, seed, data, scripts/train/network.py), got "
                "another's; delete it to start again"
            )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        self._done, self._rng.bit_generator.state = done, text["generator"]
        self._figures, self.seconds = text["figures"], text["seconds"]


def _identity(steps: int, lessons: Lessons, rng: np.random.Generator) -> list[int]:
    """Return numbers that two runs share only if one can continue the other."""
    whole = (lessons.codes, lessons.targets, lessons.label, lessons.classes, lessons.group, lessons.set_index)
    begins_with = json.dumps(rng.bit_generator.state).encode()
    return [
        steps,
        zlib.crc32(begins_with),
        zlib.crc32(Path(__file__).read_bytes()),
        *(zlib.crc32(np.ascontiguousarray(part).data) for part in whole),
    ]


class _Draw:
    """Draws BATCH rows of the lessons; small sets are drawn more often than their size alone would give."""

    def __init__(self, lessons: Lessons) -> None:
        counts = np.bincount(lessons.set_index)
        chance = (counts**SETS_EXPONENT / counts)[lessons.set_index]
        self._below = np.cumsum(chance / chance.sum())

    def __call__(self, rng: np.random.Generator) -> NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._below, rng.random(BATCH)), len(self._below) - 1)


def _contrast(values: tf.Tensor, label: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
    """Return the loss of finding, by cosine, the windows of the same activity among those of the same group.

    Supervised contrast, Khosla et al. 2020.
    """
    direction = tf.math.l2_normalize(values, axis=1)
    alike = tf.matmul(direction, direction, transpose_b=True) / TEMPERATURE
    other = ~tf.eye(tf.shape(values)[0], dtype=tf.bool) & (label[:, None] >= 0)
    rival = other & (group[:, None] == group[None, :])
    same = other & (label[:, None] == label[None, :])
    alike = tf.where(rival, alike, -1e9)
    chance = alike - tf.reduce_logsumexp(alike, axis=1, keepdims=True)
    count = tf.reduce_sum(tf.cast(same, tf.float32), axis=1)
    missed = -tf.reduce_sum(tf.where(same, chance, 0.0), axis=1) / tf.maximum(count, 1.0)
    paired = tf.cast(count > 0, tf.float32)
    return tf.reduce_sum(missed * paired) / tf.maximum(tf.reduce_sum(paired), 1.0)


def _varied(features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return features (k, 1, 128, 12) varied in speed and strength, as different people would have made them.

    Half of them have the swing axis reversed.
    """
    count, _, length, _ = features.shape
    pace = np.where(rng.random(count) < 0.5, 1 + WARP * rng.uniform(-1, 1, count), 1.0)[:, None]
    spare = np.maximum(0, length - 1 - (length - 1) * pace)
    place = np.arange(length) * pace + spare * rng.random((count, 1))
    # A window that is played too fast runs out of samples before its end; from there it is played backwards.
    place = np.where(place > length - 1, 2 * (length - 1) - place, place)
    before = np.minimum(place.astype(np.intp), length - 2)
    share = (place - before)[:, :, None].astype(np.float32)
    rows = np.arange(count)[:, None]
    played = features[rows, 0, before] * (1 - share) + features[rows, 0, before + 1] * share
    gain = np.exp(GAIN * rng.normal(size=(count, 1, 2))).astype(np.float32)[:, :, _GAIN_OF_CHANNEL]
    # The gain applies before companding. A limit slightly above 1 keeps the strongest code, 127 or -128, finite.
    plain = played / (np.float32(1.004) - np.abs(played)) * gain
    plain[rng.random(count) < 0.5, :, _SWING_CHANNELS] *= -1
    return np.asarray(plain / (np.float32(1.004) + np.abs(plain)), np.float32)[:, None]


def values_of(network: tf.keras.Model, codes: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the float network's values (n, 48) float32 for quantised features (n, 128, 12)."""
    parts = [network(_features(codes[row : row + 2048]), training=False).numpy() for row in range(0, len(codes), 2048)]
    return np.concatenate(parts)


def to_int8(network: tf.keras.Model, codes: NDArray[np.int8]) -> bytes:
    """Return the int8 twin as a .tflite file, its ranges taken from the quantised features (n, 128, 12)."""
    # One sample reaches both ends of the range, so that the input's scale is always the card's.
    ends = np.zeros((1, *INPUT_SHAPE[1:]), np.int8)
    ends[0, 0], ends[0, 1] = -128, 127
    samples = np.concatenate([ends, codes])
    converter = _converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([_features(sample[None])] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # tflite-runtime 2.14 does not know a FULLY_CONNECTED with a scale for every row.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return _with_plain_output(_converted(converter))


def to_float(network: tf.keras.Model) -> bytes:
    """Return the float twin as a .tflite file: what the int8 network would be without rounding.

    Its weights are held as float16, half the size; they are unpacked into float32 before they are used.
    """
    converter = _converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _converted(converter)


class Int8Network:
    """A .tflite file in LiteRT: quantised features (n, 128, 12) int8 to codes (n, 48) int8."""

    def __init__(self, model: bytes, kernels: OpResolverType = OpResolverType.AUTO) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    def codes_of(self, codes: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the motion codes (n, 48) int8."""
        entry = self._interpreter.tensor(self._input["index"])
        exit_ = self._interpreter.tensor(self._output["index"])
        out = np.empty((len(codes), MOTION_DIM), np.int8)
        for row, window in enumerate(codes):
            entry()[0, 0] = window
            self._interpreter.invoke()
            out[row] = exit_()[0]
        return out


def _converter(network: tf.keras.Model) -> tf.lite.TFLiteConverter:
    entry = tf.keras.Input(INPUT_SHAPE, batch_size=1)
    return tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(entry, network(entry, training=False)))


def _converted(converter: tf.lite.TFLiteConverter) -> bytes:
    # Keras prints a page of function signatures.
    with redirect_stdout(StringIO()):
        return bytes(converter.convert())


def _features(codes: NDArray[np.int8]) -> NDArray[np.float32]:
    return (codes.astype(np.float32) * np.float32(INPUT_SCALE))[:, None]


def _with_plain_output(model: bytes) -> bytes:
    """Return the model with OUTPUT_SCALE and zero point 0 at its output.

    The converter spans the range it saw, a little different at each training. A kernel rescales its sums to whatever
    the output tensor says, so saying something else there changes nothing but the unit of the codes.
    """
    import flatbuffers

    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = parsed.subgraphs[0]
    last = graph.operators[-1]
    code = parsed.operatorCodes[last.opcodeIndex]
    if code.builtinCode != schema.BuiltinOperator.FULLY_CONNECTED or list(last.outputs) != list(graph.outputs):
        raise ValueError(f"expected the network to end in FULLY_CONNECTED, got operation {code.builtinCode}")
    quantization = graph.tensors[graph.outputs[0]].quantization
    quantization.scale, quantization.zeroPoint = [OUTPUT_SCALE], [ZERO_POINT]
    quantization.min = quantization.max = None
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())
