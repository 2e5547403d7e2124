"""Authorities, and certificates of clients, as they come through a proxy."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from idp.platform.web.certificates import thumbprint

DN = "CN=client,O=Example Bank,C=DE"
FORMS = (
    *("rfc9440", "caddy", "nginx", "haproxy", "envoy", "traefik"),
    *("header:X-Own:der", "header:X-Own:pem", "header:X-Own:urlpem"),
)
"""Forms in which proxies pass certificates on."""


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key."""

    parsed: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.parsed.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.parsed.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def base64(self) -> str:
        return base64.b64encode(self.der).decode()

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.der)

    @property
    def jwk(self) -> dict[str, object]:
        """The key with the certificate beside it (RFC 7517 4.7)."""
        point = self.key.public_key().public_numbers()
        x, y = (
            base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
            for number in (point.x, point.y)
        )
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": [self.base64]}

    def passed(self, how: str = "rfc9440") -> dict[str, str]:
        """Return the header by which a proxy passes it on."""
        return {
            "rfc9440": {"Client-Cert": f":{self.base64}:"},
            "caddy": {"Client-Cert": f":{self.base64}:"},
            "nginx": {"X-SSL-Client-Cert": quote(self.pem, safe="")},
            "haproxy": {"X-SSL-Client-Cert": self.base64},
            "envoy": {
                "X-Forwarded-Client-Cert": f'Hash=00;Cert="{quote(self.pem, safe="")}";Subject="a"'
            },
            "traefik": {"X-Forwarded-Tls-Client-Cert": quote(self.base64, safe="")},
            "header:X-Own:der": {"X-Own": self.base64},
            "header:X-Own:pem": {"X-Own": self.pem.replace("\n", " ")},
            "header:X-Own:urlpem": {"X-Own": quote(self.pem, safe="")},
        }[how]


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = "CN=Authority") -> None:
        self.certificate = self_signed(name, is_authority=True)

    def written(self, folder: Path) -> str:
        """Write its certificate to a file, for the setting `client_ca`; return the path."""
        path = folder / "authorities.pem"
        path.write_text(self.certificate.pem)
        return str(path)

    def issue(
        self, dn: str = DN, *, alternatives: Sequence[x509.GeneralName] = (), **times: timedelta
    ) -> Certificate:
        """Issue a certificate for a client."""
        return _made(dn, self.certificate, alternatives=alternatives, **times)


def self_signed(dn: str = DN, *, is_authority: bool = False, **times: timedelta) -> Certificate:
    """Make a certificate that nobody vouches for."""
    return _made(dn, None, is_authority=is_authority, **times)


def _made(
    dn: str,
    issuer: Certificate | None,
    *,
    is_authority: bool = False,
    alternatives: Sequence[x509.GeneralName] = (),
    begins: timedelta = timedelta(minutes=-5),
    ends: timedelta = timedelta(days=1),
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name.from_rfc4514_string(dn), datetime.now(UTC)
    signing = key if issuer is None else issuer.key
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.parsed.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(ski, critical=False)
        .add_extension(aki, critical=False)
    )
    if is_authority:
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment"),
                *("data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        builder = builder.add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True
        )
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Certificate(builder.sign(signing, SHA256()), key)


def ip_name(text: str) -> x509.IPAddress:
    """Write an address as an alternative name."""
    return x509.IPAddress(ipaddress.ip_address(text))
