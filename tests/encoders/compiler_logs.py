"""What edgetpu_compiler writes, in the forms shown in the issues of google-coral/edgetpu, and a stand-in for it.

The stand-in is a shell script: it writes a log it was given, puts down a file it was given, and compiles nothing.
"""

import shlex

_SIZES = """
Model compiled successfully in 409 ms.

Input model: /tmp/model.tflite
Input size: 286.78KiB
Output model: /tmp/model_edgetpu.tflite
Output size: 409.02KiB
On-chip memory used for caching model parameters: 313.50KiB
On-chip memory {left} for caching model parameters: 7.33MiB
Off-chip memory used for streaming uncached model parameters: {streamed}
Number of Edge TPU subgraphs: 1
Total number of operations: 11
Operation log: /tmp/model_edgetpu.log
"""

_ON_CPU = """
Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will \
instead run on the CPU, which is slower. If possible, consider updating your model to use only operations supported by \
the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 9
Number of operations that will run on CPU: 2
"""

_TABLE = """
Operator                       Count      Status

CONV_2D                        5          Mapped to Edge TPU
MEAN                           1          Mapped to Edge TPU
MAX_POOL_2D                    1          Mapped to Edge TPU
RESHAPE                        1          Mapped to Edge TPU
CONCATENATION                  1          Mapped to Edge TPU
FULLY_CONNECTED                2          {status}
"""

_MAPPED = _TABLE.format(status="Mapped to Edge TPU")
_UNMAPPED = _TABLE.format(status="More than one subgraph is not supported")
_START_16 = "Edge TPU Compiler version 16.0.384591198\nStarted a compilation timeout timer of 180 seconds.\n"
_END_16 = "Compilation child process completed within timeout period.\nCompilation succeeded! \n"
_FAILED_16 = "Compilation child process completed within timeout period.\nCompilation failed! \n"
_NO_OP = (
    "ERROR: Didn't find op for builtin opcode '{}' version '{}'. An older version of this builtin might be supported. "
    "Are you using an old TFLite binary with a newer model?\n\nERROR: Registration failed.\n\n"
    "Invalid model: /tmp/model.tflite\nModel could not be parsed\n"
)

GOOD = _START_16 + _SIZES.format(left="remaining", streamed="0.00B") + _MAPPED + _END_16
"""16.0."""

GOOD_FORMS = {
    "16.0": GOOD,
    "16.0 without -s": GOOD.replace(_MAPPED, "See the operation log file for individual operation details.\n"),
    "15.0": "Edge TPU Compiler version 15.0.340273435\n" + _SIZES.format(left="remaining", streamed="0.00B") + _MAPPED,
    "2.1": "Edge TPU Compiler version 2.1.302470888\n" + _SIZES.format(left="remaining", streamed="0.00B") + _MAPPED,
    "2.0": "Edge TPU Compiler version 2.0.267685300\n" + _SIZES.format(left="available", streamed="0.00B") + _MAPPED,
}

STREAMED = GOOD.replace("parameters: 0.00B", "parameters: 126.81KiB")
ON_CPU = _START_16 + _SIZES.format(left="remaining", streamed="0.00B") + _ON_CPU + _UNMAPPED + _END_16
ON_CPU_BY_TABLE = ON_CPU.replace(_ON_CPU, "")

BAD_FORMS = {
    # Issues 631, 845, 879; the log, and what the error says of it.
    "version": (_START_16[:41] + _NO_OP.format("CONV_2D", 6), "it knows no CONV_2D of version 6"),
    "operator": (_START_16 + "ERROR: Op builtin_code out of range: 150. Are you using old", "no operator number 150"),
    "custom": (_START_16 + "ERROR: Encountered unresolved custom op: Atan.\n" + _FAILED_16, "no custom operator Atan"),
    # Issues 168, 313.
    "float": ("Edge TPU Compiler version 15.0.340273435\nInvalid model: m.tflite\nModel not quantized\n", "quantised"),
    "unparsed": (
        "Edge TPU Compiler version 2.0.267685300\nInvalid model: m.tflite\nModel could not be parsed\n",
        "read",
    ),
    "invalid": ("Edge TPU Compiler version 2.0.267685300\nInvalid model: m.tflite\n", "takes the file for no model"),
    # Issues 654, 829.
    "dynamic": (
        _START_16 + "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph that has "
        "dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter. Please ensure model can be "
        "loaded/run in Tflite interpreter.\n" + _FAILED_16,
        "a shape may change",
    ),
    # Issues 439, 449.
    "activations": (
        _START_16 + "ERROR: Restored original execution plan after delegate application failure.\nCompilation failed: "
        "Compilation failed due to large activation tensors in model.\n" + _FAILED_16,
        "an activation is too large",
    ),
    # Issue 686.
    "time": (
        _START_16 + "Compilation timeout. This is usually caused by large activations.\nCompilation failed! \n",
        "it ran out of its time",
    ),
    # Issues 189, 211; 728; 707, 800.
    "internal": ("Edge TPU Compiler version 14.1.317412892\n\nInternal compiler error. Aborting! \n", "run it again"),
    "crash": (
        _START_16 + "libc++abi: terminating with uncaught exception of type std::out_of_range: vector\n" + _FAILED_16,
        r"it crashed \(std::out_of_range: vector\)",
    ),
    "silent": (_START_16 + _FAILED_16, "it gives no reason"),
}


def stand_in(path, log, made=None, code=0, before=""):
    """Write a compiler that answers with `log` and the file `made`, and return its path. before: shell lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "log").write_text(log)
    lines = [
        "#!/bin/sh",
        "# Stands in for edgetpu_compiler in motionsig's tests; compiles nothing.",
        f"cd {shlex.quote(str(path.parent))}",
    ]
    lines += ['echo "$@" >arguments', before, "cat log"]
    if made is not None:
        (path.parent / "made").write_bytes(made)
        lines.append('while [ "$1" != -o ]; do shift; done; cp made "$2/model_edgetpu.tflite"')
    path.write_text("\n".join([*lines, f"exit {code}", ""]))
    path.chmod(0o755)
    return path
