"""The real daemon through the faults of `scripts/trial`, in short: of broker, certificates and network."""

from functools import partial

import network_faults as faults
import sites
from sites import FAST, FAST_RETRIES, SHORT_DEADLINES
from surviving import through

site = partial(sites.site, speed=FAST, options=FAST_RETRIES + SHORT_DEADLINES)
tls_site = partial(sites.tls_site, speed=FAST, options=SHORT_DEADLINES)


def test_a_broker_that_is_away_restarts_is_killed_refuses_and_hangs(tmp_path):
    away, refused, _ = through(
        site(tmp_path),
        partial(faults.broker_away, seconds=8),
        partial(faults.broker_restarted, times=1),
        partial(faults.broker_restarted, times=1, kill=True),
        partial(faults.login_refused, seconds=0.5),
        partial(faults.broker_stalled, seconds=2),
    )
    assert away != "0 waited"
    assert "authori" in refused


def test_certificates_that_must_not_be_trusted(tmp_path):
    through(
        tls_site(tmp_path),
        *(partial(faults.show_certificate, kind=kind, seconds=0.5) for kind in faults.REFUSED),
    )


def test_a_network_that_goes_at_any_stage(tmp_path):
    through(
        site(tmp_path, networked=True),
        partial(faults.network_gone, after_bytes=(0, 20, 60, 200), seconds=0.5, resets=True),
        partial(faults.network_gone, after_bytes=(200,), seconds=1.5, resets=False),
        partial(faults.network_slow, seconds=1, bytes_per_s=300),
    )


def test_a_network_that_goes_at_any_stage_of_tls(tmp_path):
    through(
        tls_site(tmp_path, networked=True),
        partial(faults.network_gone, after_bytes=(300, 1600, 2600, 3400), seconds=0.5, resets=True),
        partial(faults.network_gone, after_bytes=(2600,), seconds=1.5, resets=False),
    )
