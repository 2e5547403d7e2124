"""The style sheet of a tenant's colours: custom properties, and nothing else."""

from __future__ import annotations

from hashlib import sha256

from flask import Blueprint, Response, url_for

from idp import colours
from idp.directory.branding import snapshot
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import Brand
from idp.platform.web.views import current_issuer, database

DIGITS = 12
CACHE = "public, max-age=31536000, immutable"

blueprint = Blueprint("theme", __name__)


def address(brand: Brand) -> str | None:
    """Return the address of a brand's style sheet; it changes with the content. None: no sheet."""
    if brand.accent is None:
        return None
    digest = _digest(stylesheet(brand))
    return url_for("theme.show", tenant_id=brand.tenant_id, digest=digest)


def stylesheet(brand: Brand) -> str:
    """Return the style sheet of a brand that has an accent colour."""
    return colours.stylesheet(brand.accent or "", brand.accent_dark)


@blueprint.get("/theme/<int:tenant_id>-<digest>.css")
def show(tenant_id: int, digest: str) -> Response:
    """Serve the colours of a tenant that signs in here.

    A page that was made before the last change gets the new colours, and keeps them for no later
    page.
    """
    brand = snapshot.of_tenant(database(), min(tenant_id, INT64_MAX))
    is_here = brand is not None and brand.issuer_tenant_id == current_issuer().tenant_id
    if brand is None or not is_here or brand.accent is None:
        raise NotFound
    content = stylesheet(brand)
    response = Response(content, mimetype="text/css")
    response.headers["Cache-Control"] = CACHE if _digest(content) == digest else "no-store"
    return response


def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:DIGITS]
