import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import fake_edgetpu
import numpy as np
import pytest
from broker import Broker

import motionsig
from motionsig import wire
from motionsig.blocks import SampleBlock
from motionsig.cli import main
from motionsig.encoders.edgetpu import choice
from motionsig.encoders.edgetpu.presence import EdgeTpu
from motionsig.model_card import load_card
from motionsig.quality import Quality
from motionsig.raw_size import EXACT_SAMPLES, PREDICTION, SHUFFLE, RawSize
from motionsig.recordings.native import Recorder

SCALE = (0.0024,) * 3 + (0.001,) * 3


@pytest.fixture
def log(motion, tmp_path):
    """60 s at 100 Hz with a gap of one second, three samples not a number."""
    data = np.rint(motion(60, 100) / SCALE).astype(np.float32) * np.array(SCALE, np.float32)
    data[4000:4003, 1] = np.nan
    time_ns = 10**18 + np.arange(len(data)) * 10_000_000
    kept = np.r_[0:2000, 2100:6000]
    path = tmp_path / "walk.msig"
    with Recorder(path, rate_hz=100, stream_id=3, scale=SCALE, device="wrist") as recorder:
        recorder.write(SampleBlock(time_ns[kept], data[kept]))
    return path


def replay(capsys, *arguments):
    assert main(["replay", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_summary_counts_what_happened(log, tmp_path, capsys):
    summary = replay(capsys, log, "--to", f"store:{tmp_path / 'db'}")
    windows = int((50 * 20 - 128) / 64) + 1 + int((50 * 39 - 128) / 64) + 1
    assert (summary["samples"], summary["not_finite"], summary["gaps"], summary["bridged"]) == (5900, 3, 1, 1)
    assert summary["windows"] == summary["signatures"] == windows
    assert summary["raw_bytes"] == 12 * 5900
    assert summary["payload_bytes"] < summary["raw_lossless_bytes"] < summary["raw_bytes"]
    assert summary["covered_s"] == 59.0 and summary["elapsed_s"] > 0
    assert summary["realtime_factor"] == pytest.approx(59 / summary["elapsed_s"], rel=0.01)
    assert summary["model"] == "motion64" and summary["device"].startswith("cpu")


def test_windows_at_rest_and_above_the_grid_are_counted_and_said(tmp_path, capsys):
    """A device lies still for 20 s, and shakes with 3 g at 120 Hz for 20 s more: no signature shows that."""
    data = np.tile(np.array([0, 0, 9.81, 0, 0, 0], np.float32), (40 * 416, 1))
    shaken_s = np.arange(20 * 416) / 416
    data[20 * 416 :, 0] = 3 * 9.81 * np.sin(2 * np.pi * 120 * shaken_s)
    with Recorder(tmp_path / "log", rate_hz=416, stream_id=3) as recorder:
        recorder.write(SampleBlock(np.rint(np.arange(len(data)) * (1e9 / 416)).astype(np.int64), data))
    summary = replay(capsys, tmp_path / "log", "--to", f"store:{tmp_path / 'db'}")
    assert (summary["windows"], summary["at_rest"], summary["above_grid"]) == (30, 14, 16)
    quality = motionsig.read_signatures(f"store:{tmp_path / 'db'}").quality
    assert quality.tolist() == [Quality.AT_REST] * 14 + [Quality.ABOVE_GRID] * 16
    assert main(["replay", str(tmp_path / "log"), "--to", f"file:{tmp_path / 'out'}"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    said = {name: text.split(maxsplit=3) for name, text in lines if name in ("windows", "above")}
    assert said["windows"] == ["30", "14", "at", "rest"]
    assert said["above"][:3] == ["the", "grid", "16"]
    assert said["above"][3].startswith(
        "windows have most of their energy above half the model's rate (motion64: 25 Hz)"
    )


def test_what_was_replayed_can_be_read_back(log, tmp_path, capsys):
    store = f"store:{tmp_path / 'db'}"
    replay(capsys, log, "--to", store, "--hop", "32")
    signatures = motionsig.read_signatures(store)
    with motionsig.open_recording(log) as source:
        blocks = list(source)
    first = np.concatenate([block.data for block in blocks])[:2000]
    expected = motionsig.extract(first, rate_hz=100, start_ns=10**18, hop=32)
    assert signatures.codes[: len(expected)].tobytes() == expected.codes.tobytes()
    assert signatures.start_ns[: len(expected)].tolist() == expected.start_ns.tolist()
    assert signatures.spec == expected.spec


def test_replaying_twice_stores_once_and_another_hop_is_another_stream_id(log, tmp_path, capsys):
    store = f"store:{tmp_path / 'db'}"
    once = replay(capsys, log, "--to", store)
    again = replay(capsys, log, "--to", store, "--again")
    assert again["duplicates"] == once["signatures"] and len(motionsig.read_signatures(store)) == once["signatures"]
    assert replay(capsys, log, "--to", store, "--hop", "32")["duplicates"] == 0


def test_two_replays_write_the_same_wire_bytes(log, tmp_path, capsys):
    for name in ("a", "b"):
        replay(capsys, log, "--to", f"file:{tmp_path / name}")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    content = (tmp_path / "a").read_bytes()
    message = wire.decode(content[: wire.item_end(content)])
    assert (message.device, message.seq) == ("wrist", 0)


def test_several_logs_add_up(log, tmp_path, capsys):
    one = replay(capsys, log, "--to", f"store:{tmp_path / 'one'}")
    copy = shutil.copy(log, tmp_path / "copy")
    two = replay(capsys, log, copy, "--to", f"store:{tmp_path / 'two'}")
    assert two["duplicates"] == one["signatures"]
    for name in ("samples", "gaps", "windows", "raw_bytes", "raw_lossless_bytes"):
        assert two[name] == 2 * one[name], name
    assert two["raw_lossless_share"] == 1


def test_speed_1_takes_as_long_as_the_motion_took(motion, tmp_path, capsys):
    path = tmp_path / "short"
    with Recorder(path, rate_hz=100, stream_id=3) as recorder:
        recorder.write(SampleBlock(np.arange(300) * 10_000_000, motion(3, 100)))
    began = time.monotonic()
    summary = replay(capsys, path, "--to", f"store:{tmp_path / 'db'}", "--speed", "2")
    assert time.monotonic() - began > 1.2
    assert summary["signatures"] == 1


def test_the_picture_is_a_picture(log, tmp_path, capsys):
    out = tmp_path / "out.png"
    replay(capsys, log, "--to", f"store:{tmp_path / 'db'}", "--plot", out)
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 20_000
    assert main(["replay", str(log), "--to", f"store:{tmp_path / 'other'}", "--plot", str(tmp_path / "out.doc")]) == 2
    assert "expected a file name ending in" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()  # found out before the work


def test_the_time_is_the_commands_own_from_its_start_to_its_end(log, tmp_path, capsys):
    shutil.copy(log, tmp_path / "copy")
    plot = ("--plot", tmp_path / "out.png")
    for name, given in (("both", (log, tmp_path / "copy")), ("plotted", (log, *plot))):
        # Before and after the command this machine may stand still, but not each time.
        for attempt in range(9):
            began_s = time.monotonic()
            summary = replay(capsys, *given, "--to", f"file:{tmp_path / name}-{attempt}")
            took_s = time.monotonic() - began_s
            assert summary["elapsed_s"] <= took_s
            if summary["elapsed_s"] > 0.9 * took_s:
                break
        else:
            pytest.fail(f"expected nearly all of {took_s:.2f} s, got {summary['elapsed_s']} s")


def test_what_the_command_imports_is_part_of_its_time(log, tmp_path):
    slow = """
        import sys, time
        from motionsig.cli.entry import main

        class Slow:
            def find_spec(name, *_):
                if name in ("motionsig.cli.command_line", "motionsig.cli.replay"):
                    time.sleep(1)

        sys.meta_path.insert(0, Slow)
        sys.exit(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(slow), "replay", log, "--to", f"file:{tmp_path / 'out'}", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout.splitlines()[-1])["elapsed_s"] > 2


@pytest.mark.parametrize(("kind", "best"), [("motion", PREDICTION), ("the same second again and again", SHUFFLE)])
def test_the_rival_is_the_best_lossless_scheme(kind, best, motion, tmp_path, capsys):
    data = motion(200, 100) if kind == "motion" else np.tile(motion(1, 100), (200, 1))
    path = tmp_path / "log"
    with Recorder(path, rate_hz=100, stream_id=3, scale=SCALE) as recorder:
        recorder.write(SampleBlock(np.arange(len(data)) * 10_000_000, data))
    summary = replay(capsys, path, "--to", f"file:{tmp_path / 'out'}")
    with motionsig.open_recording(path) as source:
        rival = RawSize(100, batch_s=summary["raw_batch_s"], scale=source.info.scale)
        for block in source:
            rival.push(block)
    sizes = rival.sizes()
    assert sizes[best] < 0.95 * max(sizes.values())
    assert (summary["raw_lossless_scheme"], summary["raw_lossless_bytes"]) == (best, sizes[best])
    assert summary["raw_lossless_share"] == 1


def test_of_a_long_log_the_rival_is_estimated_and_that_is_said(motion, tmp_path, capsys):
    data = np.tile(motion(60, 100), (20, 1))
    path = tmp_path / "log"
    with Recorder(path, rate_hz=100, stream_id=3, scale=SCALE) as recorder:
        recorder.write(SampleBlock(np.arange(len(data)) * 10_000_000, data))
    assert main(["replay", str(path), "--to", f"file:{tmp_path / 'out'}", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    share = json.loads(lines[-1])["raw_lossless_share"]
    assert EXACT_SAMPLES / len(data) < share < 0.5
    assert any(line.endswith(f", estimated from {share:.0%} of the samples") for line in lines)


def test_a_broker_that_is_not_there_is_said_and_keeps_the_signatures(log, tmp_path, capsys):
    url = f"mqtt://me:se@cret@127.0.0.1:9/?spool={tmp_path / 'spool'}&close_timeout_s=0.2"
    assert main(["replay", str(log), "--to", url]) == 1
    shown = capsys.readouterr()
    assert "still waiting in the spool" in shown.err and "Traceback" not in shown.err
    assert "se@c" not in shown.err + shown.out


def test_a_replay_waits_for_a_broker_that_stands_still(motion, tmp_path, capsys):
    """A live sensor would drop what the spool has no space for."""
    data = np.tile(np.rint(motion(60, 50) / SCALE), (100, 1)).astype(np.float32) * np.array(SCALE, np.float32)
    path = tmp_path / "log"
    with Recorder(path, rate_hz=50, stream_id=3, scale=SCALE) as recorder:
        recorder.write(SampleBlock(np.arange(len(data)) * 20_000_000, data))
    with Broker(tmp_path / "broker") as broker:
        broker.stall()
        goes_on = threading.Timer(3, broker.go_on)
        goes_on.start()
        try:
            url = f"{broker.url}?spool={tmp_path / 'spool'}&max_bytes=65536"
            assert replay(capsys, path, "--to", url)["payload_bytes"] > 3 * 65536
        finally:
            goes_on.join()


def test_one_bad_log_does_not_cost_the_others_their_turn(log, tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("acc_x[g],acc_y[g]\n1,2\n")
    assert main(["replay", str(bad), str(log), "--to", f"store:{tmp_path / 'db'}"]) == 1
    shown = capsys.readouterr()
    assert "bad.csv:1: expected columns for acc_z" in shown.err and shown.err.count("\n") == 1
    assert "walk.msig: " in shown.out and len(motionsig.read_signatures(f"store:{tmp_path / 'db'}")) > 0


@pytest.mark.parametrize(
    ("rate_hz", "channels", "problem"),
    [
        (5, 6, "slow.msig: rate_hz: expected 10 to 8000"),
        (50, 3, "slow.msig: samples: expected acceleration and angular"),
    ],
)
def test_a_log_without_any_signature_does_not_cost_the_others_their_turn(
    rate_hz, channels, problem, log, motion, tmp_path, capsys
):
    data = motion(10, rate_hz).astype(np.float32)
    data[:, channels:] = np.nan
    with Recorder(tmp_path / "slow.msig", rate_hz=rate_hz, stream_id=4) as recorder:
        recorder.write(SampleBlock(10**18 + np.arange(len(data)) * (10**9 // rate_hz), data))
    store = f"store:{tmp_path / 'db'}"
    assert main(["replay", str(tmp_path / "slow.msig"), str(log), "--to", store]) == 1
    shown = capsys.readouterr()
    assert problem in shown.err and shown.err.count("\n") == 1
    assert len(motionsig.read_signatures(store)) > 0


def test_a_hop_that_no_log_can_have_is_wrong_usage(log, tmp_path, capsys):
    assert main(["replay", str(log), "--to", f"store:{tmp_path / 'db'}", "--hop", "0"]) == 2
    assert "hop of 1 to" in capsys.readouterr().err and not (tmp_path / "db").exists()


def test_reader_options_are_text_on_the_command_line(motion, tmp_path, capsys):
    path = tmp_path / "log.csv"
    rows = "\n".join(",".join(map(str, row)) for row in motion(10, 50) / 9.80665)
    path.write_text("acc_x[g],acc_y[g],acc_z[g],gx,gy,gz\n" + rows)
    assert main(["replay", str(path), "--to", f"store:{tmp_path / 'db'}"]) == 1
    assert "--option rate_hz=50 --option gyr_unit=" in capsys.readouterr().err
    given = [part for text in ("rate_hz=50", "gyr_unit=rad/s", "check_units=False") for part in ("--option", text)]
    assert replay(capsys, path, "--to", f"store:{tmp_path / 'db'}", *given)["signatures"] == 6


def test_a_conflict_is_a_failure(log, motion, tmp_path, capsys):
    store = f"store:{tmp_path / 'db'}"
    replay(capsys, log, "--to", store)
    other = tmp_path / "other"
    with Recorder(
        other, rate_hz=100, stream_id=3, device="wrist"
    ) as recorder:  # another recording under the same stream id
        recorder.write(SampleBlock(10**18 + np.arange(1000) * 10_000_000, motion(10, 100, seed=5)))
    assert main(["replay", str(other), "--to", store]) == 1
    assert "what is there was kept" in capsys.readouterr().err


def test_signatures_of_different_hops_are_told_apart_by_their_stream_id(log, tmp_path, capsys):
    store, out = f"store:{tmp_path / 'db'}", str(tmp_path / "out.csv")
    stream_ids = {hop: replay(capsys, log, "--to", store, "--hop", hop)["logs"][0]["stream_id"] for hop in (32, 64)}
    assert main(["export", store, out]) == 2 and "choose a log with --stream-id" in capsys.readouterr().err
    with pytest.raises(motionsig.InputError, match="encoders or hops"):
        motionsig.read_signatures(store)
    assert motionsig.read_signatures(store, stream_id=stream_ids[32]).hop_ns == 640_000_000
    encoder = motionsig.open_encoder().card.fingerprint.hex()
    assert motionsig.read_signatures(store, stream_id=stream_ids[64], fingerprint=encoder).hop_ns == 1_280_000_000
    assert main(["export", store, out, "--stream-id", str(stream_ids[64])]) == 0
    assert main(["export", store, out, "--stream-id", "1"]) == 2
    with pytest.raises(motionsig.InputError, match="16 hexadecimal digits"):
        motionsig.read_signatures(store, fingerprint="xyz")


class Seen:
    """An encoder that keeps the windows it is asked for."""

    def __init__(self):
        self.windows, self._encoder = [], motionsig.open_encoder(device="cpu")
        self.card, self.device = self._encoder.card, self._encoder.device

    def encode(self, windows):
        self.windows.append(windows.data.copy())
        return self._encoder.encode(windows)


@pytest.fixture
def edgetpu(log, tmp_path, monkeypatch):
    """The double of libedgetpu where the real one would be, with answers for that log; and the model for it."""
    seen, store = Seen(), motionsig.open_sink(f"store:{tmp_path / 'seen'}", device="x", stream_id=1)
    with motionsig.open_recording(log) as source, store:
        motionsig.run(source, seen, store)
    model = fake_edgetpu.fake_model(tmp_path / "model")
    windows = np.concatenate([load_card(model).golden().windows, *seen.windows])
    answers = fake_edgetpu.write_answers(tmp_path / "answers", load_card(model), windows)
    control = fake_edgetpu.Control(tmp_path / "control", answers, fake_edgetpu.QUICK_US)
    control.write()
    (tmp_path / "library").mkdir()
    for name, value in control.environment(fake_edgetpu.build(tmp_path / "library")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return model, control


def test_a_replay_on_the_edge_tpu_gives_the_cpus_codes_and_says_who_made_them(log, tmp_path, edgetpu, capsys):
    model, control = edgetpu
    control.write("abort 40")
    summary = replay(capsys, log, "--to", f"store:{tmp_path / 'tpu'}", "--model", model, "--device", "edgetpu:usb")
    replay(capsys, log, "--to", f"store:{tmp_path / 'cpu'}", "--model", model, "--device", "cpu")
    again = replay(capsys, log, "--to", f"store:{tmp_path / 'cpu'}", "--model", model, "--device", "edgetpu")
    assert again["duplicates"] == again["signatures"] and not again["conflicts"]
    assert summary["device"].startswith("edgetpu:usb (") and summary["on_edgetpu"] == summary["signatures"] > 30
    one, other = (motionsig.read_signatures(f"store:{tmp_path / name}") for name in ("tpu", "cpu"))
    assert one.codes.tobytes() == other.codes.tobytes() and one.spec == other.spec
    assert (one.quality == other.quality | Quality.EDGE_TPU).all()
    control.write("absent")
    assert main(["replay", str(log), "--to", "file:x", "--model", str(model), "--device", "edgetpu"]) == 1
    assert capsys.readouterr().err == (
        "motionsig: Edge TPU: expected one to answer, got none; more: motionsig doctor\n"
    )


USB_ACCELERATOR = """\
P: /devices/pci0000:00/0000:00:14.0/usb1/1-4
N: bus/usb/001/004
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: DEVNAME=/dev/bus/usb/001/004
A: idVendor=18d1\\n
A: idProduct=9302\\n
A: busnum=1\\n
A: devnum=4\\n
A: speed=480\\n
"""


def test_auto_uses_the_edge_tpu_of_the_machine_while_it_lasts(log, tmp_path, edgetpu):
    """The whole command on a machine whose sysfs, umockdev's, shows one."""
    if shutil.which("umockdev-run") is None:
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, "expected umockdev to be installed"
        pytest.skip("needs umockdev")
    model, control = edgetpu
    card = load_card(model)
    cpu = motionsig.open_encoder(model, "cpu").device
    port = EdgeTpu("usb", "1-4", "18d1:9302", "/dev/bus/usb/001/004", True, 480)
    choice.remember(card, choice.conditions(card, cpu, (port,)), choice.Choice(20.0, 50.0, "2026-11-23"))
    (tmp_path / "usb.umockdev").write_text(USB_ACCELERATOR)
    control.write("abort 74", "abort create 2")
    machine = ["umockdev-run", "-d", str(tmp_path / "usb.umockdev"), "--"]
    command = [sys.executable, "-m", "motionsig.cli", "--verbose", "replay", log, "--model", model, "--json"]
    ended = subprocess.run([*machine, *command, "--to", f"store:{tmp_path / 'db'}"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout.splitlines()[-1])
    flags = motionsig.read_signatures(f"store:{tmp_path / 'db'}").quality & Quality.EDGE_TPU
    # 24 golden windows, twice as the model is not installed, 25 of the log, and what came after the fault on the CPU.
    assert np.flatnonzero(flags).tolist() == list(range(25)) and summary["on_edgetpu"] == 25
    assert summary["device"].startswith("cpu (") and "its process died of signal 6 (Aborted)" in summary["device"]
    assert "; going on on cpu (" in ended.stderr
