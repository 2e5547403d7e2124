"""Everything that a service may refuse with.

Problem
├── BadRequest            400  shape or rule of the input; `fields` names the culprits
│   └── Overreach              someone grants or proves what is not theirs to grant or prove
├── Unauthenticated       401  no valid credential
├── Forbidden             403  valid credential, right missing
├── NotFound              404
├── Conflict              409  exists already, or is in use
│   └── Outdated               it was changed after the caller read it
├── PreconditionFailed    412  it was changed after the caller read it (`If-Match`)
├── PreconditionRequired  428  the operation needs `If-Match`
├── TooSlow               408  the body did not arrive in time
├── TooLarge              413
├── TooLong               414
├── Unprocessable         422  understood, and refused on purpose
├── TooManyRequests       429  with `retry_after` seconds
├── Unavailable           503  something outside does not answer
│   └── Busy                   too much of it at once; with `Retry-After`
└── OAuthError            RFC 6749 5.2 and relatives: `code` is the wire's `error`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from idp.platform.translation import N_


class Problem(Exception):
    """A refusal with a stable code; `detail` is for the caller, `debug` only for the log."""

    code = "internal_error"
    status = 500
    title = N_("Internal error")

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        debug: str | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.debug = debug
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})
        if code is not None:
            self.code = code

    @classmethod
    def at(cls, field: str, message: str, *, code: str | None = None) -> Self:
        """Refuse the value of one field."""
        return cls(message, code=code, fields={field: [message]})


class BadRequest(Problem):
    """The input cannot be used as it is."""

    code = "bad_request"
    status = 400
    title = N_("Bad request")


class Overreach(BadRequest):
    """The value asks for more than the caller holds: a wrong input, noted in the audit log."""

    code = "overreach"


class Unauthenticated(Problem):
    """There is no valid credential."""

    code = "unauthenticated"
    status = 401
    title = "Authentication required"


class Forbidden(Problem):
    """The credential is valid, the right is missing."""

    code = "forbidden"
    status = 403
    title = N_("Forbidden")


class NotFound(Problem):
    """There is no such thing, or none that the caller may see."""

    code = "not_found"
    status = 404
    title = N_("Not found")


class Conflict(Problem):
    """It exists already, or something still depends on it."""

    code = "conflict"
    status = 409
    title = "Conflict"


class Outdated(Conflict):
    """It was changed after the caller read it."""


class PreconditionFailed(Problem):
    """It is no longer in the state that `If-Match` names (RFC 9110 15.5.13)."""

    code = "precondition_failed"
    status = 412
    title = "Precondition failed"


class PreconditionRequired(Problem):
    """The request must name the state that it changes (RFC 6585 3)."""

    code = "precondition_required"
    status = 428
    title = "Precondition required"


class TooSlow(Problem):
    """The body did not arrive in time."""

    code = "too_slow"
    status = 408
    title = "Request timed out"


class TooLarge(Problem):
    """The body is larger than this address takes."""

    code = "too_large"
    status = 413
    title = "Request body too large"


class TooLong(Problem):
    """The path or the query is longer than any that means something here."""

    code = "too_long"
    status = 414
    title = "Address too long"


class Unprocessable(Problem):
    """The value is understood and refused on purpose."""

    code = "unprocessable"
    status = 422
    title = "Unprocessable"


class TooManyRequests(Problem):
    """Too many tries; `Retry-After` holds the seconds to wait."""

    code = "too_many_requests"
    status = 429
    title = N_("Too many requests")

    def __init__(self, retry_after: int, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after))})
        self.retry_after = max(1, retry_after)


class Unavailable(Problem):
    """Something that is needed does not answer now."""

    code = "unavailable"
    status = 503
    title = N_("Temporarily unavailable")


class Busy(Unavailable):
    """As many wait for this as may; refused at once, with `Retry-After`."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
        self.retry_after = retry_after


class OAuthError(Problem):
    """A refusal at a protocol endpoint; `code` is the `error` value of the RFC that names it."""

    code = "invalid_request"
    status = 400
    title = "Invalid request"


class InvalidClient(OAuthError):
    """RFC 6749 5.2: client authentication failed."""

    code = "invalid_client"
    status = 401
    title = N_("Client authentication failed")


class InvalidGrant(OAuthError):
    """RFC 6749 5.2: the code or refresh token is not valid here."""

    code = "invalid_grant"
    title = "The grant is invalid, expired or revoked"


class AuthorizationPending(OAuthError):
    """RFC 8628 3.5: the person has not answered yet."""

    code = "authorization_pending"
    title = "The person has not answered yet"


class SlowDown(OAuthError):
    """RFC 8628 3.5: the device polls too often; it waits five seconds longer from now on."""

    code = "slow_down"
    title = "The device polls too often"


class ExpiredToken(OAuthError):
    """RFC 8628 3.5: the device code has expired."""

    code = "expired_token"
    title = "The device code has expired"


class AccessDenied(OAuthError):
    """RFC 8628 3.5: the person refused."""

    code = "access_denied"
    title = "The person refused"


class InvalidRequestObject(OAuthError):
    """RFC 9101 7: the signed request is not valid, or not the client's."""

    code = "invalid_request_object"
    title = N_("The application's signed request is invalid. Tell the people who run it.")


class InvalidRequestUri(OAuthError):
    """RFC 9101 7: the pushed request is unknown, expired, used, or another client's."""

    code = "invalid_request_uri"
    title = N_("This request has expired. Please go back to the application and start again.")


class InvalidClientMetadata(OAuthError):
    """RFC 7591 3.2.2: a member of the client's metadata cannot be registered."""

    code = "invalid_client_metadata"
    title = "The client metadata cannot be registered"


class InvalidRedirectUri(OAuthError):
    """RFC 7591 3.2.2: a redirect address cannot be registered."""

    code = "invalid_redirect_uri"
    title = "A redirect URI cannot be registered"


class InvalidSoftwareStatement(OAuthError):
    """RFC 7591 3.2.2: the software statement is not valid."""

    code = "invalid_software_statement"
    title = "The software statement is invalid"


class UnapprovedSoftwareStatement(OAuthError):
    """RFC 7591 3.2.2: nobody who signs software statements is trusted for this registration."""

    code = "unapproved_software_statement"
    title = "The software statement is not of an issuer that is trusted here"


class InvalidToken(OAuthError):
    """RFC 6750 3.1: the access token is not valid here."""

    code = "invalid_token"
    status = 401
    title = "The access token is invalid, expired or revoked"


class InvalidDpopProof(OAuthError):
    """RFC 9449 5: the proof is missing, is not good, or was used before."""

    code = "invalid_dpop_proof"
    title = "The DPoP proof is missing or invalid"


class UseDpopNonce(InvalidDpopProof):
    """RFC 9449 8: the proof needs the nonce that `headers` name."""

    code = "use_dpop_nonce"
    title = "The DPoP proof needs the nonce of the header DPoP-Nonce"


class InsufficientUserAuthentication(OAuthError):
    """The person must sign in with a higher level, or again (RFC 9470 3)."""

    code = "insufficient_user_authentication"
    status = 401
    title = "A sign-in of a higher level, or a younger one, is required"

    def __init__(self, demands: Mapping[str, str]) -> None:
        parts = {"error": self.code, "error_description": self.title, **demands}
        challenge = ", ".join(f'{name}="{value}"' for name, value in parts.items())
        super().__init__(headers={"WWW-Authenticate": f'Bearer realm="idp", {challenge}'})
