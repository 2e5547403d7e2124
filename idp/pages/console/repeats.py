"""Forms that are carried out once, however often they are sent: each has an id of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from flask import redirect, request
from werkzeug.wrappers import Response

from idp.pages.console import once
from idp.pages.console.workspaces import Workspace
from idp.pages.once import SECONDS
from idp.platform import clock
from idp.platform.errors import BadRequest
from idp.platform.idempotency import service as idempotency
from idp.platform.idempotency.service import Answer, Attempt
from idp.platform.secrets import random_token
from idp.platform.translation import N_
from idp.platform.web import csrf
from idp.platform.web.views import database

FIELD = "form_id"
LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Sending:
    """A form that is carried out now; one without an id is carried out each time."""

    claim_id: int | None

    def keep(self, response: Response, target: str = "", secret: str = "") -> Response:
        """Keep where the form leads, and the secret of its page, in the transaction of the work."""
        if self.claim_id is not None:
            until = clock.now().timestamp() + SECONDS
            body = json.dumps([target, secret, until]) if secret else ""
            answer = Answer(response.status_code, {"Location": response.location or ""}, body)
            idempotency.keep(database(), self.claim_id, answer)
        return response

    def release(self) -> None:
        """Release the claim after a refusal that follows a commit; the form may be sent again."""
        if self.claim_id is not None:
            idempotency.release(database(), self.claim_id)
            database().commit()


def new_id() -> str:
    """Make the id of a form on the page under way."""
    return random_token(16)


def begin(workspace: Workspace) -> Sending | Response:
    """Begin what a form asks for; of one that was carried out, return the answer that it had.

    The claim belongs to the transaction that does the work: a repetition that comes meanwhile
    waits for it, and a refusal leaves nothing. The same page sent with other values is another
    form: people go back, correct something and send it again.
    """
    form_id = request.form.get(FIELD)
    if not form_id:
        return Sending(None)
    if len(form_id) > LONGEST_ID:
        raise BadRequest.at(FIELD, N_("This form was not accepted"))
    found = idempotency.claim_with_work(database(), _attempt(workspace, form_id))
    if isinstance(found, int):
        return Sending(found)
    if found.body:
        _show_again(workspace, *json.loads(found.body))
    return redirect(found.headers["Location"], found.status)


def _attempt(workspace: Workspace, form_id: str) -> Attempt:
    values = [pair for pair in request.form.items(multi=True) if pair[0] != csrf.FIELD]
    content = json.dumps([request.path, sorted(values)]).encode()
    return Attempt(
        caller=f"console {workspace.visitor.user.id}",
        operation=str(request.endpoint),
        key=f"{form_id} {hashlib.sha256(content).hexdigest()}",
        content=content,
    )


def _show_again(workspace: Workspace, target: str, secret: str, until: float) -> None:
    """Show the secret on the page that comes next: the browser may have dropped the first one."""
    if until > clock.now().timestamp():
        once.keep(workspace, target, secret)
