"""Descent along the gradient, in order of increasing complexity."""

from minigrad.backend import xp
from optim.hyperparameters import Schedule
from optim.optimizer import Optimizer, inplace


class SGD(Optimizer):
    """Steps against the gradient. Robbins and Monro 1951."""

    oracle = "torch.optim.SGD"
    lr: Schedule = 1e-3

    @inplace
    def diagonal(*, lr):
        return xp.ones_like(lr)

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
