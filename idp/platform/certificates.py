"""Certificates of clients: what they say, who vouches for them, and whether they are in force."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy

KEPT = 1024
"""Certificates that a worker keeps parsed."""

DN, DNS, URI, IP, EMAIL = "subject_dn", "san_dns", "san_uri", "san_ip", "san_email"
KINDS = (DN, DNS, URI, IP, EMAIL)
"""Parts of a certificate by which a client may be known (RFC 8705 2.1.2)."""


@lru_cache(maxsize=KEPT)
def load(der: bytes) -> x509.Certificate | None:
    """Read a certificate; None for anything else."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def is_in_force(der: bytes, now: datetime) -> bool:
    """Return whether a certificate can be read, has begun and has not expired."""
    certificate = load(der)
    return certificate is not None and _is_in_force(certificate, now)


def _is_in_force(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


@lru_cache(maxsize=4)
def authorities(path: str) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a PEM file; ValueError or OSError where there are none."""
    return tuple(x509.load_pem_x509_certificates(Path(path).read_bytes()))


def is_vouched_for(der: bytes, path: str, now: datetime) -> bool:
    """Return whether an authority of a file issued a certificate for clients that is in force.

    Name constraints, basic constraints and the use `clientAuth` are checked. It need not have a
    subjectAltName: those of banks have none.
    """
    certificate = load(der)
    if certificate is None or not _is_in_force(certificate, now):
        return False
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities(path))))
        .time(now)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(
                x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
            ),
        )
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, [])
    except verification.VerificationError:
        return False
    return _is_for_clients(certificate)


def _is_for_clients(certificate: x509.Certificate) -> bool:
    """Return whether the certificate says that it is for clients, or nothing of its use."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in uses


def is_called(der: bytes, kind: str, name: str) -> bool:
    """Return whether a certificate has a name of a kind."""
    certificate = load(der)
    if certificate is None:
        return False
    if kind == DN:
        wanted = read_dn(name)
        return wanted is not None and _parts(certificate.subject) == _parts(wanted)
    return any(found == name for found in _alternatives(certificate, kind))


def read_dn(text: str) -> x509.Name | None:
    """Read a distinguished name (RFC 4514); None for anything else."""
    try:
        return x509.Name.from_rfc4514_string(text)
    except ValueError:
        return None


def _parts(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    """Return what is compared of a name: its parts in their order, letters in either case."""
    return [
        frozenset((part.oid.dotted_string, str(part.value).casefold().strip()) for part in parts)
        for parts in name.rdns
    ]


def _alternatives(certificate: x509.Certificate, kind: str) -> Iterator[str]:
    """Yield the alternative names of a kind."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    if kind == DNS:
        yield from (name.lower() for name in found.get_values_for_type(x509.DNSName))
    elif kind == URI:
        yield from found.get_values_for_type(x509.UniformResourceIdentifier)
    elif kind == EMAIL:
        yield from found.get_values_for_type(x509.RFC822Name)
    elif kind == IP:
        yield from map(str, found.get_values_for_type(x509.IPAddress))


def normal_ip(text: str) -> str:
    """Write an IP address in its one form; ValueError for anything else."""
    return str(ipaddress.ip_address(text))
