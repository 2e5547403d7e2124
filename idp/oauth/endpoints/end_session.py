"""Logout started by a client (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import delete
from sqlalchemy.orm import Session

from idp.claims.subject import subject_id
from idp.directory.clients.snapshot import ClientView
from idp.oauth import callers, pending
from idp.oauth.id_tokens import read_id_token
from idp.oauth.models import AuthorizationRequest
from idp.oauth.request import Parameters, ProtocolRequest
from idp.oauth.response import Interaction, ProtocolResponse, redirect, with_query
from idp.oauth.sign_out import sign_out
from idp.oauth.visitor import Visitor
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.signing import signer
from idp.platform.translation import N_

SIGNED_OUT_PAGE = "/signed-out"


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The session has ended: forget the cookie and go on."""

    location: str


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A validated logout request."""

    client: ClientView | None
    hint: dict[str, Any] | None
    """Claims of the ID token, when one was sent."""
    location: str
    """Where the browser goes afterwards."""

    def is_about(self, visitor: Visitor) -> bool:
        """Whether the hint proves that the client means this very session."""
        if self.hint is None:
            return False
        sid = self.hint.get("sid")
        if sid is not None:
            return bool(sid == visitor.browser.sid)
        if self.client is None:
            return False
        return bool(self.hint["sub"] == subject_id(self.client, visitor.user.id))


def end_session(
    request: ProtocolRequest, session: Session, visitor: Visitor | None
) -> ProtocolResponse | Interaction | SignedOut:
    """Sign the person out, after asking unless an ID token of this very session was shown."""
    if request.method == "POST":
        validate(session, request.issuer, request.body)
        handle = _keep(request, session, request.body)
        session.commit()
        return redirect(f"{request.path}?{urlencode({pending.CONTINUE: handle})}")
    parameters = request.either
    handle_given = parameters.get(pending.CONTINUE)
    row: AuthorizationRequest | None = None
    if handle_given is not None:
        row = pending.get(session, request.issuer, "endsession", handle_given)
        parameters = Parameters(pending.parameters_of(session, row))
    validated = validate(session, request.issuer, parameters)
    if visitor is not None and not validated.is_about(visitor):
        handle = handle_given or _keep(request, session, parameters)
        session.commit()
        return Interaction("logout", handle)
    if visitor is not None:
        sign_out(session, visitor)
    if row is not None:
        session.execute(delete(AuthorizationRequest).where(AuthorizationRequest.id == row.id))
    session.commit()
    return SignedOut(validated.location)


def _keep(request: ProtocolRequest, session: Session, parameters: Parameters) -> str:
    return pending.store(
        session, request.issuer, "endsession", parameters.pairs, request.remote_addr
    )


def validate(session: Session, issuer: Issuer, parameters: Parameters) -> LogoutRequest:
    """Check hint, client and return address; a Problem is shown to the person."""
    hint = _read_hint(session, issuer, parameters)
    client_id = parameters.get("client_id")
    if hint is not None:
        if client_id not in {None, hint["aud"]}:
            message = N_("client_id differs from the audience of id_token_hint")
            raise OAuthError(message)
        client_id = str(hint["aud"])
    client = None if client_id is None else callers.known_now(session, issuer, client_id)
    return LogoutRequest(client, hint, _location(client, parameters))


def _read_hint(session: Session, issuer: Issuer, parameters: Parameters) -> dict[str, Any] | None:
    """Check the ID token; it may have expired (RP-Initiated Logout 2)."""
    text = parameters.get("id_token_hint")
    if text is None:
        return None
    claims = read_id_token(signer.keys(session), issuer, text)
    if claims is None:
        message = N_("id_token_hint is not an ID token of this issuer")
        raise OAuthError(message)
    return claims


def _location(client: ClientView | None, parameters: Parameters) -> str:
    uri = parameters.get("post_logout_redirect_uri")
    if uri is None:
        return SIGNED_OUT_PAGE
    if client is None:
        # Without a known client nothing vouches for the address: it is not followed.
        return SIGNED_OUT_PAGE
    if uri not in client.post_logout_redirect_uris:
        message = N_(
            "The application's return address isn't registered. Tell the people who run it."
        )
        raise OAuthError(message, code="invalid_post_logout_redirect_uri")
    state = parameters.get("state")
    return uri if state is None else with_query(uri, {"state": state})
