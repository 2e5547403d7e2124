"""What becomes of the request of a device, once its person has answered the pages."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.oauth import refused_requests
from idp.oauth import visitor as visitors
from idp.oauth.authorization import answer as answers
from idp.oauth.authorization import checks, device, parameters
from idp.oauth.authorization.decide import NotAMemberError, ToPage, decide
from idp.oauth.authorization.parameters import AskedParameters
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import Interaction, ProtocolResponse, redirect
from idp.oauth.visitor import SignedIn
from idp.platform.errors import OAuthError
from idp.platform.storage import Storage

HOME = "/device"
"""The page that takes the code of a device."""
ALLOWED = "/device/allowed"
DENIED = "/device/denied"
REFUSED = "/device/refused"
"""Pages that follow: the device is signed in, the person refused, or they may not sign in."""


async def answer(
    request: ProtocolRequest, storage: Storage, asked: AskedParameters
) -> ProtocolResponse | Interaction:
    """Allow or refuse the request of a device, or name the page that the person must see first."""
    client, issuer = asked.client, request.issuer
    visitor = await visitors.find_signed_in(storage, issuer, request.session_cookie)
    given = parameters.answers(asked, visitor)
    if given is None or not (given.account_chosen or given.consented_scopes == ()):
        return redirect(HOME)  # somebody else compared the code, or nobody did
    try:
        validated = await checks.validate_of_device(storage, issuer, client, asked.parameters)
        approved = await decide(storage, validated, visitor, given)
    except ToPage as page:
        return Interaction(page.kind, asked.handle or "")
    except OAuthError as refusal:
        await answers.record_refusal(storage, asked, refusal)
        await storage.in_session(_deny, asked, visitor)
        await refused_requests.keep(storage, request, refusal, client)
        is_of_person = refusal.code == "access_denied" and not isinstance(refusal, NotAMemberError)
        return redirect(DENIED if is_of_person else REFUSED)
    await storage.in_session(_allow, asked, validated, approved)
    return redirect(ALLOWED)


def _deny(session: Session, asked: AskedParameters, visitor: SignedIn | None) -> None:
    if asked.device_id is not None:
        user_id = None if visitor is None else visitor.user_id
        device.deny(session, asked.device_id, asked.client.client_id, user_id)


def _allow(
    session: Session, asked: AskedParameters, validated: ValidatedRequest, approved: Approved
) -> None:
    """Make the grant and remember what the person allowed, in one transaction."""
    if asked.row is not None:
        answers.settle(session, asked, validated, approved)
        device.allow(session, asked.row, validated, approved)
