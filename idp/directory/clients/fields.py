"""The single-valued settings of a client: their public names, and their rules."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from idp.directory import levels
from idp.directory.clients import addresses
from idp.directory.clients.addresses import Rules
from idp.directory.clients.models import Client
from idp.directory.product import (
    AUTH_METHODS,
    NO_AUTHENTICATION,
    PLAIN_MODES,
    PRIVATE_KEY_JWT,
    SECURITY_PROFILES,
    SIGNED_MODES,
)
from idp.platform import certificates
from idp.platform.errors import BadRequest, Unprocessable
from idp.platform.signing.algorithms import ALGORITHMS, canonical
from idp.platform.translation import N_, Filled, filled

YEAR = 366 * 86_400
SMALLEST_RSA = 2048
MOST_KEYS = 20
LONGEST_KEYS = 20_000
# RFC 7518 6.3.2, RFC 8037 2: members that only a private or shared key has.
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CODE = re.compile(r"[^\s,/\\\"']{1,200}")
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: how text or JSON becomes the value of its column."""

    column: str
    read: Callable[[str, Any, Rules], Any]
    nullable: bool = False


def _boolean(name: str, value: Any, _rules: Rules) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise _refused(name, N_("must be true or false."))


def _integer(smallest: int, largest: int) -> Callable[[str, Any, Rules], int]:
    def read(name: str, value: Any, _rules: Rules) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refused(name, N_("must be a whole number."))
        if not smallest <= value <= largest:
            raise _refused(
                name,
                filled(
                    N_("must be between %(smallest)s and %(largest)s."),
                    smallest=smallest,
                    largest=largest,
                ),
            )
        return value

    return read


def _text(longest: int) -> Callable[[str, Any, Rules], str]:
    def read(name: str, value: Any, _rules: Rules) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise _refused(
                name, filled(N_("must be text of at most %(longest)s characters."), longest=longest)
            )
        if any(ord(char) < 32 and char not in "\t\n" for char in value):  # noqa: PLR2004 - controls
            raise _refused(name, N_("has control characters."))
        return value

    return read


def _one_of(*allowed: str) -> Callable[[str, Any, Rules], str]:
    def read(name: str, value: Any, _rules: Rules) -> str:
        if value not in allowed:
            raise _unprocessable(
                name, filled(N_("must be one of %(allowed)s."), allowed=", ".join(allowed))
            )
        return str(value)

    return read


def _distinguished_name(name: str, value: Any, rules: Rules) -> str:
    text = _text(1000)(name, value, rules)
    if certificates.read_dn(text) is None:
        raise _refused(name, N_("must be a distinguished name such as CN=client,O=Example,C=DE."))
    return text


def _dns_name(name: str, value: Any, rules: Rules) -> str:
    text = _text(253)(name, value, rules).lower()
    if not _DNS_NAME.fullmatch(text):
        raise _refused(name, N_("must be a host name."))
    return text


def _uri(name: str, value: Any, rules: Rules) -> str:
    text = _text(1000)(name, value, rules)
    if not _URI.fullmatch(text):
        raise _refused(name, N_("must be an absolute URI."))
    return text


def _ip(name: str, value: Any, rules: Rules) -> str:
    try:
        return certificates.normal_ip(_text(45)(name, value, rules))
    except ValueError:
        raise _refused(name, N_("must be an IP address.")) from None


def _email(name: str, value: Any, rules: Rules) -> str:
    text = _text(320)(name, value, rules)
    if not _EMAIL.fullmatch(text):
        raise _refused(name, N_("must be an e-mail address."))
    return text


_DNS_NAME = re.compile(r"[a-z0-9_*](?:[a-z0-9_.-]{0,251}[a-z0-9])?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_EMAIL = re.compile(r"[\x21-\x7e]+@[\x21-\x7e]+")


def _algorithm(name: str, value: Any, rules: Rules) -> str:
    """Read the name of an algorithm, which may be that of RFC 9864."""
    return _one_of(*ALGORITHMS)(name, canonical(value) or value, rules)


def _address(name: str, value: Any, rules: Rules) -> str:
    if not isinstance(value, str):
        raise _refused(name, N_("must be an address."))
    return addresses.document(value, name, rules)


def _jwks(name: str, value: Any, _rules: Rules) -> dict[str, Any]:
    """Read a JSON Web Key Set of public keys (RFC 7517 5)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise _refused(name, N_("must be a JSON Web Key Set.")) from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise _refused(
            name,
            filled(
                N_("must be a JSON Web Key Set of 1 to %(most_keys)s keys."), most_keys=MOST_KEYS
            ),
        )
    if not all(isinstance(key, dict) for key in keys):
        raise _refused(name, N_("must be a JSON Web Key Set."))
    if len(json.dumps(keys)) > LONGEST_KEYS:
        raise _refused(
            name,
            filled(N_("must have at most %(longest_keys)s characters."), longest_keys=LONGEST_KEYS),
        )
    if any(not _SECRET_MEMBERS.isdisjoint(key) for key in keys):
        raise _refused(name, N_("must contain public keys only."))
    try:
        found = KeySet.import_key_set({"keys": [dict(key) for key in keys]}).keys
    except (JoseError, ValueError, TypeError, KeyError):
        raise _refused(name, N_("contains a key that cannot be read.")) from None
    if not all(_is_usable(key) for key in found):
        raise _refused(
            name, N_("must contain RSA keys of 2048 bits or more, P-256 or Ed25519 keys.")
        )
    return {"keys": keys}


def _some_of(*allowed: str, reason: str) -> Callable[[str, Any, Rules], list[str]]:
    """Read names in order of preference: a list of JSON, or text with spaces."""

    def read(name: str, value: Any, _rules: Rules) -> list[str]:
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.startswith("[") else value.split()
            except (ValueError, RecursionError):
                raise _refused(name, reason) from None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise _refused(name, reason)
        if not set(value) <= set(allowed):
            raise _unprocessable(
                name, filled(N_("must be one of %(allowed)s."), allowed=", ".join(allowed))
            )
        return list(dict.fromkeys(value))

    return read


def _codes(name: str, value: Any, _rules: Rules) -> list[str]:
    """Read codes of privileges: a list of JSON, or text with commas."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.startswith("[") else value.split(",")
        except (ValueError, RecursionError):
            raise _refused(name, N_("must be a list of codes.")) from None
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise _refused(name, N_("must be a list of codes."))
    codes = sorted({code.strip() for code in value})
    if not all(_CODE.fullmatch(code) for code in codes):
        raise _refused(name, N_("contains an invalid code."))
    if len(json.dumps(codes)) > LONGEST_KEYS:
        raise _refused(
            name,
            filled(N_("must have at most %(longest_keys)s characters."), longest_keys=LONGEST_KEYS),
        )
    return codes


def public_keys(value: Any) -> list[dict[str, Any]]:
    """Return the keys of a JSON Web Key Set that are usable here; ValueError where it is none.

    Unlike at registration, keys of other kinds are left out; private ones are refused as ever.
    """
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError("no key set")
    if not all(isinstance(key, dict) for key in keys):
        raise ValueError("no key set")
    if any(not _SECRET_MEMBERS.isdisjoint(key) for key in keys):
        raise ValueError("a private key")
    return [key for key in keys if _is_usable(_imported(key))]


def _imported(key: dict[str, Any]) -> object:
    try:
        return KeySet.import_key_set({"keys": [dict(key)]}).keys[0]
    except (JoseError, ValueError, TypeError, KeyError, IndexError):
        return None


def _is_usable(key: object) -> bool:
    if isinstance(key, RSAKey):
        return key.public_key.key_size >= SMALLEST_RSA
    if isinstance(key, ECKey):
        return key.curve_name == "P-256"
    return isinstance(key, OKPKey) and key.curve_name == "Ed25519"


def _fields() -> dict[str, Field]:
    algorithm = _algorithm
    wished_levels = _some_of(*levels.LEVELS, reason=N_("must be a list of levels."))
    modes = _some_of(*PLAIN_MODES, *SIGNED_MODES, reason=N_("must be a list of response modes."))
    columns = [
        Field("enabled", _boolean),
        Field("client_name", _text(200), nullable=True),
        Field("description", _text(1000), nullable=True),
        Field("client_uri", _address, nullable=True),
        Field("logo_uri", _address, nullable=True),
        Field("policy_uri", _address, nullable=True),
        Field("tos_uri", _address, nullable=True),
        Field("initiate_login_uri", _address, nullable=True),
        Field("application_type", _one_of("web", "native")),
        Field("require_client_secret", _boolean),
        Field("token_endpoint_auth_method", _one_of(*AUTH_METHODS), nullable=True),
        Field("token_endpoint_auth_signing_alg", algorithm, nullable=True),
        Field("jwks", _jwks, nullable=True),
        Field("jwks_uri", _address, nullable=True),
        Field("strict_assertion_audience", _boolean),
        Field("security_profile", _one_of(*SECURITY_PROFILES), nullable=True),
        Field("dpop_bound_access_tokens", _boolean),
        Field("tls_client_certificate_bound_access_tokens", _boolean),
        Field("tls_client_auth_subject_dn", _distinguished_name, nullable=True),
        Field("tls_client_auth_san_dns", _dns_name, nullable=True),
        Field("tls_client_auth_san_uri", _uri, nullable=True),
        Field("tls_client_auth_san_ip", _ip, nullable=True),
        Field("tls_client_auth_san_email", _email, nullable=True),
        Field("require_pushed_authorization_requests", _boolean),
        Field("require_signed_request_object", _boolean),
        Field("request_object_signing_alg", algorithm, nullable=True),
        Field("response_modes", modes, nullable=True),
        Field("require_pkce", _boolean),
        Field("require_consent", _boolean),
        Field("allow_remember_consent", _boolean),
        Field("consent_lifetime", _integer(1, 10 * YEAR), nullable=True),
        Field("allow_offline_access", _boolean),
        Field("default_max_age", _integer(0, YEAR), nullable=True),
        Field("require_acr", _one_of(*levels.LEVELS), nullable=True),
        Field("default_acr_values", wished_levels, nullable=True),
        Field("device_requires_login", _boolean),
        Field("second_factor_exempt", _boolean),
        Field("authorization_code_lifetime", _integer(1, 600)),
        Field("identity_token_lifetime", _integer(1, 86_400)),
        Field("access_token_lifetime", _integer(1, 30 * 86_400)),
        Field("absolute_refresh_token_lifetime", _integer(1, YEAR)),
        Field("sliding_refresh_token_lifetime", _integer(1, YEAR)),
        Field("refresh_token_usage", _integer(0, 1)),
        Field("refresh_token_expiration", _integer(0, 1)),
        Field("refresh_token_reuse_seconds", _integer(0, 86_400)),
        Field("access_token_type", _integer(0, 1)),
        Field("id_token_signed_response_alg", algorithm, nullable=True),
        Field("userinfo_signed_response_alg", algorithm, nullable=True),
        Field("introspection_signed_response_alg", algorithm, nullable=True),
        Field("authorization_signed_response_alg", algorithm, nullable=True),
        Field("always_include_user_claims_in_id_token", _boolean),
        Field("always_send_client_claims", _boolean),
        Field("client_claims_prefix", _text(200)),
        Field("grantable_privileges", _codes, nullable=True),
    ]
    return {field.column: field for field in columns}


FIELDS = _fields()

FIXED: Mapping[str, tuple[Any, str]] = {
    "protocol_type": ("oidc", N_("only oidc is supported.")),
    "allow_plain_text_pkce": (False, N_("only S256 is accepted (RFC 9700 2.1.1).")),
    "allow_access_tokens_via_browser": (
        False,
        N_("tokens are issued by the token endpoint only (RFC 9700 2.1.2)."),
    ),
    "enable_local_login": (True, N_("no other way to sign in is supported.")),
    "identity_provider_restrictions": (None, N_("no other way to sign in is supported.")),
    "include_jwt_id": (True, N_("every access token has a jti (RFC 9068 2.2).")),
    "update_access_token_claims_on_refresh": (True, N_("claims are computed at every refresh.")),
    "front_channel_logout_uri": (None, N_("front-channel logout is not supported.")),
    "front_channel_logout_session_required": (True, N_("front-channel logout is not supported.")),
    "back_channel_logout_uri": (None, N_("back-channel logout is not supported.")),
    "back_channel_logout_session_required": (True, N_("back-channel logout is not supported.")),
    "pair_wise_subject_salt": (None, N_("subjects are the same for all clients.")),
}
"""Settings with one supported value: that value, and why others are refused."""

PROPERTIES = (
    "application_type",
    "authorization_signed_response_alg",
    "default_acr_values",
    "default_max_age",
    "device_requires_login",
    "dpop_bound_access_tokens",
    "grantable_privileges",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "introspection_signed_response_alg",
    "jwks",
    "jwks_uri",
    "policy_uri",
    "refresh_token_reuse_seconds",
    "request_object_signing_alg",
    "require_acr",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_modes",
    "second_factor_exempt",
    "security_profile",
    "strict_assertion_audience",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_email",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_uri",
    "tls_client_auth_subject_dn",
    "tls_client_certificate_bound_access_tokens",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_signed_response_alg",
)
"""Settings that the management API has no member for: they are properties of their own name."""


# fmt: off
_UNSUPPORTED = (
    "authorization_details_types", "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "backchannel_authentication_request_signing_alg", "backchannel_client_notification_endpoint",
    "backchannel_logout_session_required", "backchannel_logout_uri",
    "backchannel_token_delivery_mode", "backchannel_user_code_parameter",
    "frontchannel_logout_session_required", "frontchannel_logout_uri",
    "id_token_encrypted_response_alg", "id_token_encrypted_response_enc",
    "introspection_encrypted_response_alg", "introspection_encrypted_response_enc",
    "request_object_encryption_alg", "request_object_encryption_enc",
    "request_uris", "require_auth_time", "response_types", "sector_identifier_uri", "subject_type",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
)
_MEMBERS = (
    "client_id", "client_secret", "grant_types", "post_logout_redirect_uris", "redirect_uris",
    "scope", *(FIELDS.keys() - {*PROPERTIES}), *FIXED,
)
# fmt: on
RESERVED: Mapping[str, str] = {
    **dict.fromkeys(_UNSUPPORTED, "Not supported."),
    **dict.fromkeys(_MEMBERS, "This setting has a field of its own; it cannot be a property."),
}
"""Names that no free property may have: readers would take them for settings."""


def snake_case(name: str) -> str:
    """Write `requirePkce` as `require_pkce`; names of RFC 7591 stay as they are."""
    return _WORD_BREAK.sub("_", name).lower()


def apply(client: Client, values: Mapping[str, Any], rules: Rules) -> None:
    """Set fields by the names of RFC 7591 or of the management API, as text or JSON.

    Contradictions between fields are found by `rules.check`.
    """
    unknown = sorted(
        name for name in values if snake_case(name) not in FIELDS.keys() | FIXED.keys()
    )
    if unknown:
        known = ", ".join(sorted(FIELDS))
        near = difflib.get_close_matches(snake_case(unknown[0]), FIELDS, n=1)
        template = N_("There is no setting %(names)s. Known settings: %(known)s.")
        if near:
            template = N_(
                "There is no setting %(names)s. Did you mean %(near)s? Known settings: %(known)s."
            )
        raise BadRequest(
            filled(template, names=", ".join(unknown), near="".join(near), known=known),
            fields={name: [N_("unknown")] for name in unknown},
        )
    given = {snake_case(name): value for name, value in values.items()}
    for name, value in given.items():
        if name in FIXED:
            _check_fixed(name, value, rules)
        else:
            setattr(client, name, _read(FIELDS[name], value, rules))
    if client.security_profile is not None and client.token_endpoint_auth_method is None:
        client.token_endpoint_auth_method = PRIVATE_KEY_JWT
    # RFC 7591 knows public clients by their method, the management API by a flag of its own.
    if "token_endpoint_auth_method" in given and "require_client_secret" not in given:
        client.require_client_secret = client.token_endpoint_auth_method != NO_AUTHENTICATION


def own_properties(client: Client) -> dict[str, str]:
    """Write the settings among the properties as text, those at their default left out."""
    written = {}
    for name in PROPERTIES:
        value = getattr(client, name)
        if value != default_of(name):
            written[name] = value if isinstance(value, str) else json.dumps(value)
    return written


def default_of(column: str) -> Any:
    """Return the default of a column; None for generated values."""
    default = Client.__table__.columns[column].default
    return default.arg if default is not None and default.is_scalar else None


def set_defaults(client: Client) -> None:
    """Set the defaults of the columns of a new client now: checks need them before the insert."""
    for column in Client.__table__.columns.keys():  # noqa: SIM118 - no dict
        if getattr(client, column) is None:
            setattr(client, column, default_of(column))


def _read(field: Field, value: Any, rules: Rules) -> Any:
    empty = value is None or value in ("", "null")
    if empty and field.nullable:
        return None
    if value is None:
        raise _refused(field.column, N_("must have a value."))
    return field.read(field.column, value, rules)


def _check_fixed(name: str, value: Any, rules: Rules) -> None:
    only, reason = FIXED[name]
    if value in ("", "null"):
        value = None
    elif str(value).lower() in {"true", "false"}:
        value = _boolean(name, value, rules)
    if value is not only and value != only:
        raise _unprocessable(name, reason)


def _refused(name: str, reason: str) -> BadRequest:
    text = filled(N_("%(setting)s %(reason)s"), setting=name, reason=_marked(reason))
    return BadRequest(text, fields={name: [reason]})


def _unprocessable(name: str, reason: str) -> Unprocessable:
    text = filled(N_("%(setting)s: %(reason)s"), setting=name, reason=_marked(reason))
    return Unprocessable(text, fields={name: [reason]})


def _marked(reason: str) -> Filled:
    """Mark a reason, which is then translated as a value of another sentence too."""
    return reason if isinstance(reason, Filled) else filled(reason)
