"""What a Flask view asks of the request under way: database session, issuer, origin."""

from __future__ import annotations

from flask import current_app, request
from sqlalchemy.orm import Session

from idp.platform.errors import BadRequest
from idp.platform.issuer import Issuer
from idp.platform.runtime import Runtime
from idp.platform.web import visit as visits


def current_visit() -> visits.Visit:
    """Return the request under way."""
    return visits.of(request.environ)


def database() -> Session:
    """Return the database session of this request; the view commits, the end rolls back."""
    return current_visit().session


def find_current_issuer() -> Issuer | None:
    """Return the issuer that this request came to; None where the host does not matter."""
    return current_visit().issuer


def current_issuer() -> Issuer:
    """Return the issuer that this request came to."""
    issuer = current_visit().issuer
    if issuer is None:
        message = "This host is not served here"
        raise BadRequest(message)
    return issuer


def current_runtime() -> Runtime:
    """Return the runtime of this process."""
    runtime: Runtime = current_app.extensions["idp"]
    return runtime


def remote_address() -> str | None:
    """Return the visitor's address, as the trusted proxies report it."""
    return current_visit().remote_addr
