"""Record what optax, PyTorch and others do with whole tensors: tests/oracles/rules_shaped.npz.

Fifty steps of the tensors of rules.py, each by an optimizer of its own, in float64. Each recording
is first compared with a transcription of the paper in tests/rules. Run as
`python -m tests.record.rules_shaped`.
"""

import math
import os
from functools import partial
from unittest import mock

os.environ["JAX_ENABLE_X64"] = "1"
import adam_mini
import numpy as np
import optax
import pytorch_optimizer
import torch

from tests.record.rules import SHAPES, SIZE, STEPS, by_optax, by_torch, keep, store, table
from tests.rules import matrix, per_tensor


def inputs():
    """A starting point, and gradients with zeros, but of few scales.

    The eigenvectors that SOAP turns to are as accurate as their eigenvalues are apart, and those
    of its first gradient are defined only if that has full rank.
    """
    rng = np.random.default_rng(2024)
    x0 = rng.normal(size=SIZE)
    grads = 10 ** rng.uniform(-1, 1, SIZE) * rng.normal(size=(STEPS, SIZE))
    grads[1:][rng.random((STEPS - 1, SIZE)) < 1 / 3] = 0
    grads[1:10, [2, 9, 21]] = 0
    grads[19] = 0
    return x0, grads


# The oracles: generators of one tensor after each step.


def lars(x, grads, lr, momentum, trust_coefficient):
    yield from by_optax(optax.lars(lr, 0.0, True, trust_coefficient, momentum=momentum), x, grads)


def lamb(x, grads, lr, betas, eps, weight_decay):
    yield from by_optax(optax.lamb(lr, *betas, eps=eps, weight_decay=weight_decay), x, grads)


def novograd(x, grads, lr, betas, eps, weight_decay):
    yield from by_optax(optax.novograd(lr, *betas, eps=eps, weight_decay=weight_decay), x, grads)


def sm3(x, grads, lr, momentum, eps):
    # optax.sm3 with an eps of one's own; it takes no scalars
    rule = optax.chain(optax.scale_by_sm3(momentum, eps=eps), optax.scale(-lr))
    for y in by_optax(rule, np.atleast_1d(x), [np.atleast_1d(g) for g in grads]):
        yield y.reshape(x.shape)


def adafactor(x, grads, decay_rate, eps, min_scale, **settings):
    settings = {"beta2_decay": -decay_rate, "eps": (eps, min_scale), **settings}
    yield from by_torch(torch.optim.Adafactor, x, grads, **settings)


def mini(x, grads, lr, betas, eps):
    # it takes weights (out, in), which it knows by name
    def turned(a):
        return a.reshape(-1, a.shape[-1]).T.copy() if a.ndim > 1 else a

    def optimizer(params, **settings):
        name = "mlp.weight" if x.ndim > 1 else "norm.weight"
        return adam_mini.Adam_mini([(name, params[0])], verbose=False, **settings)

    turned_grads = [turned(g) for g in grads]
    for y in by_torch(optimizer, turned(x), turned_grads, lr=lr, betas=tuple(betas), eps=eps):
        yield y.T.reshape(x.shape)


def soap(x, grads, betas, **settings):
    # it would do its QR decompositions in float32
    with mock.patch.object(torch, "float32", torch.float64):
        yield from by_torch(pytorch_optimizer.SOAP, x, grads, betas=tuple(betas), **settings)


def muon(x, grads, betas, momentum, eps, **settings):
    if x.ndim != 2:
        yield from by_torch(torch.optim.AdamW, x, grads, betas=tuple(betas), eps=eps, **settings)
        return
    # it takes weights (out, in), and would iterate in bfloat16
    settings = {"momentum": momentum, "eps": eps, **settings}
    with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
        for y in by_torch(torch.optim.Muon, x.T.copy(), [g.T.copy() for g in grads], **settings):
            yield y.T


def muon_of_optax(x, grads, lr, betas, momentum, eps, weight_decay):
    if x.ndim == 2:
        rule = optax.contrib.muon(lr, beta=momentum, eps=eps, weight_decay=weight_decay)
    else:  # where it would take NAdamW
        rule = optax.adamw(lr, *betas, eps=eps, weight_decay=weight_decay)
    yield from by_optax(rule, x, grads)


DECAYED = table(
    "lr betas eps weight_decay",
    (1e-3, [0.9, 0.999], 1e-6, 0.0),
    (1e-2, [0.5, 0.9], 1e-3, 0.1),
    (0.1, [0.9, 0.99], 0.1, 1.0),
)
MUON = table(
    "lr betas momentum eps weight_decay",
    (1e-3, [0.9, 0.999], 0.95, 1e-7, 0.1),
    (2e-2, [0.9, 0.99], 0.9, 1e-10, 0.0),
    (0.1, [0.5, 0.9], 0.5, 1e-3, 0.5),
)

RULES = [  # name, oracle, how to run it, transcription, settings
    (
        "LARS",  # whose weight decay is not the paper's
        "optax.lars",
        lars,
        partial(per_tensor.lars, weight_decay=0.0),
        table(
            "lr momentum trust_coefficient", (1.0, 0.9, 1e-3), (2.0, 0.5, 1e-2), (0.5, 0.99, 0.1)
        ),
    ),
    ("LAMB", "optax.lamb", lamb, per_tensor.lamb, DECAYED),
    (
        "NovoGrad",
        "optax.novograd",
        novograd,
        per_tensor.novograd,
        [{**DECAYED[0], "lr": 1e-2, "betas": [0.9, 0.25]}, *DECAYED[1:]],
    ),
    (
        "SM3",
        "optax.sm3",
        sm3,
        per_tensor.sm3,
        table("lr momentum eps", (0.1, 0.9, 1e-8), (1.0, 0.5, 1e-3), (1e-2, 0.0, 0.1)),
    ),
    (
        "Adafactor",
        "torch.optim.Adafactor",
        adafactor,
        per_tensor.adafactor,
        table(
            "lr decay_rate eps min_scale d weight_decay",
            (1e-2, 0.8, 1e-15, 1e-3, 1.0, 0.0),
            (0.3, 0.5, 1e-3, 0.1, 1.5, 0.1),
            (1.0, 1.0, 0.1, 3.0, 2.0, 1e-2),
        ),
    ),
    (
        "AdamMini",
        "adam_mini.Adam_mini",
        mini,
        per_tensor.adam_mini,
        table(
            "lr betas eps",
            (1e-3, [0.9, 0.999], 1e-8),
            (1e-2, [0.9, 0.99], 1e-3),
            (0.1, [0.5, 0.9], 0.1),
        ),
    ),
    (
        "SOAP",
        "pytorch_optimizer.SOAP",
        soap,
        matrix.soap,
        table(
            "lr betas eps weight_decay precondition_frequency",
            (3e-3, [0.95, 0.95], 1e-8, 1e-2, 10),
            (0.1, [0.9, 0.99], 1e-3, 0.0, 3),
            (0.03, [0.5, 0.9], 0.1, 0.1, 1),
        ),
    ),
    ("Muon", "torch.optim.Muon", muon, matrix.muon, MUON),
    (
        "Muon",  # without what optax does otherwise: it corrects the momentum and adds eps
        "optax.contrib.muon",
        muon_of_optax,
        matrix.muon,
        [{**settings, "momentum": 0.0, "eps": 1e-14} for settings in MUON],
    ),
]


def main():
    """Run every oracle, compare it with its transcription, print the differences, save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    ends = np.cumsum([math.prod(shape) for shape in SHAPES])[:-1]
    for rule, oracle, record, formula, rows in RULES:
        for settings in rows:
            both = []
            for run in (record, formula):
                columns = []
                for x, g, shape in zip(
                    np.split(x0, ends), np.split(grads, ends, axis=1), SHAPES, strict=True
                ):
                    steps = run(x.reshape(shape).copy(), list(g.reshape(-1, *shape)), **settings)
                    columns.append(np.array(list(steps)).reshape(STEPS, -1))
                both.append(np.concatenate(columns, axis=1))
            x, expected = both
            keep(arrays, rule, oracle, settings, x, expected, 1e-12)
    store("rules_shaped.npz", arrays)


if __name__ == "__main__":
    main()
