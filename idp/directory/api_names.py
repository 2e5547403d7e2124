"""Names of APIs. Some are addresses, which may be spelled in several ways (RFC 8707 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

LONGEST = 200
WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""Where the metadata of an API is, before its own path (RFC 9728 3)."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_AFTER_SCHEME = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_WEB = re.compile(
    r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:/[^?#]*)?", re.IGNORECASE
)
_WEB_SCHEMES = ("http:", "https:")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def identity(name: str) -> str:
    """Return what two spellings of one name have in common: names are equal where this is.

    Of an address, scheme and host are in lower case; a default port, and a path of just `/`, are
    left out (RFC 3986 6.2). The rest, and any other name, stays as it is.
    """
    found = _split(name)
    if found is None:
        return name
    scheme, host, path, rest = found
    if "@" in host or not host.isascii():
        return name
    scheme = scheme.lower()
    host = host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":")).removesuffix(":")
    return f"{scheme}://{host}{'' if path == '/' else path}{rest}"


def _split(name: str) -> tuple[str, str, str, str] | None:
    """Return scheme, host with port, path, and the rest of an address; None: it is none."""
    scheme, _, after = name.partition("://")
    found = _AFTER_SCHEME.fullmatch(after)
    if not after or found is None or _SCHEME.fullmatch(scheme) is None:
        return None
    return scheme, found[1], found[2], found[3]


def is_web_address(name: str) -> bool:
    """Return whether a name is the address of a server, without user, query and fragment."""
    return _WEB.fullmatch(name) is not None


def is_well_formed(name: str) -> bool:
    """Return whether a text may name an API: an absolute address without fragment, or no address.

    RFC 8707 2.
    """
    scheme, colon, _ = name.partition(":")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        return True
    return "#" not in name and (not _is_web(name) or _split(name) is not None)


def may_be_given(name: str) -> bool:
    """Return whether an API may get a name: stricter with addresses than requests are."""
    return is_well_formed(name) and (not _is_web(name) or is_web_address(name))


def _is_web(name: str) -> bool:
    return name.lower().startswith(_WEB_SCHEMES)


def other_spelling(name: str) -> str | None:
    """Return the address of a host with a slash instead of without, or the other way round.

    None: the name has no other spelling that servers and clients mix up.
    """
    if not is_web_address(name) or identity(name).count("/") > len("//"):
        return None
    return name.removesuffix("/") if name.endswith("/") else f"{name}/"


def metadata_url(name: str) -> str | None:
    """Return where the metadata of an API is (RFC 9728 3.1); None: its name is no address."""
    found = _split(identity(name)) if is_web_address(name) else None
    if found is None:
        return None
    scheme, host, path, _ = found
    return f"{scheme}://{host}{WELL_KNOWN}{path}"


def find_equal(
    session: Session,
    column: InstrumentedAttribute[str],
    names: Iterable[str],
    *conditions: ColumnElement[bool] | InstrumentedAttribute[bool],
) -> str | None:
    """Return a name in a column that is equal to one of these, the same one if it is there.

    None: there is none.
    """
    names = {*names}
    wanted = {identity(name) for name in names}
    if not wanted:
        return None
    query = select(column).where(or_(*(_may_equal(column, name) for name in wanted)), *conditions)
    found = (name for name in session.scalars(query) if identity(name) in wanted)
    return min(found, key=lambda name: name not in names, default=None)


def _may_equal(column: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """Return in SQL whether a column may hold a spelling of an identity."""
    found = _split(name)
    if found is None:
        return column == name
    scheme, host, path, rest = found
    hosts = (host, host + _DEFAULT_PORTS.get(scheme, ""))
    paths = (path,) if path else ("", "/")
    spellings = {f"{scheme}://{host}{path}{rest}".lower() for host in hosts for path in paths}
    return func.lower(column).in_(spellings)
