"""Kinds of applications, and what a client of each kind is registered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from idp.directory.clients.service import NewClient
from idp.directory.product import DEVICE_CODE
from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

SIGN_IN_SCOPES = ("openid", "profile")


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a kind of client."""

    grant_types: Sequence[str]
    is_public: bool = False
    scopes: Sequence[str] = SIGN_IN_SCOPES
    settings: Mapping[str, Any] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    "web": Preset(["authorization_code"]),
    "spa": Preset(["authorization_code"], is_public=True),
    "native": Preset(
        ["authorization_code", "refresh_token"],
        is_public=True,
        settings={"application_type": "native"},
    ),
    "device": Preset(
        [DEVICE_CODE, "refresh_token"],
        is_public=True,
        settings={"application_type": "native", "allow_offline_access": True},
    ),
    "service": Preset(["client_credentials"], scopes=()),
}
"""A web application with a server, a single-page application, one on a device of its user, one on
a device that has no browser, and a program without a user."""


def fill(new: NewClient, kind: str | None) -> NewClient:
    """Return the client with what its kind adds; without a kind it must name its grants.

    Raises BadRequest for a client that could do nothing.
    """
    if kind is None:
        if not new.grant_types:
            raise BadRequest.at(
                "grant_types",
                filled(
                    N_("A client needs a kind (%(presets)s) or a grant type."),
                    presets=", ".join(PRESETS),
                ),
            )
        return new
    preset = PRESETS[kind]
    completed = replace(
        new,
        is_public=new.is_public or preset.is_public,
        grant_types=new.grant_types or preset.grant_types,
        scopes=new.scopes or preset.scopes,
        settings={**preset.settings, **new.settings},
    )
    if kind == "spa" and not new.cors_origins:
        # Its scripts call the token endpoint from the pages that codes are sent to.
        completed = replace(completed, cors_origins=_origins(new.redirect_uris))
    return completed


def _origins(uris: Sequence[str]) -> list[str]:
    """Return the origins of addresses; invalid ones are refused with the addresses themselves."""
    origins = []
    for uri in uris:
        try:
            parts = urlsplit(uri)
        except ValueError:
            continue
        if parts.scheme and parts.netloc:
            origins.append(f"{parts.scheme}://{parts.netloc}")
    return origins
