"""How NumPy treats floating-point errors while a function runs, whatever np.seterr says outside."""

from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np


def _settings(**errors: Any) -> Context:
    context = Context()
    context.run(np.seterr, **errors)
    return context


_RAISING = _settings(over="raise", divide="raise", invalid="raise", under="ignore")
_QUIET = _settings(all="ignore")


def raising(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result; FloatingPointError on overflow, division by zero and invalid
    operations, but not on underflow."""
    return _RAISING.copy().run(function, *arguments)  # faster than np.errstate


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, without errors or warnings."""
    return _QUIET.copy().run(function, *arguments)
