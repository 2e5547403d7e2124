"""The answer to an authorization request: the code or a refusal, and the way it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import delete
from sqlalchemy.orm import Session

from idp.directory.clients import strangers
from idp.directory.clients.snapshot import ClientView
from idp.directory.policies import exemptions
from idp.directory.product import SIGNED_MODES
from idp.oauth import consents, pending
from idp.oauth.authorization import checks, code_grants, pushed
from idp.oauth.authorization.decide import NotAMemberError
from idp.oauth.authorization.parameters import AskedParameters
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks.response import DEFAULT_MODE
from idp.oauth.models import AuthorizationRequest
from idp.oauth.request import Parameters
from idp.oauth.response import FormPost, ProtocolResponse, redirect, with_query
from idp.oauth.sign_out import revoke_client_grants
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.secrets import random_token
from idp.platform.signing import signer
from idp.platform.storage import Storage

TYPE = "oauth-authz-resp+jwt"
"""The header's `typ` of signed answers: no ID token can be taken for one (RFC 8725 3.11)."""
SIGNED_SECONDS = 300

# RFC 6749 4.1.2.1: the characters that error_description may hold.
_DISALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """A proven place to send the answer to, whatever it is."""

    issuer: Issuer
    client: ClientView
    uri: str
    mode: str
    """How the fields are sent: in the query, the fragment or a form."""
    is_signed: bool
    """Whether they are sent as one JWT (JARM)."""
    state: str | None


def return_address(issuer: Issuer, client: ClientView, parameters: Parameters) -> ReturnAddress:
    """Prove the redirect address of a client; until then nothing is redirected."""
    uri = checks.prove_redirect_uri(client, parameters)
    requested = parameters.get("response_mode") or DEFAULT_MODE
    if requested not in client.response_modes:
        requested = DEFAULT_MODE  # the refusal is sent plain
    is_signed = requested in SIGNED_MODES
    mode = requested.removesuffix("jwt").removesuffix(".") or DEFAULT_MODE
    return ReturnAddress(issuer, client, uri, mode, is_signed, parameters.get("state"))


async def send(
    storage: Storage, back: ReturnAddress, fields: dict[str, str]
) -> ProtocolResponse | FormPost:
    """Send fields to the client with `state` and `iss` (RFC 9207), signed if it asked for that."""
    if back.state is not None:
        fields["state"] = back.state
    if back.is_signed:
        fields = {"response": await _sign(storage, back, fields)}
    else:
        fields["iss"] = back.issuer.url
    if back.mode == "form_post":
        return FormPost(back.uri, fields)
    if back.mode == "fragment":
        return redirect(f"{back.uri}#{urlencode(fields)}")
    return redirect(with_query(back.uri, fields))


async def _sign(storage: Storage, back: ReturnAddress, fields: Mapping[str, str]) -> str:
    """Write an answer as a JWT (JARM 2.1)."""
    keys = await storage.look_up(signer.keys)
    claims = {
        "iss": back.issuer.url,
        "aud": back.client.client_id,
        "exp": clock.timestamp() + SIGNED_SECONDS,
        **fields,
    }
    return keys.sign(claims, alg=back.client.authorization_signed_response_alg, typ=TYPE)


async def refuse(
    storage: Storage, back: ReturnAddress, error: OAuthError
) -> ProtocolResponse | FormPost:
    """Send a refusal to the client (RFC 6749 4.1.2.1)."""
    description = _DISALLOWED.sub("?", error.detail)
    return await send(storage, back, {"error": error.code, "error_description": description})


async def make_code(
    storage: Storage, asked: AskedParameters, validated: ValidatedRequest, approved: Approved
) -> str:
    """Make grant and code in one transaction, and return the code.

    A Problem when the request is answered already: there is nothing to send to the client then.
    """
    visitor = approved.visitor
    if visitor.is_exempt:
        await storage.in_session(
            exemptions.note_once,
            validated.issuer,
            visitor.user_id,
            approved.tenant_id,
            visitor.session_id,
        )
    code = random_token()
    values = code_grants.values(storage, validated, approved, code)
    if asked.row is None and asked.pushed_id is None:
        await storage.write(code_grants.GRANT, values)
        return code
    if asked.row is None:
        spent = {**values, "pushed_id": asked.pushed_id}
        if await storage.write_and_read(code_grants.GRANT_OF_PUSHED, spent) is not None:
            return code
    await storage.in_session(_grant_once, asked, validated, approved, values)
    return code


def _grant_once(
    session: Session,
    asked: AskedParameters,
    validated: ValidatedRequest,
    approved: Approved,
    values: Mapping[str, Any],
) -> None:
    """Answer a kept or pushed request, once, and remember what the person allowed."""
    client = _keep_stranger(session, validated.client)
    validated = replace(validated, client=client)
    settle(session, asked, validated, approved)
    if asked.pushed_id is not None:
        pushed.spend(session, asked.pushed_id)
    of_client = {"client_id": client.row_id, "session_client__client_id": client.row_id}
    code_grants.GRANT.run(session, {**values, **of_client})


def _keep_stranger(session: Session, client: ClientView) -> ClientView:
    """Write the row of a client that is known by its document: now there is something to keep.

    What it was allowed for another authentication ends.
    """
    if client.document is None:
        return client
    row = strangers.keep(session, client.document)
    if row is None:
        raise OAuthError(checks.UNKNOWN, code="invalid_client")
    if row.had_other_keys:
        revoke_client_grants(session, row.id, "other keys")
    return replace(client, row_id=row.id)


def settle(
    session: Session, asked: AskedParameters, validated: ValidatedRequest, approved: Approved
) -> None:
    """End the wait of a kept request, once, and remember what the person allowed."""
    if asked.row is not None and not _forget(session, asked.row):
        raise pending.no_longer_kept()
    # Of a stranger the person sees what they allowed, even where it is asked for anew each time.
    is_kept = approved.is_remembered or validated.client.is_stranger
    if is_kept and approved.consented is not None:
        consents.remember_consent(
            session,
            validated.client,
            approved.visitor.user_id,
            approved.tenant_id,
            sorted(approved.consented),
            set(validated.consent_scopes) - approved.consented,
            counts=approved.is_remembered,
        )


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
