"""What a request has on the event loop instead of a database session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import Executable

if TYPE_CHECKING:
    from idp.platform.direct import Direct


class NeedsThreadError(BaseException):
    """Something must be waited for, and the event loop waits for nothing: take a thread.

    No Exception, so that no renderer of errors takes it for one.
    """


class NothingToWaitFor:
    """Stands in for what is elsewhere."""

    def __getattr__(self, name: str) -> NoReturn:
        """Have the request taken to a thread."""
        raise NeedsThreadError(name)


class SessionAtOnce:
    """A session that executes statements of hot paths (`db.run`, `db.Together`) and nothing else.

    Each of them is a transaction of its own. Whatever else is asked of it needs a thread, where
    the request starts again; so nothing of the kind may come after a write.
    """

    def __init__(self, runtime: Any, direct: Direct | None) -> None:
        self.info: dict[Any, Any] = {"runtime": runtime}
        self._direct = direct
        self._has_written = False

    def rows(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Any]:
        """Execute a query."""
        if self._direct is None:
            raise NeedsThreadError
        return self._direct.rows(statement, values)

    def write(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Any]:
        """Execute a change, which is there for good afterwards."""
        if self._direct is None:
            raise NeedsThreadError
        found = self._direct.write(statement, values)
        self._has_written = self._has_written or bool(found)
        return found

    def in_transaction(self) -> bool:
        """Never: every statement is a transaction of its own."""
        return False

    def commit(self) -> None:
        """Do nothing: what was written is there already."""

    def rollback(self) -> None:
        """Do nothing: a request that is refused has written nothing."""

    def __getattr__(self, name: str) -> NoReturn:
        """Have the request taken to a thread."""
        if self._has_written:
            message = f"{name} after a write: the request cannot start again"
            raise RuntimeError(message)
        raise NeedsThreadError(name)
