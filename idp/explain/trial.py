"""The flow of a client as its relying party sees it, run for a person who administers it.

The console is the relying party: it begins with a state, a nonce and a proof key (RFC 7636), and
redeems the code at the very function behind the token endpoint. Nothing is kept here, and nothing
of a token or a secret reaches a log.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import orjson
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.directory.product import NO_AUTHENTICATION, SHARED_SECRET_METHODS
from idp.explain import presented
from idp.explain.results import PresentedToken, Refused
from idp.explain.service import refusal_of
from idp.oauth import callers, server
from idp.oauth.endpoints import token
from idp.oauth.request import Pairs, ProtocolRequest
from idp.platform import clock, runtime
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.onetime import service as onetime
from idp.platform.secrets import b64url, random_token
from idp.platform.storage import SessionStorage, complete
from idp.platform.web.authorization import Credential

TRIALS_PER_MINUTE = 20
BASIC = "client_secret_basic"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a sign-in was begun with; only the browser session that began it knows it."""

    state: str
    verifier: str
    nonce: str


@dataclass(frozen=True, slots=True)
class StandIn:
    """The console in place of a client, for a person who administers it."""

    issuer: Issuer
    client: ClientView
    user_id: int
    within: int | None
    """As in `presented.explain`: the one tenant whose clients may be explained; None: all."""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """The tokens that came of it, taken apart; `refused` instead where they were refused."""

    refused: Refused | None = None
    access_token: PresentedToken | None = None
    id_token: PresentedToken | None = None
    has_refresh_token: bool = False
    scope: str = ""
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The tokens themselves, for this one page."""


def find(session: Session, client_id: str, issuer: Issuer) -> ClientView | None:
    """Return a client as the protocol sees it; None where it is disabled or not served here."""
    return callers.known_now(session, issuer, client_id)


def takes_secret(client: ClientView) -> bool:
    """Return whether the client authenticates by a secret that a person can type."""
    return not client.auth_methods().isdisjoint(SHARED_SECRET_METHODS)


def can_authenticate(client: ClientView) -> bool:
    """Return whether the console can stand in for the client; it has no private key of it."""
    if client.dpop_bound_access_tokens:
        return False
    return takes_secret(client) or NO_AUTHENTICATION in client.auth_methods()


def begin() -> Trial:
    """Make the values of a new sign-in."""
    return Trial(random_token(), random_token(), random_token())


def authorization_url(
    issuer: Issuer,
    client: ClientView,
    trial: Trial,
    back: str,
    *,
    scopes: Sequence[str],
    prompt: str = "",
    tenant: str = "",
) -> str:
    """Return where the browser goes to sign in (RFC 6749 4.1.1, RFC 7636 4.3)."""
    values = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": back,
        "scope": " ".join(scopes),
        "state": trial.state,
        "nonce": trial.nonce,
        "code_challenge": b64url(hashlib.sha256(trial.verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "prompt": prompt,
        "tenant": tenant,
    }
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{issuer.url}/connect/authorize?{query}"


def claim_state(session: Session, trial: Trial, seconds: int) -> bool:
    """Return whether the state of a sign-in comes back for the first time."""
    expires_at = clock.now() + timedelta(seconds=seconds)
    return onetime.claim(session, "console trial", trial.state, expires_at)


def redeem(session: Session, stand_in: StandIn, begun: Trial, code: str, back: str) -> Issued:
    """Redeem a code as the client would."""
    pairs = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", back),
        ("code_verifier", begun.verifier),
    )
    return _ask(session, stand_in, pairs, nonce=begun.nonce)


def ask_for_itself(session: Session, stand_in: StandIn, scopes: Sequence[str]) -> Issued:
    """Ask for a token without a person, as the client would (RFC 6749 4.4)."""
    pairs = (("grant_type", "client_credentials"), ("scope", " ".join(scopes)))
    return _ask(session, stand_in, pairs)


def _ask(session: Session, stand_in: StandIn, pairs: Pairs, nonce: str | None = None) -> Issued:
    """Answer a token request; a refusal leaves the trace that it leaves at the endpoint."""
    caller = str(stand_in.user_id)
    runtime.of(session).throttle.hit("console trial", caller, TRIALS_PER_MINUTE, 60)
    request = _request(session, stand_in, pairs)
    try:
        response = complete(token.token(request, SessionStorage(session)))
    except OAuthError as problem:
        return Issued(refusal_of(problem))
    answer: Mapping[str, Any] = orjson.loads(response.body)
    raw = {name: answer[name] for name in ("access_token", "id_token") if name in answer}
    taken = {
        name: presented.explain(session, text, within=stand_in.within) for name, text in raw.items()
    }
    id_token = taken.get("id_token")
    if id_token is not None and id_token.claims.get("nonce") != nonce:
        # OpenID Connect Core 3.1.3.7: a token of another sign-in.
        return Issued(Refused("invalid_nonce", "The nonce of the ID token differs", "Nonce", None))
    return Issued(
        access_token=taken["access_token"],
        id_token=id_token,
        has_refresh_token="refresh_token" in answer,
        scope=str(answer.get("scope", "")),
        raw=raw,
    )


def _request(session: Session, stand_in: StandIn, pairs: Pairs) -> ProtocolRequest:
    authorization, own = _proof(stand_in.client, stand_in.secret)
    context = runtime.context_of(session)
    return ProtocolRequest(
        method="POST",
        path="/connect/token",
        issuer=stand_in.issuer,
        server=server.offer(),
        authorization=authorization,
        form=(*pairs, *own),
        remote_addr=context.remote_addr,
        request_id=context.request_id,
    )


def _proof(client: ClientView, secret: str) -> tuple[Credential | None, Pairs]:
    """Return the header and the parameters by which the client authenticates (RFC 6749 2.3.1)."""
    name = ("client_id", client.client_id)
    if not takes_secret(client):
        return None, (name,)
    if BASIC not in client.auth_methods():
        return None, (name, ("client_secret", secret))
    pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"
    return ("basic", base64.b64encode(pair.encode()).decode()), ()
