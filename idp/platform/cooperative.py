"""Ordinary functions that wait on the event loop instead of holding it up.

`spawn` runs a function on a greenlet; where the function calls `wait`, the loop goes on with
others. Nothing else changes for the function: it is the same one that a thread would run. `start`
does so without a task, which only a function that really waits needs: `finish` is that task's.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")

IDLE = 32
"""Greenlets that a thread keeps: a new one costs a piece of memory from the system."""


class Done:
    """How a function ended."""

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error


class Waiting:
    """A function that waits for something."""

    def __init__(self, runner: greenlet, awaitable: Any) -> None:
        self.runner = runner
        self.awaitable = awaitable


class _Idle(threading.local):
    """Greenlets without work; one can run in its own thread only."""

    def __init__(self) -> None:
        self.runners: list[greenlet] = []


_idle = _Idle()


async def spawn(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run a function that may call `wait`, with context variables of its own."""
    found = start(function, *arguments, **named)
    done = found if isinstance(found, Done) else await finish(found)
    if done.error is not None:
        raise done.error
    return cast("T", done.value)


def start(function: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> Done | Waiting:
    """Run a function until it ends, or calls `wait` for the first time."""
    runner = _idle.runners.pop() if _idle.runners else _start()
    runner.gr_context = contextvars.copy_context()
    found = runner.switch(partial(function, *arguments, **named))
    return _put_back(runner, found) if isinstance(found, Done) else Waiting(runner, found)


async def finish(waiting: Waiting) -> Done:
    """Run the rest of a function that waits."""
    runner, found = waiting.runner, waiting.awaitable
    while not isinstance(found, Done):
        try:
            value = await found
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            found = runner.throw(error)
        else:
            found = runner.switch(value)
    return _put_back(runner, found)


def wait(awaitable: Awaitable[T]) -> T:
    """Give what an awaitable yields, inside a function run by `spawn`."""
    loop = getcurrent().parent
    if loop is None:
        message = "not inside spawn"
        raise RuntimeError(message)
    return cast("T", cast("Any", loop).switch(awaitable))


def _put_back(runner: greenlet, done: Done) -> Done:
    runner.gr_context = None
    if len(_idle.runners) < IDLE:
        _idle.runners.append(runner)
    return done


def _start() -> greenlet:
    """Make a greenlet that waits for a function to run."""
    runner = greenlet(_work)
    runner.switch()
    return runner


def _work() -> None:
    """Run one function after the other, and hand each end to the loop."""
    loop = cast("Any", getcurrent().parent)
    work = loop.switch()
    while True:
        done = _end(work)
        work = None
        work = loop.switch(done)


def _end(work: Callable[[], Any]) -> Done:
    try:
        return Done(work(), None)
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        return Done(None, error)
