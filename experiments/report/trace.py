"""What the trace of a rule is, in sentences."""

from typing import Any

from experiments.record.wording import counted, listed
from optim.__main__ import SIZE, javascript_of, on_a_network
from optim.engine.cuda import kernel_text
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.passes import FlatPass
from optim.engine.whole import plays_whole
from optim.named import NamedRule


def sentences(rule: NamedRule) -> list[str]:
    """Of its passes and its state, and of every machine that may get it."""
    opt: Any = on_a_network(rule)
    flat = {name: one for name, one in opt._passes.items() if isinstance(one, FlatPass)}
    said = [_pass(name, one) for name, one in flat.items()]
    said += [
        f"The pass {name} is called with each tensor." for name in opt._passes if name not in flat
    ]
    if opt.writes_state:
        said.append("An update of its own does more than these passes.")
    state = ", ".join(opt.state) or "none"
    size = sum(array.size for array in opt.state.values()) / SIZE
    said.append(f"State: {state}; {size:.3g} for each parameter of an MLP 784-100-10.")
    said += [_compiled(flat, len(opt._passes)), _whole(opt), _cuda(flat), _javascript(rule)]
    return said


def _pass(name: str, one: FlatPass) -> str:
    hoisted, loop = len(one.program.hoisted), len(one.program.loop)
    return (
        f"The pass {name} is {counted(loop, 'call')} of NumPy on a block, and "
        f"{counted(hoisted, 'operation')} among numbers once a step."
    )


def _compiled(flat: dict[str, FlatPass], every: int) -> str:
    rounded = sorted({f for one in flat.values() for f in one.program.functions & ROUNDED_ANYHOW})
    if rounded:
        why = f"{listed(rounded)}, which libraries round in their own ways"
        return f"numba leaves to NumPy what has {why}."
    if len(flat) < every:
        return f"numba compiles {len(flat)} of {every} passes; the others see whole tensors."
    return "numba compiles each pass to one loop over the coordinates."


def _whole(opt: Any) -> str:
    if plays_whole(opt):
        return "A run whose gradients are known beforehand is one compiled loop over time."
    return "A run whose gradients are known beforehand is played step by step."


def _cuda(flat: dict[str, FlatPass]) -> str:
    with_text = [name for name, one in flat.items() if kernel_text(one.program, "float32")]
    if not with_text:
        return "There is no CUDA of it: each pass sees tensors."
    return f"It prints as CUDA: {listed(with_text)}."


def _javascript(rule: NamedRule) -> str:
    try:
        javascript_of(rule)
    except TypeError as error:
        return str(error)
    return "A step prints as JavaScript."
