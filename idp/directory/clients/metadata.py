"""Client metadata as clients send it: names of RFC 7591 2 and OpenID Connect Registration 2.

What is not known here is ignored. What is known and cannot be done is left out, so that the answer
shows what is done instead; redirect addresses, keys, methods and response types are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from idp.directory import levels, product
from idp.directory.clients import addresses, fields
from idp.directory.clients.addresses import Rules
from idp.directory.clients.models import Client
from idp.platform.errors import InvalidClientMetadata, InvalidRedirectUri, Problem
from idp.platform.signing.algorithms import canonical

MOST_ADDRESSES = 20
MOST_CONTACTS = 10
MOST_SCOPES = 100
LONGEST_NAME = 200
LONGEST_TEXT = 255
LONGEST_SCOPE = 8000
CODE, REFRESH = "authorization_code", "refresh_token"
RESPONSE_TYPE = "code"
READ_ONLY = (
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_access_token",
    "registration_client_uri",
)
"""Members of the answer that an update must not have (RFC 7592 2.2)."""
ALGORITHM_FIELDS = (
    "token_endpoint_auth_signing_alg",
    "request_object_signing_alg",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "introspection_signed_response_alg",
    "authorization_signed_response_alg",
)
START = "initiate_login_uri"
ADDRESS_FIELDS = ("client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri")
FLAGS = (
    "dpop_bound_access_tokens",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "tls_client_certificate_bound_access_tokens",
)
CERTIFICATE_FIELDS = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
STATEMENT = "software_statement"
LONGEST_STATEMENT = 16 * 1024
EXTRA_TEXTS = ("software_id", "software_version")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 3.3


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What a client says of itself, checked member by member; nothing is fetched yet."""

    application_type: str
    method: str
    """`token_endpoint_auth_method`."""
    grant_types: Sequence[str]
    """Those that are known here."""
    scopes: Sequence[str] | None
    """None: those that it may have."""
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the client that are of its own choice, all of them; None: it says nothing."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What is kept and answered, and changes nothing."""


SETTINGS = (
    "application_type",
    "client_name",
    "default_acr_values",
    "default_max_age",
    "jwks",
    "token_endpoint_auth_method",
    *(START, *ADDRESS_FIELDS, *ALGORITHM_FIELDS, *CERTIFICATE_FIELDS, *FLAGS),
)
"""Columns that a client sets by its metadata."""


def read(sent: Mapping[str, Any], *, development: bool) -> ClientMetadata:
    """Read the metadata of a client; InvalidClientMetadata names the member that is wrong.

    RFC 7592 2.2: a member that is null counts as one that is not there.
    """
    members = {name: value for name, value in sent.items() if value is not None}
    redirects = _addresses_of(members, "redirect_uris")
    application_type = _application_type(members, redirects)
    is_native = application_type == "native"
    rules = Rules(native=is_native, development=development)
    method = _method(members, is_native=is_native)
    grant_types = _grant_types(members)
    _check_response_types(members, grant_types)
    redirect_uris = _redirects(members, redirects, rules)
    if CODE in grant_types and not redirect_uris:
        raise InvalidRedirectUri("redirect_uris: at least one is required")
    settings = {
        **dict.fromkeys(SETTINGS),
        **_settings(members, rules),
        "application_type": application_type,
        "token_endpoint_auth_method": method,
    }
    if settings["jwks"] is not None and settings["jwks_uri"] is not None:
        raise refused("jwks", "set either jwks or jwks_uri")  # RFC 7591 2
    return ClientMetadata(
        application_type,
        method,
        grant_types,
        _scopes(members),
        redirect_uris,
        _checked(members, "post_logout_redirect_uris", rules),
        settings,
        _extra(members, rules),
    )


def refused(name: str, reason: str) -> InvalidClientMetadata:
    """Return the refusal of a member."""
    return InvalidClientMetadata(f"{name}: {reason}", fields={name: [reason]})


def as_refusal(problem: Problem) -> InvalidClientMetadata | InvalidRedirectUri:
    """Return what the rules about clients found in the form that the protocol has for it."""
    name = next(iter(problem.fields), "")
    kind = InvalidRedirectUri if name == "redirect_uris" else InvalidClientMetadata
    text = problem.detail if not name or name in problem.detail else f"{name}: {problem.detail}"
    return kind(text, fields=problem.fields)


def has_marks(text: str) -> bool:
    """Return whether a text has characters that show nothing: controls, marks of direction."""
    return any(unicodedata.category(letter).startswith("C") for letter in text)


def origins_of(uris: Sequence[str]) -> list[str]:
    """Return the origins of https addresses, as browsers send them (RFC 6454 6.2)."""
    found = []
    for uri in uris:
        parts = urlsplit(uri)
        if parts.scheme != "https":
            continue
        origin = f"https://{parts.netloc.lower().removesuffix(':443')}"
        if len(origin) <= addresses.LONGEST_ORIGIN:
            found.append(origin)
    return list(dict.fromkeys(found))


def _text(members: Mapping[str, Any], name: str, longest: int = LONGEST_TEXT) -> str | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise refused(name, "must be text")
    if len(value) > longest:
        raise refused(name, f"must have at most {longest} characters")
    if has_marks(value):
        raise refused(name, "has control characters or marks of direction")
    return value


def _texts(members: Mapping[str, Any], name: str, most: int) -> list[str]:
    """Return a list of texts, each once."""
    value = members.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _of_addresses(name)(f"{name}: must be a list of texts", fields={name: ["list"]})
    if len(value) > most:
        raise _of_addresses(name)(f"{name}: at most {most} values", fields={name: ["many"]})
    return list(dict.fromkeys(value))


def _of_addresses(name: str) -> type[InvalidClientMetadata | InvalidRedirectUri]:
    return InvalidRedirectUri if name == "redirect_uris" else InvalidClientMetadata


def _addresses_of(members: Mapping[str, Any], name: str) -> list[str]:
    return _texts(members, name, MOST_ADDRESSES)


def _application_type(members: Mapping[str, Any], redirects: Sequence[str]) -> str:
    """Return what the client says; where it says nothing, what its addresses can only be of.

    Tools on people's devices leave the member out, whose default is `web`.
    """
    value = members.get("application_type")
    if value is None:
        is_native = bool(redirects) and not any(uri.startswith("https:") for uri in redirects)
        return "native" if is_native else "web"
    if value not in {"web", "native"}:
        raise refused("application_type", "must be web or native")
    return str(value)


def _method(members: Mapping[str, Any], *, is_native: bool) -> str:
    value = members.get("token_endpoint_auth_method")
    if value is None:
        return product.NO_AUTHENTICATION if is_native else "client_secret_basic"
    if value not in product.AUTH_METHODS:
        raise refused(
            "token_endpoint_auth_method", f"must be one of {', '.join(product.AUTH_METHODS)}"
        )
    return str(value)


def _grant_types(members: Mapping[str, Any]) -> list[str]:
    if "grant_types" not in members:
        return [CODE]
    listed = _texts(members, "grant_types", MOST_ADDRESSES)
    return [name for name in listed if name in product.GRANT_TYPES]


def _check_response_types(members: Mapping[str, Any], grant_types: Sequence[str]) -> None:
    """Check that response types are offered, and fit the grant types (RFC 7591 2.1)."""
    name = "response_types"
    listed = _texts(members, name, MOST_ADDRESSES) if name in members else None
    for value in listed or ():
        if value != RESPONSE_TYPE:
            raise refused(name, f"{value[:50]} is not supported")
    if listed is None:
        return
    if (RESPONSE_TYPE in listed) is not (CODE in grant_types):
        raise refused(
            name, "the response type code and the grant authorization_code need each other"
        )


def _redirects(members: Mapping[str, Any], uris: Sequence[str], rules: Rules) -> Sequence[str]:
    """Check redirect addresses; a client that calls itself `web` has https ones only.

    OpenID Connect Registration 2, `application_type`.
    """
    is_web = members.get("application_type") == "web" and not rules.development
    for uri in uris:
        parts = _parts(uri)
        if is_web and parts.scheme == "http":
            raise InvalidRedirectUri(
                "redirect_uris: a web client has https addresses only; is it native?",
                fields={"redirect_uris": ["https"]},
            )
    return _checked(members, "redirect_uris", rules)


def _parts(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        raise InvalidRedirectUri(
            "redirect_uris: not an address", fields={"redirect_uris": ["address"]}
        ) from None


def _checked(members: Mapping[str, Any], name: str, rules: Rules) -> Sequence[str]:
    try:
        return [addresses.redirect_uri(uri, rules, name) for uri in _addresses_of(members, name)]
    except InvalidClientMetadata:
        raise
    except Problem as problem:
        raise as_refusal(problem) from None


def _https(members: Mapping[str, Any], name: str, rules: Rules) -> str | None:
    """Check the address of a document or a page."""
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise refused(name, "must be an address")
    try:
        return addresses.document(value, name, rules)
    except Problem as problem:
        raise as_refusal(problem) from None


def _scopes(members: Mapping[str, Any]) -> list[str] | None:
    text = members.get("scope")
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) > LONGEST_SCOPE or not _SCOPE.fullmatch(text):
        raise refused("scope", "must be scopes with single spaces between them")
    names = list(dict.fromkeys(text.split(" ")))
    if len(names) > MOST_SCOPES:
        raise refused("scope", f"at most {MOST_SCOPES} scopes")
    for name in names:
        if name.startswith(product.RESERVED_PREFIX):
            raise refused("scope", f"{name[:50]} is for clients of operators only")
    return names


def _start(members: Mapping[str, Any], rules: Rules) -> str | None:
    """Read where a sign-in begins; https also where other addresses may do without."""
    address = _https(members, START, rules)
    if address is not None and not address.startswith("https:"):
        raise refused(START, "must be an https address")
    return address


def _settings(members: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Read what has a column of the same name."""
    found: dict[str, Any] = {"client_name": _text(members, "client_name", LONGEST_NAME) or None}
    for name in ADDRESS_FIELDS:
        found[name] = _https(members, name, rules)
    found[START] = _start(members, rules)
    for name in ALGORITHM_FIELDS:
        alg = _text(members, name)
        found[name] = None if alg is None else canonical(alg)
    for name in FLAGS:
        value = members.get(name, False)
        if not isinstance(value, bool):
            raise refused(name, "must be true or false")
        found[name] = value
    if "default_acr_values" in members:
        wished = _texts(members, "default_acr_values", MOST_ADDRESSES)
        found["default_acr_values"] = [name for name in wished if name in levels.LEVELS] or None
    given = ("jwks", "default_max_age", *CERTIFICATE_FIELDS)
    scratch = Client()
    for name in given:
        if name not in members:
            continue
        if isinstance(members[name], str) and name in {"jwks", "default_max_age"}:
            raise refused(name, "must not be text")
        try:
            fields.apply(scratch, {name: members[name]}, rules)
        except Problem as problem:
            raise as_refusal(problem) from None
        found[name] = getattr(scratch, name)
    return found


def _extra(members: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in EXTRA_TEXTS:
        text = _text(members, name)
        if text:
            found[name] = text
    if STATEMENT in members:
        found[STATEMENT] = _text(members, STATEMENT, LONGEST_STATEMENT)
    contacts = _texts(members, "contacts", MOST_CONTACTS)
    if any(len(one) > LONGEST_TEXT or has_marks(one) for one in contacts):
        raise refused("contacts", f"must be texts of at most {LONGEST_TEXT} characters")
    if contacts:
        found["contacts"] = contacts
    sector = _https(members, "sector_identifier_uri", rules)
    if sector is not None:
        found["sector_identifier_uri"] = sector
    return found
