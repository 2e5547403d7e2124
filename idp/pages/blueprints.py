"""The blueprints of all pages."""

from __future__ import annotations

from flask import Blueprint

from idp.pages import (
    apis,
    cancel,
    choose,
    consent,
    device_code,
    layout,
    qr,
    signout,
    theme,
    wellknown,
)
from idp.pages.account import activity, devices, security
from idp.pages.account import views as account
from idp.pages.console import blueprint as console
from idp.pages.forgot import views as forgot
from idp.pages.register import views as register
from idp.pages.signin import passkeys, steps, verify
from idp.pages.signin import views as signin
from idp.pages.subscribe import views as subscribe


def blueprints() -> list[Blueprint]:
    """List the blueprints of the pages."""
    return [
        layout.blueprint,
        theme.blueprint,
        signin.blueprint,
        steps.blueprint,
        passkeys.blueprint,
        verify.blueprint,
        choose.blueprint,
        consent.blueprint,
        cancel.blueprint,
        signout.blueprint,
        forgot.blueprint,
        register.blueprint,
        account.blueprint,
        security.blueprint,
        devices.blueprint,
        activity.blueprint,
        apis.blueprint,
        qr.blueprint,
        device_code.blueprint,
        subscribe.blueprint,
        console.blueprint(),
        wellknown.blueprint,
    ]


def exempt() -> list[Blueprint]:
    """List the blueprints exempt from form tokens: for devices, and for links in mails."""
    return [qr.devices, subscribe.links]
