"""The motion encoder: a small convolutional network and its int8 twin. How it is taught is in `course`.

A trunk of convolutions ends in 256 pooled activations. One linear layer reads the 48 motion codes out of them; it is
not trained but computed (`readout`). The codes' mean square is one, so one scale fits all: code = round(32 value).

All layers are two-dimensional with height 1, which the converter turns into plain operations that every runtime and
the Edge TPU know.
"""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from io import StringIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from motionsig.frontend import FEATURE_CHANNELS
from scripts.train import data

MOTION_DIM = 48
POOLED, READOUT, CENTRED = "pooled", "readout", "centred"
"""Names of the layers that end the trunk and make the codes."""
INPUT_SHAPE = (1, data.LENGTH, FEATURE_CHANNELS)
INPUT_SCALE = 1 / 128
OUTPUT_SCALE = 1 / 32
ZERO_POINT = 0

CONVOLUTIONS = ((48, 9, 2), (80, 5, 2), (112, 5, 1), (128, 5, 2), (128, 5, 1))
"""(filters, width, stride) of each."""

BATCH = 256
SETTLING = 400
"""Batches that the averaged weights run on, to set the batch norms."""


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
    pooled = layers.Concatenate(name=POOLED)([layers.GlobalAveragePooling2D()(x), largest])
    values = layers.Dense(MOTION_DIM, use_bias=False, name=READOUT)(pooled)
    return tf.keras.Model(entry, layers.BatchNormalization(center=False, scale=False, name=CENTRED)(values))


def trunk_of(network: tf.keras.Model) -> tf.keras.Model:
    """Return the part of the network up to its pooled activations (k, 256), which shares the network's weights."""
    return tf.keras.Model(network.input, network.get_layer(POOLED).output)


def set_readout(network: tf.keras.Model, weights: NDArray[np.float64], mean: NDArray[np.float64]) -> None:
    """Make the values `(pooled - mean) @ weights`, (256, 48) and (256,)."""
    network.get_layer(READOUT).set_weights([weights.astype(np.float32)])
    centred = network.get_layer(CENTRED)
    variance = np.full(MOTION_DIM, 1 - centred.epsilon, np.float32)
    centred.set_weights([(mean @ weights).astype(np.float32), variance])


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
        network(features_of(codes[row : row + BATCH]), training=True)


def values_of(network: tf.keras.Model, codes: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the float network's values (n, 48) float32 for quantised features (n, 128, 12)."""
    parts = [
        network(features_of(codes[row : row + 2048]), training=False).numpy() for row in range(0, len(codes), 2048)
    ]
    return np.concatenate(parts)


def to_int8(network: tf.keras.Model, codes: NDArray[np.int8]) -> bytes:
    """Return the int8 twin as a .tflite file, its ranges taken from the quantised features (n, 128, 12)."""
    # One sample reaches both ends of the range, so that the input's scale is always the card's.
    ends = np.zeros((1, *INPUT_SHAPE[1:]), np.int8)
    ends[0, 0], ends[0, 1] = -128, 127
    samples = np.concatenate([ends, codes])
    converter = _converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([features_of(sample[None])] for sample in samples)
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


def features_of(codes: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return what the network takes (n, 1, 128, 12) float32 of quantised features (n, 128, 12)."""
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
