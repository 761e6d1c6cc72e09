"""Record what others do with closures on tests/rules/closure.py: tests/oracles/closure.npz.

Run as `python -m tests.record.closure`, with torch 2.13.0, optax 0.2.8 and pytorch-optimizer
4.1.0.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np

os.environ["JAX_ENABLE_X64"] = "1"
import jax.numpy as jnp
import optax
import pytorch_optimizer
import torch

from tests.rules.closure import X0, log_cosh

OUT = Path(__file__).parent.parent / "oracles" / "closure.npz"


def lbfgs(steps, lr, history):
    x = torch.tensor(X0, requires_grad=True)
    opt = torch.optim.LBFGS(
        [x],
        lr=lr,
        history_size=history,
        max_iter=1,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        loss, gradient = log_cosh(x.detach().numpy())
        x.grad = torch.tensor(gradient)
        return torch.tensor(loss)

    for _ in range(steps):
        opt.step(closure)
        yield x.detach().numpy().copy()


def polyak(steps, lr, f_min):
    opt = optax.polyak_sgd(max_learning_rate=lr, f_min=f_min)
    x = jnp.asarray(X0)
    state = opt.init(x)
    for _ in range(steps):
        loss, gradient = log_cosh(np.array(x))
        update, state = opt.update(jnp.asarray(gradient), state, value=jnp.asarray(loss))
        x = optax.apply_updates(x, update)
        yield np.array(x)


def sam(steps, lr, rho, momentum):
    x = torch.tensor(X0, requires_grad=True)
    opt = pytorch_optimizer.SAM(
        [x], torch.optim.SGD, rho=rho, lr=lr, momentum=momentum, perturb_eps=0.0
    )

    def closure():
        loss, gradient = log_cosh(x.detach().numpy())
        x.grad = torch.tensor(gradient)
        return torch.tensor(loss)

    for _ in range(steps):
        closure()
        opt.step(closure)
        yield x.detach().numpy().copy()


CASES = [
    ("LBFGS", "torch.optim.LBFGS", lbfgs, {"lr": 1.0, "history": 10}),
    ("LBFGS", "torch.optim.LBFGS", lbfgs, {"lr": 1.0, "history": 3}),
    ("LBFGS", "torch.optim.LBFGS", lbfgs, {"lr": 0.7, "history": 5}),
    ("PolyakSGD", "optax.polyak_sgd", polyak, {"lr": 1.0, "f_min": 0.0}),
    ("PolyakSGD", "optax.polyak_sgd", polyak, {"lr": 0.02, "f_min": 0.0}),
    ("PolyakSGD", "optax.polyak_sgd", polyak, {"lr": 1.0, "f_min": 3.0}),
    ("SAM", "pytorch_optimizer.SAM", sam, {"lr": 0.1, "rho": 0.05, "momentum": 0.9}),
    ("SAM", "pytorch_optimizer.SAM", sam, {"lr": 0.2, "rho": 0.5, "momentum": 0.5}),
]

if __name__ == "__main__":
    arrays = {}
    for rule, oracle, run, settings in CASES:
        number = version(oracle.split(".")[0].replace("_", "-")).split("+")[0]
        key = {"rule": rule, "oracle": f"{oracle} {number}", "settings": settings}
        arrays[json.dumps(key, sort_keys=True)] = np.array(list(run(20, **settings)))
    np.savez_compressed(OUT, **arrays)
