"""Which addresses a client may register: redirects, origins, documents."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import idna

from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

LONGEST = 2000
LONGEST_ORIGIN = 150
LONGEST_HOST = 253
"""RFC 1035 2.3.4"""
LARGEST_PORT = 65_535
# RFC 3986 characters; no backslash, no quote, no wildcard, no control character, no non-ASCII.
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()+,;=%]+")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_PORT = re.compile(r"[1-9][0-9]*")
_LOOPBACKS = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Rules:
    """The kind of client that registers the address, and where it runs."""

    native: bool
    """RFC 8252: private-use schemes and the loopback interface are allowed."""
    development: bool
    """`http://localhost` is allowed to every client."""


def redirect_uri(uri: str, rules: Rules, field: str = "redirect_uris") -> str:
    """Check an address that people are sent to with a code, or after signing out."""
    parts = _split(uri, field)
    if parts.scheme not in {"http", "https"}:
        # RFC 8252 7.1: a private-use scheme is a reversed domain name.
        if not rules.native or not _PRIVATE_SCHEME.fullmatch(parts.scheme):
            raise _refused(
                field,
                uri,
                N_(
                    "%(uri)s must be https, or for a native client http://127.0.0.1"
                    " or a scheme like com.example.app."
                ),
            )
        if parts.netloc and not _is_authority(parts):
            raise _refused(field, uri, N_("%(uri)s has no valid host."))
    else:
        _web(uri, parts, field, rules)
    if _has_path_trick(parts.path):
        raise _refused(field, uri, N_("%(uri)s has a path with dot segments or hidden separators."))
    return uri


def origin(text: str, rules: Rules) -> str:
    """Check a web origin as browsers send it (RFC 6454 6.2): scheme, host, port, no more."""
    field = "cors_origins"
    parts = _split(text, field)
    _web(text, parts, field, rules)
    default = {"http": 80, "https": 443}[parts.scheme]
    exact = f"{parts.scheme}://{parts.netloc}"
    if text != exact or text != text.lower() or parts.port == default:
        raise _refused(
            field, text, N_("%(uri)s must be scheme://host[:port] as browsers write it.")
        )
    if len(text) > LONGEST_ORIGIN:
        raise _refused(
            field,
            text,
            N_("%(uri)s has more than %(longest_origin)s characters."),
            longest_origin=LONGEST_ORIGIN,
        )
    return text


def document(uri: str, field: str, rules: Rules) -> str:
    """Check the address of something about the client: its page, logo, policy or keys."""
    parts = _split(uri, field)
    if parts.scheme == "http" and rules.development and _is_authority(parts):
        return uri
    if parts.scheme != "https" or not _is_authority(parts):
        raise _refused(field, uri, N_("%(uri)s must be an https address."))
    return uri


def _web(uri: str, parts: SplitResult, field: str, rules: Rules) -> None:
    if parts.scheme not in {"http", "https"} or not _is_authority(parts):
        raise _refused(field, uri, N_("%(uri)s must be an https address with a host."))
    if not uri.startswith(f"{parts.scheme}://"):
        raise _refused(field, uri, N_("%(uri)s must have its scheme in lower case."))
    if parts.scheme == "http" and not _may_be_plain(parts.hostname or "", rules):
        raise _refused(
            field,
            uri,
            N_(
                "%(uri)s must be https (http only for 127.0.0.1 and [::1], and for localhost"
                " by native clients or in development)."
            ),
        )


def _may_be_plain(host: str, rules: Rules) -> bool:
    return host in _LOOPBACKS or (host == "localhost" and (rules.native or rules.development))


def _split(uri: str, field: str) -> SplitResult:
    if not uri or len(uri) > LONGEST:
        raise _refused(
            field, uri, N_("%(uri)s must have 1 to %(longest)s characters."), longest=LONGEST
        )
    if "#" in uri:
        # RFC 6749 3.1.2
        raise _refused(field, uri, N_("%(uri)s must have no fragment."))
    host = _a_label_host(uri)
    if host is not None:
        raise _refused(
            field, uri, N_("%(uri)s must have its host as browsers send it: %(host)s."), host=host
        )
    if not _CHARACTERS.fullmatch(uri) or _ESCAPE.search(uri):
        raise _refused(
            field, uri, N_("%(uri)s has characters that an address cannot have, or a wildcard.")
        )
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise _refused(field, uri, N_("%(uri)s is not an absolute address.")) from None
    if not parts.scheme:
        raise _refused(field, uri, N_("%(uri)s is not an absolute address."))
    if "@" in parts.netloc:
        raise _refused(field, uri, N_("%(uri)s must have no user name in it."))
    _, colon, port = parts.netloc.rpartition("]")[2].partition(":")
    if colon and not is_port(port):
        raise _refused(
            field,
            uri,
            N_("%(uri)s must have a port of 1 to %(largest_port)s, in plain digits."),
            largest_port=LARGEST_PORT,
        )
    return parts


def _a_label_host(uri: str) -> str | None:
    """Return a host beyond ASCII as it is written in addresses (RFC 5890 2.3.2.1)."""
    if uri.isascii():
        return None
    try:
        host = urlsplit(uri).hostname or ""
        is_name = not host.isascii() and len(host) <= LONGEST_HOST
        return idna.encode(host, uts46=True).decode() if is_name else None
    except ValueError:  # no address, or (IDNAError) no name
        return None


def is_port(text: str) -> bool:
    """Return whether a text is a port number in plain digits."""
    return len(text) <= 5 and bool(_PORT.fullmatch(text)) and int(text) <= LARGEST_PORT  # noqa: PLR2004 - digits


def _is_authority(parts: SplitResult) -> bool:
    """Return whether the host is a name or a literal address."""
    host = parts.hostname
    if not host:
        return False
    if parts.netloc.startswith("["):
        return _is_address(host, 6)
    labels = host.split(".")
    if labels[-1].isdigit():
        return _is_address(host, 4)
    return len(host) <= LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _has_path_trick(path: str) -> bool:
    """Return whether servers could read the path as another one than it looks like."""
    decoded = unquote(unquote(path))
    if any(character < " " or character in "\\\x7f" for character in decoded):
        return True
    if decoded.count("/") != path.count("/"):
        return True
    # `..;x` is `..` to servers that know path parameters.
    return any(segment.split(";")[0] in {".", ".."} for segment in decoded.split("/"))


def _refused(field: str, uri: str, template: str, **values: object) -> BadRequest:
    """Refuse an address by a marked sentence that names it as `uri`."""
    return BadRequest.at(field, filled(template, uri=repr(uri[:200]), **values))
