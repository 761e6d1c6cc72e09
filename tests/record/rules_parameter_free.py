"""Record what the packages of their authors, and optax, do for the rules without a rate or a
schedule to tune: tests/oracles/rules_parameter_free.npz.

Each recording is first compared with the transcription in tests/rules. Run as
`python -m tests.record.rules_parameter_free`.
"""

from functools import partial

import numpy as np

from tests.record.rules import (
    by_optax,
    by_torch,
    inputs,
    keep,
    rate,
    root,
    scheduled,
    store,
    table,
)  # first: it sets jax to float64

# isort: split
import dadaptation
import jax.numpy as jnp
import optax
import prodigyopt
import schedulefree
import torch

from tests.rules import parameter_free, schedule_free


def dog(x0, grads, lr, eps, r_eps):
    opt = optax.contrib.dog(scheduled(lr), ("heuristic", r_eps), eps)
    yield from by_optax(opt, x0, grads)


def dowg(x0, grads, lr, eps, r_eps):
    yield from by_optax(optax.contrib.dowg(scheduled(lr), r_eps**2, eps), x0, grads)


def prodigy(x0, grads, lr, betas, eps, d0, weight_decay):
    def uncorrected(count):  # optax always corrects the bias; the paper and its package do not
        n = count.astype(jnp.float64) + 1
        return rate(lr, n) * (1 - betas[0] ** n) / (1 - betas[1] ** n) ** 0.5

    opt = optax.contrib.prodigy(
        uncorrected, tuple(betas), eps=eps, estim_lr0=d0, weight_decay=weight_decay
    )
    yield from by_optax(opt, x0, grads)


def by_schedulefree(optimizer, x0, grads, lr, **settings):
    x = torch.tensor(x0, requires_grad=True)
    opt = optimizer([x], lr=rate(lr, 1), **settings)
    opt.train()
    for t, g in enumerate(grads, 1):
        opt.param_groups[0]["lr"] = rate(lr, t)
        x.grad = torch.tensor(g)
        opt.step()
        yield x.detach().numpy().copy()


# Both packages multiply eps by the next d, the paper by this one: for them to agree, eps vanishes
# or d does not grow.
PRODIGY = table(
    "lr betas eps d0 weight_decay",
    (1.0, [0.9, 0.999], 1e-30, 1e-6, 0.0),
    (0.5, [0.8, 0.99], 1e-30, 1e-4, 0.1),
    (root(1.0), [0.9, 0.99], 1e-30, 1e-5, 0.0),
    (1e-3, [0.5, 0.9], 1e-2, 50.0, 0.1),
)

RULES = [  # name, oracle, how to run it, transcription, settings
    (
        "DoG",
        "optax.contrib.dog",
        dog,
        parameter_free.dog,
        table(
            "lr eps r_eps",
            (1.0, 1e-8, 1e-6),
            (0.5, 1e-2, 1e-4),
            (1.0, 10.0, 1e-1),
            (root(2), 1e-8, 1e-3),
        ),
    ),
    (
        "DoWG",
        "optax.contrib.dowg",
        dowg,
        parameter_free.dowg,
        table(
            "lr eps r_eps",
            (1.0, 1e-4, 1e-2),
            (0.5, 1e-2, 1e-4),
            (1.0, 1.0, 1e-1),
            (root(2), 1e-8, 1e-3),
        ),
    ),
    (
        "DAdaptAdam",
        "dadaptation.DAdaptAdam",
        partial(by_torch, dadaptation.DAdaptAdam),
        parameter_free.d_adapt_adam,
        table(
            "lr betas eps d0",
            (1.0, [0.9, 0.999], 1e-8, 1e-6),
            (0.5, [0.8, 0.99], 1e-2, 1e-4),
            (1.0, [0.0, 0.9], 1e-8, 1e-2),
            (root(1.0), [0.9, 0.99], 1e-3, 1e-5),
        ),
    ),
    ("Prodigy", "optax.contrib.prodigy", prodigy, parameter_free.prodigy, PRODIGY),
    (
        "Prodigy",
        "prodigyopt.Prodigy",
        partial(by_torch, prodigyopt.Prodigy),
        parameter_free.prodigy,
        PRODIGY,
    ),
    (
        "ScheduleFreeSGD",
        "schedulefree.SGDScheduleFree",
        partial(by_schedulefree, schedulefree.SGDScheduleFree),
        schedule_free.schedule_free_sgd,
        table("lr momentum", (1.0, 0.9), (1e-2, 0.98), (0.1, 0.5), (root(0.05), 0.9)),
    ),
    (
        "ScheduleFreeAdamW",
        "schedulefree.AdamWScheduleFree",
        partial(by_schedulefree, schedulefree.AdamWScheduleFree),
        schedule_free.schedule_free_adamw,
        table(
            "lr betas eps weight_decay",
            (2.5e-3, [0.9, 0.999], 1e-8, 0.0),
            (1e-2, [0.98, 0.99], 1e-3, 0.1),
            (0.1, [0.5, 0.9], 0.1, 0.01),
            (root(0.5), [0.9, 0.99], 1e-8, 0.1),
        ),
    ),
]


def main():
    """Run every oracle, compare it with its transcription, print the differences, save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    for rule, oracle, record, transcription, rows in RULES:
        for settings in rows:
            x = np.stack(list(record(x0, grads, **settings)))
            given = dict(settings)
            if isinstance(settings["lr"], dict):
                given["lr"] = partial(rate, settings["lr"])
            expected = np.stack(list(transcription(x0, grads, **given)))
            keep(arrays, rule, oracle, settings, x, expected, 1e-12)
    store("rules_parameter_free.npz", arrays)


if __name__ == "__main__":
    main()
