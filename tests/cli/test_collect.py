import contextlib
import signal
import sys
import time

import numpy as np
import pytest
from broker import PERSISTENT, Broker
from made import running, wait_until

import motionsig
from motionsig.blocks import SampleBlock
from motionsig.cli import main
from motionsig.recordings.native import Recorder


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


@pytest.fixture
def log(motion, tmp_path):
    path = tmp_path / "log"
    with Recorder(path, rate_hz=50, stream_id=3, device="wrist") as recorder:
        recorder.write(SampleBlock(10**18 + np.arange(15_000) * 20_000_000, motion(300, 50)))
    return path


@contextlib.contextmanager
def collector(broker, into, *more):
    command = [sys.executable, "-m", "motionsig.cli", "collect", "--from", broker.url, "--into", f"store:{into}", *more]
    with running(*command) as process:
        wait_until(lambda: "SUBSCRIBE" in broker.log)
        yield process


def test_a_log_through_a_real_broker_ends_in_the_store_byte_for_byte(broker, log, tmp_path, capsys):
    """The whole path: log, signatures, MQTT, store; the same as without the broker between."""
    assert main(["replay", str(log), "--to", f"store:{tmp_path / 'direct'}"]) == 0
    direct = motionsig.read_signatures(f"store:{tmp_path / 'direct'}")
    with collector(broker, tmp_path / "cloud", "--count", str(len(direct))) as cloud:
        assert main(["replay", str(log), "--to", f"{broker.url}/?spool={tmp_path / 'spool'}"]) == 0
        out, error = cloud.communicate(timeout=60)
    assert cloud.returncode == 0, error
    assert f"{len(direct):,} signatures" in out and "0 conflicts" in out
    received = motionsig.read_signatures(f"store:{tmp_path / 'cloud'}")
    assert received.codes.tobytes() == direct.codes.tobytes()
    assert received.start_ns.tolist() == direct.start_ns.tolist() and received.spec == direct.spec
    assert main(["export", f"store:{tmp_path / 'cloud'}", str(tmp_path / "out.csv"), "--device", "wrist"]) == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_an_orderly_end(broker, tmp_path, sent):
    with collector(broker, tmp_path / "cloud") as cloud:
        time.sleep(0.3)
        cloud.send_signal(sent)
        out, error = cloud.communicate(timeout=60)
    assert cloud.returncode == 0 and "0 signatures and 0 events to" in out and "Traceback" not in error


def test_too_few_in_time_is_a_failure(broker, tmp_path):
    with collector(broker, tmp_path / "cloud", "--count", "5", "--timeout", "4") as cloud:
        _, error = cloud.communicate(timeout=60)
    assert cloud.returncode == 1 and "expected 5 signatures, got 0" in error


def test_json_is_not_collected_and_the_end_says_so(broker, log, tmp_path):
    with collector(broker, tmp_path / "cloud") as cloud:
        assert main(["replay", str(log), "--to", f"{broker.url}/?format=json&spool={tmp_path / 'spool'}"]) == 0
        cloud.send_signal(signal.SIGINT)
        out, error = cloud.communicate(timeout=60)
    assert cloud.returncode == 0 and "from 0 messages" in out and "0 messages not ours" in out
    assert "motionsig: no message came; if devices send, compare" in error and "format=json is not collected" in error
