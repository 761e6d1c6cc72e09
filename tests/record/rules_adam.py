"""Record what PyTorch and others do with fixed gradients: tests/oracles/rules_adam.npz.

As rules.py does, for the rules of optim/rules/adam.py, numerator.py and denominator.py that one of
torch 2.13.0, torch-optimizer 0.3.0 and zij 0.1.1 implements as its paper or its authors do. Each
recording is first compared with the transcription in tests/rules, in extended precision. Run as
`python -m tests.record.rules_adam`.
"""

from functools import partial

import numpy as np
import torch
import torch_optimizer
import zij

from tests.record.rules import by_torch, inputs, keep, root, store, table
from tests.rules import adam, denominator, numerator

torch.set_default_dtype(torch.float64)  # in which NAdam keeps the product of its mu

PACKAGES = {"torch_optimizer": "torch-optimizer"}

ADAM = table(
    "lr betas eps",
    (1e-3, [0.9, 0.999], 1e-8),
    (1e-2, [0.9, 0.99], 1e-3),
    (0.1, [0.5, 0.9], 0.1),
    (root(0.5), [0.9, 0.99], 1e-8),
)


def each(rows, first=(), **values):
    """The rows with one more setting each; the first row also with other values."""
    more = [dict(zip(values, column, strict=True)) for column in zip(*values.values(), strict=True)]
    rows = [row | one for row, one in zip(rows, more, strict=True)] if more else rows
    return [rows[0] | dict(first), *rows[1:]]


BOUND = each(ADAM, final_lr=(0.1, 0.5, 0.01, 0.2), gamma=(1e-3, 0.1, 0.9, 0.02))
DECAY = (1e-2, 0.1, 0.0, 0.5)
BELIEF = partial(zij.AdaBelief, rectify=False, weight_decouple=False)
NADAM = {"momentum_decay": (4e-3, 0.1, 0.0, 4e-3)}
LATE = {"lr": 4e-4, "eps": 1e-15}
RULES = [  # name, oracle, its class, transcription, settings
    ("AdamW", "torch.optim.AdamW", torch.optim.AdamW, adam.adamw, each(ADAM, weight_decay=DECAY)),
    (
        "AdaMax",
        "torch.optim.Adamax",
        torch.optim.Adamax,
        adam.adamax,
        each(ADAM, {"lr": 2e-3}),
    ),
    (
        "NAdam",
        "torch.optim.NAdam",
        torch.optim.NAdam,
        adam.nadamw,
        each(ADAM, {"lr": 2e-3}, **NADAM),
    ),
    (
        "NAdamW",
        "torch.optim.NAdam",
        partial(torch.optim.NAdam, decoupled_weight_decay=True),
        adam.nadamw,
        each(ADAM, {"lr": 2e-3}, weight_decay=DECAY, **NADAM),
    ),
    ("RAdam", "torch.optim.RAdam", torch.optim.RAdam, adam.radam, ADAM),
    (
        "AdaBelief",
        "zij.AdaBelief",
        BELIEF,
        denominator.adabelief,
        each(ADAM, {"eps": 1e-16}),
    ),
    ("AdaBound", "torch_optimizer.AdaBound", torch_optimizer.AdaBound, denominator.adabound, BOUND),
    (
        "AMSBound",
        "torch_optimizer.AdaBound",
        partial(torch_optimizer.AdaBound, amsbound=True),
        partial(denominator.adabound, amsbound=True),
        BOUND,
    ),
    (
        "QHAdam",
        "torch_optimizer.QHAdam",
        torch_optimizer.QHAdam,
        numerator.qhadam,
        each(
            ADAM,
            {"betas": [0.995, 0.999]},
            nus=([0.7, 1.0], [0.5, 0.9], [1.0, 1.0], [0.2, 0.0]),
        ),
    ),
    # it adds eps to the root of the raw v: any eps that matters is not the paper's
    ("Grams", "zij.Grams", zij.Grams, numerator.grams, [row | {"eps": 1e-30} for row in ADAM]),
    # it has another form for an lr that changes
    ("LaProp", "zij.LaProp", zij.LaProp, numerator.laprop, each(ADAM[:3], LATE)),
    (
        "Adan",
        "zij.Adan",
        zij.Adan,
        numerator.adan,
        each(
            ADAM,
            betas=([0.98, 0.92, 0.99], [0.9, 0.5, 0.9], [0.5, 0.9, 0.8], [0.98, 0.92, 0.99]),
            weight_decay=(0.0, 0.02, 0.5, 0.1),
        ),
    ),
    (
        "AdEMAMix",
        "zij.AdEMAMix",
        zij.AdEMAMix,
        numerator.ademamix,
        each(
            ADAM,
            betas=([0.9, 0.999, 0.9999], [0.9, 0.99, 0.999], [0.5, 0.9, 0.99], [0.9, 0.999, 0.95]),
            weight_decay=(0.0, 0.1, 0.5, 0.01),
            alpha=(5.0, 8.0, 0.5, 2.0),
        ),
    ),
]


def extended(value):
    """A setting in extended precision, and as a function of t where it changes."""
    if isinstance(value, dict):
        return lambda t: value["alpha"] / np.sqrt(np.longdouble(t))
    return tuple(map(np.longdouble, value)) if isinstance(value, list) else np.longdouble(value)


def main():
    """Run every oracle, compare it with its transcription, print the differences, save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    for rule, oracle, kind, transcription, rows in RULES:
        for settings in rows:
            x = np.stack(list(by_torch(kind, x0, grads, **settings)))
            exact = {name: extended(value) for name, value in settings.items()}
            g = grads.astype(np.longdouble)
            expected = np.stack(list(transcription(x0.astype(np.longdouble), g, **exact)))
            distribution = PACKAGES.get(oracle.split(".")[0])
            keep(arrays, rule, oracle, settings, x, expected, 1e-13, distribution)
    store("rules_adam.npz", arrays)


if __name__ == "__main__":
    main()
