"""What browsers send after a ceremony of Web Authentication, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from idp.platform.secrets import from_b64url

ALGORITHMS = (-8, -7, -257)
"""Ed25519, ES256 and RS256 (RFC 9053 2), the preferred one first."""
LONGEST = 16_000
"""Characters of an answer; those of a registration have about a thousand."""


class RefusedAnswerError(Exception):
    """An answer is not what it should be; the text is for the audit log."""


@dataclass(frozen=True)
class Answer:
    """A credential as `PublicKeyCredential.toJSON()` writes it."""

    content: dict[str, Any]

    @cached_property
    def credential_id(self) -> bytes:
        """The id that the browser names."""
        return _bytes(self.content, "rawId")

    @cached_property
    def client_data_json(self) -> bytes:
        """What the browser says about the ceremony, as it was signed."""
        return self.bytes_of("clientDataJSON")

    @cached_property
    def client_data(self) -> dict[str, Any]:
        """What the browser says about the ceremony."""
        return _object(self.client_data_json)

    @cached_property
    def challenge(self) -> bytes:
        """The challenge that was answered."""
        return _bytes(self.client_data, "challenge")

    @cached_property
    def user_handle(self) -> bytes | None:
        """What names the person in the authenticator; None: it was not sent."""
        if self.response.get("userHandle") is None:
            return None
        return self.bytes_of("userHandle")

    @cached_property
    def response(self) -> dict[str, Any]:
        """The part that the authenticator made."""
        found = self.content.get("response")
        if not isinstance(found, dict):
            reason = "no response"
            raise RefusedAnswerError(reason)
        return found

    def bytes_of(self, name: str) -> bytes:
        """Return a member of the response."""
        return _bytes(self.response, name)


def read(text: str) -> Answer:
    """Read an answer; raise RefusedAnswerError for what cannot be one."""
    if len(text) > LONGEST:
        reason = "too long"
        raise RefusedAnswerError(reason)
    return Answer(_object(text.encode()))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        reason = "no JSON object"
        raise RefusedAnswerError(reason)
    return found


def _bytes(members: dict[str, Any], name: str) -> bytes:
    text = members.get(name)
    try:
        return from_b64url(text if isinstance(text, str) else "?")
    except ValueError:
        reason = f"{name} is not base64url"
        raise RefusedAnswerError(reason) from None
