"""Which directions become codes: those that vary and tell classes apart, not those that sensors change."""

import math

import numpy as np
import pytest

from scripts.train import discriminant
from scripts.train.discriminant import CHANGES, CLASSES, LARGEST, PAIRS_RIDGE, RIDGE, directions

WIDTH = 12


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pooled(rng):
    """3,000 windows of two sets, each axis with a spread of its own, the larger the earlier."""
    return rng.normal(size=(3000, WIDTH)) * np.linspace(3, 0.5, WIDTH) + 1


@pytest.fixture
def sets():
    return np.repeat([0, 1], 1500).astype(np.int32)


@pytest.fixture
def nothing(rng):
    """Differences of one kind of change that moves nothing much."""
    return [1e-3 * rng.normal(size=(500, WIDTH))]


def codes_of(pooled, *known, **options):
    weights, mean = directions(pooled, *known, **options)
    return (pooled - mean) @ weights, weights


def kept(weights, axis):
    """Return how much of an axis the span of `weights` (p, codes) holds, 0 to 1."""
    basis, _ = np.linalg.qr(weights)
    return float(np.linalg.norm(basis[axis]))


def labels(rng, sets, classes=6):
    return (rng.integers(classes, size=len(sets)) + 10 * sets).astype(np.int32)


def test_codes_are_centred_and_together_as_large_as_one_each(pooled, sets, nothing, rng):
    codes, _ = codes_of(pooled, labels(rng, sets), sets, changes=nothing, codes=5)
    assert codes.shape == (3000, 5)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-9)
    spread = codes.std(axis=0)
    assert np.square(spread).mean() == pytest.approx(1)
    assert (np.diff(spread) <= 1e-9).all() and spread[0] / spread.mean() < LARGEST + 0.05


def test_what_tells_classes_apart_comes_first(pooled, sets, nothing, rng):
    label = labels(rng, sets)
    pooled[:, 7] += 4 * (label % 10)
    _, weights = codes_of(pooled, label, sets, changes=nothing, codes=4)
    assert kept(weights[:, :1], 7) > 0.95


def test_the_spread_of_a_code_is_the_root_of_its_quotient(rng, monkeypatch):
    """Three classes: axis 7 tells the first two from the third, axis 9 the first from the second, axis 0 is changed."""
    monkeypatch.setattr(discriminant, "LARGEST", np.inf)
    count, classes = 30_000, 3
    label = (np.arange(count) % classes).astype(np.int32)
    means = np.zeros((classes, WIDTH))
    means[:, 7], means[:, 9] = [6, 6, -6], [0.4, -0.4, 0]
    pooled = rng.normal(size=(count, WIDTH)) + means[label]
    change = np.zeros((count, WIDTH))
    change[:, 0] = rng.normal(size=count)
    codes, weights = codes_of(pooled, label, np.zeros(count, np.int32), changes=[change], codes=WIDTH)

    size = np.sqrt(1 + means.var(axis=0))
    within, middle = 1 / size**2, means / size
    ridge = PAIRS_RIDGE * within.mean()
    between = np.zeros(WIDTH)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        apart = middle[first] - middle[second]
        far = np.sqrt((apart**2 / (within + ridge)).sum())
        between += apart**2 * math.erf(far / 2 / math.sqrt(2)) / (2 * far**2)
    changed = np.eye(WIDTH)[0] / WIDTH
    expected = (CLASSES * between / between.sum() + (1 - CLASSES) / WIDTH) / (
        CLASSES * within / within.sum() + CHANGES * changed + RIDGE / WIDTH
    )
    assert np.argsort(-expected)[:2].tolist() == [7, 9], "the hard pair lifts its axis above the other nine"
    for column, axis in ((0, 7), (1, 9), (-1, 0)):
        assert kept(weights[:, [column]], axis) > 0.97
    spread = codes.std(axis=0)
    wanted = np.sqrt(np.sort(expected)[::-1])
    np.testing.assert_allclose(spread / spread.mean(), wanted / wanted.mean(), rtol=0.03)


def test_the_first_codes_are_a_vector_of_their_own_in_which_the_variance_leads(pooled, sets, nothing, rng, monkeypatch):
    """Axes 0 to 3 move together; axis 7 tells the two classes of a set apart."""
    together = 2 * rng.normal(size=3000)
    pooled[:, :4] = together[:, None] + 0.1 * rng.normal(size=(3000, 4))
    label = labels(rng, sets, classes=2)
    pooled[:, 7] = 3 * (label % 10) + rng.normal(size=3000)
    common = lambda column: abs(np.corrcoef(pooled @ column, together)[0, 1])  # noqa: E731
    one = directions(pooled, label, sets, nothing, 4)[0]
    assert kept(one[:, :1], 7) > 0.9 > 0.5 > common(one[:, 0])
    monkeypatch.setattr(discriminant, "FIRST", 1)
    monkeypatch.setattr(discriminant, "FIRST_CLASSES", 0.0)
    other = directions(pooled, label, sets, nothing, 4)[0]
    assert common(other[:, 0]) > 0.9 and kept(other[:, 1:2], 7) > 0.9
    (mine, _), (theirs, _) = np.linalg.qr(one), np.linalg.qr(other)
    np.testing.assert_allclose(mine @ mine.T, theirs @ theirs.T, atol=1e-9, err_msg="together they tell the same")


def test_no_code_is_so_large_that_it_saturates(pooled, sets, nothing, rng):
    label = labels(rng, sets)
    pooled[:, 7] += 400 * (label % 10)
    codes, _ = codes_of(pooled, label, sets, changes=nothing, codes=WIDTH)
    spread = codes.std(axis=0)
    assert spread[0] == spread.max() < 1.8 * np.median(spread)


def test_what_sensors_change_is_not_kept(pooled, sets, rng):
    """Axis 0 varies most, and another sensor moves it as much."""
    moved = np.zeros((500, WIDTH))
    moved[:, 0] = 3 * rng.normal(size=500)
    label = labels(rng, sets)
    assert kept(codes_of(pooled, label, sets, changes=[0 * moved + 1e-6], codes=WIDTH - 2)[1], 0) > 0.2
    assert kept(codes_of(pooled, label, sets, changes=[moved, moved], codes=WIDTH - 2)[1], 0) < 0.05


def test_what_sets_differ_in_counts_half(pooled, sets, nothing, rng, monkeypatch):
    """Axis 5 differs between the sets, and little within one."""
    pooled[:, 5] += 40 * sets
    label = labels(rng, sets)
    assert kept(directions(pooled, label, sets, nothing, 3)[0], 5) < 0.05
    monkeypatch.setattr(discriminant, "OWN_SHARE", 0.0)
    assert kept(directions(pooled, label, sets, nothing, 3)[0], 5) > 0.9


def test_no_labels_are_an_error(pooled, sets, nothing):
    for label in (np.full(3000, -1), np.zeros(3000), np.arange(3000)):
        with pytest.raises(ValueError, match="expected a set with 50 labelled windows and two classes of 8, got none"):
            directions(pooled, label.astype(np.int32), sets, nothing, 3)


def test_a_set_with_few_labels_says_nothing(pooled, sets, nothing, rng):
    label = labels(rng, sets)
    few = label.copy()
    few[1500:] = -1
    few[1500:1540] = 10 + np.arange(40) % 2
    without = few.copy()
    without[1500:] = -1
    one, other = (directions(pooled, known, sets, nothing, 4)[0] for known in (few, without))
    np.testing.assert_array_equal(one, other)


def test_a_class_of_a_few_windows_is_compared_with_no_other(pooled, sets, nothing, rng):
    """Five windows that lie far along an axis are no reason for a code."""
    label = labels(rng, sets)
    label[:5] = 9
    pooled[:5, 7] += 20
    few, _ = directions(pooled, label, sets, nothing, 3)
    enough = label.copy()
    enough[:40] = 9
    pooled[5:40, 7] += 20
    many, _ = directions(pooled, enough, sets, nothing, 3)
    assert kept(few, 7) < 0.8 < 0.95 < kept(many, 7)
