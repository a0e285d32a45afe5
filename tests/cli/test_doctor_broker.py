"""`doctor --broker` at a real Mosquitto."""

import pytest
from broker import Broker, free_port

from motionsig.cli.doctor.broker import broker
from motionsig.cli.doctor.findings import Mark
from motionsig.errors import InputError


@pytest.fixture(autouse=True)
def _no_receiver(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))


def test_a_broker_that_lets_everything_pass(tmp_path):
    settings = "allow_anonymous true\nsys_interval 1\nmax_packet_size 5000\n"
    with Broker(tmp_path / "broker", settings=settings) as there:
        found = list(broker(f"{there.url}?prefix=$share/g/m"))
        assert "motionsig-doctor-" in there.log and "motionsig-collect-" not in there.log
    assert [each.mark for each in found] == [Mark.OK] * 4
    assert "speaks MQTT 5, packets of up to 5,000 bytes" in found[0].found
    assert "accepts m/+/signatures" in found[1].found and "it has arrived" in found[2].found


def test_a_user_who_may_not_send_and_not_read_the_broker_s_figures(tmp_path):
    acl = tmp_path / "acl"
    acl.write_text("topic read motionsig/+/signatures\n")
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\nacl_file {acl}\n") as there:
        found = list(broker(there.url))
        old = list(broker(f"{there.url}?protocol=3.1.1"))
    # Mosquitto 2.0.11 ends the connection with it, and then there is no more to find out.
    assert [each.mark for each in found[:3]] == [Mark.OK, Mark.OK, Mark.NOTE]
    assert "may not send one" in found[2].found or "may this user send one?" in found[2].found
    assert "cannot say why" in old[0].found and old[2].mark is Mark.NOTE


def test_no_broker_and_no_url(tmp_path):
    (found,) = broker(f"mqtt://127.0.0.1:{free_port()}")
    assert found.mark is Mark.WRONG and "connection refused" in found.found
    with pytest.raises(InputError, match="broker URL"):
        list(broker("store:x"))
