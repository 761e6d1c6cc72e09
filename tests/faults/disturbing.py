"""What disturbs a step of a nest, and what must hold then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import optim
from tests.faults.nests import Nest

LIBRARY = str(Path(optim.__file__).parent)


class Fault(Exception):
    """What may not happen."""


def same(one: Any, other: Any, otherwise: str) -> None:
    if one != other:
        raise Fault(otherwise)


def refuses(action: Callable[[], Any], what: str) -> None:
    try:
        action()
    except RuntimeError:
        return
    raise Fault(f"{what} is not refused")


def half_way(nest: Nest) -> bool:
    """Whether it says that it is between two steps; then it may not step either."""
    try:
        nest.opt.state_dict()
    except RuntimeError:
        refuses(lambda: nest.step(np.ones((5, 3))), "step() half-way")
        return True
    return False


@contextmanager
def rate(nest: Nest, number: int, lr: Any) -> Iterator[None]:
    """Inside, that is the rate of one of the rules, if it can be set."""
    rule = nest.opt.rules[number]
    before, settable = rule.lr, not isinstance(rule, optim.Rprop)
    if settable:
        rule.lr = lr
    try:
        yield
    finally:
        if settable:
            rule.lr = before


@contextmanager
def interrupt_at(line: int) -> Iterator[None]:
    """Inside, raise KeyboardInterrupt at that line, as they are run, of the optimizers' code."""
    left = line

    def at(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        if event == "line":
            left -= 1
            if not left:
                raise KeyboardInterrupt
        return at

    before = sys.gettrace()
    sys.settrace(at)
    try:
        yield
    finally:
        sys.settrace(before)
