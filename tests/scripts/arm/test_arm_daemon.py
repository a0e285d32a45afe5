"""The service for a minute on each ARM, to a broker of this machine: every window arrives, and it stops when told."""

import time
from contextlib import ExitStack

import numpy as np
import pytest
from broker import Broker
from daemons import Daemon
from receiving import Receiver

from scripts.arm import roots

SECONDS = 60

pytestmark = pytest.mark.usefixtures("arm")


class ArmDaemon(Daemon):
    """`motionsig run` in a root."""

    def __init__(self, root, *arguments, **options):
        super().__init__(*arguments, **options)
        self.python = tuple(roots.command(root, ["python3"]))

    def start(self, *arguments, **environment):
        return super().start(*arguments, **{**roots.surroundings(), **environment})


@pytest.fixture(scope="module")
def minute(arm, tmp_path_factory):
    """Of each root: its last status, how long it took to stop, what was received, and its log. All run at once."""
    folder = tmp_path_factory.mktemp("arm")
    lives = {}
    with ExitStack() as stack:
        for root in roots.ROOTS:
            broker = stack.enter_context(Broker(folder / root / "broker"))
            receiver = stack.enter_context(Receiver(broker.url))
            daemon = ArmDaemon(root, folder / root, broker.url, extra="delay_s = 0.5\n")
            lives[root] = stack.enter_context(daemon.start()), receiver
        for daemon, _ in lives.values():
            daemon.until_told("READY", timeout_s=240)
        time.sleep(SECONDS)
        seen = {root: [daemon.status(), daemon.stop(60)] for root, (daemon, _) in lives.items()}
        return {root: (*seen[root], list(receiver.messages), daemon.log) for root, (daemon, receiver) in lives.items()}


@pytest.mark.parametrize("root", roots.ROOTS)
def test_every_window_of_a_minute_arrives(minute, root):
    status, stopped_s, messages, log = minute[root]
    assert status["windows_lost"] == 0 and status["sensor"]["gaps"] == 0, status
    start_ns = np.concatenate([message.signatures.start_ns for message in messages])
    hop_ns = messages[0].signatures.hop_ns
    assert len(start_ns) >= SECONDS * 1e9 / hop_ns - 2
    assert (np.diff(start_ns) == hop_ns).all()
    assert len(np.unique(np.concatenate([message.signatures.codes for message in messages]), axis=0)) > 10
    assert stopped_s < 60 and "Traceback" not in log
