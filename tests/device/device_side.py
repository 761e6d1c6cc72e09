"""What test_gpu.py compares: python -m tests.device.device_side FILE.npz, by MINIGRAD_BACKEND.

Run on NumPy and on the device, in processes of their own, since each has one backend; and with
--nudged on NumPy, to see what comes of one rounding in the inputs of every step.
"""

import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import optim
from minigrad import Tensor, synchronize, to_host, xp
from minigrad.backend import current
from models import MLP
from tests.autograd.ops import TABLE as OPS
from tests.autograd.ops import call, differentiable
from tests.driving import drive, tensors
from tests.rules.closure import NAMED, Run
from tests.rules.closure import X0 as CLOSURE_X0
from tests.rules.recorded import GRADS, RECORDED, X0
from tests.rules.table import TABLE as RULES

DTYPES = ("float32", "float64")
NUDGED = "--nudged" in sys.argv
rng = np.random.default_rng(3)
Named = Iterator[tuple[str, Callable[[], dict[str, Any]]]]


def given(x: Any, dtype: str) -> Any:
    """x in that dtype; when nudged, a third of it one unit in the last place up, a third down."""
    x = x.astype(dtype)
    return x * (1 + NUDGED * np.finfo(dtype).eps * rng.integers(-1, 2, x.shape)).astype(dtype)


def ops() -> Named:
    """Every row of the table of ops: the value, and the gradient of each operand."""
    for i, (name, inputs, options) in enumerate(OPS):
        for dtype in DTYPES:
            yield f"op/{name}/{dtype}/{i}", lambda row=(name, inputs, options, dtype): op(*row)


def op(name: str, inputs: list[Any], options: dict[str, Any], dtype: str) -> dict[str, Any]:
    leaves = list(inputs)
    where = differentiable(inputs)
    for k in where:
        leaves[k] = Tensor(inputs[k], requires_grad=True, dtype=dtype)
    out = call(name, leaves, options)
    out.backward(Tensor(np.random.default_rng(1).normal(size=out.shape), dtype=dtype))
    return {"value": out.data} | {f"d{k}": leaves[k].grad for k in where}


def rules() -> Named:
    """Every rule with the settings of each recording and of each case of its row."""
    cases = [(r.rule, r.settings, r.x0, r.grads) for r in RECORDED]
    cases += [(rule, case, X0, GRADS) for rule, row in RULES.items() for case in row.cases]
    for i, case in enumerate(cases):
        for dtype in DTYPES:
            yield f"rule/{case[0].__name__}/{dtype}/{i}", lambda case=(*case, dtype): rule(*case)
    for name, made in NAMED.items():
        for dtype in DTYPES:
            yield f"rule/{name}/{dtype}", lambda made=made, dtype=dtype: closure(made, dtype)


def rule(made: Any, settings: dict[str, Any], x0: Any, grads: Any, dtype: str) -> dict[str, Any]:
    opt = made(tensors(given(x0, dtype)), **settings)
    return {"trajectory": drive(opt, given(grads, dtype))}


def closure(made: Any, dtype: str) -> dict[str, Any]:
    losses, rows = Run(made, x0=given(CLOSURE_X0, dtype), dtype=dtype).steps(10)
    return {"losses": losses, "trajectory": rows}


def training() -> Named:
    """A network from its first step to its thirtieth."""
    for dtype in DTYPES:
        yield f"training/{dtype}", lambda dtype=dtype: train(dtype)


def network(dtype: str) -> tuple[MLP, optim.Optimizer, Callable[[], Tensor]]:
    """A model, its optimizer, and one step of training it, which returns the loss."""
    draw = np.random.default_rng(0)
    x = xp.asarray(given(draw.random((128, 64)), dtype))
    y = xp.asarray(draw.integers(0, 10, 128))
    model = MLP([64, 100, 10], rng=0, dtype=dtype)
    opt = optim.AMSGrad(model.parameters(), lr=1e-2, eps=1e-3)

    def step() -> Tensor:
        opt.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        opt.step()
        return loss

    return model, opt, step


def train(dtype: str) -> dict[str, Any]:
    model, opt, step = network(dtype)
    losses = np.array([step().item() for _ in range(30)])
    return {"losses": losses, "p": model.parameters().data} | dict(opt.state)


def resources() -> Named:
    """Of the device alone: the memory that steps leave behind, and how long they take."""
    yield "memory", memory
    yield "speed", speed


def memory() -> dict[str, Any]:
    pool = xp.get_default_memory_pool()
    step = network("float32")[2]
    rows = []
    for _ in range(200):
        step()
        rows.append((pool.used_bytes(), pool.total_bytes()))
    return {"bytes": np.array(rows)}


def speed() -> dict[str, Any]:
    """Seconds: a step of training, a step of AMSGrad, and copying what that reads and writes."""
    n = 3 * 10**7  # beyond any cache of a device
    opt = optim.AMSGrad([Tensor(np.ones(n, np.float32), requires_grad=True)])
    opt.params.grad.fill(1)
    arrays = [opt.params.data, opt.params.grad, *opt.state.values()]  # all but one are written
    one, other = xp.zeros(n, "float32"), xp.zeros(n, "float32")

    def copy() -> None:
        one[...] = other

    return {
        "training": np.array(seconds(network("float32")[2])),
        "amsgrad": np.array(seconds(opt.step)),
        "copying": np.array(seconds(copy) * (2 * len(arrays) - 1) / 2),
    }


def seconds(work: Callable[[], Any], repeats: int = 10) -> float:
    """The median of 20 measurements, after 5 that compile and fill the pool.

    Between events, and of several runs each, so that the host is ahead of the device.
    """
    times = []
    for _ in range(25):
        start, stop = xp.cuda.Event(), xp.cuda.Event()
        start.record()
        for _ in range(repeats):
            work()
        stop.record()
        stop.synchronize()
        times.append(xp.cuda.get_elapsed_time(start, stop) / 1000 / repeats)
    return statistics.median(times[5:])


def computed(named: Named) -> Iterator[tuple[str, Any]]:
    """Each array on the host; the error of what raised one, so that the others are compared."""
    for key, compute in named:
        try:
            arrays = {name: to_host(array) for name, array in compute().items()}
            synchronize()
        except Exception as error:
            arrays = {"error": np.array(f"{type(error).__name__}: {error}")}
        for name, array in arrays.items():
            yield f"{key}/{name}", array


def main() -> None:
    sections = [ops, rules, training]
    if not current().on_host:
        sections.append(resources)
    np.savez(sys.argv[1], **{k: a for section in sections for k, a in computed(section())})


if __name__ == "__main__":
    main()
