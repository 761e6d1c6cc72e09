"""python -m optim: the table of rules; python -m optim show NAME: what one of them is."""

import argparse
import inspect
from collections.abc import Callable
from math import prod
from textwrap import indent
from typing import Any

import numpy as np

import minigrad
from minigrad import Tensor
from minigrad.console import lasting_output
from optim import RULES
from optim.engine import cuda, javascript
from optim.engine.building import from_sums
from optim.engine.formula import of_program
from optim.engine.optimizer import Optimizer
from optim.engine.passes import FlatPass
from optim.engine.printing import statements
from optim.engine.program import Program
from optim.engine.whole import step_program
from optim.named import NamedRule, named

SHAPES = [(784, 100), (100,), (100, 10), (10,)]  # a multilayer perceptron, to count memory on
SIZE = sum(map(prod, SHAPES))


@lasting_output()
def main() -> None:
    """Print the table, or one rule."""
    parser = argparse.ArgumentParser("python -m optim", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    show = commands.add_parser("show", help="a rule: its source, its state, its passes, its kernel")
    show.add_argument("name", help="as in the table, in any case, or of a file, as mine.py:Mine")
    show.add_argument("--js", action="store_true", help="a step in JavaScript instead")
    parser.add_argument("--version", action="version", version=minigrad.__version__)
    args = parser.parse_args()
    if args.command is None:
        print(table())
    else:
        try:
            rule = named(args.name)
            print(javascript_of(rule) if args.js else describe(rule))
        except (TypeError, ValueError) as error:
            parser.error(str(error))


def table() -> str:
    """Every rule of this package, as docs/rules.md has it."""
    rows = [
        "| rule | family | what it does, and its paper | hyperparameters | state | compared with |",
        "|---|---|---|---|---|---|",
    ]
    for rule in RULES.values():
        if rule.__module__.startswith("optim."):
            rows.append(f"| {' | '.join(_cells(rule))} |")
    return "\n".join(rows)


def describe(named_rule: NamedRule) -> str:
    """A rule's source, its state, what its passes do, and the kernels that a GPU runs."""
    rule, opt = named_rule.rule, on_a_network(named_rule)
    names = ", ".join(f"{name} ({_multiple(array)})" for name, array in opt.state.items())
    parts = [
        inspect.getsource(rule),
        f"State, as multiples of the parameters: {names or 'none'}",
    ]
    sums = from_sums(rule.given, opt._passes.values())
    for name, one in opt._passes.items():
        if isinstance(one, FlatPass):
            formula = indent("\n".join(of_program(one.program)), "    ")
            parts.append(f"The pass `{name}` is\n\n{formula}")
            parts.append(f"which is done\n\n{indent(_traced(one.program), '    ')}")
            if kernel := cuda.kernel_text(one.program, "float32", sums):
                kernel = indent(kernel, "    ").rstrip()
                parts.append(f"which a GPU runs, in float32, as\n\n{kernel}")
        else:
            parts.append(f"The pass `{name}` is called for each tensor.")
    return "\n\n".join(parts)


def javascript_of(rule: NamedRule) -> str:
    """A step as a function of JavaScript; raises TypeError where it is more than its passes."""
    program = step_program(on_a_network(rule))
    return f"{javascript.FUNCTIONS}\nconst step = {javascript.step(program)};"


def _traced(program: Program) -> str:
    """The two lists of a program."""
    names = program.names()
    numbers, loop = (
        "\n".join(f"{names[out]} = {text}" for out, text in statements(entries, names))
        for entries in (program.hoisted, program.loop)
    )
    calls = f"on each coordinate, {len(program.loop)} calls of NumPy on a block:\n\n{loop}"
    return f"among numbers, once a step:\n\n{numbers}\n\n{calls}" if numbers else calls


def _cells(rule: type[Optimizer]) -> tuple[str, ...]:
    summary = " ".join((rule.__doc__ or "").split("\n\n")[0].split()).replace("|", r"\|")
    settings = ", ".join(f"{name}={default}" for name, default in rule.hyperparameters().items())
    state = on_a_network(rule).state
    names = f" ({', '.join(state)})" if state else ""
    total = sum(array.size for array in state.values()) / SIZE
    return (
        f"`{rule.__name__}`",
        rule.__module__.removeprefix("optim.rules."),
        summary,
        f"`{settings}`",
        f"{total:.3g}{names}",
        rule.oracle if rule.oracle == "the paper" else f"`{rule.oracle}`",
    )


def on_a_network(rule: Callable[[list[Tensor]], Optimizer]) -> Optimizer:
    """The rule on parameters of SHAPES."""
    return rule([Tensor(np.ones(shape), requires_grad=True) for shape in SHAPES])


def _multiple(array: Any) -> str:
    return f"{array.size / SIZE:.3g}" if array.ndim else "one number"


if __name__ == "__main__":
    main()
