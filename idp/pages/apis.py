"""The public page of a published API: documentation, versions and release notes."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response

from idp.directory.tenants import service as tenants
from idp.pages import language
from idp.platform.errors import NotFound
from idp.platform.throttle import Address
from idp.platform.web.views import current_issuer, current_runtime, database, remote_address
from idp.publishing import apis
from idp.publishing.gateway import breaking, outline
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.state import Published, Version
from idp.publishing.packages import service as packages

PER_MINUTE = 120
"""Pages for one network: each reads a description, which may be large."""

blueprint = Blueprint("apis", __name__)


@blueprint.get("/apis/<suffix>")
def show(suffix: str) -> Response:
    """Show what is published under a suffix, at the host of its tenant."""
    session = database()
    current_runtime().throttle.hit("api page", Address.of(remote_address()), PER_MINUTE, 60)
    state = publications.find_by_suffix(session, suffix)
    if state is None or not _is_shown_here(state):
        raise NotFound
    version = _requested_version(state)
    document = publications.document(session, version.aid, version.current.number)
    response = make_response(
        render_template(
            "pages/apis/show.html",
            state=state,
            version=version,
            outline=outline.of(document),
            changes=[
                breaking.in_words(entry, language.current().code)
                for entry in version.current.breaking
            ],
            releases=[release for release in reversed(version.releases) if release.notes],
            packages=packages.listing(session, state.api_id),
            api=apis.find(session, state.api_id, apis.open_to_all(current_issuer())),
        )
    )
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Language")
    return response


def _is_shown_here(state: Published) -> bool:
    tenant = tenants.get(database(), state.tenant_id)
    return tenant.is_enabled and tenant.issuer_tenant_id == current_issuer().tenant_id


def _requested_version(state: Published) -> Version:
    """Return the version that `api-version` names, as the gateway does; without it the original."""
    name = request.args.get("api-version", "")
    found = next((version for version in state.versions if version.name == name), None)
    if found is None:
        raise NotFound
    return found
