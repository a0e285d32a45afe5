"""What the child process runs: an interpreter with the Edge TPU's library in it, and windows from shared memory.

libedgetpu aborts on USB errors, and crashes where its ABI is not the runtime's; neither is an exception that could be
caught. Here they end this process alone. It reports to its parent over a socket: which stage begins, that it is ready,
that it failed, that all windows asked for are done. From its parent it receives how many windows are asked for.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.confinement import confine
from motionsig.encoders.edgetpu.claim import library_option
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.host import Codes
from motionsig.encoders.litert import load_runtime, tensor_spec
from motionsig.errors import EncoderError, MotionsigError

ASKED = struct.Struct("=I")
"""How many windows, from the parent."""

HINT = "more: motionsig doctor"

_COUNTER_BYTES = 64
"""A cache line of its own."""


class Memory(NamedTuple):
    """Views of the memory that parent and child share.

    done (1,): how many of the windows asked for have their codes in `outputs`. inputs, outputs: (windows, *shape) int8.
    model: the bytes of the compiled file.
    """

    done: NDArray[np.int64]
    inputs: Codes
    outputs: Codes
    model: NDArray[np.uint8]


class Layout(NamedTuple):
    """Where things are in that memory. Shapes are a window's; model: bytes of the model."""

    windows: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    model: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each part."""
        inputs, outputs = (self.windows * math.prod(shape) for shape in (self.input_shape, self.output_shape))
        return _COUNTER_BYTES, inputs, outputs, self.model

    def map(self, descriptor: int) -> Memory:
        """Return the views of the file behind `descriptor`, which may be closed afterwards."""
        whole = np.frombuffer(mmap.mmap(descriptor, sum(self.sizes)), np.uint8)
        done, inputs, outputs, model = np.split(whole, np.cumsum(self.sizes[:3]))
        return Memory(
            done.view(np.int64)[:1],
            inputs.view(np.int8).reshape(-1, *self.input_shape),
            outputs.view(np.int8).reshape(-1, *self.output_shape),
            model,
        )


def main() -> None:
    """Serve the parent, whose task is the only argument (JSON), until it ends."""
    task = json.loads(sys.argv[1])
    # It ends when its parent closes the socket, not when a whole service gets a signal. A crash leaves no core file.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    threading.Thread(target=_end_with, args=(task["parent"],), daemon=True).start()
    connection = socket.socket(fileno=task["socket"])
    memory = Layout(*task["layout"]).map(task["memory"])
    # Opening holds Python's lock, so no thread here would notice that the parent ended; the kernel keeps this deadline.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.alarm(task["start_s"])
    try:
        names = (task[name] for name in ("library", "device", "path", "root"))
        interpreter, given, made = _open(connection, memory, *names)
        _serve(connection, interpreter, memory, given, made)
    except MotionsigError as error:
        connection.send(json.dumps({"failed": str(error)}).encode())
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent has ended


def _end_with(parent: int) -> None:
    """End when the parent does, even in a call that never returns; processes forked from it keep the socket open."""
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        os._exit(0)
    except OSError:
        return  # The kernel is older than 5.3, and the socket has to do.
    if os.getppid() == parent:
        select.select([watched], [], [])
    os._exit(0)


def _open(
    connection: socket.socket, memory: Memory, library: str, device: str, path: str, root: str
) -> tuple[Any, int, int]:
    """Return the interpreter on the Edge TPU, and the indices of its input and output.

    path: which of several devices, as the library lists them. root: where the machine's files are, if it showed no
    device that the parent could own.
    """

    def report(**found: Any) -> None:
        connection.send(json.dumps(found).encode())

    report(stage="importing the inference runtime")
    runtime, interpreter_class, load_delegate = load_runtime()
    report(stage=f"opening the Edge TPU with {library}")
    if root and edgetpus(Path(root)):
        # One that is used for the first time leaves the bus for a moment, and comes back with the same owner.
        other = "others, or one that was plugged in just now"
        raise EncoderError(f"expected one{device and f' as {device}'} that is this process's own, got {other}; {HINT}")
    try:
        device = library_option(ctypes.CDLL(library), device, path) if path else device
        delegate = load_delegate(library, {"device": device} if device else {})
    except OSError as error:
        raise EncoderError(f"{library}: expected the Edge TPU's library, got: {error}; {HINT}") from error
    except AttributeError as error:
        raise EncoderError(f"{library}: expected the Edge TPU's library, got one without a delegate; {HINT}") from error
    except ValueError as error:
        raise EncoderError(f"expected one{device and f' as {device}'} to answer, got none; {HINT}") from error
    report(stage="preparing the model on the Edge TPU")
    # The library has opened the device (libedgetpu, tflite/edgetpu_manager_direct.cc, MakeDriverWrapper).
    confine(root_will_do=True, device=True)
    try:
        interpreter = interpreter_class(
            model_content=memory.model.tobytes(), experimental_delegates=[delegate], num_threads=1
        )
        interpreter.allocate_tensors()
        # Two inputs, or a name that is no text (a UnicodeDecodeError), are no network of ours either.
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError, SystemError) as error:
        raise EncoderError(f"{runtime} cannot prepare the model: {error}") from error
    signal.alarm(0)
    report(ready=runtime, input=tensor_spec(given), output=tensor_spec(made))
    return interpreter, given["index"], made["index"]


def _serve(connection: socket.socket, interpreter: Any, memory: Memory, given: int, made: int) -> None:
    """Answer until the parent closes its end."""
    done, inputs, outputs, _ = memory
    while request := connection.recv(ASKED.size):
        for row in range(*ASKED.unpack(request)):
            try:
                interpreter.set_tensor(given, inputs[row : row + 1])
                interpreter.invoke()
                outputs[row] = interpreter.get_tensor(made)[0]
            except (RuntimeError, ValueError) as error:
                raise EncoderError(f"it failed on a window: {error}") from error
            # Only now: whenever this process dies, all windows that are counted have their codes.
            done[0] = row + 1
        connection.send(b'{"done": true}')
