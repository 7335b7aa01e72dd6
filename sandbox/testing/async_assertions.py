"""The assertions as coroutines: they wait in a thread, so that consumers in the test's event loop continue."""

import asyncio
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from sandbox.testing.assertions import Assertions

T = TypeVar("T")
P = ParamSpec("P")


class _InThread(Generic[P, T]):
    """A method of `Assertions` as a coroutine."""

    def __init__(self, method: Callable[Concatenate[Any, P], T]) -> None:
        self.__doc__ = method.__doc__
        self._find = attrgetter(method.__name__)

    @overload
    def __get__(self, instance: None, owner: type) -> "_InThread[P, T]": ...

    @overload
    def __get__(self, instance: "AsyncAssertions", owner: type) -> Callable[P, Awaitable[T]]: ...

    def __get__(self, instance: "AsyncAssertions | None", owner: type) -> "Callable[P, Awaitable[T]] | _InThread[P, T]":
        if instance is None:
            return self
        method: Callable[P, T] = self._find(instance.blocking)

        async def wait(*args: P.args, **kwargs: P.kwargs) -> T:
            __tracebackhide__ = True
            return await asyncio.to_thread(method, *args, **kwargs)

        return wait


class AsyncAssertions:
    """The waiting assertions of a test, for `await`.

    Args:
        blocking: the same assertions, which block.
    """

    def __init__(self, blocking: Assertions) -> None:
        self.blocking = blocking

    expect = _InThread(Assertions.expect)
    expect_none = _InThread(Assertions.expect_none)
    expect_order = _InThread(Assertions.expect_order)
    expect_exactly_once = _InThread(Assertions.expect_exactly_once)
    wait_assigned = _InThread(Assertions.wait_assigned)
    wait_lag = _InThread(Assertions.wait_lag)
    wait_committed = _InThread(Assertions.wait_committed)
