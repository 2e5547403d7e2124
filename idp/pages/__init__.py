"""What a person sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint

from idp.pages import apis, cancel, choose, consent, frame, qr, signout
from idp.pages.account import views as account
from idp.pages.forgot import service as forgot_service
from idp.pages.forgot import views as forgot
from idp.pages.register import views as register
from idp.pages.signin import views as signin
from idp.pages.subscribe import views as subscribe
from idp.platform.runtime import Runtime

JOBS: dict[str, Callable[[Runtime, Mapping[str, Any]], None]] = {
    forgot_service.JOB: forgot_service.send_link,
}
"""What the pages leave to the worker, by the name that the outbox keeps."""


def blueprints() -> list[Blueprint]:
    """List everything that answers pages."""
    return [
        frame.blueprint,
        signin.blueprint,
        choose.blueprint,
        consent.blueprint,
        cancel.blueprint,
        signout.blueprint,
        forgot.blueprint,
        register.blueprint,
        account.blueprint,
        apis.blueprint,
        qr.blueprint,
        subscribe.blueprint,
    ]


def exempt() -> list[Blueprint]:
    """List what takes posts without the token of a form: from devices, and from links in mails."""
    return [qr.devices, subscribe.links]
