"""Which migrations may be run now, while nodes of another release may be running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from sqlalchemy import Connection, inspect
from sqlalchemy.orm import Session

from idp.platform import schema
from idp.platform.backfills import service as backfills
from idp.platform.errors import Conflict
from idp.platform.releases import service as releases
from idp.platform.schema import Upgraded
from idp.platform.steps import Step


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upgrade does."""

    run: Sequence[Step]
    waiting: Sequence[Step] = ()
    """Steps that wait for `idp setup --contract`."""
    problems: Sequence[str] = ()
    """Sentences that say why nothing is run."""


def plan(connection: Connection, pending: Sequence[Step], *, contract: bool) -> Plan:
    """Return which of the pending steps are run; in an empty database all of them."""
    if not pending or pending[0].number == 1:
        return Plan(pending)
    first = list(takewhile(lambda step: not step.is_contract, pending))
    others = pending[len(first) :]
    if contract:
        return Plan(pending, problems=_problems(connection, others)) if others else Plan(pending)
    behind = next((step for step in others if not step.is_contract), None)
    if behind is None:
        return Plan(first, waiting=others)
    problem = (
        f"Migration {others[0].revision}, which {behind.revision} follows, takes away what older"
        " releases use: stop their nodes and run `idp setup --contract`."
    )
    return Plan(first, waiting=others, problems=[problem])


def upgrade(database_url: str, *, contract: bool) -> Upgraded:
    """Run what may be run now; Conflict when something is in the way."""
    return schema.upgrade(database_url, partial(_choose, contract=contract))


def _choose(connection: Connection, pending: Sequence[Step], *, contract: bool) -> Sequence[Step]:
    found = plan(connection, pending, contract=contract)
    if found.problems:
        raise Conflict(" ".join(found.problems))
    return found.run


def _problems(connection: Connection, others: Sequence[Step]) -> list[str]:
    """Return what is in the way of contract steps."""
    tables = inspect(connection).get_table_names()
    last = max(step.number for step in others if step.is_contract)
    needs = [step.needs for step in others if step.needs]
    with Session(connection) as session:
        nodes = releases.running(session, below=last) if "node" in tables else ()
        missing = backfills.unfinished(session, needs) if "backfill" in tables else needs
        found = [f"The backfill {name} is not done: let `idp worker` run." for name in missing]
        if nodes:
            named = ", ".join(f"{node.name} ({node.release})" for node in nodes)
            found.append(
                "Nodes of an older release were seen in the last two minutes:"
                f" {named}. Stop them, then try again."
            )
    return found
