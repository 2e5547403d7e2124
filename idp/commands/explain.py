"""`idp explain`: why a token says what it says, and why a request was refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click
from sqlalchemy.orm import Session

from idp.api.admin.dialect import AdminShape
from idp.api.admin.explain import ExplanationShape, PresentedShape, RefusedRequestShape
from idp.commands import opening, output
from idp.commands.command import Command
from idp.commands.options import ID
from idp.commands.tokens import tenant_of
from idp.directory.clients import service as clients
from idp.directory.users import service as users
from idp.explain import presented, refusals, service
from idp.explain.results import Explanation, PresentedToken, Reason, RefusedRequest
from idp.explain.service import Question
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from idp.platform.errors import NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID

EXAMPLE = """\
idp explain --user ann --client shop --scope "openid orders.read"
idp explain --request 6b1f0c52a9d3e870
idp explain --token -"""

Result = Explanation | PresentedToken | RefusedRequest
_SHAPES: Mapping[type, AdminShape] = MappingProxyType(
    {
        Explanation: ExplanationShape(),
        PresentedToken: PresentedShape(),
        RefusedRequest: RefusedRequestShape(),
    }
)
"""JSON has the names of the operations."""


@click.command(cls=Command, example=EXAMPLE)
@click.option("--client", "client_id", help="Client that the token would be issued to.")
@click.option(
    "--user", "login", help="User name, e-mail or mobile number; none: the client itself."
)
@click.option("--scope", "scopes", multiple=True, help="Scope.")
@click.option("--resource", "resources", multiple=True, help="Resource (RFC 8707).")
@click.option("--permission", "permissions", multiple=True, help="Permission to explain anyway.")
@click.option("--tenant", "tenant_id", type=ID, help="Needed when the person has several.")
@click.option("--request", "request_id", help="Id of a refused request, in place of a client.")
@click.option(
    "--token", "source", type=click.Choice(["-"]), help="Read a token from standard input."
)
@output.json_option
def explain(  # noqa: PLR0913 - one argument for each option
    *,
    client_id: str | None,
    login: str | None,
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
    permissions: tuple[str, ...],
    tenant_id: int | None,
    request_id: str | None,
    source: str | None,
    as_json: bool,
) -> None:
    """Explain the token that a client would get, a token, or a refused request."""
    if [client_id, request_id, source].count(None) != 2:  # noqa: PLR2004 - of three
        raise click.UsageError("Name one of --client, --request and --token.")
    if client_id is None and (login or scopes or resources or permissions or tenant_id):
        raise click.UsageError("--request and --token take no further options but --json.")
    result: Result
    with opening.open_session() as session:
        if request_id is not None:
            result = refusals.explain(session, request_id, within=None)
        elif client_id is None:
            result = presented.explain(session, sys.stdin.read(MAX_TOKEN_LENGTH + 2), within=None)
        else:
            found_tenant, user_id = _find(session, client_id, login, tenant_id)
            question = Question(
                client_id,
                found_tenant,
                user_id,
                _names(scopes),
                _names(resources),
                _names(permissions),
            )
            result = service.explain(session, question, within=None)
    if as_json:
        output.show(_SHAPES[type(result)].dump(result), as_json=True)
        return
    for line in _written(result):
        print(line)


def _find(
    session: Session, client_id: str, login: str | None, tenant_id: int | None
) -> tuple[int, int | None]:
    """Return the tenant and the person."""
    if login is None:
        client = clients.get(session, client_id)
        return tenant_id or client.tenant_id or PLATFORM_TENANT_ID, None
    user = users.find_by_login(session, login)
    if user is None:
        raise NotFound(f"There is no user {login}.")
    return tenant_of(session, user.id, tenant_id), user.id


def _names(options: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for option in options for name in option.split()))


def _written(result: Result) -> Iterator[str]:
    if isinstance(result, RefusedRequest):
        return _request(result)
    return _token(result) if isinstance(result, PresentedToken) else _explanation(result)


def _request(result: RefusedRequest) -> Iterator[str]:
    yield from _fields(
        request=result.request_id, at=result.at, path=result.path, client=result.client_id
    )
    yield from _refusal(result)
    yield from _fields(reason=result.reason)


def _refusal(result: RefusedRequest | Explanation) -> Iterator[str]:
    refused = result.refused
    if refused is not None:
        yield from _fields(
            refused=refused.error,
            description=refused.description,
            check=refused.check,
            rule=refused.rule,
        )


def _token(result: PresentedToken) -> Iterator[str]:
    yield from _fields(kind=result.kind, active=result.is_active)
    for check in result.checks:
        yield from _fields(**{f"{check.name} {check.state}": check.text})
    yield from _claims("header", result.header)
    yield from _claims("claims", result.claims)
    yield from _fields(differences=list(result.differences))
    if result.now is not None:
        yield from ("", "Issued now:", *_explanation(result.now))


def _explanation(result: Explanation) -> Iterator[str]:
    yield from _fields(issuer=result.issuer, tenant=result.tenant_id, consent=result.consent)
    yield from _refusal(result)
    for name, content in (("access token", result.access_token), ("ID token", result.id_token)):
        if content is not None:
            yield from _fields(
                **{name: content.format},
                algorithm=content.algorithm,
                audience=list(content.audience),
                expires_in=content.expires_in,
            )
            yield from _claims("claims", content.claims)
    if result.has_refresh_token:
        yield "A refresh token is issued."
    yield from _lines(
        "scopes", [(line.name, line.is_granted, line.reasons) for line in result.scopes]
    )
    yield from _lines(
        "claims",
        [(f"{line.token} {line.name}", line.is_present, line.reasons) for line in result.claims],
    )
    yield from _lines(
        "roles", [(line.code, line.is_present, line.reasons) for line in result.roles]
    )
    yield from _lines(
        "permissions",
        [(line.code, line.is_present, line.reasons) for line in result.permissions],
    )
    if result.has_more_permissions:
        yield "Further permissions are missing; name one by --permission."


def _fields(**fields: Any) -> Iterator[str]:
    for name, value in fields.items():
        if value not in (None, [], ""):
            yield f"{name}: {output.text(value)}"


def _claims(head: str, claims: Any) -> Iterator[str]:
    if claims:
        yield f"{head}:"
        for name, value in sorted(claims.items()):
            yield f"  {output.text(name)}: {output.text(value)}"


def _lines(head: str, rows: Sequence[tuple[str, bool, Sequence[Reason]]]) -> Iterator[str]:
    """Write a line for each thing: `+` the token has it, `-` it has not."""
    if rows:
        yield f"why {head}:"
    for name, is_there, reasons in rows:
        mark = "+" if is_there else "-"
        yield f"  {mark} {output.text(name)}: {output.text(' '.join(r.text for r in reasons))}"
