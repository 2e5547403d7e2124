"""What one process holds for its whole life, reachable from every database session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from sqlalchemy.orm import Session, sessionmaker

from idp.config import Settings
from idp.platform.cache import ConfigurationCache
from idp.platform.metrics.counts import Counts
from idp.platform.recent_uses import RecentUses
from idp.platform.secrets import Keyring

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from idp.platform.documents import Documents
    from idp.platform.fetch import Fetcher
    from idp.platform.throttle import Throttle
    from idp.platform.tracing.exporting import Tracer


@dataclass
class Runtime:
    """Settings, keys, caches and counters of one process."""

    settings: Settings
    engine: Engine
    keyring: Keyring
    throttle: Throttle
    fetcher: Fetcher
    documents: Documents
    cache: ConfigurationCache = field(default_factory=ConfigurationCache)
    counts: Counts = field(default_factory=Counts)
    tracer: Tracer | None = None
    """None: nothing is traced."""
    uses: RecentUses = field(default_factory=RecentUses)
    """Secrets that were used since the last time this was written."""

    def __post_init__(self) -> None:
        """Bind the sessions that views, commands and machine endpoints open."""
        self.sessions: sessionmaker[Session] = sessionmaker(
            self.engine, expire_on_commit=False, info={"runtime": self}
        )
        self.counts.sources.append(self.cache.report)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a change came from, for the audit trail; kept in `session.info`."""

    request_id: str
    remote_addr: str | None = None
    user_agent: str | None = None
    user_id: int | None = None
    """The person who calls a management operation, once the token is read, and their client."""
    client_id: str | None = None
    end_user_addr: str | None = None
    """Where the person is whom a machine acts for, as far as it tells."""


NO_REQUEST = RequestContext(request_id="-")


def of(session: Session) -> Runtime:
    """Return the runtime that a session was opened by."""
    return cast("Runtime", session.info["runtime"])


def context_of(session: Session) -> RequestContext:
    """Return the context of the request that a session serves."""
    return cast("RequestContext", session.info.get("context", NO_REQUEST))
