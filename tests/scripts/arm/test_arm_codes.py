"""The same windows on ARM and here: the runtime with XNNPACK and the reference give the very same codes.

The front end is numpy's. Its sums and logarithms may differ in the last bit between processors, and where that moves an
input of the network by a step, some codes of that one window may follow.
"""

import numpy as np
import pytest

from motionsig.encoders import find_model
from scripts.arm.comparison import encoded, made_windows

COUNT = 2000
# The reference takes a hundred times as long, and its arithmetic is the same for every window.
REFERENCE = 40

pytestmark = pytest.mark.usefixtures("arm")


@pytest.fixture(scope="module")
def windows():
    golden = find_model().golden()[0]
    return np.concatenate([golden, made_windows(COUNT - len(golden), golden.shape[1])])


@pytest.fixture(scope="module")
def here(windows):
    return encoded(windows)


@pytest.mark.parametrize(("root", "machine"), [("arm64-bookworm", "pi4"), ("arm64-trixie", "pi5")])
def test_with_xnnpack_no_code_differs(windows, here, root, machine):
    there = encoded(windows, root=root, machine=machine)
    assert there.runtime == here.runtime
    assert len(np.unique(here.codes, axis=0)) > COUNT * 0.9, "windows that are all alike prove nothing"
    same = there.same_inputs(here)
    assert same.mean() > 0.99
    assert (there.codes[same] == here.codes[same]).all()
    assert there.differing(here.codes)[0] < 0.001 * here.codes.size


def test_a_pi_3_gives_the_same_golden_codes(windows, here):
    count = len(find_model().golden()[0])
    there = encoded(windows[:count], root="arm64-bookworm", machine="pi3")
    assert there.differing(here.codes[:count]) == (0, 0)


def test_on_32_bits_codes_are_within_the_models_tolerance_of_the_references(windows):
    golden = find_model().golden()
    there = encoded(windows[: len(golden.codes)], root="armhf-bookworm")
    assert there.runtime.startswith("cpu (tflite-runtime ")
    assert there.differing(golden.codes)[1] <= golden.tolerance


@pytest.mark.parametrize("root", ["arm64-bookworm", "arm64-trixie", "armhf-bookworm"])
def test_the_reference_is_the_same_to_the_byte(windows, root):
    there = encoded(windows[:REFERENCE], "reference", root=root)
    assert there.differing(encoded(windows[:REFERENCE], "reference").codes) == (0, 0)
