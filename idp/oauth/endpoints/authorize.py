"""The authorization endpoint (RFC 6749 3.1, OpenID Connect Core 3.1.2).

What it does stands in `oauth.authorization`: the parameters are read and checked, it is decided
whether a page must be shown, and the answer is made and sent.
"""

from __future__ import annotations

from urllib.parse import urlencode

from idp.oauth import pending, refused_requests
from idp.oauth import visitor as visitors
from idp.oauth.authorization import answer, checks, code_grants, device_answer, parameters
from idp.oauth.authorization.answer import ReturnAddress
from idp.oauth.authorization.decide import ToPage, decide
from idp.oauth.authorization.parameters import AskedParameters
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
    if request.method != "GET" or any(name == pending.CONTINUE for name, _ in request.query):
        return None
    try:
        asked = await parameters.read(request, storage)
        back = answer.return_address(request.issuer, asked.client, asked.parameters)
        if back.mode == "form_post":
            return None
        found = await _answer(request, storage, asked, back)
    except Unavailable:
        raise
    except Problem:
        return None
    if isinstance(found, Interaction):
        return redirect(found.location)
    return None if isinstance(found, FormPost) else found


async def authorize(request: ProtocolRequest, storage: Storage) -> Answer:
    """Answer an authorization request with a code, a refusal, or a page to show first.

    A Problem that leaves here is shown to the person: the client is not proven, or the request
    was answered before.
    """
    asked = await parameters.read(request, storage)
    if asked.device_id is not None:
        return await device_answer.answer(request, storage, asked)
    back = answer.return_address(request.issuer, asked.client, asked.parameters)
    if request.method == "POST":
        # By a GET the cookie of a cross-site form counts (SameSite=Lax).
        handle = await parameters.keep(request, storage, asked)
        return redirect(f"{request.path}?{urlencode({pending.CONTINUE: handle})}")
    return await _answer(request, storage, asked, back)


async def _answer(
    request: ProtocolRequest, storage: Storage, asked: AskedParameters, back: ReturnAddress
) -> Answer:
    client, issuer, cookie = asked.client, request.issuer, request.session_cookie
    try:
        is_pushed = asked.pushed_id is not None
        checks.check_source(client, is_pushed=is_pushed, is_signed=asked.is_signed)
        validated = await checks.validate(storage, issuer, client, back.uri, asked.parameters)
        if asked.row is None:
            code = await code_grants.grant_at_once(storage, validated, cookie, asked.pushed_id)
            if code is not None:
                return await answer.send(storage, back, {"code": code})
        visitor = await visitors.find_signed_in(storage, issuer, cookie)
        approved = await decide(storage, validated, visitor, parameters.answers(asked, visitor))
    except ToPage as page:
        if "none" not in read_prompt(asked.parameters):
            return Interaction(page.kind, await parameters.keep(request, storage, asked))
        error = page.unanswerable()
    except OAuthError as refusal:
        error = refusal
        await answer.record_refusal(storage, asked, error)
    else:
        code = await answer.make_code(storage, asked, validated, approved)
        return await answer.send(storage, back, {"code": code})
    await refused_requests.keep(storage, request, error, client)
    return await answer.refuse(storage, back, error)
