"""Requesting an SDK: only generated, or generated and published to npm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import current_app
from flask_babel import gettext
from werkzeug.wrappers import Response

from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.pages.console import layout, refusals, screens
from idp.pages.console.gate import go
from idp.pages.console.sdks.forms import GenerateForm, ReleaseForm
from idp.pages.console.sdks.pages import acting, crumbs, get_api, pages
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import BadRequest, Problem
from idp.platform.throttle import Address
from idp.platform.translation import N_
from idp.platform.web.views import current_issuer, database, remote_address
from idp.publishing.codegen import options, source
from idp.publishing.codegen import service as codegen
from idp.publishing.codegen.models import NpmOptions, SdkJob
from idp.publishing.codegen.service import GenerationSpec, ReleaseSpec
from idp.publishing.descriptions import fetching
from idp.publishing.gateway import service as gateway

KINDS = ("client", "server")
FIELDS = {"generator": "generator", "swagger_url": "url", "options": "generator"}
"""Fields of the forms by the names that services give them."""


@pages.get("/<int:row_id>/generate", permission=Scope.CODEGEN_GEN)
def start(workspace: Workspace, row_id: int) -> Response:
    """Ask which generator reads which description."""
    api = get_api(workspace, row_id)
    return _show_generate(workspace, api, GenerateForm(url=_usual_source(api)))


@pages.post("/<int:row_id>/generate", permission=Scope.CODEGEN_GEN)
def generate(workspace: Workspace, row_id: int) -> Response:
    """Create a job that generates an SDK."""
    api, form = get_api(workspace, row_id), GenerateForm()
    form.generator.choices = [(form.generator.data or "", "")]
    if not form.validate():
        return _show_generate(workspace, api, form, 400)
    spec = GenerationSpec(form.generator.data or "", _url(form, api), str(row_id))

    def create() -> SdkJob:
        made = codegen.generate(database(), acting(workspace), spec, _fetcher(row_id, form))
        if not isinstance(made, SdkJob):
            raise BadRequest.at("generator", N_("Choose a generator of the list."))
        return made

    return _create(workspace, row_id, form, create, _show_generate)


@pages.get("/<int:row_id>/release", permission=Scope.CODEGEN_RELEASESDK)
def start_release(workspace: Workspace, row_id: int) -> Response:
    """Ask which package is released."""
    api = get_api(workspace, row_id)
    return _show_release(workspace, api, ReleaseForm(url=_usual_source(api)))


@pages.post("/<int:row_id>/release", permission=Scope.CODEGEN_RELEASESDK)
def release(workspace: Workspace, row_id: int) -> Response:
    """Create a job that generates the next version of an SDK and publishes it."""
    api, form = get_api(workspace, row_id), ReleaseForm()
    form.language.choices = _packages(row_id)
    if not form.validate():
        return _show_release(workspace, api, form, 400)
    spec = ReleaseSpec(form.language.data or "", str(row_id), _url(form, api))

    def create() -> SdkJob:
        return codegen.release(database(), acting(workspace), spec, _fetcher(row_id, form))

    return _create(workspace, row_id, form, create, _show_release)


def _create(
    workspace: Workspace,
    row_id: int,
    form: GenerateForm | ReleaseForm,
    create: Callable[[], SdkJob],
    show: Callable[[Workspace, ApiResource, Any, int], Response],
) -> Response:
    try:
        job = create()
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return show(workspace, get_api(workspace, row_id), form, problem.status)
    job_id = job.id
    database().commit()
    return go(workspace, "sdks.show_job", row_id=row_id, job_id=job_id)


def _fetcher(api_id: int, form: GenerateForm | ReleaseForm) -> codegen.Fetch:
    """Return how the description is read: without an address the published one is taken."""

    def fetch(url: str) -> dict[str, Any]:
        if (form.url.data or "").strip():
            own = current_app.extensions[fetching.EXTENSION]
            return source.fetch(database(), url, current_issuer().url, own)
        state = gateway.find(database(), api_id)
        if state is None:
            raise BadRequest.at("swagger_url", N_("Enter an address: this API is not published."))
        version = state.versions[0]
        return gateway.document(database(), version.aid, version.current.number)

    return fetch


def _url(form: GenerateForm | ReleaseForm, api: ApiResource) -> str:
    """Return where the description is said to come from."""
    return (form.url.data or "").strip() or f"api:{api.name}"


def _usual_source(api: ApiResource) -> str:
    """Return the address of the published description; empty: it was a file, or there is none."""
    state = gateway.find(database(), api.id)
    source_url = state.versions[0].current.source_url if state else ""
    return source_url if source_url.startswith(("http:", "https:")) else ""


def _packages(api_id: int) -> list[tuple[str, str]]:
    rows = options.targets_of(database(), [api_id])[api_id]
    return [
        (row.language, f"{row.name} ({row.language})")
        for row in rows
        if isinstance(row, NpmOptions)
    ]


def _show_generate(
    workspace: Workspace, api: ApiResource, form: GenerateForm, status: int = 200
) -> Response:
    try:
        sender = Address.of(remote_address())
        names = [
            generator.name
            for kind in KINDS
            for generator in codegen.list_generators(database(), kind, sender, refresh=False)
        ]
    except Problem as problem:
        names, status = [], problem.status
        form.refuse(problem.detail)
    form.generator.choices = [(name, name) for name in names]
    return layout.page(
        workspace,
        "sdks/generate.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, gettext("Generate an SDK")),
        status=status,
        api=api,
        form=form,
        names=names,
    )


def _show_release(
    workspace: Workspace, api: ApiResource, form: ReleaseForm, status: int = 200
) -> Response:
    form.language.choices = _packages(api.id)
    return layout.page(
        workspace,
        "sdks/release.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, gettext("Release an SDK")),
        status=status,
        api=api,
        form=form,
    )
