"""Where SDKs of an API are published: options of npm for each language, and one Git repository."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.integers import INT64_MAX
from idp.platform.secrets import MASK, UnknownKeyError
from idp.platform.translation import N_
from idp.publishing.codegen.models import GithubOptions, NpmOptions
from idp.publishing.packages import service as packages

PURPOSE = "publish token"
NPM_NAME = re.compile(r"\A(?:@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*\Z")
"""Without a hyphen at the beginning, which npm allows: programs would read it as an option."""
SDK_NAME = re.compile(r"\A[A-Za-z][A-Za-z0-9 ._-]*\Z")
VERSION = re.compile(r"\A(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}\Z")
HOMEPAGE = re.compile(r"\Ahttps?://[!-~]+\Z")
USER_AGENT = re.compile(r"\A[ -~]+\Z")
USUAL_USER_AGENT = "Awesome-Game5.0-App"
PART = re.compile(r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]+\Z")
"""Owner or name of a repository."""
TOKEN = re.compile(r"\A[!-~]+\Z")

Row = TypeVar("Row", NpmOptions, GithubOptions)


@dataclass(frozen=True, slots=True)
class NpmContent:
    """Options of npm; without a token the stored one is kept."""

    name: str
    sdk_name: str
    version: str
    homepage: str
    token: str | None
    author: str | None = None
    keywords: Sequence[str] = ()
    description: str | None = None
    license: str = "Unlicense"
    readme: str | None = None


@dataclass(frozen=True, slots=True)
class GithubContent:
    """Options of the repository; without a token the stored one is kept."""

    user_agent: str
    owner: str | None = None
    repo: str | None = None
    token: str | None = None
    swagger_url: str | None = None
    sync_labels: bool = True
    sync_docs: bool = True


def in_reach(actor: Actor) -> ColumnElement[bool]:
    """Return in SQL for which APIs the actor may generate SDKs.

    For a machine: those of its client's tenant; for one of the platform: all.
    """
    if actor.user_id is not None:
        return resources.in_reach(actor)
    tenant_id = actor.client_tenant_id
    return true() if tenant_id is None else ApiResource.tenant_id == tenant_id


def get_api(session: Session, actor: Actor, api_id: str) -> ApiResource:
    """Return an API for which the actor may generate SDKs, by its id as text."""
    number = int(api_id) if api_id.isascii() and api_id.isdigit() and len(api_id) < 20 else 0  # noqa: PLR2004 - digits of the largest id
    api = None
    if 0 < number <= INT64_MAX:
        api = session.scalar(select(ApiResource).where(ApiResource.id == number, in_reach(actor)))
    if api is None:
        raise NotFound
    return api


class NoNpmOptions(NotFound):
    """There are no npm options of an API in a language."""


class NoGithubOptions(NotFound):
    """An API has no repository."""


def find_npm(session: Session, api_id: int, language: str) -> NpmOptions | None:
    """Find the options of npm for an API in a language."""
    return session.scalar(
        select(NpmOptions)
        .where(NpmOptions.api_resource_id == api_id, NpmOptions.language == language)
        .execution_options(populate_existing=True)
    )


def find_github(session: Session, api_id: int) -> GithubOptions | None:
    """Find the repository of an API."""
    return session.scalar(
        select(GithubOptions)
        .where(GithubOptions.api_resource_id == api_id)
        .execution_options(populate_existing=True)
    )


def get_npm(session: Session, api: ApiResource, language: str) -> NpmOptions:
    """Return the npm options of an API in a language; NoNpmOptions where there are none."""
    row = find_npm(session, api.id, language)
    if row is None:
        raise NoNpmOptions
    return row


def get_github(session: Session, api: ApiResource) -> GithubOptions:
    """Return the repository of an API; NoGithubOptions where it has none."""
    row = find_github(session, api.id)
    if row is None:
        raise NoGithubOptions
    return row


def write_npm(session: Session, api: ApiResource, language: str, content: NpmContent) -> None:
    """Replace the npm options."""
    _check(content, {"name": NPM_NAME, "sdk_name": SDK_NAME, "version": VERSION})
    _check(content, {"homepage": HOMEPAGE, "token": TOKEN})
    # A published package is added to the packages of the API under this name.
    packages.check_name(content.name)
    row, what = find_npm(session, api.id, language), f"npm.{language}"
    before = _state(row, what)
    is_new = row is None
    if row is None:
        row = NpmOptions(api_resource_id=api.id, language=language)
    values = _values(content)
    values["keywords"] = list(content.keywords)
    _write(session, row, values, content.token)
    if row.token_encrypted is None:
        raise BadRequest.at("token", N_("Required by the registry."))
    _save(session, row, is_new=is_new)
    _record(session, api, before, _state(row, what))


def write_github(session: Session, api: ApiResource, content: GithubContent) -> None:
    """Replace the repository of an API."""
    _check(content, {"user_agent": USER_AGENT, "owner": PART, "repo": PART, "token": TOKEN})
    row = find_github(session, api.id)
    before = _state(row, "github")
    is_new = row is None
    if row is None:
        row = GithubOptions(api_resource_id=api.id)
    if bool(content.owner) != bool(content.repo):
        raise BadRequest.at("repo", N_("Owner and name must be set together."))
    _write(session, row, _values(content), content.token)
    _save(session, row, is_new=is_new)
    _record(session, api, before, _state(row, "github"))


def targets_of(
    session: Session, api_ids: Collection[int]
) -> dict[int, list[NpmOptions | GithubOptions]]:
    """Return where SDKs of several APIs are published, by API."""
    found: dict[int, list[NpmOptions | GithubOptions]] = {api_id: [] for api_id in api_ids}
    packages_to = select(NpmOptions).where(NpmOptions.api_resource_id.in_(api_ids))
    for row in session.scalars(packages_to.order_by(NpmOptions.language)):
        found[row.api_resource_id].append(row)
    for repository in session.scalars(
        select(GithubOptions).where(GithubOptions.api_resource_id.in_(api_ids))
    ):
        found[repository.api_resource_id].append(repository)
    return found


def raise_version(session: Session, row: NpmOptions) -> str:
    """Increment the last part of the version; each number is released once."""
    major, minor, patch = row.version.split(".")
    version = f"{major}.{minor}.{int(patch) + 1}"
    raised = update(NpmOptions).where(NpmOptions.id == row.id, NpmOptions.version == row.version)
    if not count_hits(session, raised.values(version=version)):
        raise Conflict(N_("Another release was requested at the same time; try again."))
    return version


def token_of(session: Session, row: NpmOptions | GithubOptions) -> str | None:
    """Return the token in clear text, for publishing."""
    if row.token_encrypted is None:
        return None
    try:
        return runtime.of(session).keyring.decrypt(PURPOSE, row.token_encrypted).decode()
    except UnknownKeyError:
        raise Unprocessable(N_("The token can no longer be decrypted; store it again.")) from None


def rewrap(session: Session) -> int:
    """Encrypt the tokens again under the current root secret; return how many."""
    keyring = runtime.of(session).keyring
    rows: list[NpmOptions | GithubOptions] = [
        *session.scalars(select(NpmOptions)),
        *session.scalars(select(GithubOptions).where(GithubOptions.token_encrypted.is_not(None))),
    ]
    old = [row for row in rows if not keyring.is_current(row.token_encrypted or "")]
    for row in old:
        clear = keyring.decrypt(PURPOSE, row.token_encrypted or "")
        row.token_encrypted = keyring.encrypt(PURPOSE, clear)
    session.flush()
    return len(old)


def drop_unreadable(session: Session) -> list[str]:
    """Remove the tokens that no root secret opens; return the names of their APIs.

    Options of npm are not stored without a token, so they are removed as a whole.
    """
    keyring = runtime.of(session).keyring
    rows: list[NpmOptions | GithubOptions] = [
        *session.scalars(select(NpmOptions)),
        *session.scalars(select(GithubOptions).where(GithubOptions.token_encrypted.is_not(None))),
    ]
    lost = [row for row in rows if not keyring.opens(PURPOSE, row.token_encrypted or "")]
    for row in lost:
        if isinstance(row, GithubOptions):
            row.token_encrypted = None
        else:
            session.delete(row)
    session.flush()
    api_ids = {row.api_resource_id for row in lost}
    query = select(ApiResource.name).where(ApiResource.id.in_(api_ids)).order_by(ApiResource.name)
    return list(session.scalars(query))


def _check(content: NpmContent | GithubContent, patterns: Mapping[str, re.Pattern[str]]) -> None:
    """Refuse values that do not have the form that the registry or the server expects."""
    for name, pattern in patterns.items():
        value = getattr(content, name)
        if value is not None and value != MASK and not pattern.fullmatch(value):
            raise BadRequest.at(name, N_("This does not have the expected form."))


def _values(content: NpmContent | GithubContent) -> dict[str, Any]:
    return {name: getattr(content, name) for name in content.__slots__ if name != "token"}


def _write(
    session: Session, row: NpmOptions | GithubOptions, values: dict[str, Any], token: str | None
) -> None:
    """Set the values; a masked token changes nothing."""
    for name, value in values.items():
        setattr(row, name, value)
    row.test_asked_at = row.tested_at = row.test_error = None
    if token is not None and token != MASK:
        row.token_encrypted = runtime.of(session).keyring.encrypt(PURPOSE, token.encode())


def _save(session: Session, row: Row, *, is_new: bool) -> None:
    try:
        with session.begin_nested():
            if is_new:
                session.add(row)
            session.flush()
    except IntegrityError:
        raise Conflict(N_("These options were changed at the same time; try again.")) from None


def _state(row: NpmOptions | GithubOptions | None, what: str) -> State:
    """Return what the audit log compares of options; they are of one API, so `what` names them."""
    if row is None:
        return {}
    shape = NpmContent if isinstance(row, NpmOptions) else GithubContent
    names = [name for name in shape.__slots__ if name != "token"]
    state = {f"{what}.{name}": getattr(row, name) for name in names}
    return state | {f"{what}.token": row.token_encrypted}


def _record(session: Session, api: ApiResource, before: State, after: State) -> None:
    if before != after:
        target, private = f"api:{api.name}", [name for name in after if name.endswith(".token")]
        audit.record_change(
            session,
            Tag.SDK_OPTIONS_CHANGED,
            target,
            before,
            after,
            private=private,
            tenant_id=api.tenant_id,
        )
