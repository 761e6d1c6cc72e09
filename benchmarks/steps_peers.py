"""The optimizer step of steps.py in other libraries."""

from collections.abc import Iterator
from typing import Any

from benchmarks.steps import SETTINGS, Shape, task

FORMS = {  # what torch.optim has of a rule: no Lion, and Muon in one form only
    **dict.fromkeys(("SGD", "Momentum", "Adam", "AMSGrad", "AdamW"), ("foreach", "fused")),
    "Adafactor": ("foreach",),
    "Muon": (),
}
OTHERWISE = {  # what computes something else than we do, by the rule and the start of its name
    ("AMSGrad", "torch"): "corrects the bias",
    ("AMSGrad", "jax"): "corrects the bias",
    ("Adafactor", "jax"): "with other constants",
    ("Muon", "torch"): "multiplies in bfloat16",
    ("Muon", "jax"): "with other constants",
}


def torch(rule: str, shape: Shape, **options: bool) -> Iterator[Any]:
    """torch.optim's rule; its Muon multiplies matrices in bfloat16."""
    import torch

    p, g = map(torch.from_numpy, task(shape))
    p.grad = g
    names = {"Momentum": "SGD", "AMSGrad": "Adam"}
    settings = {**SETTINGS[rule], **options, **({"amsgrad": True} if rule == "AMSGrad" else {})}
    opt = getattr(torch.optim, names.get(rule, rule))([p], **settings)
    first = p.view(-1)[:1]
    while True:
        opt.step()
        yield first


def jax(rule: str, shape: Shape) -> Iterator[Any]:
    """optax's rule in one `jax.jit` with everything donated but the gradient."""
    import jax
    import optax

    p, g = map(jax.device_put, task(shape))
    settings = dict(SETTINGS[rule])
    if "betas" in settings:
        settings["b1"], settings["b2"] = settings.pop("betas")
    module = optax.contrib if rule == "Muon" else optax
    name = {"Momentum": "sgd"}.get(rule, rule.lower())
    opt = getattr(module, name)(settings.pop("lr"), **settings)

    def step(p: Any, state: Any, g: Any) -> Any:
        updates, state = opt.update(g, state, p)
        p = optax.apply_updates(p, updates)
        return p, state, p.ravel()[0]

    step = jax.jit(step, donate_argnums=(0, 1))
    state = opt.init(p)
    while True:
        p, state, first = step(p, state, g)
        yield first
