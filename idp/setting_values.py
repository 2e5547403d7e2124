"""Parsing values of settings: addresses in their normal form, and the strength of a secret."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Collection
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import idna
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DEFAULT_PORTS = {"http": 80, "https": 443}
DATABASE_FORM = "postgresql://user:password@host/name or sqlite:///path"
_LAST_PORT = 65535

BREACHED_MAGIC = b"idp-breached-1\r\n"
"""Beginning of the files of stolen passwords."""

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_HOST = 253
"""RFC 1035 2.3.4, without the dot at the end."""
_LONGEST_SENDER = 998
_CONTACT = re.compile(r"(?:mailto:[!-?A-~]{1,256}@[!-?A-~]{1,256}|https://[!-~]{1,500})?")
"""What a line of a mail may have (RFC 5322 2.1.1)."""
_DNS_PORT = 53
_POSTGRESQL = re.compile(r"postgres(ql)?://")
_MASTER = re.compile(r"/[\w.-]{1,100}(/[0-9]{1,5})?", re.ASCII)
_SENTINEL_SCHEMES = frozenset({"redis+sentinel", "rediss+sentinel"})
_LONGEST_OPTION = 40
_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SWITCH = re.compile(r"true|false|yes|no|1|0", re.IGNORECASE)
_TEXT = re.compile(r".+")
_REDIS_OPTIONS = {
    "client_name": _TEXT,
    "db": _NUMBER,
    "health_check_interval": _NUMBER,
    "max_connections": _NUMBER,
    "password": _TEXT,
    "protocol": re.compile(r"[23]"),
    "sentinel_password": _TEXT,
    "sentinel_username": _TEXT,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _SWITCH,
    "socket_timeout": _SECONDS,
    "ssl_ca_certs": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_cert_reqs": re.compile(r"none|optional|required"),
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _SWITCH,
    "ssl_keyfile": _TEXT,
    "username": _TEXT,
}
"""Options of redis-py that may stand in an address, and our own for sentinels."""
_SEVERAL_HOSTS = re.compile(
    r"(?P<start>postgresql\+psycopg://(?:[^/?#@]*@)?)"
    r"(?P<hosts>[^/?#@,]+(?:,[^/?#@,]+)+)(?P<path>/[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_DRIVERS = frozenset({"sqlite", "sqlite+pysqlite", "postgresql+psycopg"})


# Addresses


def shown(text: str) -> str:
    """Return the printable part of an address: no user, password, path or query."""
    scheme, separator, rest = text.rpartition("://")
    host = re.split(r"[/?#]", rest.rpartition("@")[2])[0]
    name = re.match(r"\[[^\]]*\]|[^:]*", host)
    port = re.search(r":\d+$", host)
    return f"{scheme}{separator}{name[0] if name else ''}{port[0] if port else ''}"


def name_server(text: str) -> tuple[str, int]:
    """Return address and port of a name server, written `192.0.2.53` or `192.0.2.53:53`."""
    try:
        parts = urlsplit(f"//{text}")
        return str(ipaddress.ip_address(parts.hostname or "")), parts.port or _DNS_PORT
    except ValueError:
        message = f"must be an address like 192.0.2.53 or 192.0.2.53:53, not {text!r}"
        raise ValueError(message) from None


def host_name(text: str) -> str:
    """Return a host as sent in requests: lower case, A-labels, no dot at the end."""
    if ":" in text:
        return str(ipaddress.IPv6Address(text))
    name = text.lower()
    if not name.isascii():
        name = idna.encode(name, uts46=True).decode("ascii")
    name = name.removesuffix(".")
    if len(name) > _LONGEST_HOST or not _HOST.fullmatch(name):
        message = f"{text!r} is no host name"
        raise ValueError(message)
    if name.rpartition(".")[2].isdigit():
        return str(ipaddress.IPv4Address(name))
    return name


def address(
    text: str,
    schemes: Collection[str],
    form: str,
    *,
    path: bool = False,
    user: bool = False,
    query: bool = False,
) -> str:
    """Return an address in its normal form; ValueError names the right form.

    Scheme and host are in lower case, the host in A-labels, without the port that the scheme has
    anyway and without a slash at the end.
    """
    wrong = ValueError(f"must be {form}, not {shown(text)!r}")
    try:
        parts = urlsplit(text)
        name, port = host_name(parts.hostname or ""), parts.port
    except ValueError:
        raise wrong from None
    userinfo, at, _ = parts.netloc.rpartition("@")
    if (
        parts.scheme not in schemes
        or port == 0
        or (at and not user)
        or (parts.path.strip("/") and not path)
        or (parts.query and not query)
        or parts.fragment
    ):
        raise wrong
    netloc = f"[{name}]" if ":" in name else name
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        netloc = f"{netloc}:{port}"
    place = parts.path.rstrip("/")
    return urlunsplit((parts.scheme, f"{userinfo}{at}{netloc}", place, parts.query, ""))


def host_and_port(text: str) -> tuple[str, int]:
    """Parse HOST:PORT; the host may be missing. ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
        message = f"{text!r} is not HOST:PORT"
        raise ValueError(message)
    return host.removeprefix("[").removesuffix("]"), int(port)


def network(text: str) -> str:
    """Return an address or a network in its normal form."""
    return str(ipaddress.ip_network(text, strict=False))


def reachable(text: str) -> str:
    """Return a host, a host with its port or a network in its normal form."""
    try:
        if "/" in text:
            return str(ipaddress.ip_network(text))
        if text.count(":") > 1 and not text.startswith("["):
            return str(ipaddress.IPv6Address(text))
        return address(f"any://{text}", {"any"}, "HOST").removeprefix("any://")
    except ValueError:
        message = f"{text!r} is neither host, host:port nor a network like 10.1.0.0/16"
        raise ValueError(message) from None


def database_url(text: str) -> str:
    """Return the address of a database in SQLAlchemy's form, with the supported driver."""
    text = _name_hosts(_POSTGRESQL.sub("postgresql+psycopg://", text, count=1))
    wrong = ValueError(f"must be {DATABASE_FORM}, not {shown(text)!r}")
    try:
        url = make_url(text)
        # SQLAlchemy splits hosts at every colon.
        if url.drivername in _DRIVERS and "[" not in str(url.query.get("host")):
            url.get_dialect()().create_connect_args(url)
            return text
    except (ArgumentError, ValueError):
        pass
    raise wrong


def server_url(text: str) -> str:
    """Return the address of PostgreSQL in SQLAlchemy's form; ValueError for another database."""
    url = database_url(text)
    if make_url(url).get_backend_name() != "postgresql":
        message = f"must be postgresql://user:password@host/name, not {shown(text)!r}"
        raise ValueError(message)
    return url


def _name_hosts(text: str) -> str:
    """Write several hosts in the way of SQLAlchemy: libpq has them before the path."""
    found = _SEVERAL_HOSTS.fullmatch(text)
    if found is None:
        return text
    hosts = "&".join(f"host={host}" for host in found["hosts"].split(","))
    query = found["query"]
    return f"{found['start']}{found['path']}?{hosts}{f'&{query}' if query else ''}"


def redis_url(text: str) -> str:
    """Return the address of a Redis or Valkey in its normal form."""
    form = "redis://host:6379/0, rediss:// with TLS, redis+sentinel:// or unix:///path"
    parts = urlsplit(text)
    if parts.scheme in _SENTINEL_SCHEMES:
        _check_sentinels(text)
    elif parts.scheme != "unix":
        schemes = {"redis", "rediss", "valkey", "valkeys"}
        text = address(text, schemes, form, path=True, user=True, query=True)
    elif not parts.path.startswith("/") or parts.netloc.rpartition("@")[2]:
        message = f"must be {form}, not {shown(text)!r}"
        raise ValueError(message)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_redis_option(name, value, parts.scheme)
    return text


def _check_sentinels(text: str) -> None:
    form = "redis+sentinel://host:26379,host:26379/name-of-the-master/0"
    parts = urlsplit(text)
    try:
        for one in parts.netloc.rpartition("@")[2].split(","):
            address(f"any://{one}", {"any"}, form)
    except ValueError:
        is_right = False
    else:
        is_right = bool(_MASTER.fullmatch(parts.path)) and not parts.fragment
    if not is_right:
        message = f"must be {form}, not {shown(text)!r}"
        raise ValueError(message)


def _check_redis_option(name: str, value: str, scheme: str) -> None:
    """Refuse an option that the driver would refuse, which takes a quarter of a second to load."""
    known = _REDIS_OPTIONS.get(name)
    with_tls = scheme.startswith(("rediss", "valkeys"))
    if (
        known is None
        or (name.startswith("ssl_") and not with_tls)
        or (name.startswith("sentinel_") and scheme not in _SENTINEL_SCHEMES)
    ):
        message = f"the option {name[:_LONGEST_OPTION]!r} does not exist for {scheme}://"
        raise ValueError(message)
    if not known.fullmatch(value):
        message = f"the option {name} has a value that cannot be used"
        raise ValueError(message)


def contact(text: str) -> str:
    """Return the address of a person or page to write to, as RFC 9116 has it."""
    if not _CONTACT.fullmatch(text):
        message = f"must be mailto:name@host or https://…, not {text!r}"
        raise ValueError(message)
    return text


def breached_passwords(path: str) -> str:
    """Return the path of a file of stolen passwords, which must be there and readable."""
    try:
        with Path(path).open("rb") as file:
            is_ours = file.read(len(BREACHED_MAGIC)) == BREACHED_MAGIC
    except OSError as problem:
        message = f"the file cannot be read: {problem.strerror}"
        raise ValueError(message) from None
    if not is_ours:
        message = "must be a file made by `idp passwords prepare`"
        raise ValueError(message)
    return path


def passed_certificates(text: str) -> str:
    """Read how a proxy passes certificates of clients on."""
    if text and not _PASSED.fullmatch(text):
        raise ValueError(f"must be {_PASSED_FORM}, not {shown(text)!r}")
    return text


_PASSED = re.compile(
    r"rfc9440|nginx|caddy|envoy|haproxy|traefik"
    r"|header:[A-Za-z0-9]+(-[A-Za-z0-9]+)*:(pem|der|urlpem)"
)
_PASSED_FORM = "rfc9440, nginx, caddy, envoy, haproxy, traefik or header:NAME:pem, der or urlpem"


def authorities(path: str) -> str:
    """Check that a file holds certificates in PEM."""
    if not path:
        return path
    try:
        has_one = b"-----BEGIN CERTIFICATE-----" in Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if not has_one:
        raise ValueError("must be a file of certificates in PEM")
    return path


def host_prefix(text: str) -> str:
    """Read the prefix of hosts: a label, or several, with a dot at the end."""
    text = text.lower()
    if text and not (text.endswith(".") and _HOST.fullmatch(text[:-1])):
        raise ValueError(f"must be the beginning of a host such as mtls., not {shown(text)!r}")
    return text


def sender(text: str) -> str:
    """Return the sender of mails, the domain in A-labels."""
    if len(text) > _LONGEST_SENDER:
        message = f"may have {_LONGEST_SENDER} characters"
        raise ValueError(message)
    _, plain = parseaddr(text)
    local, _, domain = plain.rpartition("@")
    wrong = ValueError(f"must be name@host or Name <name@host>, not {text!r}")
    if not local or not text.isprintable():
        raise wrong
    try:
        name = host_name(domain)
    except ValueError:
        raise wrong from None
    before, _, after = text.rpartition(f"@{domain}")
    return f"{before}@{name}{after}"


# Secrets

ENOUGH_BITS = 72
_LOOKED_AT = 512
"""Characters of a secret that are examined; without 72 bits in these it is too weak."""
_REPEATED = 5
"""This many characters repeated in the same order count as nothing new."""
_KEYBOARD = "qwertyuiop[]asdfghjkl;'zxcvbnm,./qwertzuiop"
_CLASSES = ((str.isdigit, 10), (str.isalpha, 26))
_OTHER_CHARACTERS = 32
_SEPARATORS = frozenset(" -_.,")

# What people type where random characters are required, and common words of sentences.
_WORDS = sorted(
    """
    abc about access account admin administrator again all an and any application are as asdf at
    auth authentication authorization be bytes can change changeme character characters client
    company correct dev development do docker example for from generate generated have hello
    here horse identity idp in insecure into is it just key keys letmein local localhost login
    long master me more must my need never new not now of on only open or our pass passphrase
    password passwort phrase please prod production provider put qwert qwerty qwertz random
    replace root safe sample secret secrets secure security server service set sign signing some
    something sso string strong super system temporary test testing tests that the their there
    these this to token top unsafe use user very want we which with word words you your zxcv
    """.split(),  # noqa: SIM905 - a hundred quoted words read worse
    key=len,
    reverse=True,
)
_WORD = re.compile("|".join(_WORDS))
_WORD_BITS = math.log2(len(_WORDS))


def can_be_guessed(secret: str) -> bool:
    """Return whether a secret has too few bits, by an estimate in its favour."""
    return estimated_bits(secret) < ENOUGH_BITS


def estimated_bits(secret: str) -> float:
    """Estimate how many bits must be guessed by someone who knows how people invent secrets.

    Nothing is counted for repetitions, for sequences such as 1234 or qwerty, and for characters
    between words; a common word counts as one of the list, another character as one of its kind.
    """
    secret = secret[:_LOOKED_AT]
    text = secret.lower()
    variety = math.log2(len(set(secret)) or 1)
    bits, place = 0.0, 0
    while place < len(text):
        word = _WORD.match(text, place)
        if repeated := _repeated(text, place):
            place += repeated
        elif word is not None and len(word[0]) > 1:
            bits += min(_WORD_BITS, variety * len(word[0]))
            place = word.end()
        else:
            bits += min(variety, _bits_of(text, place))
            place += 1
    return bits


def _repeated(text: str, place: int) -> int:
    """Count the characters from here on that occurred before in the same order."""
    before, length = f"{_KEYBOARD} {text[:place]}", 0
    while place + length < len(text) and text[place : place + length + 1] in before:
        length += 1
    return length if length >= _REPEATED else 0


def _bits_of(text: str, place: int) -> float:
    """Return the bits of one character, given those before it."""
    char = text[place]
    if place >= 2:  # noqa: PLR2004 - two before
        first, second, third = (ord(one) for one in text[place - 2 : place + 1])
        if third - second == second - first and abs(third - second) <= 1:
            return 0.0  # as in `aaa`, `123` and `cba`
    if char in _SEPARATORS:
        return 0.0
    return math.log2(next((size for holds, size in _CLASSES if holds(char)), _OTHER_CHARACTERS))
