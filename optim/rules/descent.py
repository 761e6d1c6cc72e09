"""Descent along the gradient, in order of increasing complexity."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import Betas, Schedule, power, where

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
    lr: Schedule = 1e-3

    @inplace
    def diagonal(*, lr: Any) -> Any:
        return lr**0  # 1 for each of them: a number on a device is no array

    @inplace
    def kernel(p, g, *, lr):
        p -= lr * g


class Momentum(SGD):
    """Steps along a decaying sum of gradients: the heavy ball. Polyak 1964."""

    oracle = "torch.optim.SGD"
    momentum: Schedule = 0.9

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
    weight_decay: Schedule = 1e-2

    def scalars(self, h):
        return {"keep": 1 - h.lr * h.weight_decay, "lr": h.lr, "momentum": h.momentum}

    @inplace
    def kernel(p, g, b, *, keep, lr, momentum):
        p *= keep
        Momentum.kernel(p, g, b, lr=lr, momentum=momentum)


class QHM(Momentum):
    """Steps between the gradient and its running mean, by nu of the way. Ma and Yarats 2019."""

    oracle = "torch_optimizer.QHM"
    momentum: Schedule = 0.999
    nu: Schedule = 0.7

    def scalars(self, h):
        return {
            "lr": h.lr,
            "momentum": h.momentum,
            "one_minus_momentum": 1 - h.momentum,
            "nu": h.nu,
            "one_minus_nu": 1 - h.nu,
        }

    @inplace
    def kernel(p, g, m, *, lr, momentum, one_minus_momentum, nu, one_minus_nu):
        m *= momentum
        m += one_minus_momentum * g
        p -= lr * (one_minus_nu * g + nu * m)


class AggMo(SGD):
    """Steps along the mean of three momenta, slow and fast. Lucas, Sun, Zemel and Grosse 2019."""

    oracle = "torch_optimizer.AggMo"
    betas: tuple[Schedule, Schedule, Schedule] = (0.0, 0.9, 0.99)

    def scalars(self, h):
        beta0, beta1, beta2 = h.betas
        return {"lr": h.lr / 3, "beta0": beta0, "beta1": beta1, "beta2": beta2}

    @inplace
    def kernel(p, g, b0, b1, b2, *, lr, beta0, beta1, beta2):
        b0 *= beta0
        b0 += g
        b1 *= beta1
        b1 += g
        b2 *= beta2
        b2 += g
        p -= lr * (b0 + b1 + b2)


class ASGD(Optimizer):
    """SGD with decay and a falling step size, and the mean of the weights after t0 steps to
    evaluate with. Polyak and Juditsky 1992, in PyTorch's form.

    The step size is lr / (1 + lambd lr (t - 1))^alpha. A mean of feasible weights is feasible.
    """

    oracle = "torch.optim.ASGD"
    lr: Schedule = 1e-2
    lambd: Schedule = 1e-4
    alpha: Schedule = 0.75
    t0: Schedule = 1e6

    passes = ("kernel", "average")

    def start(self, p):
        return {"ax": p}

    def scalars(self, h):
        done = self.t - 1
        lr = h.lr / power(1 + h.lambd * h.lr * done, h.alpha)
        averaged = done - h.t0
        mu = 1 / where(averaged > 1, averaged, 1.0)
        return {"lr": lr, "keep": 1 - h.lambd * lr, "one_minus_mu": 1 - mu}

    @inplace
    def kernel(p, g, *, lr, keep):
        p *= keep
        p -= lr * g

    @inplace
    def average(p, ax, *, one_minus_mu):
        ax -= p  # so that the mean of equal weights is these, bit for bit
        ax *= one_minus_mu
        ax += p

    def update(self, scalars):
        self.sweep("kernel", scalars)

    def advance(self) -> None:
        super().advance()
        self.sweep("average", self._scalars)  # of the weights that any projection has left

    @contextmanager
    def averaged(self) -> Iterator[None]:
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

    def scalars(self, h):
        return {"lr": h.lr, "momentum": h.momentum, "one_minus_momentum": 1 - h.momentum}

    @inplace
    def kernel(p, g, m, *, lr, momentum, one_minus_momentum):
        m *= momentum
        m += one_minus_momentum * g
        p -= lr * xp.sign(m)


class Lion(Optimizer):
    """Signum that looks at another mean than it remembers, with the weights decayed directly.
    Chen et al. 2023, Algorithm 2."""

    oracle = "lion_pytorch.Lion"
    lr: Schedule = 1e-4
    betas: Betas = (0.9, 0.99)
    weight_decay: Schedule = 0.0

    def scalars(self, h):
        beta1, beta2 = h.betas
        return {
            "lr": h.lr,
            "beta1": beta1,
            "one_minus_beta1": 1 - beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "keep": 1 - h.lr * h.weight_decay,
        }

    @inplace
    def kernel(p, g, m, *, lr, beta1, one_minus_beta1, beta2, one_minus_beta2, keep):
        p *= keep
        p -= lr * xp.sign(beta1 * m + one_minus_beta1 * g)
        m *= beta2
        m += one_minus_beta2 * g


class Rprop(Optimizer):
    """Step sizes per coordinate, which grow while its gradient keeps its sign, and shrink when it
    turns. Riedmiller and Braun 1993, in PyTorch's form.

    They start at the lr of t = 1; a gradient that turned counts as zero once.
    """

    oracle = "torch.optim.Rprop"
    start_only = ("lr",)
    lr: Schedule = 1e-2
    etas: tuple[Schedule, Schedule] = (0.5, 1.2)
    step_sizes: tuple[Schedule, Schedule] = (1e-6, 50.0)

    def start(self, p):
        lr = self._hyperparameters().at(1).lr
        return {"delta": xp.broadcast_to(xp.asarray(lr), p.shape)}

    def scalars(self, h):
        shrink, grow = h.etas
        least, most = h.step_sizes
        return {
            "shrink": shrink,
            "grow": grow,
            "least": least,
            "most": most,
            "zero": 0.0,
            "one": 1.0,
        }

    @inplace
    def kernel(p, g, g_last, delta, *, shrink, grow, least, most, zero, one):
        # g * g_last, but no product of two small or large gradients
        turn = xp.sign(g) * g_last
        delta *= xp.where(turn > zero, grow, xp.where(turn < zero, shrink, one))
        xp.maximum(delta, least, out=delta)
        xp.minimum(delta, most, out=delta)
        g_last[...] = xp.where(turn < zero, zero, g)
        p -= delta * xp.sign(g_last)
