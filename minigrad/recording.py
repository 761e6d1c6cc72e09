"""Modes of ops, one for each thread and each asynchronous task: whether they record, and whether
they look for what is not finite."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import ContextVar
from typing import Any

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_looking: ContextVar[bool] = ContextVar("looking", default=False)
is_recording, is_looking = _recording.get, _looking.get


class Mode:
    """Base of the modes: `with mode():`, or `@mode()` on a function. A generator or an asynchronous
    function is inside while it runs, and not while it waits."""

    variable: ContextVar[bool]
    inside: bool

    def __init__(self, *function: Any) -> None:
        if function:
            name = type(self).__name__
            raise TypeError(f"{name} takes no argument; write @{name}(), with parentheses.")
        self._outer: list[bool] = []

    def __enter__(self) -> None:
        self._outer.append(self.variable.get())
        self.variable.set(self.inside)

    def __exit__(self, *_: Any) -> None:
        self.variable.set(self._outer.pop())

    def __call__(self, function: Any) -> Any:
        wrapper: Callable[..., Any]
        mode = type(self)
        if inspect.isgeneratorfunction(function):

            def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                return (yield from _resumed(mode, function(*args, **kwargs)))

        elif inspect.isasyncgenfunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                generator = function(*args, **kwargs)
                resume, sent = generator.asend, None
                while True:
                    try:
                        with mode():
                            value = await resume(sent)
                    except StopAsyncIteration:
                        return
                    try:
                        resume, sent = generator.asend, (yield value)
                    except BaseException as error:  # GeneratorExit too: it ends `generator`
                        resume, sent = generator.athrow, error

        elif inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with mode():  # whoever runs meanwhile is another task
                    return await function(*args, **kwargs)

        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with mode():
                    return function(*args, **kwargs)

        return functools.wraps(function)(wrapper)


class no_grad(Mode):
    """Inside, ops record nothing: `with no_grad():`, or `@no_grad()` on a function. A generator or
    an asynchronous function is inside while it runs, and not while it waits."""

    variable, inside = _recording, False


class anomaly(Mode):
    """Inside, the first op whose value or gradient is not finite raises FloatingPointError.

    It names the op, the shapes and the line that called it. For a gradient it is enough that the op
    was called inside; a device is waited for at every op.
    """

    variable, inside = _looking, True


def _resumed(mode: type[Mode], generator: Any) -> Generator[Any, Any, Any]:
    """What the generator yields, which runs inside the mode, and whose caller does not."""
    resume, sent = generator.send, None
    while True:
        try:
            with mode():
                value = resume(sent)
        except StopIteration as stop:
            return stop.value
        try:
            resume, sent = generator.send, (yield value)
        except BaseException as error:  # GeneratorExit too: it ends `generator`
            resume, sent = generator.throw, error
