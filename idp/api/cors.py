"""Which pages of other origins may call the management APIs and read their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flask import Blueprint, Response, g, request
from sqlalchemy.exc import SQLAlchemyError

from idp.api.dialect import Operation
from idp.directory.clients import snapshot as clients
from idp.platform.web import cors
from idp.platform.web.principal import Principal
from idp.platform.web.views import database


def add_preflights(blueprint: Blueprint, operations: Iterable[Operation]) -> None:
    """Answer the preflights of operations; all those of a path are in one module."""
    methods: dict[str, list[str]] = {}
    for operation in operations:
        methods.setdefault(operation.path, []).append(operation.method)
    for number, (path, taken) in enumerate(methods.items()):
        blueprint.add_url_rule(
            path,
            endpoint=f"preflight_{number}",
            view_func=_preflight,
            defaults={"_taken": ", ".join(sorted(taken))},
            methods=["OPTIONS"],
            provide_automatic_options=False,
        )


def _preflight(_taken: str, **_path: object) -> Response:
    """Return what may be sent; a preflight has no token, so the client is not known yet."""
    response = Response(status=204, headers={"Allow": _taken})
    if "Access-Control-Request-Method" in request.headers:
        requested = request.headers.get("Access-Control-Request-Headers")
        response.headers.update(cors.preflight(_taken, requested))
    return response


def allow(response: Response) -> Response:
    """Name in an answer the origin that may read it.

    Never with credentials: a caller is known by a token, and cookies are not read.
    """
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin is not None and origin in _origins():
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = cors.EXPOSED
    return response


def _origins() -> Collection[str]:
    """List the origins of the token's client; those of all clients while it is not known."""
    principal: Principal | None = g.get("principal")
    try:
        if principal is None:
            return clients.cors_origins(database())
        client = clients.find(database(), principal.client_id)
    except SQLAlchemyError:  # the answer reports it already
        database().rollback()
        return ()
    return () if client is None else client.cors_origins
