"""The database as a coroutine sees it, the same on the event loop and on a thread.

The machine endpoints are coroutines and exist once. On the event loop their statements are waited
for (`LoopStorage`); behind any WSGI server, in views and in commands the same coroutines run to
their end without a pause (`SessionStorage`, `complete`).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy.orm import Session

from idp.platform import documents, tracing
from idp.platform.cache import MISSING, Lookup, Missing
from idp.platform.connections import budget
from idp.platform.connections.budget import Budget
from idp.platform.db import AtomicWrite, OnceWrite, Query, RepeatedError, release, run
from idp.platform.db import end as end_session
from idp.platform.documents import Kept, Wanted
from idp.platform.runtime import NO_REQUEST, RequestContext, Runtime
from idp.platform.tracing import Span, queries

if TYPE_CHECKING:
    from idp.platform.postgres import Pool

P = ParamSpec("P")
T = TypeVar("T")


class Storage(ABC):
    """What one request reads and writes; every write is committed when its call returns."""

    __slots__ = ("caller", "context", "runtime", "span")

    def __init__(self, runtime: Runtime, context: RequestContext = NO_REQUEST) -> None:
        self.runtime = runtime
        self.context = context
        self.caller: Any = None
        """Client that the request was proven to come from."""
        self.span: Span | None = None
        """What the request is traced by."""

    @abstractmethod
    async def rows(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that a query finds."""

    async def one(self, query: Query, values: Mapping[str, Any]) -> Any:
        """Return the one row that a query finds, or None."""
        rows = await self.rows(query, values)
        return rows[0] if rows else None

    @abstractmethod
    async def write(self, change: AtomicWrite, values: Mapping[str, Any]) -> int | None:
        """Carry out a change and return the id of its row; None: it hit no row.

        RepeatedError when a row of what happens once was there already; nothing is written then.
        """

    async def write_once(self, change: OnceWrite, values: Mapping[str, Any]) -> None:
        """Write the row of what happens once; RepeatedError when it was there already."""
        await self.write(change, values)

    @abstractmethod
    async def write_and_read(
        self, change: AtomicWrite, values: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """Carry out a change and return what it found.

        None: it hit no row, or this database cannot tell (SQLite) and did nothing.
        """

    @abstractmethod
    async def in_session(
        self,
        function: Callable[Concatenate[Session, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call a function with a session and return its result; what it wrote is committed.

        When it raises, nothing is.
        """

    async def document(
        self, url: str, wanted: Wanted[T], *, since: datetime | None = None
    ) -> Kept[T]:
        """Return a document that somebody else publishes, from memory or fetched now.

        `since` asks for one that was fetched after that. A Problem where it cannot be had.
        """
        found = self.runtime.documents.peek(url, wanted, since)
        return found or await self._fetched(self.runtime.documents.begin(url, wanted))

    @abstractmethod
    async def _fetched(self, future: Future[Kept[T]]) -> Kept[T]:
        """Wait for a document that is being fetched."""

    def end(self) -> None:  # noqa: B027 - most hold nothing
        """Release what is held for the request; what was not committed is undone."""

    async def look_up(self, lookup: Lookup[..., T], *arguments: Any) -> T:
        """Return the result of a look-up, from the cache when it is there."""
        found = self.known(lookup, *arguments)
        if found is not MISSING:
            return found
        return await self.in_session(lookup, *arguments)

    def known(self, lookup: Lookup[..., T], *arguments: Any) -> T | Missing:
        """Return the result of a look-up if it is in the cache, else MISSING."""
        return lookup.peek(self.runtime.cache, *arguments)


class SessionStorage(Storage):
    """Works at once, with a session of the thread that it is used on.

    `commits=False`: the caller's own transaction, which the caller commits.
    """

    __slots__ = ("_commits", "session")

    def __init__(self, session: Session, *, commits: bool = False) -> None:
        super().__init__(session.info["runtime"], session.info.get("context", NO_REQUEST))
        self.session = session
        self._commits = commits

    def end(self) -> None:
        """Return the session to its pool."""
        end_session(self.session)

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that a query finds."""
        return run(self.session, query, values)

    def known(self, lookup: Lookup[..., T], *arguments: Any) -> T | Missing:
        """Return the result of a look-up, as this transaction sees it."""
        return lookup(self.session, *arguments)

    async def write(self, change: AtomicWrite, values: Mapping[str, Any]) -> int | None:
        """Carry out a change and return the id of its row; None: it hit no row."""
        try:
            found = change.run(self.session, values)
        except RepeatedError:
            self.session.rollback()
            raise
        if self._commits:
            self.session.commit()
        return found

    async def write_and_read(
        self, change: AtomicWrite, values: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """Carry out a change and return what it found; None: it did nothing."""
        try:
            found = change.run_and_read(self.session, values)
        except RepeatedError:
            self.session.rollback()
            raise
        if self._commits:
            self.session.commit()
        return found

    async def _fetched(self, future: Future[Kept[T]]) -> Kept[T]:
        """Wait on this thread, and keep nothing of the database meanwhile."""
        release(self.session)
        return self.runtime.documents.wait(future)

    async def in_session(
        self,
        function: Callable[Concatenate[Session, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call a function with the session."""
        if not self._commits:
            return function(self.session, *arguments, **named)
        try:
            found = function(self.session, *arguments, **named)
        except BaseException:
            self.session.rollback()
            raise
        self.session.commit()
        return found


class LoopStorage(Storage):
    """Waits on the event loop: for PostgreSQL directly, for everything else on a thread."""

    __slots__ = ("_budget", "_pool", "_threads")

    def __init__(
        self,
        runtime: Runtime,
        pool: Pool | None,
        threads: Executor,
    ) -> None:
        super().__init__(runtime)
        self._budget = Budget(each=budget.LOOP_WAIT_SECONDS)
        self._threads = threads
        self._pool = pool
        """None: the database is SQLite, which has no driver to wait for."""

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that a query finds."""
        if self._pool is None:
            return await self.in_session(run, query, values)
        return await self._pool.rows(query, values, self._budget)

    async def look_up(self, lookup: Lookup[..., T], *arguments: Any) -> T:
        """Return the result of a look-up; what several requests miss is computed once."""
        found = self.known(lookup, *arguments)
        if found is not MISSING:
            return found
        compute = partial(self.in_session, lookup, *arguments)
        return await self.runtime.cache.once(lookup.key(*arguments), compute)

    async def write(self, change: AtomicWrite, values: Mapping[str, Any]) -> int | None:
        """Carry out a change and return the id of its row; None: it hit no row."""
        if self._pool is None:
            return await self.in_session(change.run, values)
        row = await self._pool.write(change, values, self._budget)
        return None if row is None else int(row[0])

    async def write_once(self, change: OnceWrite, values: Mapping[str, Any]) -> None:
        """Write the row of what happens once, together with those of other requests."""
        if self._pool is None:
            await self.in_session(change.run, values)
        else:
            await self._pool.write_once(change, values, self._budget)

    async def write_and_read(
        self, change: AtomicWrite, values: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """Carry out a change and return what it found; None: it did nothing."""
        if self._pool is None:
            return None
        row = await self._pool.write(change, values, self._budget)
        return None if row is None else row[1:]

    async def _fetched(self, future: Future[Kept[T]]) -> Kept[T]:
        """Wait without a thread; whoever else waits for the same document goes on waiting."""
        waiting = asyncio.shield(asyncio.wrap_future(future))
        try:
            return await asyncio.wait_for(waiting, documents.TIMEOUT_SECONDS + 0.1)
        except TimeoutError:
            raise documents.busy() from None

    async def in_session(
        self,
        function: Callable[Concatenate[Session, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call a function with a session of its own, on a thread."""

        def work() -> T:
            with budget.spending(self._budget), self.runtime.sessions() as session:
                session.info["context"] = self.context
                found = function(session, *arguments, **named)
                session.commit()
                return found

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class TracedLoopStorage(LoopStorage):
    """The same, with a step of the request's trace for each statement and each function."""

    __slots__ = ()

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that a query finds."""
        if self._pool is None or self.span is None:
            return await super().rows(query, values)
        step = queries.begin(self.span, self._pool.text_of(query))
        try:
            return await super().rows(query, values)
        finally:
            step.end()

    async def write(self, change: AtomicWrite, values: Mapping[str, Any]) -> int | None:
        """Carry out a change and return the id of its row; None: it hit no row."""
        if self._pool is None or self.span is None:
            return await super().write(change, values)
        step = queries.begin(self.span, self._pool.text_of(change.statement))
        try:
            return await super().write(change, values)
        finally:
            step.end()

    async def write_once(self, change: OnceWrite, values: Mapping[str, Any]) -> None:
        """Write the row of what happens once, together with those of other requests."""
        if self._pool is None or self.span is None:
            await super().write_once(change, values)
            return
        step = queries.begin(self.span, self._pool.text_of(change.together))
        try:
            await super().write_once(change, values)
        finally:
            step.end()

    async def write_and_read(
        self, change: AtomicWrite, values: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """Carry out a change and return what it found; None: it did nothing."""
        if self._pool is None or self.span is None:
            return await super().write_and_read(change, values)
        step = queries.begin(self.span, self._pool.text_of(change.statement))
        try:
            return await super().write_and_read(change, values)
        finally:
            step.end()

    async def in_session(
        self,
        function: Callable[Concatenate[Session, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Call a function with a session of its own, on a thread."""
        if self.span is None:
            return await super().in_session(function, *arguments, **named)
        step = self.span.child(getattr(function, "__qualname__", type(function).__name__))

        def traced(session: Session) -> T:
            with tracing.using(step):
                return function(session, *arguments, **named)

        try:
            return await super().in_session(traced)
        finally:
            step.end()


def complete(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    coroutine.close()
    message = "a coroutine waited where there is no event loop"
    raise RuntimeError(message)
