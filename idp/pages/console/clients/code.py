"""A client as a command and as a request."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from idp.directory.clients import fields
from idp.directory.clients.models import Client
from idp.pages.console import as_code
from idp.pages.console.as_code import AsCode, Tab
from idp.platform.issuer import Issuer

LISTS = {
    "grant_types": ("--grant", "allowedGrantTypes", "grant_type", "grantType"),
    "scopes": ("--scope", "allowedScopes", "scope", "scope"),
    "redirect_uris": ("--redirect", "redirectUris", "redirect_uri", "redirectUri"),
    "post_logout_redirect_uris": (
        *("--post-logout", "postLogoutRedirectUris"),
        *("post_logout_redirect_uri", "postLogoutRedirectUri"),
    ),
    "cors_origins": ("--cors", "allowedCorsOrigins", "origin", "origin"),
}
"""Lists with their option, their member, their column, and the member of each row."""
OF_THE_COMMAND = frozenset({"client_name", "enabled", "require_client_secret"})


def of(client: Client, issuer: Issuer) -> AsCode:
    """Return how the same client is registered elsewhere, without its secrets."""
    return as_code.of(
        Tab("idp", "idp", _command([*_add(client)])), Tab("curl", "curl", _request(client, issuer))
    )


def of_secret(client: Client, issuer: Issuer) -> AsCode:
    """Return how a secret is added elsewhere."""
    command = ["idp", "client", "secret", client.client_id, "--days 365"]
    request = [
        f"curl -s {issuer.url}/api/Client/{client.id}/Secretkey",
        '-H "Authorization: Bearer $TOKEN"',
        '-H "Content-Type: application/json"',
        '-d \'{"description": "rotation"}\'',
    ]
    return as_code.of(
        Tab("idp", "idp", " ".join(command[:4]) + " \\\n  " + command[4]),
        Tab("curl", "curl", _command(request)),
    )


def _command(parts: list[str]) -> str:
    return " \\\n  ".join(parts)


def _add(client: Client) -> Iterator[str]:
    yield f"idp client add --id {shlex.quote(client.client_id)}"
    if client.client_name:
        yield f"--name {shlex.quote(client.client_name)}"
    if not client.require_client_secret:
        yield "--public"
    if client.tenant_id is not None:
        yield f"--tenant {client.tenant_id}"
    for name, (option, _member, column, _inner) in LISTS.items():
        for row in getattr(client, name):
            yield f"{option} {shlex.quote(getattr(row, column))}"
    for name, value in _settings(client).items():
        if name not in OF_THE_COMMAND:
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"--set {shlex.quote(f'{name}={text}')}"
    if not client.enabled:
        yield f"&& idp client change {shlex.quote(client.client_id)} --disable"


def _request(client: Client, issuer: Issuer) -> str:
    body: dict[str, Any] = {"clientId": client.client_id}
    properties = []
    for name, value in _settings(client).items():
        if name in fields.PROPERTIES:
            text = value if isinstance(value, str) else json.dumps(value)
            properties.append({"key": name, "value": text})
        else:
            body[_camel(name)] = value
    for name, (_option, member, column, inner) in LISTS.items():
        body[member] = [{inner: getattr(row, column)} for row in getattr(client, name)]
    body["properties"] = properties
    shown = json.dumps({name: value for name, value in body.items() if value != []}, indent=2)
    return _command(
        [
            f"curl -s {issuer.url}/api/Client",
            '-H "Authorization: Bearer $TOKEN"',
            '-H "Content-Type: application/json"',
            f"-d {shlex.quote(shown)}",
        ]
    )


def _settings(client: Client) -> dict[str, Any]:
    """Return the settings that are not what a new client has."""
    return {
        name: getattr(client, name)
        for name in fields.FIELDS
        if getattr(client, name) != fields.default_of(name)
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)
