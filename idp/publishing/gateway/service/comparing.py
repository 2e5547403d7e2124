"""What the gateway has beside what the tables say."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.platform import runtime
from idp.publishing import slots
from idp.publishing.gateway import drivers, tables
from idp.publishing.gateway.service import settling
from idp.publishing.gateway.state import Difference, Published


def kind(session: Session) -> str:
    """Return which kind of gateway this installation has: `caddy`, `azure` or `local`."""
    setting = runtime.of(session).settings.gateway
    return "caddy" if setting.startswith("caddy+") else setting or "local"


def compare(session: Session, state: Published) -> list[Difference] | None:
    """Compare one publication with its gateway; None: there is no gateway of ours.

    Commits, so that no transaction is open meanwhile; NotPublished if it does not respond.
    """
    driver = drivers.of(session, state.tenant_id)
    (routed,) = settling.live(session, [state])
    session.commit()
    if not driver.is_remote:
        return None
    with slots.taken():
        return driver.differences([routed])


def compare_all(session: Session) -> list[Difference] | None:
    """Compare all publications with the one Caddy; None: there is no gateway that has all."""
    caddy = drivers.find_caddy(session)
    if caddy is None:
        return None
    states = settling.live(session, tables.everything(session))
    session.commit()
    with slots.taken():
        return [*caddy.differences(states), *caddy.unknown(states)]
