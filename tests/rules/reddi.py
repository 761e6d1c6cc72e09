"""Problem 1 of Reddi, Kale and Kumar 2018, a driver for it, and where it leads."""

from typing import Any

import numpy as np

import optim
from minigrad import Tensor
from optim import Box
from optim.schedules import InverseSqrt

ROOT = InverseSqrt(0.5)
INTERVAL = Box(-1.0, 1.0)
DRIVEN, LONG = 50_000, 1_010_000


def slope(t: int) -> float:
    """Problem 1: f_t(x) = 1010 x if t mod 101 = 1, else -10 x, on [-1, 1]; -1 is optimal."""
    return 1010.0 if t % 101 == 1 else -10.0


SLOPES = [slope(t) for t in range(1, LONG + 1)]


def optimizer(rule: str, size: int, **settings: Any) -> optim.Optimizer:
    x = Tensor(np.zeros(size), requires_grad=True)
    return optim.make(rule, [x], **{"lr": ROOT, "projection": INTERVAL} | settings)


def drive(opt: optim.Optimizer, slopes: Any) -> Any:
    """x_1, ..., x_T of each coordinate: each before its step."""
    (x,) = opt.params
    rows = np.empty((len(slopes), x.size))
    for row, g in zip(rows, slopes, strict=True):
        row[...] = x.numpy()
        x.grad[...] = g
        opt.step()
    return rows


AT = 100_000, 300_000, 1_000_000
VALUES = [  # rule, beta2, x after AT steps, R_T / T
    ("PaperAdam", 0.99, (0.9928, 0.9950, 1.0000), (0.3113, 0.2576, 0.2280)),
    ("PaperAdam", 0.999, (0.3787, 0.6194, 1.0000), (0.2769, 0.2230, 0.2135)),
    ("Adam", 0.99, (0.9928, 0.9950, 1.0000), (0.3099, 0.2571, 0.2279)),
    ("Adam", 0.999, (-0.4141, -0.1735, 0.3011), (0.1853, 0.1406, 0.1352)),
    ("AMSGrad", 0.99, (-0.9842, -0.9998, -0.9973), (0.1220, 0.0661, 0.0347)),
    ("AMSGrad", 0.999, (-0.3006, -0.5220, -0.9504), (0.2258, 0.1442, 0.0782)),
]
