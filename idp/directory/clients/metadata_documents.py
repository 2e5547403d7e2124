"""The documents that the metadata of a client names: its keys, and what shares its sector."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy.orm import Session

from idp.directory.clients.metadata import ClientMetadata, refused
from idp.platform import clock, runtime
from idp.platform.db import release
from idp.platform.documents import Wanted
from idp.platform.errors import Busy, Problem
from idp.platform.fetch import MAX_BYTES, Fetched


def check(session: Session, said: ClientMetadata) -> None:
    """Fetch the documents that metadata names, through the guard."""
    address = said.settings["jwks_uri"]
    if address is not None:
        found = _fetched(session, "jwks_uri", address)
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list) or not keys:
            raise refused("jwks_uri", "is not the address of a key set")
    sector = said.extra.get("sector_identifier_uri")
    if sector is not None:
        listed = _fetched(session, "sector_identifier_uri", sector)
        # OpenID Connect Registration 5
        if not isinstance(listed, list) or not set(said.redirect_uris) <= {
            uri for uri in listed if isinstance(uri, str)
        }:
            raise refused("sector_identifier_uri", "does not list every redirect address")


def _fetched(session: Session, name: str, address: str) -> Any:
    """Return a document, fetched by the pool of strangers, which nobody else waits for."""
    release(session)
    try:
        return runtime.of(session).documents.get(address, _JSON, since=clock.now())
    except Busy:
        raise
    except Problem as problem:
        refusal = refused(name, "gives no usable answer")
        refusal.debug = problem.debug or problem.detail
        raise refusal from None


def _parsed(_url: str, fetched: Fetched) -> Any:
    try:
        return orjson.loads(fetched.body)
    except orjson.JSONDecodeError:
        return None


_JSON = Wanted("metadata", "application/json, */*", MAX_BYTES, _parsed)
