"""The Flask blueprints of a contract: one for each module of its operations, nested in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint

from idp.api import cors
from idp.api.dialect import Dialect, Operation


def nested(dialect: Dialect, name: str, prefix: str = "") -> Blueprint:
    """Return the routes of a contract; the endpoint of a view is `name.module.function`."""
    blueprint = Blueprint(name, __name__, url_prefix=prefix or None)
    for module, operations in _by_module(dialect).items():
        blueprint.register_blueprint(_of_module(dialect, module, operations))
    blueprint.after_request(cors.allow)
    return blueprint


def _by_module(dialect: Dialect) -> Mapping[str, Sequence[Operation]]:
    modules: dict[str, list[Operation]] = {}
    for operation in dialect.operations:
        modules.setdefault(operation.home, []).append(operation)
    return modules


def _of_module(dialect: Dialect, module: str, operations: Sequence[Operation]) -> Blueprint:
    blueprint = Blueprint(module, __name__)
    for operation in operations:
        blueprint.add_url_rule(
            operation.path,
            endpoint=operation.view.__name__,
            view_func=dialect.answering(operation),
            methods=[operation.method],
            provide_automatic_options=False,
            head=operation.head,
        )
    cors.add_preflights(blueprint, operations)
    return blueprint
