"""How the person is to be asked: `prompt`, `max_age`, `claims`, hints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from idp.oauth.request import Parameters
from idp.platform.errors import OAuthError

CREATE = "create"
"""The person wants a new account (OpenID Connect Initiating User Registration 1.0)."""
PROMPTS = ("none", "login", "consent", "select_account", CREATE)
"""The last one only where people may register themselves."""
MAX_CLAIMS_LENGTH = 4096


def read_prompt(parameters: Parameters) -> frozenset[str]:
    """Read `prompt` (OpenID Connect Core 3.1.2.1); `none` stands alone."""
    values = frozenset((parameters.get("prompt") or "").split())
    if not values <= {*PROMPTS}:
        message = "prompt has an unknown value"
        raise OAuthError(message)
    if "none" in values and len(values) > 1:
        message = "prompt=none allows no other value"
        raise OAuthError(message)
    return values


def read_seconds(parameters: Parameters, name: str) -> int | None:
    """Read a number of seconds."""
    text = parameters.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004 - 30 years
        message = f"{name} must be a number of seconds"
        raise OAuthError(message)
    return int(text)


def read_id(parameters: Parameters, name: str) -> int | None:
    """Read an id."""
    text = parameters.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - below 2^63
        message = f"{name} must be an id"
        raise OAuthError(message)
    return int(text)


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The `claims` parameter (OpenID Connect Core 5.5): section → name → claim request."""

    sections: dict[str, dict[str, Any]]

    @property
    def names(self) -> frozenset[str]:
        """Every requested claim."""
        return frozenset(name for section in self.sections.values() for name in section)

    def values(self, section: str, name: str) -> tuple[Any, ...]:
        """Return the values that a claim is requested with."""
        claim_request = self.sections.get(section, {}).get(name) or {}
        if "value" in claim_request:
            return (claim_request["value"],)
        return tuple(claim_request.get("values", ()))

    def is_essential(self, section: str, name: str) -> bool:
        """Whether the client cannot go on without a claim."""
        claim_request = self.sections.get(section, {}).get(name) or {}
        return claim_request.get("essential") is True


def read_claims(parameters: Parameters) -> ClaimsRequest:
    """Read the `claims` parameter; members that are not understood are ignored, as 5.5 asks."""
    text = parameters.get("claims")
    if text is None:
        return ClaimsRequest({})
    sections = _claims_sections(text)
    if sections is None:
        message = "claims must be a JSON object of objects (OpenID Connect Core 5.5)"
        raise OAuthError(message)
    return ClaimsRequest(sections)


def _claims_sections(text: str) -> dict[str, dict[str, Any]] | None:
    """Parse the `claims` parameter; None when it has another shape."""
    if len(text) > MAX_CLAIMS_LENGTH:
        return None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    sections: dict[str, dict[str, Any]] = {}
    for section in ("userinfo", "id_token"):
        names = document.get(section)
        if names is None:
            names = {}
        if not isinstance(names, dict) or not all(map(_is_claim_request, names.values())):
            return None
        sections[section] = names
    return sections


def _is_claim_request(claim_request: Any) -> bool:
    return claim_request is None or (
        isinstance(claim_request, dict) and isinstance(claim_request.get("values", []), list)
    )
