"""Descent along the gradient, in order of increasing complexity."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import READ_BY_START, Beta, Fraction, Rate, but
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import value_at

__all__ = [
    "ASGD",
    "QHM",
    "SGD",
    "SGDW",
    "AggMo",
    "Lion",
    "Momentum",
    "Nesterov",
    "Rprop",
    "SignSGD",
    "Signum",
]


class SGD(Optimizer):
    """Steps against the gradient. Robbins and Monro 1951."""

    oracle = "torch.optim.SGD"
    lr: Rate = 1e-3

    @inplace
    def diagonal():
        return 1.0

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g


class Momentum(SGD):
    """Steps along a decaying sum of gradients: the heavy ball. Polyak 1964."""

    oracle = "torch.optim.SGD"
    momentum: Beta = 0.9

    @inplace
    def kernel(p, g, b, *, lr, momentum):
        b *= momentum
        b += g
        p -= lr * b


class Nesterov(Momentum):
    """Momentum that looks one step ahead. Nesterov 1983, in the form of Sutskever et al. 2013."""

    oracle = "torch.optim.SGD"

    @inplace
    def kernel(p, g, b, *, lr, momentum):
        b *= momentum
        b += g
        p -= lr * (g + momentum * b)


class SGDW(Momentum):
    """Momentum with the weights decayed directly. Loshchilov and Hutter 2019, Algorithm 1.

    As in PyTorch's AdamW, lr scales the decay too; the sum of gradients is free of it.
    """

    oracle = "pytorch_optimizer.SGDW"
    weight_decay: Rate = 1e-2

    @inplace
    def kernel(p, g, b, *, lr, momentum, weight_decay):
        p *= 1 - lr * weight_decay
        Momentum.kernel(p, g, b, lr=lr, momentum=momentum)


class QHM(Momentum):
    """Steps between the gradient and its running mean, by nu of the way. Ma and Yarats 2019."""

    oracle = "torch_optimizer.QHM"
    momentum: Beta = 0.999
    nu: Fraction = 0.7

    @inplace
    def kernel(p, g, m, *, lr, momentum, nu):
        m *= momentum
        m += (1 - momentum) * g
        p -= lr * ((1 - nu) * g + nu * m)


class AggMo(SGD):
    """Steps along the mean of three momenta, slow and fast. Lucas, Sun, Zemel and Grosse 2019."""

    oracle = "torch_optimizer.AggMo"
    betas: tuple[Beta, Beta, Beta] = (0.0, 0.9, 0.99)

    @inplace
    def rate(*, lr):
        return lr / 3

    @inplace
    def kernel(p, g, b0, b1, b2, *, lr, betas):
        for b, beta in zip((b0, b1, b2), betas, strict=True):
            b *= beta
            b += g
        p -= AggMo.rate(lr=lr) * (b0 + b1 + b2)


class ASGD(Optimizer):
    """SGD with decay and a falling step size, and the mean of the weights after t0 steps to
    evaluate with. Polyak and Juditsky 1992, in PyTorch's form.

    The step size is lr / (1 + lambd lr (t - 1))^alpha. A mean of feasible weights is feasible.
    """

    oracle = "torch.optim.ASGD"
    lr: Rate = 1e-2
    lambd: Annotated[Rate, "decay of the weights, and how soon lr falls"] = 1e-4
    alpha: Annotated[Beta, "power with which lr falls"] = 0.75
    t0: Annotated[Rate, "steps before the mean begins"] = 1e6

    after_projection = ("average",)

    def start(self, p):
        return {"ax": p}

    @inplace
    def kernel(p, g, *, lr, lambd, alpha, t):
        eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
        p *= 1 - lambd * eta
        p -= eta * g

    @inplace
    def average(p, ax, *, t0, t):
        averaged = t - 1 - t0
        ax -= p  # so that the mean of equal weights is these, bit for bit
        ax *= 1 - 1 / xp.where(averaged > 1, averaged, 1.0)
        ax += p

    @contextmanager
    def averaged(self) -> Iterator[None]:
        self.check_owner()
        with self._owned.holding(self.state["ax"]):
            yield


class SignSGD(SGD):
    """Steps of the same length in every coordinate. Bernstein et al. 2018, Algorithm 1."""

    oracle = "optax.sign_sgd"

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * xp.sign(g)


class Signum(Momentum):
    """SignSGD along a running mean of gradients. Bernstein et al. 2018, Algorithm 2."""

    oracle = "optax.signum"

    @inplace
    def kernel(p, g, m, *, lr, momentum):
        m *= momentum
        m += (1 - momentum) * g
        p -= lr * xp.sign(m)


class Lion(Optimizer):
    """Signum that looks at another mean than it remembers, with the weights decayed directly.
    Chen et al. 2023, Algorithm 2."""

    oracle = "lion_pytorch.Lion"
    lr: Rate = 1e-4
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    weight_decay: Rate = 0.0

    @inplace
    def kernel(p, g, m, *, lr, betas, weight_decay):
        beta1, beta2 = betas
        p *= 1 - lr * weight_decay
        p -= lr * xp.sign(beta1 * m + (1 - beta1) * g)
        m *= beta2
        m += (1 - beta2) * g


class Rprop(Optimizer):
    """Step sizes per coordinate, which grow while its gradient keeps its sign, and shrink when it
    turns. Riedmiller and Braun 1993, in PyTorch's form.

    They start at the lr of t = 1; a gradient that turned counts as zero once.
    """

    oracle = "torch.optim.Rprop"
    lr: Annotated[Rate, READ_BY_START] = 1e-2
    etas: Annotated[
        tuple[
            Annotated[Rate, but(has_low=False, high=1)], Annotated[Rate, but(has_low=False, low=1)]
        ],
        "factors of a step size that shrinks and that grows",
    ] = (0.5, 1.2)
    step_sizes: Annotated[tuple[Rate, Rate], "least and largest step size"] = (1e-6, 50.0)

    ordered = ("step_sizes",)

    def start(self, p):
        lr = value_at("lr", self.lr, 1)
        return {"delta": xp.zeros_like(p) + xp.asarray(lr, p.dtype)}

    @inplace
    def kernel(p, g, g_last, delta, *, etas, step_sizes):
        (shrink, grow), (least, most) = etas, step_sizes
        # g * g_last, but no product of two small or large gradients
        turn = xp.sign(g) * g_last
        delta *= xp.where(turn > 0, grow, xp.where(turn < 0, shrink, 1.0))
        xp.maximum(delta, least, out=delta)
        xp.minimum(delta, most, out=delta)
        g_last[...] = xp.where(turn < 0, 0.0, g)
        p -= delta * xp.sign(g_last)
