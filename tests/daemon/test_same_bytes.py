"""What the daemon publishes of a stream, and what its replay publishes, are the same: names, times and bytes."""

import numpy as np
import pytest

import motionsig
from motionsig.closing import Closing
from motionsig.config import load_config
from motionsig.daemon.loop import Daemon
from motionsig.errors import SensorError
from motionsig.publishers import iter_signatures
from motionsig.recordings import open_recording
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts


class _Live(Closing):
    """A recording as a sensor; `breaks`: with an error in place of an end."""

    def __init__(self, path, breaks):
        self._recording, self._breaks = open_recording(path), breaks
        self.rate_hz = self.true_rate_hz = self._recording.rate_hz
        self.info, self.counts = self._recording.info, SensorCounts()
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
def test_live_and_replayed(motion, tmp_path, monkeypatch, breaks):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    log = tmp_path / "log.msig"
    with motionsig.Recorder(log, rate_hz=100.0, stream_id=5, device="pi") as recorder:
        data, time_ns = motion(60.37, 100), 1_700_000_000_000_000_000 + np.arange(6037) * 10_000_000
        for first in range(0, len(data), 250):
            part = slice(first, first + 250)
            recorder.write(motionsig.sample_block(time_ns[part], data[part], gap=first == 3000))
    (tmp_path / "config.toml").write_text(f'name = "pi"\n[sink]\nurl = "store:{tmp_path}/live.db"\n')
    daemon, opened = None, []

    def sensor(config):
        if opened:
            daemon.stop()
            raise SensorError("it is gone")
        opened.append(_Live(log, breaks))
        return opened[0]

    daemon = Daemon(load_config(tmp_path / "config.toml"), sensor=sensor)
    daemon.run()

    encoder = motionsig.open_encoder(device="cpu")
    with open_recording(log) as recording:
        stream_id = motionsig.signature_stream_id(recording.info.stream_id, encoder.card, encoder.card.hop)
        with motionsig.open_sink(f"store:{tmp_path}/replayed.db", device="pi", stream_id=stream_id) as sink:
            motionsig.run(recording, encoder, sink)
    assert _stored(f"store:{tmp_path}/live.db") == _stored(f"store:{tmp_path}/replayed.db")
    assert daemon.status["sink"]["accepted"] == len(_stored(f"store:{tmp_path}/live.db")) > 40
