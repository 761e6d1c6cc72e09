"""Record the values of the schedules of PyTorch and optax: tests/oracles/schedules.npz.

Each row of the tables is one of our schedules, as text, and what torch 2.13.0 or optax 0.2.8
calls the same; 60 values of each are kept, from the first step on. optax and torch count from 0.
Run as `python -m tests.record.schedules`. In the file "cases" is a list as JSON of the text, the
oracle's name and how many of its values are right, and "values" has a row for each. "plateaus" are
the settings of ReduceOnPlateau, "losses" what each was fed, and "after" its value after each feed.
"""

import json
import os
from pathlib import Path

import numpy as np

os.environ["JAX_ENABLE_X64"] = "1"
import optax
import torch
from torch.optim import lr_scheduler as by

OUT = Path(__file__).parent.parent / "oracles" / "schedules.npz"
STEPS = 60


def fresh(lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def rates(opt, scheduler, steps=STEPS):
    """The learning rates of the first steps."""
    for _ in range(steps):
        yield opt.param_groups[0]["lr"]
        opt.step()
        scheduler.step()


def torch_(make, lr, steps=STEPS, **settings):
    """What a scheduler does to lr, for as many steps as the recording is to hold."""
    opt = fresh(lr)
    kept = list(rates(opt, make(opt, **settings), steps))
    return f"torch {make.__name__}", kept


def in_turn(lr, milestones, *parts):
    """Several schedulers of torch one after the other."""
    opt = fresh(lr)
    each = [make(opt, **settings) for make, settings in parts]
    kept = list(rates(opt, by.SequentialLR(opt, each, milestones)))
    return "torch SequentialLR of " + ", ".join(make.__name__ for make, _ in parts), kept


def multiplied(lr, *parts):
    """Several schedulers of torch at once."""
    opt = fresh(lr)
    each = [make(opt, **settings) for make, settings in parts]
    kept = list(rates(opt, by.ChainedScheduler(each)))
    return "torch ChainedScheduler of " + ", ".join(make.__name__ for make, _ in parts), kept


def optax_(schedule, name):
    return f"optax {name}", [float(schedule(count)) for count in range(STEPS)]


def cases():
    yield "Constant(0.3)", torch_(by.ConstantLR, 0.3, factor=1.0)
    yield "Constant(0.3)", optax_(optax.constant_schedule(0.3), "constant_schedule")
    yield "Exponential(0.3, 0.95)", torch_(by.ExponentialLR, 0.3, gamma=0.95)
    yield (
        "Exponential(0.3, 0.95)",
        optax_(optax.exponential_decay(0.3, 1, 0.95), "exponential_decay"),
    )

    yield (
        "Linear(0.1, 0.02, 20)",
        torch_(by.LinearLR, 0.2, start_factor=0.5, end_factor=0.1, total_iters=20),
    )
    yield "Linear(0.1, 0, 20)", optax_(optax.linear_schedule(0.1, 0, 20), "linear_schedule")
    yield "Linear(0.1, 0.7, 1)", optax_(optax.linear_schedule(0.1, 0.7, 1), "linear_schedule")

    yield "Polynomial(0.1, 0, 20, 2)", torch_(by.PolynomialLR, 0.1, total_iters=20, power=2)
    yield "Polynomial(0.1, 0, 20, 0.5)", torch_(by.PolynomialLR, 0.1, total_iters=20, power=0.5)
    yield (
        "Polynomial(0.1, 0.03, 20, 3)",
        optax_(optax.polynomial_schedule(0.1, 0.03, 3, 20), "polynomial_schedule"),
    )

    # after T_max the one of torch rises again
    yield "Cosine(0.1, 0.01, 40)", torch_(by.CosineAnnealingLR, 0.1, 41, T_max=40, eta_min=0.01)
    yield (
        "Cosine(0.1, 0.01, 40)",
        optax_(optax.cosine_decay_schedule(0.1, 40, 0.1), "cosine_decay_schedule"),
    )

    for ours, growth in (("CosineRestarts(0.1, 0.01, 7)", 1), ("CosineRestarts(0.1, 0, 4, 3)", 3)):
        steps, end = (7, 0.01) if growth == 1 else (4, 0)
        yield (
            ours,
            torch_(by.CosineAnnealingWarmRestarts, 0.1, T_0=steps, T_mult=growth, eta_min=end),
        )
    cycles = [
        {
            "init_value": 0.1,
            "peak_value": 0.1,
            "warmup_steps": 0,
            "decay_steps": steps,
            "end_value": 0.01,
        }
        for steps in (5, 10, 20, 40)
    ]
    yield "CosineRestarts(0.1, 0.01, 5, 2)", optax_(optax.sgdr_schedule(cycles), "sgdr_schedule")

    cyclic = {"base_lr": 0.01, "max_lr": 0.1, "cycle_momentum": False}
    yield (
        "Cyclic(0.01, 0.1, 5, 8)",
        torch_(by.CyclicLR, 0.01, step_size_up=5, step_size_down=8, **cyclic),
    )
    yield (
        "Cyclic(0.01, 0.1, 6, 6, 0.5)",
        torch_(by.CyclicLR, 0.01, step_size_up=6, mode="triangular2", **cyclic),
    )

    # that of torch peaks at step 0.3 * 40 and ends at step 40, both counted from 1
    yield (
        "OneCycle(0.1 / 25, 0.1, 0.1 / 25e4, 11, 28)",
        torch_(by.OneCycleLR, 0.1, 40, max_lr=0.1, total_steps=40, cycle_momentum=False),
    )
    yield (
        "OneCycle(0.02, 0.1, 0.001, 9, 30)",
        torch_(
            by.OneCycleLR,
            0.1,
            40,
            max_lr=0.1,
            total_steps=40,
            pct_start=0.25,
            div_factor=5,
            final_div_factor=20,
            cycle_momentum=False,
        ),
    )
    yield (
        "OneCycle(0.02, 0.1, 0.001, 12, 28)",
        optax_(
            optax.cosine_onecycle_schedule(40, 0.1, 0.3, 5, 20),
            "cosine_onecycle_schedule",
        ),
    )

    yield "Step(0.3, 0.5, 7)", torch_(by.StepLR, 0.3, step_size=7, gamma=0.5)
    yield (
        "Step(0.3, 0.5, 7)",
        optax_(optax.exponential_decay(0.3, 7, 0.5, staircase=True), "exponential_decay"),
    )
    yield (
        "MultiStep(0.3, 0.1, (1, 20, 33))",
        torch_(by.MultiStepLR, 0.3, milestones=[1, 20, 33], gamma=0.1),
    )
    yield (
        "MultiStep(0.3, 0.1, (1, 20, 33))",
        optax_(
            optax.piecewise_constant_schedule(0.3, {1: 0.1, 20: 0.1, 33: 0.1}),
            "piecewise_constant_schedule",
        ),
    )

    yield (
        "WarmUp(10, Constant(0.1))",
        torch_(by.LinearLR, 0.1, start_factor=0.1, total_iters=9),
    )
    yield (
        "WarmUp(10, Exponential(0.1, 0.9))",
        in_turn(
            0.1,
            [10],
            (by.LinearLR, {"start_factor": 0.1, "total_iters": 9}),
            (by.ExponentialLR, {"gamma": 0.9}),
        ),
    )
    yield (
        "WarmUp(8, Step(0.1, 0.5, 10))",
        in_turn(
            0.1,
            [8],
            (by.LinearLR, {"start_factor": 1 / 8, "total_iters": 7}),
            (by.StepLR, {"step_size": 10, "gamma": 0.5}),
        ),
    )
    joined = [optax.linear_schedule(0.01, 0.1, 9), optax.cosine_decay_schedule(0.1, 30, 0.2)]
    yield (
        "WarmUp(10, Cosine(0.1, 0.02, 30))",
        optax_(optax.join_schedules(joined, [10]), "join_schedules"),
    )

    yield (
        "WarmUpStableDecay(0.1, 10, 20, 15)",
        in_turn(
            0.1,
            [10, 30],
            (by.LinearLR, {"start_factor": 0.1, "total_iters": 9}),
            (by.ConstantLR, {"factor": 1.0}),
            (by.LinearLR, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 15}),
        ),
    )
    joined = [
        optax.linear_schedule(0.02, 0.1, 4),
        optax.constant_schedule(0.1),
        optax.linear_schedule(0.1, 0.01, 25),
    ]
    yield (
        "WarmUpStableDecay(0.1, 5, 9, 25, 0.01)",
        optax_(optax.join_schedules(joined, [5, 14]), "join_schedules"),
    )

    yield (
        "Product(Exponential(0.3, 0.95), Step(1.0, 0.5, 7))",
        multiplied(
            0.3,
            (by.ExponentialLR, {"gamma": 0.95}),
            (by.StepLR, {"step_size": 7, "gamma": 0.5}),
        ),
    )
    yield (
        "Sequence((Exponential(0.1, 0.9), Step(0.1, 0.5, 10)), (12,))",
        in_turn(
            0.1,
            [12],
            (by.ExponentialLR, {"gamma": 0.9}),
            (by.StepLR, {"step_size": 10, "gamma": 0.5}),
        ),
    )
    joined = [
        optax.linear_schedule(0.0, 0.1, 4),
        optax.cosine_decay_schedule(0.1, 30, 0.2),
        optax.constant_schedule(0.03),
    ]
    yield (
        "Sequence((Linear(0, 0.1, 4), Cosine(0.1, 0.02, 30), Constant(0.03)), (4, 25))",
        optax_(optax.join_schedules(joined, [4, 25]), "join_schedules"),
    )


def losses(seed):
    """Falling; flat; falling by less than 1e-2 of the best at a time; flat."""
    rng = np.random.default_rng(seed)
    falling = 2 * 0.8 ** np.arange(12.0)
    flat = falling[-1] * (1 + rng.uniform(-0.009, 0.05, 60))
    low = falling[-1] * 0.992 ** np.arange(1, 25)
    return np.concatenate([falling, flat, low, low[-1] * (1 + rng.uniform(-0.02, 0.02, 40))])


def plateaus():
    for settings in (
        {},
        {"patience": 0},
        {"patience": 3, "factor": 0.5},
        {"patience": 3, "factor": 0.5, "threshold": 1e-2},
        {"patience": 2, "factor": 0.7, "threshold": 1e-2, "cooldown": 5},
        {"patience": 0, "factor": 0.3, "threshold": 0, "cooldown": 1, "min_scale": 1e-3},
        {"patience": 1, "factor": 0.5, "min_scale": 0.2},
    ):
        yield settings, losses(len(settings))
        yield settings, -1 / losses(len(settings))


def reduced(settings, fed):
    opt = fresh(0.1)
    settings = dict(settings)
    least = 0.1 * settings.pop("min_scale", 0)
    mode = "min" if fed[0] > 0 else "max"  # we follow the negative of what should rise
    scheduler = by.ReduceLROnPlateau(opt, mode, min_lr=least, eps=0, **settings)
    for loss in fed:
        scheduler.step(abs(loss))
        yield opt.param_groups[0]["lr"]


if __name__ == "__main__":
    rows, fed = list(cases()), list(plateaus())
    values = np.full((len(rows), STEPS), np.nan)
    for row, (_, (_, kept)) in zip(values, rows, strict=True):
        row[: len(kept)] = kept
    np.savez_compressed(
        OUT,
        cases=json.dumps([[text, oracle, len(kept)] for text, (oracle, kept) in rows]),
        values=values,
        plateaus=json.dumps([settings for settings, _ in fed]),
        losses=np.array([losses for _, losses in fed]),
        after=np.array([list(reduced(settings, losses)) for settings, losses in fed]),
    )
