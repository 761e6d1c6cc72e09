"""A small model with an optimizer that is drawn: any rule, inside any wrappers and groups."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
import optim
from minigrad import Parameters, Tensor
from optim.schedules import Constant, InverseSqrt, ReduceOnPlateau
from optim.wrappers.averaging import WeightAverage
from tests.faults.training import digest

Rng = np.random.Generator

# A wrapper of each kind; what does not fit its inner raises TypeError, and another is drawn
WRAPPERS: list[Callable[[Any, Rng], Any]] = [
    lambda inner, rng: optim.Accumulate(inner, int(rng.integers(1, 4))),
    lambda inner, rng: optim.ClipNorm(inner, rng.uniform(0.5, 2)),
    lambda inner, rng: optim.ClipValue(inner, rng.uniform(0.1, 1)),
    lambda inner, rng: optim.DecoupledDecay(inner, rng.uniform(0, 0.1)),
    lambda inner, rng: optim.ExponentialAverage(inner, rng.uniform(0.1, 0.9)),
    lambda inner, rng: optim.ExponentialAverage(inner, lambda n: n / (n + 3), start=1, every=2),
    lambda inner, rng: optim.Frozen(inner, [inner.params.names[0]]),
    lambda inner, rng: optim.Frozen(inner, rng.random(inner.params.size) < 0.5),
    lambda inner, rng: optim.L2Decay(inner, rng.uniform(0, 0.1)),
    lambda inner, rng: optim.Lookahead(inner, int(rng.integers(1, 4)), rng.uniform(0.2, 0.8)),
    lambda inner, rng: optim.Maximize(inner),
    lambda inner, rng: optim.PolyakAverage(inner, int(rng.integers(0, 3)), int(rng.integers(1, 3))),
    lambda inner, rng: optim.SkipNonFinite(inner),
]
SETTINGS = {  # what may be set later, and between which values
    "norm": (0.5, 2.0),
    "value": (0.1, 1.0),
    "alpha": (0.2, 0.8),
    "rho": (0.01, 0.1),
    "weight_decay": (0.0, 0.1),
}


class Nest:
    """A model of three tensors and its optimizer: from the same seed, the same.

    `start` are weights to begin with; all rates that are drawn are multiplied by `factor`.
    """

    def __init__(self, seed: int, start: Any = None, factor: float = 1.0):
        rng = np.random.default_rng(seed)
        dtype = rng.choice(["float32", "float64"])
        shapes = {"weight": (3, 4), "bias": (4,), "scale": ()}
        self.params = Parameters(
            {
                n: Tensor(rng.normal(size=s).astype(dtype), requires_grad=True)
                for n, s in shapes.items()
            }
        )
        if start is not None:
            self.params.load_state_dict(start)
        weight, *others = self.params.tensors
        if rng.random() < 0.3:
            groups = [_nest([weight], rng, factor, True), _nest(others, rng, factor, True)]
            self.opt = _wrapped(optim.Groups(groups), rng)
        else:
            self.opt = _nest(self.params, rng, factor, False)

    def loss(self, x: Any, penalties: Any) -> Tensor:
        """A loss on a batch with a penalty on each tensor, whose gradients are set."""
        weight, bias, scale = self.params.tensors
        self.opt.zero_grad()
        loss = ((Tensor(x.astype(self.params.dtype)) @ weight + bias) * scale).tanh().mean()
        for tensor, penalty in zip(self.params, penalties, strict=True):
            loss = loss + penalty * (tensor * tensor).sum()
        loss.backward()
        return loss

    def step(self, x: Any, closure: bool = False, penalties: Any = (0.05, 0.05, 0.05)) -> None:
        if closure or self.opt.needs_closure:
            self.opt.step(lambda: self.loss(x, penalties))
        else:
            self.loss(x, penalties)
            self.opt.step()

    def plateaus(self) -> list[ReduceOnPlateau]:
        return [r.lr for r in self.opt.rules if isinstance(r.lr, ReduceOnPlateau)]

    def parts(self) -> list[Any]:
        """All optimizers of the nest, from the outermost on."""
        found, left = [], [self.opt]
        while left:
            found.append(part := left.pop(0))
            if isinstance(part, optim.Groups):
                left += part.optimizers
            elif isinstance(part, optim.Wrapper):
                left.append(part.inner)
        return found

    def digest(self) -> str:
        """A text that is another for another bit of the weights or of any state; nothing is saved
        for it."""
        return digest(
            {"weights": self.params.gathered(), **dict(enumerate(map(_held, self.parts())))}
        )

    def save(self, path: Path) -> None:
        minigrad.save(path, params=self.params, opt=self.opt)

    def load(self, path: Path) -> None:
        saved = minigrad.load(path)
        self.params.load_state_dict(saved["params"])
        self.opt.load_state_dict(saved["opt"])


def _held(part: Any) -> dict[str, Any]:
    """What one optimizer of a nest has of its own, beside settings."""
    if isinstance(part, optim.Groups):
        return {}
    if isinstance(part, optim.Wrapper):
        own = part.average if isinstance(part, WeightAverage) else part.arrays
        return {"count": part.count, "arrays": own}
    return {"t": part.t, **part.state}


def _nest(params: Any, rng: Rng, factor: float, grouped: bool) -> Any:
    """A rule with a rate, a schedule or a plateau, inside wrappers."""
    names = list(optim.RULES)
    while (rule := optim.RULES[rng.choice(names)]).needs_closure and grouped:
        pass
    rate = float(rng.uniform(0.01, 0.1)) * factor
    lr = [rate, InverseSqrt(rate), ReduceOnPlateau(Constant(rate), 0.5, 0)][rng.integers(3)]
    settings = {} if "lr" not in rule.hyperparameters() else {"lr": lr}
    if rule is optim.Rprop:
        settings = {}
    if rule is not optim.LBFGS and rng.random() < 0.2:
        settings["projection"] = optim.Box(-1, 1)
    if not rule.needs_closure and not grouped and rng.random() < 0.15:
        return _wrapped(optim.SAM(params, rule, **settings), rng)
    return _wrapped(rule(params, **settings), rng)


def _wrapped(inner: Any, rng: Rng) -> Any:
    for _ in range(rng.integers(4)):
        with suppress(TypeError):
            inner = WRAPPERS[rng.integers(len(WRAPPERS))](inner, rng)
    return inner
