"""Tests of the machine's own certificate: real files, real TLS, and what browsers ask of it."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from motionsig.errors import InputError
from motionsig.page import certificates
from motionsig.page.certificates import CERTIFICATE, KEY, keep_certificate, own_addresses, own_names, server_context

cryptography = pytest.importorskip("cryptography.x509")
HOSTS = ["localhost", "pi", "pi.local"], [ip_address("127.0.0.1"), ip_address("192.168.1.20")]


def test_the_certificate_is_one_that_browsers_take_after_their_warning(tmp_path):
    kept = keep_certificate(tmp_path / "own", hosts=HOSTS)
    made = cryptography.load_pem_x509_certificate(kept.certificate.read_bytes())
    # support.apple.com/103769: SHA-2, names in the SAN, id-kp-serverAuth, at most 825 days.
    begin, end = (certificates._time(made, f"not_valid_{which}") for which in ("before", "after"))
    assert end - begin <= timedelta(days=825)
    assert begin < datetime.now(UTC) - timedelta(hours=23) and end > datetime.now(UTC) + timedelta(days=800)
    assert made.signature_hash_algorithm.name == "sha256" and made.public_key().curve.name == "secp256r1"
    hosts = made.extensions.get_extension_for_class(cryptography.SubjectAlternativeName).value
    assert hosts.get_values_for_type(cryptography.DNSName) == HOSTS[0]
    assert hosts.get_values_for_type(cryptography.IPAddress) == HOSTS[1]
    uses = made.extensions.get_extension_for_class(cryptography.ExtendedKeyUsage).value
    assert [use.dotted_string for use in uses] == ["1.3.6.1.5.5.7.3.1"]
    assert not made.extensions.get_extension_for_class(cryptography.BasicConstraints).value.ca


def test_the_files_are_private_and_the_fingerprint_is_that_of_the_certificate(tmp_path):
    folder = tmp_path / "state" / "own"
    kept = keep_certificate(folder, hosts=HOSTS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (CERTIFICATE, KEY)} == {0o600}
    assert sorted(os.listdir(folder)) == [CERTIFICATE, KEY]
    der = ssl.PEM_cert_to_DER_cert(kept.certificate.read_text())
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", kept.fingerprint)
    assert kept.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def test_it_stays_as_long_as_it_fits_and_the_key_stays_longer(tmp_path, monkeypatch):
    first, key = keep_certificate(tmp_path, hosts=HOSTS), (tmp_path / KEY).read_bytes()
    fewer = HOSTS[0], HOSTS[1][:1]
    assert keep_certificate(tmp_path, hosts=HOSTS) == keep_certificate(tmp_path, hosts=fewer) == first
    moved = keep_certificate(tmp_path, hosts=(HOSTS[0], [ip_address("10.0.0.7")]))
    assert moved.fingerprint != first.fingerprint and (tmp_path / KEY).read_bytes() == key
    # What has less than 30 days left, and what a wrong clock dated into the future, is made again.
    for valid, before in ((timedelta(days=30), timedelta(days=1)), (timedelta(days=820), timedelta(days=-2))):
        with monkeypatch.context() as patch:
            patch.setattr(certificates, "VALID", valid)
            patch.setattr(certificates, "_BEFORE", before)
            (tmp_path / CERTIFICATE).unlink()
            old = keep_certificate(tmp_path, hosts=HOSTS)
        new = keep_certificate(tmp_path, hosts=HOSTS)
        assert new.fingerprint != old.fingerprint and keep_certificate(tmp_path, hosts=HOSTS) == new
        assert (tmp_path / KEY).read_bytes() == key


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
@pytest.mark.parametrize("name", [CERTIFICATE, KEY])
def test_damaged_files_are_made_again_and_belong_together(tmp_path, name, content):
    keep_certificate(tmp_path, hosts=HOSTS)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"expected certificate\.pem and its key\.pem, got"):
        server_context(tmp_path)
    keep_certificate(tmp_path, hosts=HOSTS)
    server_context(tmp_path)


def test_a_key_of_another_certificate_is_refused_by_the_server_and_mended_by_the_command(tmp_path):
    for name in ("one", "other"):
        keep_certificate(tmp_path / name, hosts=HOSTS)
    (tmp_path / "other" / KEY).replace(tmp_path / "one" / KEY)
    with pytest.raises(InputError, match="KEY_VALUES_MISMATCH"):
        server_context(tmp_path / "one")
    keep_certificate(tmp_path / "one", hosts=HOSTS)
    server_context(tmp_path / "one")


def test_a_link_in_the_place_of_a_file_is_replaced_and_never_followed(tmp_path):
    elsewhere = keep_certificate(tmp_path / "elsewhere", hosts=HOSTS)
    (tmp_path / "own").mkdir()
    for path in elsewhere[:2]:
        (tmp_path / "own" / path.name).symlink_to(path)
    before = [path.read_bytes() for path in elsewhere[:2]]
    own = keep_certificate(tmp_path / "own", hosts=HOSTS)
    assert own.fingerprint != elsewhere.fingerprint and not own.key.is_symlink()
    assert [path.read_bytes() for path in elsewhere[:2]] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_the_files_to_the_one_who_serves(tmp_path):
    kept = keep_certificate(tmp_path / "own", owner=(65534, 65534), hosts=HOSTS)
    assert {path.stat().st_uid for path in (kept.certificate.parent, kept.certificate, kept.key)} == {65534}


@pytest.mark.parametrize(("version", "taken"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)])
def test_a_client_that_knows_the_certificate_is_served_by_modern_tls_alone(tmp_path, version, taken):
    kept = keep_certificate(tmp_path, hosts=HOSTS)
    context = server_context(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            raw, _ = server.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.sendall(b"here")
            except OSError:
                raw.close()

        thread = threading.Thread(target=serve)
        thread.start()
        client = ssl.create_default_context(cafile=str(kept.certificate))
        client.maximum_version = version
        try:
            with (
                socket.create_connection(server.getsockname(), timeout=60) as raw,
                client.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
            ):
                assert connection.recv(4) == b"here"
            served = True
        except ssl.SSLError:
            served = False
        thread.join(60)
    assert served is taken


def test_the_server_imports_neither_cryptography_nor_numpy(tmp_path):
    keep_certificate(tmp_path, hosts=HOSTS)
    program = (
        "import sys; from pathlib import Path; from motionsig.page.certificates import fingerprint, server_context; "
        "folder = Path(sys.argv[1]); server_context(folder); fingerprint(folder); "
        "print([name for name in ('cryptography', 'numpy', 'starlette') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_two_commands_at_once_leave_one_pair(tmp_path):
    program = "import sys; from pathlib import Path; from motionsig.page.certificates import keep_certificate as keep; "
    program += "print(keep(Path(sys.argv[1])).fingerprint)"
    both = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path / "own"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert len(said) == 1 and len(said.pop()) == 96
    server_context(Path(tmp_path / "own"))


def test_a_host_name_that_no_certificate_can_hold_is_left_out(monkeypatch):
    for host, names in (
        ("pi", ["localhost", "pi", "pi.local"]),
        ("Pi.Home.Arpa", ["localhost", "pi.home.arpa", "pi", "pi.local"]),
        ("my_pi", ["localhost"]),
        ("", ["localhost"]),
        ("küche", ["localhost"]),
        ("localhost", ["localhost", "localhost.local"]),
    ):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert own_names() == names


def test_addresses_are_those_that_the_kernel_answers_at():
    for address in own_addresses():
        assert not address.is_loopback and not address.is_link_local
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((str(address), 0))  # nobody may bind to an address that is not the machine's
