"""Security profiles: rules of a whole that a client keeps to by one setting (FAPI 2.0)."""

from __future__ import annotations

from typing import Any

from idp.directory import product
from idp.directory.clients.models import USUAL_CODE_SECONDS, Client
from idp.platform.errors import Unprocessable
from idp.platform.translation import N_, filled

ALGORITHMS = ("PS256", "ES256", "EdDSA")
"""FAPI 2.0 Security Profile 5.4.1."""
USUAL_ALGORITHM = "ES256"
CODE_SECONDS = 60
METHODS = product.WITHOUT_SECRET
"""Ways to authenticate by a key that the client alone has (FAPI 2.0 Security Profile 5.3.2.1)."""
_ALGORITHM_FIELDS = (
    "token_endpoint_auth_signing_alg",
    "request_object_signing_alg",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "introspection_signed_response_alg",
    "authorization_signed_response_alg",
)


def check(client: Client) -> None:
    """Refuse what contradicts the profile of a client, with the name of the setting.

    What is left at its default does not contradict: see `settings`.
    """
    if client.security_profile is None:
        return
    if client.token_endpoint_auth_method not in METHODS:
        raise _contradicts("token_endpoint_auth_method", ", ".join(METHODS))
    for name in _ALGORITHM_FIELDS:
        if getattr(client, name) not in {None, *ALGORITHMS}:
            raise _contradicts(name, ", ".join(ALGORITHMS))
    grants = [row.grant_type for row in client.grant_types]
    if product.DEVICE_CODE in grants:
        allowed = [name for name in product.GRANT_TYPES if name != product.DEVICE_CODE]
        raise _contradicts("grant_types", ", ".join(allowed))
    if not client.require_pkce:
        raise _contradicts("require_pkce", "true")
    seconds = client.authorization_code_lifetime
    if seconds > CODE_SECONDS and seconds != USUAL_CODE_SECONDS:
        raise _contradicts("authorization_code_lifetime", f"1 … {CODE_SECONDS}")
    if not all(row.redirect_uri.startswith("https://") for row in client.redirect_uris):
        raise _contradicts("redirect_uris", "https://…")


def is_signing(client: Client) -> bool:
    """Return whether the profile of a client asks for signed requests."""
    return client.security_profile == product.FAPI2_MESSAGE_SIGNING


def _contradicts(name: str, allowed: str) -> Unprocessable:
    text = filled(
        N_("The security profile of the client requires %(name)s to be: %(allowed)s."),
        name=name,
        allowed=allowed,
    )
    return Unprocessable.at(name, text)


def settings(client: Client) -> dict[str, Any]:
    """Return what a profile makes of the settings of a client, by the names of `ClientView`."""
    if client.security_profile is None:
        return {}
    must_sign = is_signing(client)
    modes = frozenset((*product.PLAIN_MODES, *product.SIGNED_MODES))
    return {
        "strict_assertion_audience": True,
        "require_pkce": True,
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": must_sign or client.require_signed_request_object,
        "authorization_code_lifetime": min(client.authorization_code_lifetime, CODE_SECONDS),
        # FAPI 2.0 Security Profile 5.3.2.1: not rotated, so a lost answer ends nothing.
        "refresh_token_is_reusable": True,
        # FAPI 2.0 Security Profile 5.3.2.1: tokens are worth nothing without the key.
        "dpop_bound_access_tokens": not client.tls_client_certificate_bound_access_tokens,
        "signing_alg": USUAL_ALGORITHM,
        **{
            name: getattr(client, name) or USUAL_ALGORITHM
            for name in ("id_token_signed_response_alg", "authorization_signed_response_alg")
        },
        **({"response_modes": modes} if must_sign and not client.response_modes else {}),
    }
