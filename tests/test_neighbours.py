import numpy as np
import pytest

from motionsig import neighbours
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.conventions import NS_PER_S
from motionsig.neighbours import MOST_GROUPS, alike, nearest
from motionsig.quantization import Group, Quantization

HOP_NS = 1_280_000_000
SPEC = SignatureSpec(bytes(8), Quantization((Group(64, 1 / 32, 0),)), 48, 2 * HOP_NS)


def batch(codes, start_ns=None, hop_ns=HOP_NS, spec=SPEC):
    codes = np.asarray(codes, np.int8)
    start_ns = np.arange(len(codes)) * hop_ns if start_ns is None else start_ns
    return SignatureBatch(start_ns, codes, np.zeros(len(codes), np.uint8), hop_ns, spec)


def movements(counts, spread=12, seed=0):
    """Codes of one movement after the other, `counts` windows each, and which it was."""
    rng = np.random.default_rng(seed)
    centres = rng.choice([-60, 60], (max(kind for kind, _ in counts) + 1, 64))
    kinds = np.concatenate([np.full(count, kind) for kind, count in counts])
    codes = centres[kinds] + rng.normal(scale=spread, size=(len(kinds), 64))
    return np.clip(np.rint(codes), -128, 127).astype(np.int8), kinds


def by_hand(signatures):
    """The nearest neighbour of each, from the definition alone."""
    values = signatures.values[:, : signatures.spec.motion_dim].astype(float)
    rows, cosines = [], []
    for one in range(len(values)):
        apart = np.abs(signatures.start_ns - signatures.start_ns[one]) >= signatures.spec.length_ns
        norms = np.linalg.norm(values, axis=1) * np.linalg.norm(values[one])
        cosine = np.where(apart, values @ values[one] / norms, -2)
        rows.append(int(cosine.argmax()))
        cosines.append(float(cosine.max()))
    return rows, cosines


@pytest.mark.parametrize("hop_ns", [HOP_NS, HOP_NS // 16, 3 * HOP_NS])
def test_the_nearest_neighbour_is_the_largest_cosine_of_those_that_do_not_overlap(hop_ns):
    rng = np.random.default_rng(1)
    start_ns = np.cumsum(np.where(rng.random(700) < 0.1, 10 * NS_PER_S, hop_ns))
    order = rng.permutation(700)  # a clock may be set back
    signatures = batch(rng.integers(-128, 128, (700, 64)), start_ns[order], hop_ns)
    rows, cosines = nearest(signatures)
    expected, largest = by_hand(signatures)
    assert rows.tolist() == expected
    assert cosines == pytest.approx(largest, abs=1e-5)


def test_posture_and_the_strength_of_the_codes_do_not_count():
    codes, _ = movements([(0, 1), (1, 1), (0, 1), (1, 1)], spread=0)
    codes[:, 48:] = np.arange(4)[:, None] * 30
    codes[2] //= 2
    rows, _ = nearest(batch(codes, np.arange(4) * 10 * NS_PER_S))
    assert rows.tolist() == [2, 3, 0, 1]


def test_it_is_the_values_that_are_compared_not_the_codes():
    spec = SignatureSpec(bytes(8), Quantization((Group(64, 1 / 32, 100),)), 48, 2 * HOP_NS)
    codes = np.full((3, 64), 100, np.int8)
    codes[0, :24], codes[1, :24], codes[2, :24], codes[2, 24:48] = 110, 90, 127, 60
    assert nearest(batch(codes, np.arange(3) * 10 * NS_PER_S, spec=spec))[0].tolist() == [2, 2, 0]


def test_who_has_no_neighbour():
    rows, cosines = nearest(batch(np.ones((2, 64))))  # each overlaps the other
    assert rows.tolist() == [-1, -1] and np.isneginf(cosines).all()
    assert [len(part) for part in nearest(batch(np.empty((0, 64))))] == [0, 0]
    assert nearest(batch(np.zeros((3, 64))))[0].tolist() == [2, -1, 0]  # no direction, no error


def test_groups_are_numbered_by_first_appearance_and_a_movement_that_returns_is_the_same():
    codes, kinds = movements([(1, 12), (0, 9), (2, 20), (1, 8), (0, 30)])
    groups = alike(batch(codes))
    # Windows on a border are between two movements.
    inside = np.convolve(np.diff(kinds, prepend=kinds[0], append=kinds[-1]) != 0, [1, 1], "same")[:-1] == 0
    assert groups[inside].tolist() == np.array([1, 0, 2])[kinds[inside]].tolist()
    assert set(groups) <= {-1, 0, 1, 2}


def test_the_order_of_the_rows_does_not_matter():
    codes, _ = movements([(0, 20), (1, 20), (0, 20)])
    start_ns = np.arange(60) * HOP_NS
    order = np.random.default_rng(3).permutation(60)
    assert alike(batch(codes[order], start_ns[order])).tolist() == alike(batch(codes))[order].tolist()


def test_what_is_brief_is_in_no_group():
    codes, _ = movements([(0, 20), (1, 1), (0, 20), (2, 3), (0, 20)])
    groups = alike(batch(codes))
    assert groups[41:44].tolist() == [-1] * 3 and groups.max() == 0
    assert (alike(batch(movements([(0, 396), (1, 4), (0, 400)])[0])) <= 0).all()  # half a percent of the time
    assert alike(batch(movements([(0, 96), (1, 6), (0, 100)])[0])).max() == 1


@pytest.mark.parametrize("spread", [0, 1, 12, 40])
def test_one_movement_is_one_group_however_much_it_varies(spread):
    groups = alike(batch(movements([(0, 3000)], spread)[0]))
    assert groups.max() == 0 and (groups == 0).mean() > 0.98


@pytest.mark.parametrize("hop_ns", [HOP_NS // 2, HOP_NS, HOP_NS * 3 // 2, 2 * HOP_NS, 4 * HOP_NS, 40 * HOP_NS])
@pytest.mark.parametrize("count", [8, 40, 500])
def test_where_nothing_is_alike_there_is_no_group(hop_ns, count):
    assert (alike(batch(np.random.default_rng(5).integers(-128, 128, (count, 64)), hop_ns=hop_ns)) == -1).all()


def test_of_no_window_and_of_one_there_is_no_group():
    assert alike(batch(np.empty((0, 64)))).tolist() == []
    assert alike(batch(np.ones((1, 64)))).tolist() == [-1]


def test_how_alike_is_alike_enough_is_learnt_from_windows_in_a_row():
    # Two movements that are .75 alike: one kind where a movement varies as much, two where it does not.
    rng = np.random.default_rng(7)
    base = rng.choice([-60, 60], 64)
    other = np.where(np.arange(64) % 8 == 0, -base, base)
    for spread, kinds in ((4, 2), (38, 1)):
        codes = np.repeat([base, other], 60, axis=0) + rng.normal(scale=spread, size=(120, 64))
        assert alike(batch(np.clip(codes, -128, 127))).max() + 1 == kinds, spread


def test_four_windows_are_the_fewest_of_a_group_however_long_they_last():
    codes, _ = movements([(0, 3), (1, 4)])
    assert alike(batch(codes, hop_ns=8 * HOP_NS)).tolist() == [-1] * 3 + [0] * 4


@pytest.mark.parametrize(("cosine", "kinds"), [(0.5, 2), (0.875, 1)])
@pytest.mark.parametrize("spread", [0, 4, 38])
def test_how_alike_is_alike_enough_has_bounds(cosine, kinds, spread):
    rng = np.random.default_rng(7)
    base = rng.choice([-60, 60], 64)
    other = np.where(np.arange(64) % 16 < 8 * (1 - cosine), -base, base)
    codes = np.repeat([base, other], 60, axis=0) + rng.normal(scale=spread, size=(120, 64))
    assert alike(batch(np.clip(codes, -128, 127))).max() + 1 == kinds


def test_windows_that_overlap_are_blended_and_those_that_do_not_are_not():
    # Every second window is of one movement, the others of another one.
    assert alike(batch(movements([(0, 1), (1, 1)] * 20)[0], hop_ns=2 * HOP_NS)).tolist() == [0, 1] * 20
    # Two windows of this movement are too little alike, two means of three windows are not.
    varied, _ = movements([(0, 60)], spread=70)
    assert (alike(batch(varied))[1:-1] == 0).all()
    assert (alike(batch(varied, hop_ns=2 * HOP_NS)) == -1).all()


def test_groups_of_a_long_log_are_made_of_a_sample_and_every_window_joins_one(monkeypatch):
    codes, kinds = movements([(0, 1500), (1, 1000), (2, 1596)])
    seen = []
    linked = neighbours._linked
    monkeypatch.setattr(neighbours, "_linked", lambda unit, least: seen.append(len(unit)) or linked(unit, least))
    groups = alike(batch(codes))
    assert seen[0] <= neighbours._LINKED < 4096
    assert (groups == kinds).mean() > 0.995


def test_of_many_groups_the_longest_are_named():
    codes, kinds = movements([(kind, 20 + kind) for kind in range(40)])
    groups = alike(batch(codes))
    assert groups.max() == MOST_GROUPS - 1
    assert groups[kinds == 39].max() == MOST_GROUPS - 1 and (groups[kinds < 13] == -1).all()


def test_linking_is_average_linkage():
    """Against the textbook: join the two groups of the largest mean cosine until it is too small."""
    rng = np.random.default_rng(11)
    unit = rng.normal(size=(40, 6)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    for least in (0.2, 0.5, 0.8):
        parts = [[row] for row in range(len(unit))]
        while len(parts) > 1:
            mean, one, two = max(
                (float((unit[a] @ unit[b].T).mean()), i, j)
                for i, a in enumerate(parts)
                for j, b in enumerate(parts[:i])
            )
            if mean < least:
                break
            parts[two] += parts.pop(one)
        groups = neighbours._linked(unit, least)
        found = {tuple(np.flatnonzero(groups == group)) for group in set(groups)}
        assert found == {tuple(sorted(part)) for part in parts}
