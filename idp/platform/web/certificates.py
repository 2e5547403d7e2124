"""The certificate of a client, as the proxy that ends its TLS passes it on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from idp.platform.secrets import b64url

MAX_LENGTH = 16 * 1024
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
_ENVOY = re.compile(r'(?:^|;)Cert="([^"]*)"(?=;|$)')
_SEQUENCE, _TWO_BYTES, _THREE_BYTES = 0x30, 0x81, 0x82

Read = Callable[[str], bytes]
"""Returns DER; ValueError for what cannot be read."""


@dataclass(frozen=True, slots=True)
class Passing:
    """How a proxy passes certificates on."""

    variable: str
    """WSGI's name of the header."""
    read: Read

    def certificate(self, headers: Mapping[str, str]) -> bytes | None:
        """Return the certificate of a request from a trusted proxy, in DER; None: none."""
        text = headers.get(self.variable, "").strip()
        if not text or len(text) > MAX_LENGTH or len(text.splitlines()) > 1:
            return None  # a header is one line
        try:
            return _whole(self.read(text))
        except ValueError:
            return None


def thumbprint(der: bytes) -> str:
    """Return the thumbprint of a certificate (RFC 8705 3.1)."""
    return b64url(hashlib.sha256(der).digest())


def _der(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _rfc9440(text: str) -> bytes:
    """Read a byte sequence of RFC 8941 3.3.5."""
    if not (len(text) > 1 and text[0] == text[-1] == ":"):
        raise ValueError("no byte sequence")
    return _der(text[1:-1])


def _pem(text: str) -> bytes:
    """Read the one certificate of a PEM text, in which a proxy may have replaced line ends."""
    found = _PEM.fullmatch(text.encode("ascii"))
    if found is None:
        raise ValueError("no certificate in PEM")
    return _der(b"".join(found[1].split()).decode())


def _escaped_pem(text: str) -> bytes:
    return _pem(unquote_to_bytes(text).decode("ascii"))


def _envoy(text: str) -> bytes:
    """Read what the nearest Envoy appended to the list."""
    found = _ENVOY.findall(text.rpartition(",")[2].strip())
    if len(found) != 1:
        raise ValueError("not one certificate in the element")
    return _escaped_pem(found[0])


def _traefik(text: str) -> bytes:
    """Read the first certificate of the chain: PEM without its lines."""
    return _der(unquote_to_bytes(text.partition(",")[0]).decode("ascii"))


def _whole(der: bytes) -> bytes:
    """Return DER that is as long as it says; ValueError where it was cut off or goes on."""
    if len(der) < 4 or der[0] != _SEQUENCE or der[1] not in {_TWO_BYTES, _THREE_BYTES}:  # noqa: PLR2004 - the head of a SEQUENCE
        raise ValueError("no certificate")
    size = der[1] & 0x7F
    if len(der) != 2 + size + int.from_bytes(der[2 : 2 + size], "big"):
        raise ValueError("not whole")
    return der


_FORMS: Mapping[str, Read] = {"pem": _pem, "der": _der, "urlpem": _escaped_pem}
_NAMED: Mapping[str, Passing] = {
    "rfc9440": Passing("HTTP_CLIENT_CERT", _rfc9440),
    "caddy": Passing("HTTP_CLIENT_CERT", _rfc9440),
    "nginx": Passing("HTTP_X_SSL_CLIENT_CERT", _escaped_pem),
    "haproxy": Passing("HTTP_X_SSL_CLIENT_CERT", _der),
    "envoy": Passing("HTTP_X_FORWARDED_CLIENT_CERT", _envoy),
    "traefik": Passing("HTTP_X_FORWARDED_TLS_CLIENT_CERT", _traefik),
}


def passing(setting: str) -> Passing | None:
    """Return what `IDP_CLIENT_CERTIFICATE` says; None: no certificates are passed on."""
    if not setting:
        return None
    if setting in _NAMED:
        return _NAMED[setting]
    _, name, form = setting.split(":")
    return Passing("HTTP_" + name.upper().replace("-", "_"), _FORMS[form])
