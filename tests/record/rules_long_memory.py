"""Record the rules that answer Adam's forgetting: tests/oracles/rules_long_memory.npz.

As rules.py does, with the gradients of its `inputs`; one tensor of each shape for rules that see
whole tensors. Each recording is first compared with the transcription in tests/rules. Run as
`python -m tests.record.rules_long_memory`.
"""

from functools import partial

import adopt
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytorch_optimizer
import torch
import zij

from tests.driving import split
from tests.record.rules import (
    SHAPES,
    STEPS,
    by_optax,
    inputs,
    keep,
    rate,
    root,
    scheduled,
    store,
    table,
)
from tests.rules import delayed, per_tensor

jax.config.update("jax_enable_x64", True)


def by_torch(optimizer, x0, grads, lr, names=(), **settings):
    """The parameters after each step, from one tensor of each of SHAPES; `names` renames."""
    settings = {dict(names).get(name, name): value for name, value in settings.items()}
    x = [torch.tensor(part, requires_grad=True) for part in split(x0, SHAPES)]
    opt = optimizer(x, lr=rate(lr, 1), **settings)
    for t, g in enumerate(grads, 1):
        opt.param_groups[0]["lr"] = rate(lr, t)
        for tensor, part in zip(x, split(g, SHAPES), strict=True):
            tensor.grad = torch.tensor(part)
        opt.step()
        yield np.concatenate([tensor.detach().numpy().ravel() for tensor in x])


def in_optax(make, x0, grads, lr, betas, eps):
    yield from by_optax(make(scheduled(lr), *betas, eps), x0, grads)


def optax_adopt(lr, b1, b2, eps):
    # jax takes the root of an int32 in float32
    def clip(count):
        return count.astype(jnp.float64) ** 0.25

    return optax.contrib.adopt(lr, b1, b2, eps, clip_value_fn=clip)


def by_formula(paper, x0, grads, lr, **settings):
    """The transcription, tensor by tensor."""
    every = zip(split(x0, SHAPES), *(split(g, SHAPES) for g in grads), strict=True)
    step = (lambda t: rate(lr, t)) if isinstance(lr, dict) else lr
    columns = [
        np.array(list(paper(x, part, lr=step, **settings))).reshape(STEPS, -1) for x, *part in every
    ]
    return np.concatenate(columns, axis=1)


DELAYED = table(
    "lr betas eps",
    (1e-3, [0.9, 0.999], 1e-6),
    (1e-2, [0.9, 0.99], 1e-3),
    (0.1, [0.5, 0.9], 0.1),
    (root(0.5), [0.0, 0.99], 1e-8),
)
SHIFTED = table(
    "lr betas eps delay",
    (1e-3, [0.9, 0.999], 1e-10, 10),
    (1e-2, [0.9, 0.99], 1e-3, 5),
    (0.1, [0.5, 0.9], 0.1, 1),
    (root(0.5), [0.99, 0.9], 1e-8, 20),
)
MARS = table(
    "lr betas eps weight_decay gamma",
    (3e-3, [0.95, 0.99], 1e-8, 0.0, 0.025),
    (1e-2, [0.9, 0.999], 1e-3, 0.1, 0.5),
    (0.1, [0.5, 0.9], 0.1, 1e-2, 0.0),
    (root(0.05), [0.95, 0.99], 1e-8, 0.1, 0.1),
)

shift = partial(by_torch, pytorch_optimizer.AdaShift, names=[("delay", "keep_num")], foreach=False)
RULES = [  # name, oracle, distribution, how to run it, transcription, settings
    (
        "ADOPT",
        "adopt.ADOPT",
        "torch-adopt",
        partial(by_torch, adopt.ADOPT),
        delayed.adopt,
        [{**DELAYED[0], "betas": [0.9, 0.9999]}, *DELAYED[1:]],
    ),
    (
        "ADOPT",
        "optax.contrib.adopt",
        "optax",
        partial(in_optax, optax_adopt),
        delayed.adopt,
        DELAYED[1:],
    ),
    (
        "AdaShift",
        "pytorch_optimizer.AdaShift",
        "pytorch-optimizer",
        partial(shift, reduce_func=None),
        delayed.adashift,
        SHIFTED,
    ),
    (
        "MaxAdaShift",
        "pytorch_optimizer.AdaShift",
        "pytorch-optimizer",
        partial(shift, reduce_func=torch.max),
        delayed.max_adashift,
        SHIFTED,
    ),
    (
        "MARS",
        "zij.MARS",
        "zij",
        partial(by_torch, zij.MARS, optimize_1d=True),
        per_tensor.mars,
        MARS,
    ),
]


def main():
    """Run every oracle, compare it with the transcription, print the differences, save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    for rule, oracle, distribution, record, paper, rows in RULES:
        for settings in rows:
            x = np.stack(list(record(x0, grads, **settings)))
            expected = by_formula(paper, x0, grads, **settings)
            keep(arrays, rule, oracle, settings, x, expected, 1e-12, distribution)
    store("rules_long_memory.npz", arrays)


if __name__ == "__main__":
    main()
