"""Heads beside a sink: they judge every window, and the sink gets what it would get without them."""

import numpy as np
import pytest

from motionsig.blocks import SourceInfo, concatenate, sample_block
from motionsig.encoders import open_encoder
from motionsig.errors import InputError
from motionsig.pipeline import run, signatures


class Blocks:
    """A source of blocks that are there already."""

    rate_hz = 100.0
    info = SourceInfo("blocks", "test", 1)

    def __init__(self, blocks):
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)


@pytest.fixture(scope="module")
def encoder():
    with open_encoder(device="cpu") as opened:
        yield opened


class Kept(list):
    """A sink that keeps what it gets; `heads` of a run give it events."""

    def __init__(self):
        self.events = []

    publish = list.append

    def publish_events(self, events):
        self.events += events


class Everything:
    """A head that tells of the number of signatures that it judged."""

    def __init__(self):
        self.judged = []

    def judge(self, signatures):
        self.judged.append(signatures)
        return ["event"] * (len(signatures) > 0)

    def flush(self):
        return ["end"]


@pytest.mark.parametrize("heads_hop", [1, 8, 64])
def test_heads_judge_every_window_and_the_sink_gets_what_it_would_get_without_them(encoder, heads_hop):
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 1, (1500, 6)).astype(np.float32) + np.float32([0, 0, 9.81, 0, 0, 0])
    samples[700:720] = np.nan  # a gap, so that the windows begin anew
    times = np.arange(1500) * 10_000_000
    parts = [sample_block(times[first : first + 50], samples[first : first + 50]) for first in range(0, 1500, 50)]
    plain, kept, heads = Kept(), Kept(), Everything()
    run(Blocks(parts), encoder, plain)
    summary = run(Blocks(parts), encoder, kept, heads=heads, heads_hop=heads_hop)
    assert concatenate(list(kept)) == concatenate(list(plain))
    assert concatenate(heads.judged) == concatenate(list(signatures(Blocks(parts), encoder, hop=heads_hop)))
    assert kept.events == ["event"] * len(heads.judged) + ["end"]
    assert (summary.events, summary.signatures) == (len(kept.events), sum(map(len, plain)))


@pytest.mark.parametrize("heads_hop", [0, 7, 128])
def test_a_hop_of_heads_is_a_part_of_the_hop(encoder, heads_hop):
    with pytest.raises(InputError, match="hop"):
        run(Blocks([]), encoder, Kept(), heads=Everything(), heads_hop=heads_hop)


def test_heads_need_a_sink_that_takes_events(encoder):
    with pytest.raises(InputError, match="expected a Sink that takes events"):
        run(Blocks([]), encoder, print, heads=Everything())


def test_heads_come_and_go_between_two_windows(encoder):
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 1, (4000, 6)).astype(np.float32) + np.float32([0, 0, 9.81, 0, 0, 0])
    samples[1700:1720] = np.nan
    times = np.arange(4000) * 10_000_000
    parts = [sample_block(times[first : first + 50], samples[first : first + 50]) for first in range(0, 4000, 50)]
    hops = [None, 8, 64, None, 16, 32, 8, 8]
    plain, kept, heads, given = Kept(), Kept(), Everything(), []

    def blocks():
        for part in parts:
            given.append(part)
            yield part

    run(Blocks(parts), encoder, plain)
    run(Blocks(blocks()), encoder, kept, heads=heads, heads_hop=lambda: hops[len(given) // 11])
    assert concatenate(list(kept)) == concatenate(list(plain))
    assert {made.hop_ns for made in heads.judged} == {20_000_000 * hop for hop in (8, 16, 32, 64)}
