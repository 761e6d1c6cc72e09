"""Steps of one coordinate in decimals of many digits, from the trace of a rule.

What a rule does in floating point and in 50 digits is the work of the rule, and not of rounding.
"""

import operator
from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from typing import Any

from optim.engine.program import Entry, Value
from optim.engine.whole import step_program

Number = Decimal | bool  # what a comparison gives is a bool


class Exact:
    """A coordinate of an optimizer, as it is now, which goes on by itself; the optimizer does not.

    `arrays` and `numbers` are its parameter p and its state, by name. Raises TypeError for a rule
    that is no function of each coordinate. Hyperparameters are float64, as schedules give them.
    """

    def __init__(self, opt: Any, coordinate: int = 0, digits: int = 50):
        self._program, self._opt = step_program(opt), opt
        self._coordinate, self._digits = coordinate, digits
        state = {"p": opt._owned.gathered(), **opt.state}
        self.arrays = {name: self._of(state[name]) for name in self._program.arrays if name != "g"}
        self.numbers = {name: self._of(opt.state[name]) for name in self._program.state}

    def step(self, g: Any, t: int) -> None:
        """Take step t with this gradient."""
        program, settings = self._program, self._opt._prepared().at(t)
        known: dict[Any, Any] = {}
        for name, value in program.arrays.items():
            known[value] = Decimal(g) if name == "g" else self.arrays[name]
        for name, value in program.numbers.items():
            mine = name in program.state
            known[value] = self.numbers[name] if mine else self._of(settings[name])
        with localcontext(prec=self._digits):
            _run(program.hoisted, known)
            _run(program.loop, known)
        self.arrays = {name: known[program.arrays[name]] for name in self.arrays}
        self.numbers |= {name: known[value] for name, value in program.changed.items()}

    def _of(self, value: Any) -> Decimal:
        """The coordinate's part of a number or an array, to the last bit."""
        return Decimal(float(value[self._coordinate] if getattr(value, "ndim", 0) else value))


def _run(entries: Iterable[Entry], known: dict[Any, Any]) -> None:
    """Add what each entry gives."""
    for function, inputs, out, _ in entries:
        operands = [known[x] if isinstance(x, Value) else Decimal(x) for x in inputs]
        known[out] = FUNCTIONS[function](*operands)


def _power(x: Decimal, y: Decimal) -> Decimal:
    return x**y if y else Decimal(1)  # as NumPy's 0^0


def _tanh(x: Decimal) -> Decimal:
    square = (2 * x).exp()
    return (square - 1) / (square + 1)


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "greater": operator.gt,
    "less": operator.lt,
    "greater_equal": operator.ge,
    "less_equal": operator.le,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "negative": operator.neg,
    "absolute": abs,
    "copy": lambda x: x,
    "sign": lambda x: Decimal((x > 0) - (x < 0)),
    "square": lambda x: x * x,
    "sqrt": lambda x: x.sqrt(),
    "reciprocal": lambda x: 1 / x,
    "maximum": max,
    "minimum": min,
    "where": lambda condition, x, y: x if condition else y,
    "logical_and": lambda x, y: x and y,
    "logical_or": lambda x, y: x or y,
    "logical_not": operator.not_,
    "power": _power,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.ln(),
    "tanh": _tanh,
}
