"""The same windows on ARM and here: the runtime with XNNPACK and the reference give the very same codes."""

import numpy as np
import pytest

from motionsig.encoders import find_model
from motionsig.model_card import BUILT_IN, ON_ARM64, XNNPACK
from scripts.arm.comparison import encoded, made_windows

COUNT = 2000
# The reference takes a hundred times as long, and its arithmetic is the same for every window.
REFERENCE = 8

pytestmark = pytest.mark.usefixtures("arm")


@pytest.fixture(scope="module")
def windows():
    golden = find_model().golden()[0]
    return np.concatenate([golden, made_windows(COUNT - len(golden), golden.shape[1])])


@pytest.mark.parametrize(
    ("root", "machine", "count"), [("arm64-bookworm", "pi4", COUNT), ("arm64-trixie", "pi5", COUNT // 4)]
)
def test_with_xnnpack_no_code_differs(windows, root, machine, count):
    here, there = encoded(windows[:count]), encoded(windows[:count], root=root, machine=machine)
    assert there.runtime == here.runtime
    assert len(np.unique(here.codes, axis=0)) > count * 0.9, "windows that are all alike prove nothing"
    assert there.same_inputs(here).all()
    assert there.differing(here.codes) == (0, 0)


def test_a_pi_3_gives_the_golden_codes_of_the_same_kernels():
    golden = find_model().golden()
    there = encoded(golden.windows, root="arm64-bookworm", machine="pi3")
    assert there.differing(golden.kernels[XNNPACK]) == (0, 0)


@pytest.mark.parametrize(
    ("root", "machine", "device", "kernels"),
    [
        ("arm64-bookworm", "pi3", BUILT_IN, ON_ARM64),
        ("arm64-trixie", "pi5", BUILT_IN, ON_ARM64),
        ("armhf-bookworm", "pi2", "cpu", BUILT_IN),
    ],
)
def test_kernels_beside_xnnpack_are_known_by_the_golden_codes(root, machine, device, kernels):
    golden = find_model().golden()
    there = encoded(golden.windows, device, root=root, machine=machine)
    assert there.differing(golden.kernels[kernels]) == (0, 0)
    assert there.differing(golden.codes)[1] <= golden.tolerance
    if device == "cpu":
        assert there.runtime.startswith("cpu (tflite-runtime ") and there.runtime.endswith(f", {kernels})")


@pytest.mark.parametrize("root", ["arm64-bookworm", "arm64-trixie", "armhf-bookworm"])
def test_the_reference_is_the_same_to_the_byte(windows, root):
    there = encoded(windows[:REFERENCE], "reference", root=root)
    assert there.differing(encoded(windows[:REFERENCE], "reference").codes) == (0, 0)
