"""A TLS certificate of this machine's own: made and kept by a command, used by a server that has Python's ssl alone.

Nobody vouches for the names that a machine has at home, so it signs its own certificate, and a browser warns of it.
The command shows the fingerprint, which a person can compare with what the browser shows. Whoever serves needs
`server_context` alone, which imports nothing beyond Python.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from motionsig.errors import InputError, MissingExtraError
from motionsig.files import locked_folder, read_file, replace_file
from motionsig.hints import install_hint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.x509 import Certificate as X509

CERTIFICATE, KEY = "certificate.pem", "key.pem"
VALID = timedelta(days=820)
"""Apple's systems take at most 825 days, whoever signed (support.apple.com/103769). The 398 days of browsers are for
authorities that come with them alone (Chromium, net/docs/certificate_lifetimes.md). Each new certificate makes each
browser warn again, so it lasts as long as it can."""
_BEFORE = timedelta(days=1)
"""A clock that is behind by less takes it, too."""
_RENEW = timedelta(days=30)
_MOST_BYTES = 1 << 16
_SIOCGIFADDR = 0x8915
"""ioctl(2) for an interface's IPv4 address (linux/sockios.h)."""
_TEMPORARY, _DEPRECATED, _TENTATIVE = 0x01, 0x20, 0x40
"""Flags of an IPv6 address (linux/if_addr.h): one that changes every day, one on its way out, one not yet usable."""

Address = IPv4Address | IPv6Address


class Certificate(NamedTuple):
    """certificate, key: the files. fingerprint: SHA-256 of the certificate as browsers show it, "AB:CD:..."."""

    certificate: Path
    key: Path
    fingerprint: str


def keep_certificate(
    folder: Path, *, owner: tuple[int, int] | None = None, hosts: tuple[list[str], list[Address]] | None = None
) -> Certificate:
    """Return the certificate in `folder`; make it where there is none, it ends soon or lacks an address.

    The key (ECDSA on P-256) stays. The files have mode 0600. owner: user and group that they belong to, for root.
    hosts: names and addresses; those of this machine by default. Raises MissingExtraError without cryptography, and
    OSError where the folder cannot be written.
    """
    try:
        import cryptography.x509  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"a certificate needs cryptography: {install_hint('cryptography')}") from error
    names, addresses = hosts or (own_names(), [ip_address("127.0.0.1"), ip_address("::1"), *own_addresses()])
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is not None:
            os.chown(folder, *owner)
    with locked_folder(folder, wait=True):
        key = _read_key(folder / KEY)
        if key is None:
            key = _new_key(folder / KEY, owner)
        known = _read_certificate(folder / CERTIFICATE)
        if known is None or not _is_good(known, key, names, addresses):
            known = _sign(key, names, addresses)
            replace_file(folder / CERTIFICATE, _pem(known), mode=0o600, owner=owner)
    return Certificate(folder / CERTIFICATE, folder / KEY, fingerprint(folder))


def fingerprint(folder: Path) -> str:
    """Return the fingerprint of the certificate in a folder; raise InputError where there is none."""
    path = folder / CERTIFICATE
    try:
        der = ssl.PEM_cert_to_DER_cert(read_file(path, _MOST_BYTES, follow_links=False)[0].decode("ascii"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: expected a certificate, got: {why}") from error
    return hashlib.sha256(der).digest().hex(":").upper()


def server_context(folder: Path) -> ssl.SSLContext:
    """Return the context of a server with the certificate of a folder: TLS 1.3 alone, which browsers have since 2019.

    Raises InputError for files that are missing or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except OSError as error:  # ssl.SSLError is one
        why = getattr(error, "reason", None) or error.strerror
        raise InputError(f"{folder}: expected {CERTIFICATE} and its {KEY}, got: {why}") from error
    return context


def own_names() -> list[str]:
    """Return what this machine is called in its network: "localhost", its host name, and that with ".local"."""
    host = socket.gethostname().lower()
    plain = host.split(".")[0]
    label = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
    named = [host, plain, f"{plain}.local"] if all(map(label.fullmatch, host.split("."))) and len(host) < 254 else []
    return list(dict.fromkeys(["localhost", *named]))


def own_addresses() -> list[Address]:
    """Return the addresses that others may reach this machine at; the one of the way out first."""
    found: list[Address] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without one
                reply = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(IPv4Address(reply[20:24]))
        with contextlib.suppress(OSError):  # no way out
            # Nothing is sent: connecting a datagram socket only looks up the route.
            probe.connect(("192.0.2.1", 9))
            found.sort(key=lambda each: str(each) != probe.getsockname()[0])
    with contextlib.suppress(OSError):  # a kernel without IPv6
        for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
            text, _, _, _, flags, _ = line.split()
            if not int(flags, 16) & (_TEMPORARY | _DEPRECATED | _TENTATIVE):
                found.append(IPv6Address(bytes.fromhex(text)))
    return [each for each in dict.fromkeys(found) if not each.is_loopback and not each.is_link_local]


def _read_key(path: Path) -> EllipticCurvePrivateKey | None:
    """Return the key; None where there is none that can be used."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(read_file(path, _MOST_BYTES, follow_links=False)[0], None)
    except (OSError, ValueError, TypeError):
        return None
    return key if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1) else None


def _new_key(path: Path, owner: tuple[int, int] | None) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(path, text, mode=0o600, owner=owner)
    return key


def _read_certificate(path: Path) -> X509 | None:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(read_file(path, _MOST_BYTES, follow_links=False)[0])
    except (OSError, ValueError):
        return None


def _pem(certificate: X509) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _is_good(certificate: X509, key: EllipticCurvePrivateKey, names: list[str], addresses: list[Address]) -> bool:
    """Tell whether a certificate is of this key, for all these names and addresses, and valid for a month or more."""
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        hosts = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
        same_key = _public(certificate.public_key()) == _public(key.public_key())
    except (ExtensionNotFound, ValueError):
        return False
    begin, end = (_time(certificate, f"not_valid_{which}") for which in ("before", "after"))
    # A clock that was wrong when it was made, or is now, is no reason to serve what no browser takes.
    in_time = begin <= datetime.now(UTC) <= end - _RENEW
    has_names = set(names) <= set(hosts.get_values_for_type(DNSName))
    return same_key and in_time and has_names and set(addresses) <= set(hosts.get_values_for_type(IPAddress))


def _public(key: PublicKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _time(certificate: X509, name: str) -> datetime:
    """Return a time with its zone: cryptography gives it from 42 on; an older one gives UTC without saying so."""
    time = getattr(certificate, f"{name}_utc", None)
    return time if isinstance(time, datetime) else getattr(certificate, name).replace(tzinfo=UTC)


def _sign(key: EllipticCurvePrivateKey, names: list[str], addresses: list[Address]) -> X509:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"motionsig on {names[-1]}"[:64])])
    now = datetime.now(UTC).replace(microsecond=0)
    hosts = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
    other = "content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only "
    uses = dict.fromkeys(f"{other} decipher_only".split(), False)
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now - _BEFORE + VALID)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **uses), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
