"""Ordinary functions that wait on the event loop instead of holding it up.

`spawn` runs a function on a greenlet; where the function calls `wait`, the loop goes on with
others. Nothing else changes for the function: it is the same one that a thread would run.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")


async def spawn(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run a function that may call `wait`, with context variables of its own."""
    runner = greenlet(function)
    runner.gr_context = contextvars.copy_context()
    found = runner.switch(*arguments, **named)
    while not runner.dead:
        try:
            value = await found
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            found = runner.throw(error)
        else:
            found = runner.switch(value)
    return cast("T", found)


def wait(awaitable: Awaitable[T]) -> T:
    """Give what an awaitable yields, inside a function run by `spawn`."""
    loop = getcurrent().parent
    if loop is None:
        message = "not inside spawn"
        raise RuntimeError(message)
    return cast("T", cast("Any", loop).switch(awaitable))
