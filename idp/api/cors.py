"""Which pages of other origins may call the management APIs and read their answers."""

from __future__ import annotations

from collections.abc import Collection

from flask import Blueprint, Response, g, request
from sqlalchemy.exc import SQLAlchemyError

from idp.api.dialect import Dialect
from idp.directory.clients import snapshot as clients
from idp.platform.web import cors
from idp.platform.web.principal import Principal
from idp.platform.web.views import database


def allowing(blueprint: Blueprint, dialect: Dialect) -> Blueprint:
    """Answer preflights, and say with every answer of a blueprint who may read it.

    Never with credentials: who calls shows a token, and a cookie counts for nothing.
    """
    methods: dict[str, list[str]] = {}
    for operation in dialect.operations:
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
    blueprint.after_request(_allow)
    return blueprint


def _preflight(_taken: str, **_path: object) -> Response:
    """Tell what may be sent; no token comes along, so the client is not known yet."""
    response = Response(status=204, headers={"Allow": _taken})
    if "Access-Control-Request-Method" in request.headers:
        wanted = request.headers.get("Access-Control-Request-Headers")
        response.headers.update(cors.preflight(_taken, wanted))
    return response


def _allow(response: Response) -> Response:
    origin = request.headers.get("Origin")
    response.vary.add("Origin")
    if origin is not None and origin in _origins():
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = cors.EXPOSED
    return response


def _origins() -> Collection[str]:
    """List who may read: the origins of the token's client; of any, while it is not known."""
    principal: Principal | None = g.get("principal")
    try:
        if principal is None:
            return clients.cors_origins(database())
        client = clients.find(database(), principal.client_id)
    except SQLAlchemyError:  # the answer says so already
        database().rollback()
        return ()
    return () if client is None else client.cors_origins
