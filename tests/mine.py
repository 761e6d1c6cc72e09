"""Rules of a user, which tests name by this file: nothing imports it."""

import optim
from minigrad import xp
from optim import Beta, Rate


class Mine(optim.Optimizer):
    """Momentum over a running mean of the gradients' sizes."""

    lr: Rate = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.99)

    @optim.inplace
    def kernel(p, g, m, v, *, lr, betas):
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * abs(g)
        p -= lr * m / Mine.diagonal(v)

    @optim.inplace
    def diagonal(v):
        return xp.maximum(v, 1e-30)


class Drifting(optim.Optimizer):
    """Descent that goes on where every gradient is 0."""

    lr: Rate = 1e-3

    @optim.inplace
    def kernel(p, g, *, lr):
        p -= lr * (g + 0.5)
