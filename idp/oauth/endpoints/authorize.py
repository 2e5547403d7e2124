"""The authorization endpoint (RFC 6749 3.1, OpenID Connect Core 3.1.2).

What it does stands in `oauth.authorization`: the parameters are read and checked, it is decided
whether a page must be shown, and the answer is made and sent.
"""

from __future__ import annotations

from urllib.parse import urlencode

from idp.oauth import pending, refused_requests
from idp.oauth import visitor as visitors
from idp.oauth.authorization import answer, checks, code_grants, parameters
from idp.oauth.authorization.answer import ReturnAddress
from idp.oauth.authorization.decide import ToPage, decide
from idp.oauth.authorization.parameters import AskedParameters
from idp.oauth.authorization.validated import ValidatedRequest
from idp.oauth.checks.prompt import read_prompt
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import FormPost, Interaction, ProtocolResponse, redirect
from idp.platform.errors import OAuthError, Problem, Unavailable
from idp.platform.storage import Storage

Answer = ProtocolResponse | Interaction | FormPost


async def authorize_without_page(
    request: ProtocolRequest, storage: Storage
) -> ProtocolResponse | None:
    """Answer a request for which nothing must be rendered; None: `authorize` behind a page does.

    Nothing was written when it returns None.
    """
    pairs = dict(request.query)
    if request.method != "GET" or pairs.get("response_mode") == "form_post" or "request" in pairs:
        return None
    if pending.CONTINUE in pairs:
        return None
    try:
        found = await authorize(request, storage)
    except Unavailable:
        raise
    except Problem:
        return None
    if isinstance(found, Interaction):
        return redirect(found.location)
    return None if isinstance(found, FormPost) else found


async def authorize(request: ProtocolRequest, storage: Storage) -> Answer:
    """Answer an authorization request with a code, a refusal, or a page to show first.

    A Problem that leaves here is shown to the person: the client is not proven.
    """
    asked = await parameters.read(request, storage)
    client_id = asked.parameters.require("client_id")
    client = await checks.prove_client(storage, request.issuer, client_id)
    back = answer.return_address(request.issuer, client, asked.parameters)
    if request.method == "POST":
        return await _continue_by_get(request, storage, asked)
    try:
        validated = await checks.validate(
            storage, request.issuer, client, back.uri, asked.parameters
        )
        return await _answer(request, storage, asked, validated, back)
    except ToPage as page:
        if "none" not in read_prompt(asked.parameters):
            return Interaction(page.kind, await parameters.keep(request, storage, asked))
        error = page.unanswerable()
    except OAuthError as refusal:
        error = refusal
        await answer.record_refusal(storage, asked, error)
    await refused_requests.keep(storage, request, error, client)
    return back.refuse(error)


async def _continue_by_get(
    request: ProtocolRequest, storage: Storage, asked: AskedParameters
) -> ProtocolResponse:
    """Turn a POST into a GET, so that the cookie of a cross-site form counts (SameSite=Lax)."""
    handle = await parameters.keep(request, storage, asked)
    return redirect(f"{request.path}?{urlencode({pending.CONTINUE: handle})}")


async def _answer(
    request: ProtocolRequest,
    storage: Storage,
    asked: AskedParameters,
    validated: ValidatedRequest,
    back: ReturnAddress,
) -> ProtocolResponse | FormPost:
    """Make a code for the person who is signed in, unless a page is needed first."""
    if asked.row is None:
        code = await code_grants.grant_at_once(storage, validated, request.session_cookie)
        if code is not None:
            return back.send({"code": code})
    visitor = await visitors.find_signed_in(storage, request.issuer, request.session_cookie)
    approved = await decide(storage, validated, visitor, parameters.answers(asked, visitor))
    return back.send({"code": await answer.make_code(storage, asked, validated, approved)})
