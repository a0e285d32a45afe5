"""The motion encoder: a small depthwise-separable network, how it is taught, and its int8 twin.

Two teachers speak to the 48 motion codes, each through one linear layer that is thrown away afterwards: the activity
labels of every set (a window is judged among the classes of its own set only, so sets need not agree on what a class
is), and the principal components of the gravity statistics, whitened. A batch norm without scale and offset makes
every code of unit variance, so one scale fits all of them: code = round(32 value).

All layers are two-dimensional with height 1, which the converter turns into the four plain operations that every
runtime and the Edge TPU know.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

MOTION_DIM = 48
INPUT_SHAPE = (1, 128, 6)
INPUT_SCALE = 1 / 128
OUTPUT_SCALE = 1 / 32
ZERO_POINT = 0

FIRST_FILTERS = 48
BLOCKS = ((64, 2), (96, 1), (128, 2), (128, 1))
"""(filters, stride) of each separable block."""

BATCH = 256
PEAK_RATE = 4e-3
STATISTICS_WEIGHT = 8.0
SETS_EXPONENT = 0.5
"""A set of n windows is drawn in proportion to n to this power: between all windows alike and all sets alike."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the network is taught from.

    codes: (n, 128, 6) int8, the quantised features. targets: (n, t) whitened. label: (n,) column in `classes`, -1 where
    there is none. classes: (c,) the group of each class. group: (n,) the group whose classes a window is judged among.
    set_index: (n,) which set it came from.
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
    """Return the network with random weights, features (k, 1, 128, 6) to values (k, 48)."""
    layers = tf.keras.layers
    entry = tf.keras.Input(INPUT_SHAPE)
    x = layers.Conv2D(FIRST_FILTERS, (1, 9), strides=2, padding="same", use_bias=False)(entry)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for filters, stride in BLOCKS:
        x = layers.DepthwiseConv2D((1, 7), strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(MOTION_DIM, use_bias=False)(x)
    return tf.keras.Model(entry, layers.BatchNormalization(center=False, scale=False)(x))


def parameters(network: tf.keras.Model) -> int:
    """Return how many numbers training sets; what the batch norms only count is folded away."""
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


def multiply_accumulates(network: tf.keras.Model) -> int:
    """Return the multiply-accumulates of one call."""
    layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
    return sum(int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1])) for layer in layers)


def settle(network: tf.keras.Model, codes: NDArray[np.int8], rng: np.random.Generator) -> None:
    """Let the batch norms of a network with random weights see what they will be given."""
    for _ in range(400):
        rows = rng.integers(len(codes), size=BATCH)
        network(_features(codes[rows]), training=True)


def teach(network: tf.keras.Model, lessons: Lessons, *, steps: int, rng: np.random.Generator) -> dict[str, float]:
    """Train `network` in place for so many batches; return the last figures printed."""
    label_head = tf.keras.layers.Dense(len(lessons.classes))
    statistics_head = tf.keras.layers.Dense(lessons.targets.shape[1])
    label_head.build((None, MOTION_DIM))
    statistics_head.build((None, MOTION_DIM))
    weights = network.trainable_variables + label_head.trainable_variables + statistics_head.trainable_variables
    optimizer = tf.keras.optimizers.AdamW(
        tf.keras.optimizers.schedules.CosineDecay(
            PEAK_RATE / 20, steps, warmup_target=PEAK_RATE, warmup_steps=steps // 20, alpha=0.0
        ),
        weight_decay=1e-4,
    )
    optimizer.build(weights)
    classes = tf.constant(lessons.classes)

    @tf.function
    def step(features: tf.Tensor, targets: tf.Tensor, label: tf.Tensor, group: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            values = network(features, training=True)
            missed = tf.reduce_mean((statistics_head(values) - targets) ** 2)
            logits = tf.where(group[:, None] == classes[None, :], label_head(values), -1e9)
            labelled = tf.cast(label >= 0, tf.float32)
            surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(label, 0), logits)
            surprise = tf.reduce_sum(surprise * labelled) / tf.maximum(tf.reduce_sum(labelled), 1.0)
            loss = surprise + STATISTICS_WEIGHT * missed
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == label, tf.float32)
        return surprise, missed, tf.reduce_sum(right) / tf.maximum(tf.reduce_sum(labelled), 1.0)

    counts = np.bincount(lessons.set_index)
    chance = (counts**SETS_EXPONENT / counts)[lessons.set_index]
    chance = np.cumsum(chance / chance.sum())
    figures, seen, begun = {}, [], time.monotonic()
    report = max(1, steps // 12)
    for number in range(1, steps + 1):
        rows = np.minimum(np.searchsorted(chance, rng.random(BATCH)), len(chance) - 1)
        got = step(_features(lessons.codes[rows]), lessons.targets[rows], lessons.label[rows], lessons.group[rows])
        seen.append([float(value) for value in got])
        if number % report == 0 or number == steps:
            figures = dict(zip(("cross_entropy", "statistics_mse", "accuracy"), np.mean(seen, axis=0), strict=True))
            shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"  step {number}/{steps}  {shown}  {time.monotonic() - begun:.0f} s", flush=True)
            seen = []
    return {name: round(float(value), 4) for name, value in figures.items()}


def values_of(network: tf.keras.Model, codes: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return what the float network makes of the quantised features, (n, 48) float32."""
    parts = [network(_features(codes[row : row + 2048]), training=False).numpy() for row in range(0, len(codes), 2048)]
    return np.concatenate(parts)


def to_int8(network: tf.keras.Model, codes: NDArray[np.int8]) -> bytes:
    """Return the int8 twin as a .tflite file, its ranges taken from the quantised features (n, 128, 6)."""
    # The ends of the range in every calibration sample but one would spoil nothing but that one's activations.
    ends = np.zeros((1, 128, 6), np.int8)
    ends[0, 0], ends[0, 1] = -128, 127
    samples = np.concatenate([ends, codes])
    entry = tf.keras.Input(INPUT_SHAPE, batch_size=1)
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(entry, network(entry, training=False)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([_features(sample[None])] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # tflite-runtime 2.14 does not know a FULLY_CONNECTED with a scale for every row.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return _with_plain_output(converter.convert())


def operations(model: bytes) -> list[str]:
    """Return the model's operations in order, as NAME vVERSION."""
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    used = [parsed.operatorCodes[operator.opcodeIndex] for operator in parsed.subgraphs[0].operators]
    return [f"{names[max(code.builtinCode, code.deprecatedBuiltinCode)]} v{code.version}" for code in used]


class Int8Network:
    """A .tflite file in LiteRT: quantised features (n, 128, 6) int8 to codes (n, 48) int8."""

    def __init__(self, model: bytes, kernels: OpResolverType = OpResolverType.AUTO) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    @property
    def input_quantization(self) -> tuple[float, int]:
        """Scale and zero point of the features."""
        return self._input["quantization"]

    @property
    def output_quantization(self) -> tuple[float, int]:
        """Scale and zero point of the codes."""
        return self._output["quantization"]

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

    def microseconds(self, codes: NDArray[np.int8]) -> float:
        """Return the median time of one call, copying in and out included."""
        taken = []
        for window in codes:
            begun = time.perf_counter()
            self.codes_of(window[None])
            taken.append(time.perf_counter() - begun)
        return float(np.median(taken) * 1e6)


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
