"""Record what others do by the rules of descent, and by FTRL: tests/oracles/rules_*.npz.

The inputs and the form are those of rules.py. Run as `python -m tests.record.rules_descent`. FTRL
starts at zero, in a file of its own: other weights keras.optimizers.Ftrl pulls to zero, by beta in
the first step. Packages: torch 2.13.0, torch_optimizer 0.3.0, pytorch_optimizer 4.1.0,
lion_pytorch 0.2.5, optax 0.2.8, keras 3.15.1.
"""

from functools import partial

# isort: off
from tests.record.rules import (  # first: it sets keras up
    by_optax,
    by_torch,
    inputs,
    keep,
    rate,
    root,
    scheduled,
    store,
    table,
)

# isort: on
import keras
import lion_pytorch
import numpy as np
import optax
import pytorch_optimizer
import torch
import torch_optimizer

# The oracles: generators of the parameters after each step.


def by_asgd(x0, grads, lr, t0, **settings):
    """No schedules: a change of lr comes a step late."""
    torch.set_default_dtype(torch.float64)  # of eta, whatever the dtype of the parameters
    x = torch.tensor(x0, requires_grad=True)
    opt = torch.optim.ASGD([x], lr=lr, t0=t0, **settings)
    rows = []
    for g in grads:
        x.grad = torch.tensor(g)
        opt.step()
        rows.append(x.detach().numpy().copy())
        yield rows[-1]
    first = min(int(t0) + 1, len(grads) - 1)
    assert np.allclose(opt.state[x]["ax"], np.mean(rows[first:], axis=0), rtol=1e-13, atol=1e-13)


def in_optax(make, x0, grads, lr, **settings):
    yield from by_optax(make(scheduled(lr), *settings.values()), x0, grads)


def by_keras(x0, grads, lr, eps, l1, l2):
    x = keras.Variable(x0)
    opt = keras.optimizers.Ftrl(
        lr,
        initial_accumulator_value=0.0,
        l1_regularization_strength=l1,
        l2_regularization_strength=l2 / 2,
        beta=eps,
    )
    opt.build([x])
    for g in grads:
        opt.apply([g], [x])
        yield x.numpy()


# The formulas, to check the oracles with: generators of the same.


def sgdw(x, grads, lr, momentum, weight_decay):
    b = 0
    for t, g in enumerate(grads, 1):
        b = momentum * b + g
        x = x - rate(lr, t) * (b + weight_decay * x)
        yield x


def qhm(x, grads, lr, momentum, nu):
    for t in range(1, len(grads) + 1):
        weights = (1 - momentum) * np.longdouble(momentum) ** np.arange(t - 1, -1, -1)
        x = x - rate(lr, t) * ((1 - nu) * grads[t - 1] + nu * weights @ grads[:t])
        yield x


def aggmo(x, grads, lr, betas):
    for t in range(1, len(grads) + 1):
        ages = np.arange(t - 1, -1, -1)
        weights = np.mean([np.longdouble(beta) ** ages for beta in betas], axis=0)
        x = x - rate(lr, t) * weights @ grads[:t]
        yield x


def asgd(x, grads, lr, lambd, alpha, t0):
    for t, g in enumerate(grads, 1):
        eta = rate(lr, t) / (1 + lambd * rate(lr, t) * (t - 1)) ** alpha
        x = (1 - lambd * eta) * x - eta * g
        yield x


def signum(x, grads, lr, momentum=0.0):
    m = 0
    for t, g in enumerate(grads, 1):
        m = momentum * m + (1 - momentum) * g
        x = x - rate(lr, t) * np.sign(m)
        yield x


def lion(x, grads, lr, betas, weight_decay):
    m = 0
    for t, g in enumerate(grads, 1):
        c = betas[0] * m + (1 - betas[0]) * g
        x = x - rate(lr, t) * (np.sign(c) + weight_decay * x)
        m = betas[1] * m + (1 - betas[1]) * g
        yield x


def rprop(x, grads, lr, etas, step_sizes):
    """One coordinate after the other."""

    def one(x, slopes):
        last, size = 0, lr
        for g in slopes:
            if g * last > 0:
                size = min(size * etas[1], step_sizes[1])
            elif g * last < 0:
                size, g = max(size * etas[0], step_sizes[0]), 0
            size = min(max(size, step_sizes[0]), step_sizes[1])
            x, last = x - size * np.sign(g), g
            yield x

    yield from np.array([list(one(*both)) for both in zip(x, grads.T, strict=True)]).T


def ftrl(x, grads, lr, eps, l1, l2):
    """Algorithm 1 of McMahan et al. 2013."""
    z = n = 0
    for g in grads:
        sigma = (np.sqrt(n + g * g) - np.sqrt(n)) / lr
        z, n = z + g - sigma * x, n + g * g
        x = np.where(np.abs(z) <= l1, 0, -(z - np.sign(z) * l1) / ((eps + np.sqrt(n)) / lr + l2))
        yield x


RULES = [  # name, oracle, how to run it, formula, settings
    (
        "SGDW",
        "pytorch_optimizer.SGDW",
        partial(by_torch, pytorch_optimizer.SGDW),
        sgdw,
        table(
            "lr momentum weight_decay",
            (1e-3, 0.9, 1e-2),
            (1e-2, 0.99, 0.1),
            (0.1, 0.5, 1.0),
            (root(0.05), 0.9, 0.1),
        ),
    ),
    (
        "QHM",
        "torch_optimizer.QHM",
        partial(by_torch, torch_optimizer.QHM),
        qhm,
        table("lr momentum nu", (1e-3, 0.999, 0.7), (1e-2, 0.9, 1.0), (root(0.05), 0.5, 0.2)),
    ),
    (
        "AggMo",
        "torch_optimizer.AggMo",
        partial(by_torch, torch_optimizer.AggMo),
        aggmo,
        table(
            "lr betas",
            (1e-3, [0.0, 0.9, 0.99]),
            (1e-2, [0.5, 0.7, 0.9]),
            (root(0.05), [0.0, 0.9, 0.999]),
        ),
    ),
    (
        "ASGD",
        "torch.optim.ASGD",
        by_asgd,
        asgd,
        table(
            "lr lambd alpha t0",
            (1e-2, 1e-4, 0.75, 1e6),
            (0.1, 0.5, 0.9, 10),
            (1.0, 0.01, 0.5, 0),
        ),
    ),
    (
        "SignSGD",
        "optax.sign_sgd",
        partial(in_optax, optax.sign_sgd),
        signum,
        table("lr", (1e-3,), (0.1,), (root(0.05),)),
    ),
    (
        "Signum",
        "optax.signum",
        partial(in_optax, optax.signum),
        signum,
        table("lr momentum", (1e-3, 0.9), (0.1, 0.99), (root(0.05), 0.5)),
    ),
    (
        "Lion",
        "lion_pytorch.Lion",
        partial(by_torch, lion_pytorch.Lion),
        lion,
        table(
            "lr betas weight_decay",
            (1e-4, [0.9, 0.99], 0.0),
            (1e-2, [0.95, 0.98], 0.1),
            (root(0.05), [0.5, 0.9], 1.0),
        ),
    ),
    (
        "Rprop",
        "torch.optim.Rprop",
        partial(by_torch, torch.optim.Rprop),
        rprop,
        table(
            "lr etas step_sizes",
            (1e-2, [0.5, 1.2], [1e-6, 50.0]),
            (0.1, [0.3, 1.5], [1e-2, 0.2]),
            (1.0, [0.9, 1.1], [0.0, 1.2]),
        ),
    ),
]
FTRL = [
    (
        "FTRL",
        "keras.optimizers.Ftrl",
        by_keras,
        ftrl,
        table(
            "lr eps l1 l2",
            (1e-2, 1.0, 0.0, 0.0),
            (0.1, 1e-3, 0.1, 0.0),
            (0.5, 0.1, 3.0, 0.5),
            (1.0, 0.1, 30.0, 10.0),
        ),
    ),
]


def save(name, rules, x0, grads):
    """Run every oracle, compare it with its formula, print the differences, save."""
    arrays = {"x0": x0, "grads": grads}
    for rule, oracle, record, formula, rows in rules:
        for settings in rows:
            x = np.stack(list(record(x0, grads, **settings)))
            exact = formula(x0.astype(np.longdouble), grads.astype(np.longdouble), **settings)
            expected = np.stack(list(exact))
            keep(arrays, rule, oracle, settings, x, expected, 1e-13)
    store(name, arrays)


if __name__ == "__main__":
    x0, grads = inputs()
    save("rules_descent.npz", RULES, x0, grads)
    save("rules_ftrl.npz", FTRL, np.zeros_like(x0), grads)
