"""python -m optim: the table of rules; python -m optim show NAME: what one of them is."""

import argparse
import inspect
from math import prod
from textwrap import indent
from typing import Any

import numpy as np

from minigrad import Tensor
from minigrad.errors import nearest
from minigrad.fused import fused, readable
from optim import RULES
from optim.engine.optimizer import Optimizer
from optim.engine.passes import Pass

SHAPES = [(784, 100), (100,), (100, 10), (10,)]  # a multilayer perceptron, to count memory on
SIZE = sum(map(prod, SHAPES))


def main() -> None:
    """Print the table, or one rule."""
    parser = argparse.ArgumentParser("python -m optim", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    show = commands.add_parser("show", help="a rule: its source, its state, its passes, its kernel")
    show.add_argument("name", help="as in the table, in any case")
    args = parser.parse_args()
    if args.command is None:
        print(table())
    elif args.name.lower() in RULES:
        print(describe(RULES[args.name.lower()]))
    else:
        parser.error(f"optimizer {args.name!r} is unknown; {nearest(args.name, RULES)}")


def table() -> str:
    """Every rule of this package, as the README has it."""
    rows = [
        "| rule | family | what it does, and its paper | hyperparameters | state | compared with |",
        "|---|---|---|---|---|---|",
    ]
    for rule in RULES.values():
        if rule.__module__.startswith("optim."):
            rows.append(f"| {' | '.join(_cells(rule))} |")
    return "\n".join(rows)


def describe(rule: type[Optimizer]) -> str:
    """A rule's source, its state, its passes over memory on NumPy and its kernel on CuPy."""
    opt = _on_a_network(rule)
    names = ", ".join(f"{name} ({_multiple(array)})" for name, array in opt.state.items())
    parts = [
        inspect.getsource(rule),
        f"State, as multiples of the parameters: {names or 'none'}",
        f"NumPy: {_numpy(rule)}",
        f"CuPy: {_cuda(rule)}",
    ]
    return "\n\n".join(parts)


def _cells(rule: type[Optimizer]) -> tuple[str, ...]:
    summary = " ".join((rule.__doc__ or "").split("\n\n")[0].split()).replace("|", r"\|")
    settings = ", ".join(f"{name}={default}" for name, default in rule.hyperparameters().items())
    state = _on_a_network(rule).state
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


def _on_a_network(rule: type[Optimizer]) -> Optimizer:
    return rule([Tensor(np.ones(shape), requires_grad=True) for shape in SHAPES])


def _multiple(array: Any) -> str:
    return f"{array.size / SIZE:.3g}" if array.ndim else "one number"


class _Counted(np.ndarray):
    """Counts the calls of NumPy's elementwise functions and products on it."""

    calls = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        _Counted.calls += 1
        plain = [np.asarray(x) if isinstance(x, _Counted) else x for x in inputs]
        out = options.pop("out", None)
        if out is None:
            return np.asarray(getattr(ufunc, method)(*plain, **options)).view(_Counted)
        getattr(ufunc, method)(*plain, out=tuple(map(np.asarray, out)), **options)
        return out[0]


def _stepped(rule: type[Optimizer]) -> Optimizer:
    """An optimizer of one matrix after a step, whose blocks count."""
    opt = rule([Tensor(np.ones((4, 3)), requires_grad=True)])
    for one in opt._passes.values():
        one.recorded = False
        one.blocks = [(where, [a.view(_Counted) for a in arrays]) for where, arrays in one.blocks]
    opt._owned.grad.fill(1)
    opt.step((lambda: Tensor(1.0)) if rule.needs_closure else None)
    return opt


def _numpy(rule: type[Optimizer]) -> str:
    _Counted.calls = 0
    opt = _stepped(rule)
    where = "tensor" if rule.per_tensor else "block"
    parts = [f"{_Counted.calls} calls of NumPy on each {where}."]
    for name, one in opt._passes.items():
        recording = None if rule.per_tensor else one.recording(_scalars(opt, one))
        if recording:
            parts.append(f"The pass `{name}` is\n\n{indent(str(recording), '    ')}")
    return "\n\n".join(parts)


def _cuda(rule: type[Optimizer]) -> str:
    if rule.per_tensor:
        return "a launch for every operation on each tensor."
    opt = _stepped(rule)
    sources = []
    for name, one in opt._passes.items():
        kernel = getattr(rule, name)
        arrays = {n: a.astype("float32") for n, a in zip(one.arrays, one.blocks[0][1], strict=True)}
        scalars = _scalars(opt, one)
        try:
            made = fused(kernel, arrays, scalars)
        except ImportError:
            return "one launch for each of its passes; the kernel is shown where CuPy is installed."
        does = readable(made, [*arrays, *scalars])
        sources.append(
            f"one launch for the pass `{name}`; each coordinate's thread does\n\n{does}\n\n"
            f"which is, in CUDA,\n\n{made.preamble}\n{made.operation}"
        )
    return "\n\n".join(sources)


def _scalars(opt: Optimizer, one: Pass) -> dict[str, Any]:
    return dict.fromkeys(one.wanted or opt._scalars, np.float32(1))


if __name__ == "__main__":
    main()
