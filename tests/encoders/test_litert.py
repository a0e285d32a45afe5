"""Which runtime and which of its kernel sets compute, as the codes of the golden windows show."""

import logging
from functools import partial

import numpy as np
import pytest

from motionsig.encoders import litert, open_encoder
from motionsig.encoders.host import golden_distance
from motionsig.model_card import BUILT_IN, ON_ARM64, XNNPACK


def test_the_device_says_which_runtime_runs_and_with_which_kernels():
    encoder = open_encoder(device="cpu")
    here = XNNPACK if "LiteRT" in encoder.device else BUILT_IN
    assert encoder.kernels == here
    assert encoder.device.startswith(("cpu (LiteRT 2", "cpu (tflite-runtime 2")) and encoder.device.endswith(f"{here})")
    assert open_encoder(device="reference").kernels == "reference"


def test_a_runtime_that_falls_back_is_named_and_warned_of(monkeypatch, caplog):
    runtime, interpreter, delegate = litert.load_runtime()
    if "LiteRT" not in runtime:
        pytest.skip("only LiteRT has kernels to fall back from")
    from ai_edge_litert.interpreter import OpResolverType

    alone = partial(interpreter, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    monkeypatch.setattr(litert, "load_runtime", lambda: (runtime, alone, delegate))
    with caplog.at_level(logging.WARNING), open_encoder(device="cpu") as encoder:
        # arm64's are a set of their own.
        assert encoder.kernels in (BUILT_IN, ON_ARM64) and encoder.device == f"cpu ({runtime}, {encoder.kernels})"
        assert 1 <= golden_distance(encoder)[0] <= 2
    assert caplog.messages == [litert.FELL_BACK]


def test_kernels_that_golden_codes_do_not_tell_have_no_name(monkeypatch):
    encoder = open_encoder(device="cpu")
    golden = encoder.card.golden()
    others = {name: np.roll(codes, 1, axis=0) for name, codes in golden.kernels.items()}
    alike = dict.fromkeys(golden.kernels, golden.kernels[encoder.kernels])
    for kernels in ({}, others, alike):
        monkeypatch.setattr(type(encoder.card), "golden", lambda _, kernels=kernels: golden._replace(kernels=kernels))
        with open_encoder(device="cpu") as unnamed:
            assert unnamed.kernels is None and unnamed.device.count(",") == 0
