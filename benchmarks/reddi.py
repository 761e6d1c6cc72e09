"""Reddi's problem 1 by AMSGrad, in float64, with the regret summed.

Each contestant takes the number of steps and of copies. What it yields first is the average regret
of a run of CHECK steps, then those of whole runs.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

CHECK = 10_000
LARGE, SMALL, PERIOD = 1010.0, 10.0, 101
LR, BETAS = 0.5, (0.9, 0.99)  # alpha_t = LR / sqrt(t)
VALUES = 2**18  # in a stretch of steps that are played at once: 2 MB


def stepwise(steps: int, copies: int) -> Iterator[Any]:
    """The public API in a plain loop."""
    return _runs(partial(_stepwise, copies), steps)


def played(
    steps: int, copies: int, schedule: Callable[[int], float] | None = None
) -> Iterator[Any]:
    """In stretches whose gradients are given at once; the schedule is InverseSqrt or a function."""
    return _runs(partial(_played, copies, schedule), steps)


def inverse_sqrt(t: int) -> float:
    """A schedule that says of itself no more than any function does."""
    return LR / t**0.5


def replay(steps: int, copies: int) -> Iterator[Any]:
    """The experiments' time-parallel form, which also records 400 points."""
    return _runs(partial(_replay, copies), steps)


def scan(steps: int, copies: int) -> Iterator[Any]:
    """jax's `lax.scan`, compiled for its number of steps before the clock runs."""
    compiled = {length: _scan(copies, length) for length in (CHECK, steps)}
    return _runs(lambda length: compiled[length](), steps)


def scan_and_compile(steps: int, copies: int) -> Iterator[Any]:
    """The same, compiled for each run."""
    return _runs(lambda length: _scan(copies, length)(), steps)


def torch(steps: int, copies: int) -> Iterator[Any]:
    """A plain PyTorch loop, of CHECK steps only: it is too slow for more."""
    return _runs(partial(_torch, copies), CHECK)


def _runs(run: Callable[[int], Any], steps: int) -> Iterator[Any]:
    yield run(CHECK)
    while True:
        yield run(steps)


def _stepwise(copies: int, steps: int) -> Any:
    opt = _optimizer(copies)
    x, grad, step = opt.params.data, opt.params.grad, opt.step
    regret = np.zeros(copies)
    for t in range(1, steps + 1):
        g = LARGE if t % PERIOD == 1 else -SMALL
        regret += g * (x + 1)
        grad[...] = g
        step()
    return regret[0] / steps


def _played(copies: int, schedule: Callable[[int], float] | None, steps: int) -> Any:
    opt = _optimizer(copies, schedule)
    stretch = VALUES // copies
    regret = np.zeros(copies)
    for start in range(1, steps + 1, stretch):
        t = np.arange(start, min(start + stretch, steps + 1))
        g = np.where(t % PERIOD == 1, LARGE, -SMALL)
        regret += g @ opt.play(g[:, None]) + g.sum()
    return regret[0] / steps


def _optimizer(copies: int, schedule: Callable[[int], float] | None = None) -> Any:
    import optim
    from minigrad import Parameters, Tensor

    params = Parameters.of([Tensor(np.zeros(copies), requires_grad=True)])
    lr = schedule or optim.schedules.InverseSqrt(LR)
    return optim.AMSGrad(params, lr=lr, betas=BETAS, projection=optim.Box(-1, 1))


def _replay(copies: int, steps: int) -> Any:
    from experiments.loops.replay import Replay, amsgrad
    from experiments.problems.linear import Periodic
    from optim.schedules import InverseSqrt

    problem = Periodic(LARGE, SMALL, PERIOD)
    settings = {"lr": InverseSqrt(LR), "betas": BETAS}
    run = Replay(problem, amsgrad, steps=steps, x1=0.0, copies=copies, **settings)
    while not run.done:
        run.advance()
    return run.traces()["average_regret"][-1, 0]


def _scan(copies: int, steps: int) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    beta1, beta2 = BETAS

    def step(carry: Any, t: Any) -> Any:
        x, m, v, v_max, regret = carry
        g = jnp.where(t % PERIOD == 1, LARGE, -SMALL)
        regret += g * (x + 1)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        v_max = jnp.maximum(v_max, v)
        x = jnp.clip(x - LR / jnp.sqrt(t) * m / jnp.sqrt(v_max), -1, 1)
        return (x, m, v, v_max, regret), None

    def run(zeros: Any) -> Any:
        last, _ = jax.lax.scan(step, (zeros,) * 5, jnp.arange(1, steps + 1))
        return last[-1][0] / steps

    zeros = jnp.zeros(copies)
    return partial(jax.jit(run).lower(zeros).compile(), zeros)


def _torch(copies: int, steps: int) -> Any:
    import torch

    beta1, beta2 = BETAS
    x, m, v, v_max, regret = torch.zeros(5, copies, dtype=torch.float64)
    with torch.no_grad():
        for t in range(1, steps + 1):
            g = LARGE if t % PERIOD == 1 else -SMALL
            regret = regret + g * (x + 1)
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            v_max = torch.maximum(v_max, v)
            x = torch.clamp(x - LR / t**0.5 * m / torch.sqrt(v_max), -1, 1)
    return regret[0] / steps
