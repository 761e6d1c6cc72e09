"""Record what PyTorch, optax and keras do with fixed gradients: tests/oracles/rules.npz.

Fifty steps of 48 float64 coordinates, the parameters kept after every step, for every rule that
one of torch 2.13.0, optax 0.2.8 and keras 3.15.1 implements. Each recording is first compared
with the rule's formula in extended precision. Run as `python -m tests.record.rules`.
"""

import importlib.metadata
import json
import math
import os
from functools import partial
from pathlib import Path

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
import jax.numpy as jnp
import keras
import optax
import torch

keras.config.set_floatx("float64")

SHAPES = [(), (3,), (4, 5), (2, 3, 4)]
STEPS, SIZE = 50, sum(math.prod(shape) for shape in SHAPES)
ORACLES = Path(__file__).parent.parent / "oracles"


def inputs():
    """A starting point, and gradients of many scales with zeros, late starters and an outlier."""
    rng = np.random.default_rng(2018)
    x0 = rng.normal(size=SIZE)
    scale = 10 ** rng.uniform(-3, 2, SIZE)
    grads = scale * rng.normal(size=(STEPS, SIZE))
    grads[rng.random(grads.shape) < 1 / 3] = 0
    grads[:10, [2, 9, 21, 30, 41]] = 0
    grads[:, 14] = 0
    grads[19] = 0
    grads[:, 35] = 1e-2 * rng.normal(size=STEPS)
    grads[4, 35] = 300
    return x0, grads


def rate(lr, t):
    """The learning rate at step t, counted from 1."""
    return lr["alpha"] / math.sqrt(t) if isinstance(lr, dict) else lr


# The oracles: generators of the parameters after each step.


def by_torch(optimizer, x0, grads, lr, **settings):
    x = torch.tensor(x0, requires_grad=True)
    opt = optimizer([x], lr=rate(lr, 1), **settings)
    for t, g in enumerate(grads, 1):
        opt.param_groups[0]["lr"] = rate(lr, t)
        x.grad = torch.tensor(g)
        opt.step()
        yield x.detach().numpy().copy()


def by_optax(opt, x0, grads):
    """The parameters after each step of an optax transformation."""
    x = jnp.asarray(x0)
    state = opt.init(x)
    for g in grads:
        update, state = opt.update(jnp.asarray(g), state, x)
        x = optax.apply_updates(x, update)
        yield np.array(x)


def scheduled(lr):
    """The rate as optax takes it: it counts from 0 in int32, whose root jax takes in float32."""
    if not isinstance(lr, dict):
        return lr
    return lambda count: lr["alpha"] / jnp.sqrt(count.astype(jnp.float64) + 1)


def optax_amsgrad(x0, grads, lr, betas, eps, **flags):
    yield from by_optax(optax.amsgrad(scheduled(lr), *betas, eps, **flags), x0, grads)


def by_keras(x0, grads, lr, betas, eps):
    x = keras.Variable(x0)
    opt = keras.optimizers.Adam(rate(lr, 1), betas[0], betas[1], epsilon=eps, amsgrad=True)
    opt.build([x])
    for t, g in enumerate(grads, 1):
        opt.learning_rate = rate(lr, t)
        opt.apply([g], [x])
        yield x.numpy()


# The formulas, to check the oracles with: generators of what each step subtracts.


def sgd(grads, lr):
    for t, g in enumerate(grads, 1):
        yield rate(lr, t) * g


def heavy_ball(grads, lr, momentum, nesterov=False):
    b = 0
    for t, g in enumerate(grads, 1):
        b = momentum * b + g
        yield rate(lr, t) * (g + momentum * b if nesterov else b)


def adagrad(grads, lr, eps):
    s = 0
    for t, g in enumerate(grads, 1):
        s = s + g * g
        yield rate(lr, t) * g / (np.sqrt(s) + eps)


def rmsprop(grads, lr, alpha, eps, momentum=0, centered=False):
    b = v = mean = 0
    for t, g in enumerate(grads, 1):
        v = alpha * v + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        # torch does not guard this root. By Cauchy and Schwarz v - mean^2 >= alpha^t v, which is
        # at least 2e-8 v for the alphas below, far from rounding to something negative.
        b = momentum * b + g / (np.sqrt(v - centered * mean * mean) + eps)
        yield rate(lr, t) * b


def adadelta(grads, lr, rho, eps):
    s = u = 0
    for t, g in enumerate(grads, 1):
        s = rho * s + (1 - rho) * g * g
        d = np.sqrt(u + eps) / np.sqrt(s + eps) * g
        u = rho * u + (1 - rho) * d * d
        yield rate(lr, t) * d


def adam(grads, lr, betas, eps, variant):
    b1, b2 = np.longdouble(betas)
    m = v = v_max = 0
    for t, g in enumerate(grads, 1):
        a = rate(lr, t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        m_hat, c2 = m / (1 - b1**t), 1 - b2**t
        v_max = np.maximum(v_max, v / c2 if variant == "optax" else v)
        match variant:
            case "adam":
                yield a * m_hat / (np.sqrt(v / c2) + eps)
            case "paper":
                yield a * m / (np.sqrt(v_max) + eps)
            case "torch":
                yield a * m_hat / (np.sqrt(v_max / c2) + eps)
            case "optax":
                yield a * m_hat / (np.sqrt(v_max) + eps)
            case "keras":
                yield a * np.sqrt(c2) * m_hat / (np.sqrt(v_max) + eps)


RAW = {"bias_correction_mu": False, "bias_correction_nu": False}


def root(alpha):
    return {"schedule": "inverse_sqrt", "alpha": alpha}


def table(names, *rows):
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


MOMENTUM = table("lr momentum", (1e-3, 0.9), (1e-2, 0.99), (0.1, 0.5), (root(0.05), 0.9))
RMSPROP = table(
    "lr alpha eps",
    (1e-2, 0.99, 1e-8),
    (1e-3, 0.9, 1e-3),
    (0.1, 0.7, 0.1),
    (root(0.5), 0.99, 1e-8),
)
ADAM = table(
    "lr betas eps",
    (1e-3, [0.9, 0.999], 1e-8),
    (1e-2, [0.9, 0.99], 1e-3),
    (0.1, [0.5, 0.9], 0.1),
    (root(0.5), [0.9, 0.99], 1e-8),
)

RULES = [  # name, oracle, how to run it, formula, settings
    (
        "SGD",
        "torch.optim.SGD",
        partial(by_torch, torch.optim.SGD),
        sgd,
        table("lr", (1e-3,), (1e-2,), (0.1,), (root(0.05),)),
    ),
    ("Momentum", "torch.optim.SGD", partial(by_torch, torch.optim.SGD), heavy_ball, MOMENTUM),
    (
        "Nesterov",
        "torch.optim.SGD",
        partial(by_torch, torch.optim.SGD, nesterov=True),
        partial(heavy_ball, nesterov=True),
        MOMENTUM,
    ),
    (
        "AdaGrad",
        "torch.optim.Adagrad",
        partial(by_torch, torch.optim.Adagrad),
        adagrad,
        table("lr eps", (1e-2, 1e-10), (0.1, 1e-3), (1.0, 0.1), (root(0.5), 1e-10)),
    ),
    ("RMSProp", "torch.optim.RMSprop", partial(by_torch, torch.optim.RMSprop), rmsprop, RMSPROP),
    (
        "CenteredRMSProp",
        "torch.optim.RMSprop",
        partial(by_torch, torch.optim.RMSprop, centered=True),
        partial(rmsprop, centered=True),
        RMSPROP,
    ),
    (
        "RMSPropMomentum",
        "torch.optim.RMSprop",
        partial(by_torch, torch.optim.RMSprop),
        rmsprop,
        [
            {**settings, "momentum": momentum}
            for settings, momentum in zip(RMSPROP, (0.9, 0.5, 0.99, 0.9), strict=True)
        ],
    ),
    (
        "Adadelta",
        "torch.optim.Adadelta",
        partial(by_torch, torch.optim.Adadelta),
        adadelta,
        table(
            "lr rho eps", (1.0, 0.9, 1e-6), (0.5, 0.99, 1e-3), (0.1, 0.7, 0.1), (root(2), 0.9, 1e-6)
        ),
    ),
    (
        "Adam",
        "torch.optim.Adam",
        partial(by_torch, torch.optim.Adam),
        partial(adam, variant="adam"),
        ADAM,
    ),
    (
        "AMSGradTorch",
        "torch.optim.Adam",
        partial(by_torch, torch.optim.Adam, amsgrad=True),
        partial(adam, variant="torch"),
        ADAM,
    ),
    ("AMSGradOptax", "optax.amsgrad", optax_amsgrad, partial(adam, variant="optax"), ADAM),
    # Our AMSGrad defaults to the paper's eps = 0, for which optax gives NaN wherever v_max is 0.
    (
        "AMSGrad",
        "optax.amsgrad",
        partial(optax_amsgrad, **RAW),
        partial(adam, variant="paper"),
        ADAM,
    ),
    (
        "AMSGradKeras",
        "keras.optimizers.Adam",
        by_keras,
        partial(adam, variant="keras"),
        [{**ADAM[0], "eps": 1e-7}, *ADAM[1:]],
    ),
]


def keep(arrays, rule, oracle, settings, x, expected, limit, distribution=None):
    """Keep a recording that is within the limit of what a formula gives; prints the difference."""
    error = np.max(np.abs(x - expected) / np.maximum(1, np.abs(expected)))
    print(f"{rule:18} {oracle:30} {error:8.1e}  {settings}")
    assert x.dtype == np.float64 and error < limit, (rule, settings)
    version = importlib.metadata.version(distribution or oracle.split(".")[0]).split("+")[0]
    key = {"rule": rule, "oracle": f"{oracle} {version}", "settings": settings}
    arrays[json.dumps(key, sort_keys=True)] = x


def store(name, arrays):
    """Write the recordings with x0 and grads to tests/oracles."""
    path = ORACLES / name
    np.savez_compressed(path, **arrays)
    print(f"{len(arrays) - 2} cases, {path.stat().st_size} bytes")


def main():
    """Run every oracle, compare it with its formula, print the differences, save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    for rule, oracle, record, formula, rows in RULES:
        for settings in rows:
            x = np.stack(list(record(x0, grads, **settings)))
            steps = np.stack(list(formula(grads.astype(np.longdouble), **settings)))
            expected = x0 - np.cumsum(steps, axis=0)
            keep(arrays, rule, oracle, settings, x, expected, 1e-13)
    store("rules.npz", arrays)


if __name__ == "__main__":
    main()
