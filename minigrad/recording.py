"""Whether ops record: a mode of each thread and each asynchronous task."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import ContextVar
from typing import Any

_recording: ContextVar[bool] = ContextVar("recording", default=True)
is_recording = _recording.get


class no_grad:
    """Inside, ops record nothing: `with no_grad():`, or `@no_grad()` on a function. A generator or
    an asynchronous function is inside while it runs, and not while it waits."""

    def __init__(self) -> None:
        self._outer: list[bool] = []

    def __enter__(self) -> None:
        self._outer.append(_recording.get())
        _recording.set(False)

    def __exit__(self, *_: Any) -> None:
        _recording.set(self._outer.pop())

    def __call__(self, function: Any) -> Any:
        wrapper: Callable[..., Any]
        if inspect.isgeneratorfunction(function):

            def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                return (yield from _resumed(function(*args, **kwargs)))

        elif inspect.isasyncgenfunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                generator = function(*args, **kwargs)
                resume, sent = generator.asend, None
                while True:
                    try:
                        with no_grad():
                            value = await resume(sent)
                    except StopAsyncIteration:
                        return
                    try:
                        resume, sent = generator.asend, (yield value)
                    except BaseException as error:  # GeneratorExit too: it ends `generator`
                        resume, sent = generator.athrow, error

        elif inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with no_grad():  # whoever runs meanwhile is another task
                    return await function(*args, **kwargs)

        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with no_grad():
                    return function(*args, **kwargs)

        return functools.wraps(function)(wrapper)


def _resumed(generator: Any) -> Generator[Any, Any, Any]:
    """What the generator yields, which runs inside no_grad, and whose caller does not."""
    resume, sent = generator.send, None
    while True:
        try:
            with no_grad():
                value = resume(sent)
        except StopIteration as stop:
            return stop.value
        try:
            resume, sent = generator.send, (yield value)
        except BaseException as error:  # GeneratorExit too: it ends `generator`
            resume, sent = generator.throw, error
