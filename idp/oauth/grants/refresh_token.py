"""A refresh token is exchanged for a fresh access token (RFC 6749 6), and rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth import access_tokens, refresh_rules, refresh_tokens
from idp.oauth.checks import resource
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.dpop import once
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.grants import GrantRequest, GrantType, issuing
from idp.oauth.refresh_rules import Outcome
from idp.oauth.refresh_tokens import Presented
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import InvalidGrant, OAuthError
from idp.platform.metrics.declarations import REPLAYS


async def answer(token_request: GrantRequest) -> Mapping[str, Any]:
    """Exchange a refresh token for new tokens; a late second use ends the grant."""
    at_once = await _rotate_at_once(token_request)
    if at_once is not None:
        return at_once
    storage, client, parameters = (
        token_request.storage,
        token_request.client,
        token_request.parameters,
    )
    found = await refresh_tokens.find(storage, parameters.require("refresh_token"))
    if found is None:
        raise InvalidGrant(debug="unknown refresh token")
    token, grant, standing = found
    if grant.client_id != client.row_id:
        raise InvalidGrant(debug="refresh token of another client")
    if grant.issuer_tenant_id != token_request.request.issuer.tenant_id:
        raise InvalidGrant(debug="refresh token of another issuer")
    outcome = token.decide(client)
    if outcome in {Outcome.EXPIRED, Outcome.UNKNOWN}:
        raise InvalidGrant(debug=f"refresh token {outcome.name.lower()}")
    if not refresh_rules.is_held(token.family, token_request.holder):
        raise InvalidGrant("The refresh token is bound to another key")
    if standing is None:
        raise InvalidGrant(debug="grant ended")
    granted = scopes.retain(client, token.family.scopes)
    if not granted.names:
        raise InvalidGrant(debug="no scope left")
    narrowed = await _narrow(client, granted, token_request, grant)

    issued = await issuing.issue(token_request, standing, granted, narrowed, nonce=None)
    return issued.answer(await _rotate(token_request, token, outcome, standing))


async def _rotate_at_once(token_request: GrantRequest) -> Mapping[str, Any] | None:
    """Refresh by one statement where the request narrows nothing; None: nothing was done.

    The token is rotated before tokens are signed. Should that fail, a retry gets its successor.
    """
    client, parameters = token_request.client, token_request.parameters
    text = parameters.require("refresh_token")
    if parameters.get("scope") is not None or parameters.all("resource"):
        return None
    if token_request.holder.jkt is None and client.may_need_proof:
        return None  # before anything is written it must be known which APIs the token is for
    event = issuing.event(token_request, Tag.TOKEN_REFRESHED)
    rotated = await refresh_tokens.rotate_standing(
        token_request.storage,
        token_request.request.issuer,
        client,
        text,
        event,
        holder=token_request.holder,
        proof=token_request.proof,
    )
    if rotated is None:
        return None
    successor, names, standing = rotated
    granted = scopes.retain(client, names)
    issued = await issuing.issue(token_request, standing, granted, granted, nonce=None)
    return issued.answer(successor)


async def _narrow(
    client: ClientView, granted: ValidatedScopes, token_request: GrantRequest, grant: HeldGrant
) -> ValidatedScopes:
    """Apply `scope` and `resource` of the request; neither can add anything (RFC 6749 6).

    What was granted and was taken from the client since is left out; the answer's `scope` says so.
    """
    text = token_request.parameters.get("scope")
    if text is not None:
        requested = await scopes.recognize(token_request.storage, client, scopes.split(text))
        if not set(requested) <= set(grant.scopes):
            message = "scope exceeds what was granted"
            raise OAuthError(message, code="invalid_scope")
        granted = scopes.validate(client, [name for name in requested if name in granted.names])
    resources, issuer = resource.read(token_request.parameters), token_request.request.issuer.url
    return resource.narrow(granted, resources, issuer, within=grant.resources)


async def _rotate(
    token_request: GrantRequest, token: Presented, outcome: Outcome, standing: StandingGrant
) -> str:
    """Record the refresh and return the refresh token to use from now on."""
    storage, client, proof = token_request.storage, token_request.client, token_request.proof
    event = issuing.trail(token_request, standing, Tag.TOKEN_REFRESHED)
    if outcome is Outcome.KEEP:
        if proof is not None:
            await once.spend(storage, proof)
        await storage.in_session(_keep, client, token, event)
        return token.token.text
    if outcome is Outcome.ROTATE:
        successor = await refresh_tokens.rotate(storage, client, token, event, proof)
        if successor is not None:
            return successor
        # Another request was faster, a moment ago.
        again = await refresh_tokens.find(storage, token.token.text)
        if again is not None:
            token = again[0]
            outcome = token.decide(client)
    if outcome is Outcome.REPEAT:
        if proof is not None:
            await once.spend(storage, proof)
        successor = await storage.in_session(_repeat, token, event)
        if successor is not None:
            return successor
    if outcome is not Outcome.REPLAYED:
        raise InvalidGrant(debug=f"refresh token {outcome.name.lower()}")
    await storage.in_session(_end_replayed, standing.grant, client.client_id)
    raise InvalidGrant(debug="refresh token reused")


def _keep(session: Session, client: ClientView, token: Presented, event: Mapping[str, Any]) -> None:
    refresh_tokens.slide(session, client, token)
    audit.add(session, event)


def _repeat(session: Session, token: Presented, event: Mapping[str, Any]) -> str | None:
    successor = refresh_tokens.find_successor(session, token)
    if successor is not None:
        audit.add(session, event)
    return successor


def _end_replayed(session: Session, grant: HeldGrant, client_id: str) -> None:
    """End a grant whose refresh token came back late (RFC 9700 4.14.2): it was stolen."""
    runtime.of(session).counts.add(REPLAYS, "refresh")
    access_tokens.revoke_grant(session, grant.id, "refresh token reused")
    audit.record(
        session,
        Tag.REFRESH_REUSED,
        user_id=grant.user_id,
        client_id=client_id,
        tenant_id=grant.tenant_id,
        target=f"grant:{grant.id}",
    )


GRANT = GrantType("refresh_token", frozenset({"refresh_token", "scope", "resource"}), answer)
