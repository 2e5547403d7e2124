"""Request objects (RFC 9101), which are refused: what the refusal needs of them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from idp.oauth.request import Parameters
from idp.platform.secrets import from_b64url

LONGEST = 32_768
RETURN = ("response_mode", "state")
"""How the answer is to come back. The author of the address could have put both beside the object,
so nothing is lost by reading them unverified; where it comes back to is proven from outside."""


def read_unverified_return(parameters: Parameters) -> Mapping[str, str]:
    """Read `response_mode` and `state` of a request object that is not verified."""
    unverified_jwt = parameters.get("request")
    if unverified_jwt is None or len(unverified_jwt) > LONGEST:
        return {}
    try:
        _, payload, _ = unverified_jwt.split(".")
        content = orjson.loads(from_b64url(payload))
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    found = {name: content.get(name) for name in RETURN}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
