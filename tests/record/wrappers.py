"""Record what PyTorch's and optax's wrappers do with fixed gradients: tests/oracles/wrappers.npz.

Fifty steps of 48 float64 coordinates in four tensors, the parameters (or their average) kept after
every step, for each case that tests/wrappers/cases.py builds of ours under the same name, from
torch 2.13.0 and optax 0.2.8. Run as `python -m tests.record.wrappers`.
"""

import math
import os
from pathlib import Path

import numpy as np

os.environ["JAX_ENABLE_X64"] = "1"
import jax.numpy as jnp
import optax
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

SHAPES = [(), (3,), (4, 5), (2, 3, 4)]
STEPS, SIZE = 50, sum(math.prod(shape) for shape in SHAPES)
OUT = Path(__file__).parent.parent / "oracles" / "wrappers.npz"


def inputs():
    """A starting point, and gradients of many scales, a third of them zero, some all zero."""
    rng = np.random.default_rng(1907)
    grads = rng.normal(size=(STEPS, SIZE)) * 10 ** rng.uniform(-2, 1, SIZE)
    grads[rng.random(grads.shape) < 1 / 3] = 0
    grads[[0, 20]] = 0
    return rng.normal(size=SIZE), grads


def cut(x):
    ends = np.cumsum([math.prod(shape) for shape in SHAPES])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(x, ends), SHAPES, strict=True)]


def join(parts):
    return np.concatenate([np.asarray(part).ravel() for part in parts])


class Model(torch.nn.Module):
    """Four tensors."""

    def __init__(self, x0):
        super().__init__()
        self.x = torch.nn.ParameterList(torch.tensor(part) for part in cut(x0))

    def flat(self):
        return join([x.detach().numpy() for x in self.x])


def by_torch(make, clip=None, lr=None, average=None, start=0, scale=1.0):
    """A case: `make` an optimizer of a model, perhaps clip before each step and average after."""

    def run(x0, grads):
        model = Model(x0)
        opt = make(model)
        mean = AveragedModel(model, **average) if average is not None else None
        if average:  # an exponential average begins with the weights before the first step
            mean.update_parameters(model)
        for t, g in enumerate(grads * scale, 1):
            for x, part in zip(model.x, cut(g), strict=True):
                x.grad = torch.tensor(part)
            if clip:
                clip(model.parameters())
            if lr:
                opt.param_groups[0]["lr"] = lr(t)
            opt.step()
            if mean is None:
                yield model.flat()
            else:
                if t > start:
                    mean.update_parameters(model)
                yield mean.module.flat() if t > start else model.flat()

    return run


def by_optax(transform, slow=None):
    """A case: a transformation of a dictionary of tensors; for Lookahead the fast or slow ones."""

    def run(x0, grads):
        x = {str(i): jnp.asarray(part) for i, part in enumerate(cut(x0))}
        if slow is not None:
            x = optax.LookaheadParams.init_synced(x)
        state = transform.init(x)
        for g in grads:
            g = {str(i): jnp.asarray(part) for i, part in enumerate(cut(g))}
            update, state = transform.update(g, state, x)
            x = optax.apply_updates(x, update)
            yield join((x if slow is None else x.slow if slow else x.fast).values())

    return run


def adamw(**settings):
    return lambda model: torch.optim.AdamW(model.parameters(), **settings)


def sgd(**settings):
    return lambda model: torch.optim.SGD(model.parameters(), **settings)


def of_torch(rule, **settings):
    return lambda model: getattr(torch.optim, rule)(model.parameters(), **settings)


def two_groups(model):
    matrices = {"params": [model.x[2], model.x[3]], "weight_decay": 0.2}
    rest = {"params": [model.x[0], model.x[1]], "weight_decay": 0, "lr": 0.03}
    return torch.optim.AdamW([matrices, rest], lr=0.01)


LABELS = {"0": "first", "1": "second", "2": "first", "3": "second"}
FROZEN = {"0": False, "1": True, "2": False, "3": True}
MULTI = {"every_k_schedule": 4, "accumulator_dtype": jnp.float64}
ADAM = optax.adam(0.05)

CASES = {
    "adamw": by_torch(adamw(lr=1e-3, weight_decay=0.01)),
    "adamw strong": by_torch(adamw(lr=0.1, weight_decay=0.5, betas=(0.5, 0.9), eps=1e-3)),
    "adamw schedule": by_torch(adamw(lr=1.0, weight_decay=0.1), lr=lambda t: 0.5 / math.sqrt(t)),
    "l2": by_torch(of_torch("Adam", lr=0.05, weight_decay=0.1)),
    "l2 nesterov": by_torch(
        sgd(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.3),
        clip=lambda p: clip_grad_value_(p, 0.5),
    ),
    "l2 amsgrad": by_torch(of_torch("Adam", lr=0.05, weight_decay=0.1, amsgrad=True)),
    "l2 schedule": by_torch(
        of_torch("RMSprop", lr=1.0, weight_decay=0.2), lr=lambda t: 0.02 / math.sqrt(t)
    ),
    "maximize": by_torch(of_torch("Adagrad", lr=0.1, maximize=True)),
    "maximize l2": by_torch(of_torch("Adam", lr=0.05, weight_decay=0.1, maximize=True)),
    "maximize adamw": by_torch(adamw(lr=0.1, weight_decay=0.5, maximize=True)),
    "clip value": by_torch(sgd(lr=0.1, momentum=0.9), clip=lambda p: clip_grad_value_(p, 0.5)),
    "clip value adamw": by_torch(
        adamw(lr=0.1, weight_decay=0.5), clip=lambda p: clip_grad_value_(p, 0.5)
    ),
    # torch divides by the norm plus 1e-6, which is nothing beside norms of 1e8 to 1e10
    "clip norm torch": by_torch(
        sgd(lr=1e-11, momentum=0.9), clip=lambda p: clip_grad_norm_(p, 2e9), scale=1e8
    ),
    "clip norm": by_optax(
        optax.chain(optax.clip_by_global_norm(20.0), optax.sgd(0.01, momentum=0.9))
    ),
    "ema": by_torch(sgd(lr=0.01, momentum=0.9), average={"avg_fn": get_ema_avg_fn(0.9)}),
    "ema adamw": by_torch(
        adamw(lr=0.1, weight_decay=0.5), average={"avg_fn": get_ema_avg_fn(0.99)}
    ),
    "polyak": by_torch(sgd(lr=0.01), average={}),
    "polyak late": by_torch(sgd(lr=0.01, momentum=0.9), average={}, start=20),
    "lookahead": by_optax(optax.lookahead(ADAM, 5, 0.5), slow=False),
    "lookahead slow": by_optax(optax.lookahead(ADAM, 5, 0.5), slow=True),
    "lookahead far": by_optax(optax.lookahead(optax.sgd(0.01, momentum=0.9), 3, 0.8), slow=False),
    "accumulate": by_optax(optax.MultiSteps(ADAM, **MULTI)),
    "accumulate, then clip": by_optax(
        optax.MultiSteps(optax.chain(optax.clip_by_global_norm(5.0), optax.sgd(0.1)), **MULTI)
    ),
    "clip, then accumulate": by_optax(
        optax.chain(
            optax.clip_by_global_norm(5.0),
            optax.MultiSteps(optax.sgd(0.1), **MULTI).gradient_transformation(),
        )
    ),
    "two rules": by_optax(
        optax.multi_transform({"first": ADAM, "second": optax.sgd(0.01, momentum=0.9)}, LABELS)
    ),
    "frozen": by_optax(
        optax.multi_transform({"first": ADAM, "second": optax.set_to_zero()}, LABELS)
    ),
    "frozen, then clip": by_optax(
        optax.chain(optax.masked(optax.set_to_zero(), FROZEN), optax.clip_by_global_norm(5.0), ADAM)
    ),
    "clip, then frozen": by_optax(
        optax.chain(
            optax.clip_by_global_norm(5.0),
            optax.multi_transform({"first": optax.sgd(0.1), "second": optax.set_to_zero()}, LABELS),
        )
    ),
    "two groups": by_torch(two_groups),
    "clip two groups": by_torch(two_groups, clip=lambda p: clip_grad_norm_(p, 2e9), scale=1e8),
}


def main():
    """Run every case, and save."""
    x0, grads = inputs()
    arrays = {"x0": x0, "grads": grads}
    for name, run in CASES.items():
        arrays[name] = np.stack(list(run(x0, grads)))
        assert arrays[name].dtype == np.float64 and arrays[name].shape == grads.shape
        print(f"{name:24} {np.abs(arrays[name][-1] - x0).max():8.3g} moved at most")
    np.savez_compressed(OUT, **arrays)
    print(f"{len(CASES)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
