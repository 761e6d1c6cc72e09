"""Rows of the rules of optim/rules/per_tensor.py."""

import paper_shaped
from rows import Row

import optim

ROWS = {
    optim.LARS: Row(
        {"lr": 1.0, "momentum": 0.9, "weight_decay": 0.0, "trust_coefficient": 1e-3},
        paper=paper_shaped.lars,
        cases=(
            {},
            {"lr": 2.0, "weight_decay": 0.1},
            {"momentum": 0.5, "trust_coefficient": 0.03, "weight_decay": 1.0},
        ),
        descends={"lr": 1.0, "trust_coefficient": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.LAMB: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.0},
        paper=paper_shaped.lamb,
        cases=(
            {},
            {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1},
            {"eps": 0, "weight_decay": 1.0},
        ),
        elementwise=False,
    ),
    optim.NovoGrad: Row(
        {"lr": 1e-2, "betas": (0.9, 0.25), "eps": 1e-6, "weight_decay": 0.0},
        paper=paper_shaped.novograd,
        cases=({}, {"betas": (0.95, 0.98), "weight_decay": 0.1}, {"lr": 0.1, "eps": 0}),
        elementwise=False,
    ),
    optim.SM3: Row(
        {"lr": 0.1, "momentum": 0.9, "eps": 1e-8},
        paper=paper_shaped.sm3,
        cases=({}, {"lr": 1.0, "eps": 0}, {"momentum": 0.0, "eps": 0.1}),
        descends={"lr": 0.5},
        elementwise=False,
    ),
    optim.Adafactor: Row(
        {
            "lr": 1e-2,
            "decay_rate": 0.8,
            "eps": 1e-15,
            "min_scale": 1e-3,
            "d": 1.0,
            "weight_decay": 0.0,
        },
        paper=paper_shaped.adafactor,
        cases=(
            {},
            {"lr": 0.3, "decay_rate": 0.5, "d": 0.3, "weight_decay": 0.1},
            {"eps": 1e-3, "min_scale": 2.0},
        ),
        elementwise=False,
    ),
    optim.AdamMini: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
        paper=paper_shaped.adam_mini,
        cases=({}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1}, {"eps": 0}),
        elementwise=False,
    ),
}
