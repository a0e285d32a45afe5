"""A daemon with heads as a process: a reload, kill -9 in the middle, and what is stored in the end."""

import signal

import numpy as np
from made import wait_until
from made_heads import by_rest
from surviving import Witnessed

import motionsig
from motionsig.heads import Judge
from motionsig.heads.card import Timing
from motionsig.heads.places import write_head
from motionsig.publishers import read_events
from motionsig.recordings import open_recording


def test_events_that_were_taken_survive_kill_9_and_are_stored_once(motion, tmp_path):
    encoder = motionsig.open_encoder(device="cpu")
    moving = by_rest("moving", encoder=encoder.card.fingerprint, timing=Timing(1.0, 1.0, hold_s=0.2))
    still = by_rest("still", encoder=encoder.card.fingerprint, moves=False, is_state=False)
    for card in (moving, still):
        write_head(card, tmp_path / "heads" / card.name)
    log, data = tmp_path / "log.msig", motion(120, 100)
    for second in range(0, 120, 8):
        data[100 * second : 100 * second + 400] = data[100 * second]
    with motionsig.Recorder(log, rate_hz=100.0, stream_id=5, device="pi") as recorder:
        recorder.write(motionsig.sample_block(1_700_000_000 * 10**9 + np.arange(len(data)) * 10_000_000, data))

    url, told = f"store:{tmp_path}/s.db", tmp_path / "told"
    extra = f'[heads]\nnames = ["moving"]\n[exec]\nmoving.began = ["{tmp_path}/tell", "began"]\n'
    (tmp_path / "tell").write_text(f"#!/bin/sh\necho $1 >>{told}\n")
    (tmp_path / "tell").chmod(0o755)
    environment = {"PLAYED": str(log), "MOTIONSIG_HEADS": str(tmp_path / "heads")}
    made = Witnessed(tmp_path / "daemon", url, speed=15.0, extra=extra)
    with made.start(**environment) as daemon:
        taken = tmp_path / "daemon" / "taken.events"

        def noted():
            lines = taken.read_bytes().splitlines() if taken.exists() else []
            return {motionsig.events.from_json(line).key for line in lines}

        wait_until(lambda: len(noted()) >= 4, 60)
        daemon.config.write_text(daemon.config.read_text().replace('["moving"]', '["moving", "still"]'))
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: any(key.head == "still" for key in noted()), 60)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        taken_first = noted()
        assert taken_first <= {event.key for event in read_events(url)}
        daemon.start(**environment)
        assert daemon.process.wait(60) == 0, daemon.log
    assert "configuration read again: heads.names changed; no restart needed" in daemon.log

    judge = Judge([moving, still])
    with open_recording(log) as recording:
        judge.begin(motionsig.signature_stream_id(recording.info.stream_id, encoder.card, 8), device="pi")
        stream_id = motionsig.signature_stream_id(recording.info.stream_id, encoder.card)
        with motionsig.open_sink(f"store:{tmp_path}/replayed.db", device="pi", stream_id=stream_id) as sink:
            motionsig.run(recording, encoder, sink, heads=judge, heads_hop=8)
    # The second run began anew at the beginning, and what the first one had stored is not stored twice.
    assert read_events(url) == read_events(f"store:{tmp_path}/replayed.db")
    assert taken_first <= {event.key for event in read_events(url)}
    assert told.read_text().count("began") >= 15
