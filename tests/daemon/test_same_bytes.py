"""What the daemon publishes of a stream, and what its replay publishes, are the same: names, times and bytes."""

import numpy as np
import pytest
from made_heads import by_rest

import motionsig
from motionsig.closing import Closing
from motionsig.config import load_config
from motionsig.daemon.loop import Daemon
from motionsig.errors import SensorError
from motionsig.heads import Judge
from motionsig.heads.card import Timing
from motionsig.heads.places import write_head
from motionsig.publishers import iter_signatures, read_events
from motionsig.recordings import open_recording
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts


class _Live(Closing):
    """A recording as a sensor; `breaks`: with an error in place of an end."""

    def __init__(self, path, breaks):
        self._recording, self._breaks = open_recording(path), breaks
        self.rate_hz = self.true_rate_hz = self._recording.rate_hz
        self.info, self.counts, self.trouble = self._recording.info, SensorCounts(), None
        self.unix_offset_ns = unix_offset_ns(SystemClock())

    def __iter__(self):
        yield from self._recording
        if self._breaks:
            raise SensorError("unplugged")


def _stored(url):
    found = [
        (part.stream_id, int(number), int(start_ns), codes.tobytes())
        for part in iter_signatures(url)
        for number, start_ns, codes in zip(part.seq, part.signatures.start_ns, part.signatures.codes, strict=True)
    ]
    assert found
    return found


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("heads_hop", [None, 8, 16, 64])
def test_live_and_replayed(motion, tmp_path, monkeypatch, breaks, heads_hop):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    log = tmp_path / "log.msig"
    with motionsig.Recorder(log, rate_hz=100.0, stream_id=5, device="pi") as recorder:
        data = motion(60.37, 100)
        data[1200:2000] = data[4000:5000] = data[0]
        time_ns = 1_700_000_000_000_000_000 + np.arange(6037, dtype=np.int64) * 10_000_000
        time_ns[3000:] += 1_000_000_000
        for first in range(0, len(data), 250):
            part = slice(first, first + 250)
            recorder.write(motionsig.sample_block(time_ns[part], data[part], gap=first == 3000))
    text = f'name = "pi"\n[sink]\nurl = "store:{tmp_path}/live.db"\n'
    encoder = motionsig.open_encoder(device="cpu")
    cards = [
        by_rest("moving", encoder=encoder.card.fingerprint, timing=Timing(1.0, 1.0, least_s=0.5, hold_s=0.4)),
        by_rest("stop", encoder=encoder.card.fingerprint, moves=False, is_state=False),
    ]
    if heads_hop is not None:
        for card in cards:
            write_head(card, tmp_path / "heads" / card.name)
        text += f'[heads]\nnames = ["moving", "stop"]\nhop = {heads_hop}\n'
    (tmp_path / "config.toml").write_text(text)
    daemon, opened = None, []

    def sensor(config):
        if opened:
            daemon.stop()
            raise SensorError("it is gone")
        opened.append(_Live(log, breaks))
        return opened[0]

    daemon = Daemon(load_config(tmp_path / "config.toml"), sensor=sensor)
    daemon.run()

    with open_recording(log) as recording:
        stream_id = motionsig.signature_stream_id(recording.info.stream_id, encoder.card, encoder.card.hop)
        with motionsig.open_sink(f"store:{tmp_path}/replayed.db", device="pi", stream_id=stream_id) as sink:
            motionsig.run(recording, encoder, sink)
    assert _stored(f"store:{tmp_path}/live.db") == _stored(f"store:{tmp_path}/replayed.db")
    assert daemon.status["sink"]["accepted"] == len(_stored(f"store:{tmp_path}/live.db")) > 40
    assert daemon.status["windows"] == daemon.status["sink"]["accepted"]
    if heads_hop is None:
        return
    judge = Judge(cards)
    with open_recording(log) as recording:
        judge.begin(motionsig.signature_stream_id(recording.info.stream_id, encoder.card, heads_hop), device="pi")
        with motionsig.open_sink(f"store:{tmp_path}/judged.db", device="pi", stream_id=stream_id) as sink:
            motionsig.run(recording, encoder, sink, heads=judge, heads_hop=heads_hop)
    assert _stored(f"store:{tmp_path}/judged.db") == _stored(f"store:{tmp_path}/live.db")
    events = read_events(f"store:{tmp_path}/live.db")
    assert events == read_events(f"store:{tmp_path}/judged.db")
    # Moving until the first rest, from there to the gap, from there to the second rest, and to the end.
    assert [event.phase for event in events if event.head == "moving"] == ["began", "ended"] * 4
    assert [event.phase for event in events if event.head == "stop"] == ["once"] * 2
