"""One step of a rule over one array of parameters, and the memory that it takes.

Each contestant, here and in steps_peers.py, takes the name of the rule and the shape of the
parameters, sees the same gradient at every step and yields the first parameter.
"""

import tracemalloc
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int, ...]
STATE = {  # the arrays of the parameters' size that a rule remembers
    "SGD": 0,
    "Momentum": 1,
    "Adam": 2,
    "AMSGrad": 3,
    "AdamW": 2,
    "Lion": 1,
    "Adafactor": 0,
    "Muon": 1,
}
ADAM = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}
SETTINGS: dict[str, dict[str, Any]] = {  # else the defaults
    "SGD": {"lr": 0.01},
    "Momentum": {"lr": 0.01, "momentum": 0.9},
    "Adam": ADAM,
    "AMSGrad": ADAM,
    "AdamW": {**ADAM, "weight_decay": 0.01},
    "Lion": {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.01},
    "Adafactor": {"lr": 1e-4},  # relative to the parameters, which would overflow at 0.01
    "Muon": {"lr": 0.01},
}


def ours(rule: str, shape: Shape, tensors: int = 1) -> Iterator[Any]:
    """Through the public API, over so many tensors of that shape."""
    import optim
    from minigrad import Tensor

    starts, gradients = task((tensors, *shape))
    params = [Tensor(start, requires_grad=True) for start in starts]
    opt = optim.make(rule, params, **SETTINGS.get(rule, {}))
    for p, gradient in zip(params, gradients, strict=True):
        p.grad = gradient
    first = params[0].data.reshape(-1)[:1]
    del starts, gradients, gradient
    while True:
        opt.step()
        yield first[0]


def textbook(rule: str, shape: Shape) -> Iterator[Any]:
    """As the paper has it, with temporaries of the size of the parameters."""
    p, g = task(shape)
    for x in {"Adafactor": _adafactor, "Muon": _muon}.get(rule, _elementwise)(rule, p, g):
        yield x.flat[0]


def moved(rule: str, shape: Shape) -> int:
    """The bytes that a step must read and write: parameters and state both ways, the gradient."""
    return 4 * prod(shape) * (3 + 2 * STATE[rule])


def peak_bytes(rule: str, shape: Shape) -> int:
    """The most memory that one of our steps holds at a time, by tracemalloc."""
    steps = ours(rule, shape)
    next(steps)
    tracemalloc.start()
    next(steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def task(shape: Shape) -> tuple[Any, Any]:
    """Parameters and their gradient: normal numbers, which recur where there are many."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((2, min(prod(shape), 2**20)), dtype=np.float32)
    return np.resize(draws[0], shape), np.resize(draws[1], shape)


def _elementwise(rule: str, p: Any, g: Any) -> Iterator[Any]:
    settings = SETTINGS[rule]
    lr = settings["lr"]
    beta1, beta2 = settings.get("betas", (0, 0))
    eps, decay = settings.get("eps", 0), settings.get("weight_decay", 0)
    m, v, vmax = (np.zeros_like(p) if STATE[rule] > k else None for k in range(3))
    t = 0
    while True:
        t += 1
        if rule == "SGD":
            p = p - lr * g
        elif rule == "Momentum":
            m = settings["momentum"] * m + g
            p = p - lr * m
        elif rule == "Lion":
            u = np.sign(beta1 * m + (1 - beta1) * g)
            m = beta2 * m + (1 - beta2) * g
            p = p - lr * (u + decay * p)
        else:
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            if rule == "AMSGrad":
                vmax = np.maximum(vmax, v)
                p = p - lr * m / (np.sqrt(vmax) + eps)
            else:
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                p = p - lr * (m_hat / (np.sqrt(v_hat) + eps) + decay * p)
        yield p


def _adafactor(rule: str, p: Any, g: Any) -> Iterator[Any]:
    lr = SETTINGS[rule]["lr"]
    r, c, t = np.zeros_like(p[:, :1]), np.zeros_like(p[:1]), 0
    while True:
        t += 1
        beta2 = 1 - t**-0.8
        r = beta2 * r + (1 - beta2) * (g**2).mean(axis=1, keepdims=True)
        c = beta2 * c + (1 - beta2) * (g**2).mean(axis=0, keepdims=True)
        u = g / np.sqrt(r * c / r.mean())
        u = u / max(1, np.sqrt((u**2).mean()))
        p = p - min(lr, t**-0.5) * max(1e-3, np.sqrt((p**2).mean())) * u
        yield p


def _muon(rule: str, p: Any, g: Any) -> Iterator[Any]:
    lr = SETTINGS[rule]["lr"]
    m = np.zeros_like(p)
    while True:
        m = 0.95 * m + 0.05 * g
        x = 0.95 * m + 0.05 * g
        x = x / np.linalg.norm(x)
        for _ in range(5):
            s = x @ x.T
            x = 3.4445 * x + (-4.775 * s + 2.0315 * s @ s) @ x
        p = p - lr * (x + 0.1 * p)
        yield p
