"""Client id metadata documents: what an application says of itself at the address that is its id.

draft-ietf-oauth-client-id-metadata-document-03. What is not known here is ignored; what would make
the client something else than it says is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import orjson

from idp.directory.clients import addresses
from idp.directory.clients.addresses import Rules
from idp.directory.clients.fields import public_keys
from idp.directory.product import NO_AUTHENTICATION, PRIVATE_KEY_JWT, SHARED_SECRET_METHODS
from idp.platform.documents import Wanted
from idp.platform.errors import Problem, Unprocessable
from idp.platform.fetch import Fetched
from idp.platform.secrets import b64url
from idp.platform.signing.algorithms import canonical

MAX_BYTES = 5 * 1024
"""What the draft recommends (6.6)."""
MOST_REDIRECTS = 20
LONGEST_NAME = 100
LONGEST_ID = 200
GRANT_TYPES = ("authorization_code", "refresh_token")
"""What such a client can use, if its document says so."""

_ID = re.compile(
    r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+"
)
_TYPES = re.compile(r"application/(?:json|[a-z0-9!#$&^_.+-]{1,100}\+json)")
_SECRETS = ("client_secret", "client_secret_expires_at")
_SHARED = frozenset({*SHARED_SECRET_METHODS, "client_secret_jwt"})
_ADDRESSES = ("client_uri", "logo_uri", "policy_uri", "tos_uri", "initiate_login_uri")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, and needed to write some languages."""
_NATIVE = Rules(native=True, development=False)


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says of its client, checked; hashable, so that caches can be asked for it."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...] = GRANT_TYPES
    token_endpoint_auth_method: str = NO_AUTHENTICATION
    token_endpoint_auth_signing_alg: str | None = None
    id_token_signed_response_alg: str | None = None
    jwks: str | None = None
    """Public keys, as the text of a JSON Web Key Set."""
    jwks_uri: str | None = None
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    initiate_login_uri: str | None = None
    """Where a sign-in that somebody else initiates begins (OpenID Connect Core 4)."""
    dpop_bound_access_tokens: bool = False

    @property
    def hash(self) -> str:
        """Digest of all that a person was shown, or that decides who gets their tokens."""
        said = asdict(self)
        if self.initiate_login_uri is None:
            del said["initiate_login_uri"]  # a digest of before this member was read stays good
        content = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return b64url(hashlib.sha256(content).digest())


def is_id(client_id: str) -> bool:
    """Return whether a client id is the address of a document (draft 3), by its form.

    A query, a port beyond the usual one (the guard of fetches decides), and capital letters in the
    host are not taken: one client has one id.
    """
    if len(client_id) > LONGEST_ID or not _ID.fullmatch(client_id):
        return False
    segments = unquote(unquote(urlsplit(client_id).path)).split("/")
    return not any(segment in {".", ".."} or "\\" in segment for segment in segments)


def host_of(client_id: str) -> str:
    """Return the host that publishes the document of a client id."""
    return urlsplit(client_id).hostname or ""


def read(client_id: str, fetched: Fetched) -> Document:
    """Read the document that was found at a client id; Unprocessable, and why in its `debug`."""
    if not _TYPES.fullmatch(fetched.content_type):
        _refuse("not JSON by its type")
    try:
        content = orjson.loads(fetched.body)
    except orjson.JSONDecodeError:
        _refuse("not JSON")
    if not isinstance(content, dict):
        _refuse("not an object")
    # RFC 3986 6.2.1: as texts. A document copied to another host speaks for its first one.
    if content.get("client_id") != client_id:
        _refuse("client_id is not the address of the document")
    if any(name in content for name in _SECRETS):
        _refuse("a secret")  # draft 4.1
    jwks, jwks_uri = _keys(content)
    method = _method(content, has_keys=bool(jwks or jwks_uri))
    return Document(
        client_id=client_id,
        client_name=_name(content.get("client_name")),
        redirect_uris=_redirect_uris(content.get("redirect_uris")),
        grant_types=_grant_types(content.get("grant_types")),
        token_endpoint_auth_method=method,
        token_endpoint_auth_signing_alg=_algorithm(content, "token_endpoint_auth_signing_alg"),
        id_token_signed_response_alg=_algorithm(content, "id_token_signed_response_alg"),
        jwks=jwks,
        jwks_uri=jwks_uri,
        dpop_bound_access_tokens=content.get("dpop_bound_access_tokens") is True,
        **{name: _address(name, content.get(name)) for name in _ADDRESSES},
    )


WANTED: Wanted[Document] = Wanted("client", "application/json", MAX_BYTES, read)


def _refuse(reason: str) -> NoReturn:
    message = "The document of the client cannot be used"
    raise Unprocessable(message, debug=reason)


def _name(value: Any) -> str:
    """Check a name that people read beside the host: nothing that hides or turns letters."""
    name = value.strip() if isinstance(value, str) else ""
    if not 0 < len(name) <= LONGEST_NAME:
        _refuse("client_name is missing or too long")
    if any(unicodedata.category(letter)[0] == "C" and letter not in _JOINERS for letter in name):
        _refuse("client_name has control characters or marks of direction")
    if any(unicodedata.category(letter) in {"Zl", "Zp"} for letter in name):
        _refuse("client_name has several lines")
    return name


def _redirect_uris(value: Any) -> tuple[str, ...]:
    """Return the addresses that a native client may have; others are left out."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_REDIRECTS:
        _refuse("redirect_uris is no list of 1 to 20 addresses")
    usable = [uri for uri in value if isinstance(uri, str) and _is_redirect(uri)]
    if not usable:
        _refuse("no usable redirect_uris")
    return tuple(dict.fromkeys(usable))


def _is_redirect(uri: str) -> bool:
    return _passes(lambda: addresses.redirect_uri(uri, _NATIVE))


def _address(name: str, value: Any) -> str | None:
    """Return an address that is shown as a link; None for one that cannot be."""
    if not isinstance(value, str):
        return None
    return value if _passes(lambda: addresses.document(value, name, _NATIVE)) else None


def _passes(check: Callable[[], object]) -> bool:
    try:
        check()
    except Problem:
        return False
    return True


def _grant_types(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return GRANT_TYPES
    known = tuple(name for name in GRANT_TYPES if name in value)
    if GRANT_TYPES[0] not in known:
        _refuse("no grant type that such a client may use")
    return known


def _keys(content: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return `jwks` and `jwks_uri`, of which a document has one at most (RFC 7591 2)."""
    given, uri = content.get("jwks"), content.get("jwks_uri")
    if given is not None and uri is not None:
        _refuse("jwks and jwks_uri")
    if uri is not None:
        checked = _address("jwks_uri", uri)
        if checked is None:
            _refuse("jwks_uri is no https address")
        return None, checked
    if given is None:
        return None, None
    try:
        found = public_keys(given)
    except ValueError as problem:
        _refuse(f"jwks: {problem}")
    return (json.dumps({"keys": found}, sort_keys=True) if found else None), None


def _method(content: Mapping[str, Any], *, has_keys: bool) -> str:
    """Choose the best way of authentication that document and server both have.

    A list of methods (OpenID RP Metadata Choices 1.0) goes before a single one.
    """
    stated = content.get("token_endpoint_auth_method")
    if stated in _SHARED:
        _refuse(f"token_endpoint_auth_method {stated}")  # draft 4.1
    several = content.get("token_endpoint_auth_methods_supported")
    offered = several if isinstance(several, list) and several else [stated or NO_AUTHENTICATION]
    if PRIVATE_KEY_JWT in offered and has_keys:
        return PRIVATE_KEY_JWT
    if NO_AUTHENTICATION in offered:
        return NO_AUTHENTICATION
    _refuse("no way of authentication that the client has keys for")


def _algorithm(content: Mapping[str, Any], name: str) -> str | None:
    value = content.get(name)
    return canonical(value) if isinstance(value, str) else None
