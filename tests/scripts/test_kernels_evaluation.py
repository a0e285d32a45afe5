"""What other kernels change, measured with LiteRT's own sets of them on windows made here."""

import numpy as np
import pytest

from motionsig import open_encoder
from motionsig.model_card import BUILT_IN, XNNPACK

pytest.importorskip("ai_edge_litert", reason="has the kernels")
pytest.importorskip("sklearn", reason="scripts/evaluate needs it")

from motionsig.encoders.host import HostEncoder
from scripts.evaluate import kernels
from scripts.evaluate.contestants import batch_of
from scripts.evaluate.kernel_set import OTHERS, KernelSet
from scripts.evaluate.measures import unit
from scripts.train import tables


@pytest.fixture(scope="module")
def made():
    """Codes of the same 200 windows by each set."""
    usual = open_encoder(device="cpu")
    chance = np.random.default_rng(5)
    windows = np.zeros((200, 128, 6), np.float32)
    windows[..., 2] = 9.8
    windows += np.cumsum(chance.normal(size=windows.shape), axis=1).astype(np.float32) * 0.2
    encoders = {XNNPACK: usual} | {name: HostEncoder(usual.card, KernelSet(usual.card, name)) for name in OTHERS}
    return {name: encoder.encode(batch_of(windows, encoder)).codes for name, encoder in encoders.items()}


def test_each_set_computes_with_its_own_kernels(made):
    reference = open_encoder(device="reference")
    golden = reference.card.golden()
    for name, expected in {BUILT_IN: golden.kernels[BUILT_IN], "reference": golden.codes}.items():
        encoder = HostEncoder(reference.card, KernelSet(reference.card, name))
        assert encoder.encode(batch_of(golden.windows, encoder)).codes.tobytes() == expected.tobytes()
    apart = {name: (codes != made[XNNPACK]).mean() for name, codes in made.items()}
    assert apart[XNNPACK] == 0 and 0.1 < apart[BUILT_IN] < 0.4 and 0.1 < apart["reference"] < 0.4


def test_the_nearest_come_first():
    known = unit(np.random.default_rng(1).normal(size=(150, 64)).astype(np.float32))
    found = kernels._nearest(known[:20], known)
    assert found.shape == (20, 10) and found[:, 0].tolist() == list(range(20))
    assert found[3].tolist() == np.argsort(-(known @ known[3]))[:10].tolist()


def test_the_table_says_what_was_measured():
    near = {"codes_that_differ": 0.3, "most_steps": 2, "least_cosine": 0.9991, "same_nearest": 0.97}
    near |= {"shared_of_10": 0.98, "activity_of_nearest_right": 0.95}
    judged = {"performances": 10, "found": 0.8, "judged": 2000, "judged_otherwise": 6, "false_alarms": 3}
    page = tables.kernels({"neighbours": {"by": {"x": near}}, "heads": {"by": {"x": judged}}})
    assert page.splitlines()[-1] == "| x | 30.0%, by 2 at most | 0.9991 | 97.0% | 95.0% | 80.0% | 6 of 2,000 | 3 |"
