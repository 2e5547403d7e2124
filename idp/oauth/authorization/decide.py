"""Whether the person must be asked before an authorization request is answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from sqlalchemy import bindparam, or_, select

from idp.directory.factors import service as factors
from idp.directory.levels import HIGHEST, PWD, satisfies
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks import scope as scopes
from idp.oauth.checks import tenant
from idp.oauth.models import Consent
from idp.oauth.pending import Answers
from idp.oauth.visitor import SignedIn
from idp.platform import clock
from idp.platform.errors import OAuthError
from idp.platform.storage import Storage

Page = Literal[
    "login",
    "login/factor",
    "login/enrol",
    "login/passkey",
    "choose",
    "choose-tenant",
    "consent",
]


class ToPage(Exception):  # noqa: N818 - not an error: the person is asked first
    """A page must be shown before the request can go on."""

    def __init__(self, kind: Page) -> None:
        super().__init__(kind)
        self.kind = kind

    def unanswerable(self) -> OAuthError:
        """Return the error where no page may be shown (OpenID Connect Core 3.1.2.6)."""
        code = {
            "login": "login_required",
            "choose": "account_selection_required",
            "consent": "consent_required",
        }.get(self.kind, "interaction_required")
        return OAuthError("The person would have to be asked", code=code)


class NotAMemberError(OAuthError):
    """The person belongs to no tenant that the application serves."""

    code = "access_denied"

    def __init__(self, validated: ValidatedRequest, user_id: int) -> None:
        super().__init__("The person does not belong to a tenant that this application serves")
        self.validated = validated
        self.user_id = user_id


async def decide(
    storage: Storage, validated: ValidatedRequest, visitor: SignedIn | None, answers: Answers | None
) -> Approved:
    """Find out whether everything is settled; ToPage names the page to show otherwise."""
    if answers is not None and answers.consented_scopes == ():
        raise _refused_by_person()
    visitor = _settle_sign_in(validated, visitor, answers)
    tenant_id = _settle_tenant(validated, visitor, answers)
    await _settle_level(storage, validated, visitor)
    remembered: set[str] = set()
    if _depends_on_consent(validated, answers):
        remembered = await _read_consent(storage, validated, visitor, tenant_id)
    consented = _settle_consent(validated, answers, remembered)
    if consented is None:
        return Approved(visitor, tenant_id, validated.scopes, None)
    allowed = [name for name in validated.scopes.names if name in consented]
    if not allowed:
        raise _refused_by_person()
    is_remembered = (
        answers is not None and answers.remember_consent and validated.client.allow_remember_consent
    )
    return Approved(
        visitor, tenant_id, scopes.validate(validated.client, allowed), consented, is_remembered
    )


def _settle_sign_in(
    validated: ValidatedRequest, visitor: SignedIn | None, answers: Answers | None
) -> SignedIn:
    if visitor is None:
        raise ToPage("login")
    is_fresh = answers is not None and visitor.auth_time >= answers.since
    if "login" in validated.prompt and not is_fresh:
        raise ToPage("login")
    if validated.max_age is not None and not is_fresh:
        age = clock.now() - visitor.auth_time
        if age > timedelta(seconds=validated.max_age):
            raise ToPage("login")
    if not _is_requested_subject(validated, str(visitor.user_id)):
        if is_fresh:
            message = "Someone else signed in"
            raise OAuthError(message, code="login_required")
        raise ToPage("login")
    has_chosen = is_fresh or (answers is not None and answers.account_chosen)
    if "select_account" in validated.prompt and not has_chosen:
        raise ToPage("choose")
    return visitor


def _is_requested_subject(validated: ValidatedRequest, subject: str) -> bool:
    """Compare with `id_token_hint` and a `sub` asked for by value (OpenID Connect Core 3.1.2.2)."""
    if validated.hinted_subject not in {None, subject}:
        return False
    requested = validated.claims.values("id_token", "sub")
    return not requested or subject in requested


def _settle_tenant(validated: ValidatedRequest, visitor: SignedIn, answers: Answers | None) -> int:
    """Find the tenant that the sign-in is for: one of the person's memberships at this issuer."""
    ids = tenant.fitting(visitor.tenant_ids, validated.client.tenant_id, validated.tenant_id)
    if not ids:
        raise NotAMemberError(validated, visitor.user_id)
    settled = tenant.settle(ids, answers.tenant_id if answers else None, visitor.tenant_id)
    if settled is None:
        raise ToPage("choose-tenant")
    return settled


async def _settle_level(storage: Storage, validated: ValidatedRequest, visitor: SignedIn) -> None:
    """Ask for a second factor or a passkey where the session lacks the level that is asked for.

    A person without one sets it up where the level is demanded; a mere wish goes on without.
    """
    asked = validated.levels
    if asked.is_met(visitor.acr) or satisfies(visitor.acr, HIGHEST):
        return
    reach = await storage.in_session(factors.highest_level, validated.issuer, visitor.user_id)
    if asked.is_demand_met(visitor.acr) and not asked.is_met(reach):
        return
    if asked.needs_passkey(visitor.acr):
        raise ToPage("login/passkey")
    raise ToPage("login/enrol" if reach == PWD else "login/factor")


def _depends_on_consent(validated: ValidatedRequest, answers: Answers | None) -> bool:
    """Return whether it matters what the person allowed before."""
    is_answered = answers is not None and answers.consented_scopes is not None
    return (
        not is_answered and "consent" not in validated.prompt and validated.client.require_consent
    )


def _settle_consent(
    validated: ValidatedRequest, answers: Answers | None, remembered: Collection[str]
) -> frozenset[str] | None:
    """Find the scopes that the person ticked just now; None: all are allowed, or need no asking."""
    given = answers.consented_scopes if answers is not None else None
    if given is not None:
        return frozenset(given)
    if "consent" in validated.prompt:
        raise ToPage("consent")
    if validated.client.require_consent and not set(validated.consent_scopes) <= set(remembered):
        raise ToPage("consent")
    return None


def _refused_by_person() -> OAuthError:
    return OAuthError("The person refused", code="access_denied")


async def _read_consent(
    storage: Storage, validated: ValidatedRequest, visitor: SignedIn, tenant_id: int
) -> set[str]:
    row = await storage.one(
        _CONSENT,
        {
            "user_id": visitor.user_id,
            "client_id": validated.client.row_id,
            "tenant_id": tenant_id,
            "now": clock.now(),
        },
    )
    return set() if row is None else set(row[0])


_CONSENT = select(Consent.scopes).where(
    Consent.user_id == bindparam("user_id"),
    Consent.client_id == bindparam("client_id"),
    Consent.tenant_id == bindparam("tenant_id"),
    or_(Consent.expires_at.is_(None), Consent.expires_at > bindparam("now")),
)
