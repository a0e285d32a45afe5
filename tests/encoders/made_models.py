"""Models made to order, through the builders of the PyPI package `tflite`, which are generated from the schema.

What stands for an Edge TPU program holds numbers where libedgetpu's schema has them, and
no instruction; its description says that it is a fake.
"""

import flatbuffers
import numpy as np
import tflite
from flatbuffers import flexbuffers

from motionsig.encoders.tflite import read_graph

FAKE = "motionsig's test fixture: FAKE, not compiled, runs on no Edge TPU"


class Made:
    """A .tflite file in the making; `tensor` and `operator` return tensor indices."""

    def __init__(self, description="made by motionsig's tests"):
        self.description, self.metadata = description, {}
        self.subgraphs, self.codes, self.buffers = [], [], [b""]
        self.subgraph()

    def subgraph(self):
        self.tensors, self.operators = [], []
        self.subgraphs.append((self.tensors, self.operators, [], []))

    def tensor(self, shape, kind="INT8", scale=0.02, zero_point=0, data=None, **fields):
        """Scale None: not quantised. fields: name, signature, axis."""
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(np.asarray(data).tobytes())
        self.tensors.append(
            {"shape": shape, "kind": kind, "scale": scale, "zero": zero_point, "buffer": buffer} | fields
        )
        return len(self.tensors) - 1

    def constant(self, shape, kind="INT8", value=1):
        """Weights, of one value; int32 with a scale as a bias has one."""
        sizes = {"INT8": "i1", "UINT8": "u1", "INT32": "<i4", "FLOAT32": "<f4"}
        scale = None if kind == "FLOAT32" else 0.01
        return self.tensor(shape, kind, scale, data=np.full(shape, value, sizes[kind]))

    def integers(self, values):
        """A shape, axes or strides."""
        return self.tensor([len(values)], "INT32", None, data=np.array(values, "<i4"))

    def operator(self, name, inputs, outputs, version=1, options=None, custom_options=None, **fields):
        """name: a builtin's, or a custom operator's in lower case. options: the schema's table, fields: its fields."""
        self.codes.append((name, version))
        made = {"code": len(self.codes) - 1, "inputs": inputs, "outputs": outputs, "options": options, "fields": fields}
        self.operators.append(made | {"custom": custom_options})
        return outputs[0]

    def ends(self, inputs, outputs):
        self.subgraphs[-1] = (self.tensors, self.operators, inputs, outputs)

    def file(self, times=1):
        """times: how often the list of subgraphs refers to each of them."""
        return _Writer().model(self, times)


class _Writer:
    def __init__(self):
        self.builder = flatbuffers.Builder(1 << 16)

    def table(self, kind, **fields):
        getattr(tflite, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{name}")(self.builder, value)
        return getattr(tflite, f"{kind}End")(self.builder)

    def tables(self, places):
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return self.builder.EndVector()

    def numbers(self, values, kind):
        return self.builder.CreateNumpyVector(np.asarray(values, kind))

    def model(self, made, times):
        text = self.builder.CreateString
        codes = []
        for name, version in made.codes:
            number = getattr(tflite.BuiltinOperator, name, tflite.BuiltinOperator.CUSTOM)
            custom = text(name) if number == tflite.BuiltinOperator.CUSTOM else None
            codes.append(
                self.table(
                    "OperatorCode",
                    DeprecatedBuiltinCode=min(number, 127), BuiltinCode=number, Version=version, CustomCode=custom,
                )
            )  # fmt: skip
        subgraphs = [self.graph(*subgraph) for subgraph in made.subgraphs] * times
        contents = made.buffers + list(made.metadata.values())
        buffers = [
            self.table("Buffer", Data=self.builder.CreateByteVector(data) if data else None) for data in contents
        ]
        metadata = [
            self.table("Metadata", Name=text(name), Buffer=len(made.buffers) + number)
            for number, name in enumerate(made.metadata)
        ]
        parts = [self.tables(part) for part in (codes, subgraphs, buffers, metadata)]
        description = text(made.description)
        model = self.table(
            "Model",
            Version=3, OperatorCodes=parts[0], Subgraphs=parts[1], Description=description, Buffers=parts[2],
            Metadata=parts[3],
        )  # fmt: skip
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())

    def graph(self, tensors, operators, inputs, outputs):
        places = self.tables([self.tensor(number, tensor) for number, tensor in enumerate(tensors)])
        steps = self.tables([self.step(operator) for operator in operators])
        ends = [self.numbers(indices, "<i4") for indices in (inputs, outputs)]
        return self.table("SubGraph", Tensors=places, Operators=steps, Inputs=ends[0], Outputs=ends[1])

    def tensor(self, number, tensor):
        name = self.builder.CreateString(tensor.get("name", f"tensor {number}"))
        shape = self.numbers(tensor["shape"], "<i4")
        signature = self.numbers(tensor["signature"], "<i4") if "signature" in tensor else None
        quantization = None
        if tensor["scale"] is not None:
            scale = np.atleast_1d(tensor["scale"])
            parts = self.numbers(scale, "<f4"), self.numbers(np.full(scale.shape, tensor["zero"]), "<i8")
            quantization = self.table(
                "QuantizationParameters",
                Scale=parts[0],
                ZeroPoint=parts[1],
                QuantizedDimension=tensor.get("axis"),
            )
        return self.table(
            "Tensor",
            Shape=shape, Type=getattr(tflite.TensorType, tensor["kind"]), Buffer=tensor["buffer"], Name=name,
            Quantization=quantization, ShapeSignature=signature,
        )  # fmt: skip

    def step(self, operator):
        ends = [self.numbers(operator[what], "<i4") for what in ("inputs", "outputs")]
        options, kind = None, operator["options"]
        if kind:
            options = self.table(kind, **operator["fields"])
        custom = self.builder.CreateByteVector(operator["custom"]) if operator["custom"] is not None else None
        return self.table(
            "Operator",
            OpcodeIndex=operator["code"], Inputs=ends[0], Outputs=ends[1],
            BuiltinOptionsType=getattr(tflite.BuiltinOptions, kind) if kind else None, BuiltinOptions=options,
            CustomOptions=custom,
        )  # fmt: skip


def sensor_network(batch=1, channels=4):
    """A small network of the shipped encoder's kind, which the Edge TPU takes."""
    made = Made()
    first = made.tensor([batch, 1, 16, channels])
    weights = made.constant([8, 1, 3, channels]), made.constant([8], "INT32")
    wide = made.tensor([batch, 1, 16, 8])
    strides = dict.fromkeys(("StrideW", "StrideH", "DilationWFactor", "DilationHFactor"), 1)
    made.operator("CONV_2D", [first, *weights], [wide], 3, "Conv2DOptions", **strides)
    mean = made.tensor([batch, 8])
    made.operator("MEAN", [wide, made.integers([1, 2])], [mean], 2, "ReducerOptions")
    last = made.tensor([batch, 5], scale=0.5, zero_point=3)
    made.operator(
        "FULLY_CONNECTED",
        [mean, made.constant([5, 8]), made.constant([5], "INT32")],
        [last],
        4,
        "FullyConnectedOptions",
    )
    made.metadata["min_runtime_version"] = b"1.14.0".ljust(16, b"\0")
    made.ends([first], [last])
    return made


def program(min_runtime=14, compiler="fake", cached_bytes=1000, streamed_bytes=0):
    """What an edgetpu-custom-op holds, as libedgetpu reads it: a FlexBuffer map with a DarwiNN package.

    Field numbers: executable/executable.fbs. Keys: tflite/custom_op_data.cc.
    """
    executables = [_executable(kind, size) for kind, size in ((1, cached_bytes), (2, streamed_bytes))]
    inside = flatbuffers.Builder(1 << 12)
    places = [inside.CreateString(executable) for executable in executables]
    inside.StartVector(4, len(places), 4)
    for place in reversed(places):
        inside.PrependUOffsetTRelative(place)
    vector = inside.EndVector()
    inside.StartObject(1)
    inside.PrependUOffsetTRelativeSlot(0, vector, 0)
    inside.Finish(inside.EndObject())
    outside = flatbuffers.Builder(1 << 12)
    nested, name = outside.CreateByteVector(bytes(inside.Output())), outside.CreateString(compiler)
    outside.StartObject(8)
    outside.PrependInt32Slot(0, min_runtime, 0)
    outside.PrependUOffsetTRelativeSlot(1, nested, 0)
    outside.PrependUOffsetTRelativeSlot(4, name, 0)
    outside.Finish(outside.EndObject(), b"DWN1")
    custom = flexbuffers.Builder()
    with custom.Map():
        custom.Int("1", 1)
        custom.String("4", _Raw(outside.Output()))
    return bytes(custom.Finish())


class _Raw(bytes):
    """Bytes that pass for text: C++ keeps binary data in strings, whose Python builder only takes text."""

    def encode(self, _):
        return bytes(self)


def _executable(kind, parameter_bytes):
    builder = flatbuffers.Builder(1 << 12)
    parameters = builder.CreateByteVector(bytes(parameter_bytes))
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(6, parameters, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def ends_of(file):
    """A model with the input and the output of a .tflite file, and nothing between them: for `compiled_from`."""
    made, graph = Made(), read_graph(file).subgraphs[0]
    for index in (graph.inputs[0], graph.outputs[0]):
        end = graph.tensors[index]
        made.tensor(end.shape, "INT8", end.scale, int(end.zero_point[0]), name=end.name)
    made.ends([0], [1])
    return made


def compiled_from(made, custom_options=None, on_cpu=False, **last):
    """A file with the ends of `made` around one edgetpu-custom-op; last: what the output has otherwise."""
    graph = Made(FAKE)
    first, end = made.tensors[made.subgraphs[0][2][0]], made.tensors[made.subgraphs[0][3][0]]
    graph.tensors += [first | {"buffer": 0}, end | {"buffer": 0} | last]
    options = program() if custom_options is None else custom_options
    if on_cpu:
        between = graph.tensor(end["shape"])
        graph.operator("edgetpu-custom-op", [0], [between], custom_options=options)
        graph.operator("LOGISTIC", [between], [1])
    else:
        graph.operator("edgetpu-custom-op", [0], [1], custom_options=options)
    graph.ends([0], [1])
    return graph.file()
