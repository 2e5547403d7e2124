"""Whether the person must be asked before an authorization request is answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from sqlalchemy import bindparam, or_, select

from idp.claims.subject import subject_id
from idp.directory import levels as levels_of
from idp.directory.factors import service as factors
from idp.directory.levels import HIGHEST, PWD, satisfies
from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import NOTHING, Required
from idp.directory.policies.sign_in import is_spared
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks import levels, tenant
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.prompt import CREATE
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
    "register",
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
    visitor = await _settle_level(storage, validated, visitor, tenant_id, answers)
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
    is_fresh = visitor is not None and answers is not None and visitor.auth_time >= answers.since
    if CREATE in validated.prompt and not is_fresh:
        raise ToPage("register")
    if visitor is None:
        raise ToPage("login")
    if "login" in validated.prompt and not is_fresh:
        raise ToPage("login")
    if validated.max_age is not None and not is_fresh:
        age = clock.now() - visitor.auth_time
        if age > timedelta(seconds=validated.max_age):
            raise ToPage("login")
    if not _is_requested_subject(validated, subject_id(validated.client, visitor.user_id)):
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


async def _settle_level(
    storage: Storage,
    validated: ValidatedRequest,
    visitor: SignedIn,
    tenant_id: int,
    answers: Answers | None,
) -> SignedIn:
    """Return the visitor with the level that their session has now, if that is enough.

    Otherwise ask for a second factor or a passkey. A person without one sets it up where the level
    is demanded, by the request or by a policy; a mere wish goes on without, and may be declined.
    """
    issuer, asked = validated.issuer, validated.levels
    required, waived = NOTHING, PWD
    if await storage.look_up(policies.any_level):
        found = await storage.in_session(
            policies.of_person, tenant_id, issuer.tenant_id, visitor.user_id
        )
        required, waived = found.required, found.waived
    held = levels_of.held(visitor.mfa_at, visitor.phr_at, required.level_minutes)
    visitor = replace(visitor, acr=held, is_exempt=not satisfies(held, waived))
    is_policy_met = satisfies(held, required.wanted)
    if asked.is_met(held) and is_policy_met:
        return visitor
    reach = await storage.in_session(factors.highest_level, issuer, visitor.user_id)
    if not is_policy_met and not _is_spared(visitor, required, reach):
        if required.wanted not in levels_of.reachable(issuer):
            raise levels.unmet()
        asked = asked.demanding(required.wanted)
    if asked.is_demand_met(held) and (asked.is_met(held) or not asked.is_met(reach)):
        return visitor
    if asked.is_demand_met(held) and answers is not None and answers.level_declined:
        return visitor
    if satisfies(held, HIGHEST):
        return visitor
    if asked.needs_passkey(held):
        raise ToPage("login/passkey")
    raise ToPage("login/enrol" if reach == PWD else "login/factor")


def _is_spared(visitor: SignedIn, required: Required, reach: str) -> bool:
    return is_spared(
        required,
        reach,
        auth_time=visitor.auth_time,
        trusted_until=visitor.trusted_until,
        asked_at=visitor.asked_at,
    )


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
    if answers is not None and given is not None:
        if answers.document_hash != validated.client.document_hash:
            raise ToPage("consent")  # the client is another one than the person was shown
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
    client = validated.client
    is_forgotten = client.is_stranger and not client.allow_remember_consent
    if client.row_id is None or client.has_new_keys or is_forgotten:
        return set()
    row = await storage.one(
        _CONSENT,
        {
            "user_id": visitor.user_id,
            "client_id": client.row_id,
            "tenant_id": tenant_id,
            "now": clock.now(),
        },
    )
    if row is None or row[1] != client.document_hash:
        return set()
    return set(row[0])


_CONSENT = select(Consent.scopes, Consent.document_hash).where(
    Consent.user_id == bindparam("user_id"),
    Consent.client_id == bindparam("client_id"),
    Consent.tenant_id == bindparam("tenant_id"),
    or_(Consent.expires_at.is_(None), Consent.expires_at > bindparam("now")),
)
