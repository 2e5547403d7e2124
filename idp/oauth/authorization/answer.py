"""The answer to an authorization request: the code or a refusal, and the way it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlencode

from sqlalchemy import delete
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import consents, pending
from idp.oauth.authorization import checks, code_grants
from idp.oauth.authorization.decide import NotAMemberError
from idp.oauth.authorization.parameters import AskedParameters
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks import request_object
from idp.oauth.checks.response import RESPONSE_MODES
from idp.oauth.models import AuthorizationRequest
from idp.oauth.request import Parameters
from idp.oauth.response import FormPost, ProtocolResponse, redirect, with_query
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.secrets import random_token
from idp.platform.storage import Storage

ResponseMode = Literal["query", "fragment", "form_post"]

# RFC 6749 4.1.2.1: the characters that error_description may hold.
_DISALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """A proven place to send the answer to, whatever it is."""

    uri: str
    mode: ResponseMode
    state: str | None
    issuer: Issuer

    def send(self, fields: dict[str, str]) -> ProtocolResponse | FormPost:
        """Send fields to the client with `state` and `iss` (RFC 9207)."""
        if self.state is not None:
            fields["state"] = self.state
        fields["iss"] = self.issuer.url
        if self.mode == "form_post":
            return FormPost(self.uri, fields)
        if self.mode == "fragment":
            return redirect(f"{self.uri}#{urlencode(fields)}")
        return redirect(with_query(self.uri, fields))

    def refuse(self, error: OAuthError) -> ProtocolResponse | FormPost:
        """Send a refusal to the client (RFC 6749 4.1.2.1)."""
        return self.send(
            {"error": error.code, "error_description": _DISALLOWED.sub("?", error.detail)}
        )


def return_address(issuer: Issuer, client: ClientView, parameters: Parameters) -> ReturnAddress:
    """Prove the redirect address of a client; until then nothing is redirected."""
    uri = checks.prove_redirect_uri(client, parameters)
    # A request object is refused, and the refusal goes back as the object asks.
    unverified = request_object.read_unverified_return(parameters)
    requested = unverified.get("response_mode") or parameters.get("response_mode")
    mode = requested if requested in RESPONSE_MODES else "query"
    state = unverified.get("state") or parameters.get("state")
    return ReturnAddress(uri, cast("ResponseMode", mode), state, issuer)


async def make_code(
    storage: Storage, asked: AskedParameters, validated: ValidatedRequest, approved: Approved
) -> str:
    """Make grant and code in one transaction, and return the code."""
    code = random_token()
    values = code_grants.values(storage, validated, approved, code)
    if asked.row is None:
        await storage.write(code_grants.GRANT, values)
    elif not await storage.in_session(_grant_kept, validated, approved, asked.row, values):
        raise pending.no_longer_kept()
    return code


def _grant_kept(
    session: Session,
    validated: ValidatedRequest,
    approved: Approved,
    row: AuthorizationRequest,
    values: Mapping[str, Any],
) -> bool:
    """Answer a kept request and remember what the person allowed; False: it is answered already."""
    if not _forget(session, row):
        return False
    if approved.is_remembered and approved.consented is not None:
        consents.remember_consent(
            session,
            validated.client,
            approved.visitor.user_id,
            approved.tenant_id,
            sorted(approved.consented),
            set(validated.consent_scopes) - approved.consented,
        )
    code_grants.GRANT.run(session, values)
    return True


async def record_refusal(storage: Storage, asked: AskedParameters, error: OAuthError) -> None:
    """Note that a kept request is answered, and who is no member."""
    if asked.row is not None or isinstance(error, NotAMemberError):
        await storage.in_session(_refuse, asked.row, error)


def _refuse(session: Session, row: AuthorizationRequest | None, error: OAuthError) -> None:
    if row is not None:
        _forget(session, row)
    if isinstance(error, NotAMemberError):
        audit.record(
            session,
            Tag.SIGN_IN_REFUSED,
            user_id=error.user_id,
            client_id=error.validated.client.client_id,
            tenant_id=error.validated.issuer.tenant_id,
            details={"reason": "not a member"},
        )


def _forget(session: Session, row: AuthorizationRequest) -> bool:
    """Delete a kept request; False when another answer was faster."""
    statement = delete(AuthorizationRequest).where(AuthorizationRequest.id == row.id)
    return count_hits(session, statement) > 0
