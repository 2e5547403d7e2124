"""The blueprints of all pages."""

from __future__ import annotations

from flask import Blueprint

from idp.pages import apis, cancel, choose, consent, frame, qr, signout
from idp.pages.account import views as account
from idp.pages.console import blueprint as console
from idp.pages.forgot import views as forgot
from idp.pages.register import views as register
from idp.pages.signin import views as signin
from idp.pages.subscribe import views as subscribe


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
        console.blueprint(),
    ]


def exempt() -> list[Blueprint]:
    """List what takes posts without the token of a form: from devices, and from links in mails."""
    return [qr.devices, subscribe.links]
