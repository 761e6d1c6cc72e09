"""A step size per coordinate, from the squares of its gradients: before Adam."""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import Beta, Eps, Fraction, Rate
from optim.engine.optimizer import Optimizer, inplace

__all__ = [
    "FTRL",
    "AdaGrad",
    "AdaGradNorm",
    "Adadelta",
    "CenteredRMSProp",
    "RMSProp",
    "RMSPropMomentum",
]


class AdaGrad(Optimizer):
    """Steps over the root of the sum of squares. Duchi, Hazan and Singer 2011, Figure 1."""

    oracle = "torch.optim.Adagrad"
    lr: Rate = 1e-2
    eps: Eps = 1e-10

    @inplace
    def diagonal(s, *, eps):
        return xp.sqrt(s) + eps

    @inplace
    def kernel(p, g, s, *, lr, eps):
        s += g * g
        p -= lr * g / AdaGrad.diagonal(s, eps=eps)


class AdaGradNorm(AdaGrad):
    """AdaGrad with one sum for all coordinates, of the squared norms of the gradients.
    Ward, Wu and Bottou 2019."""

    oracle = "the paper"
    given = ("square",)

    def start(self, p):
        return {"s": 0.0}

    def update(self):
        self.apply("kernel", square=self.sum_over(lambda g: (g * g).sum()))

    @inplace
    def kernel(p, g, s, *, lr, eps, square):
        s += square
        p -= lr * g / AdaGrad.diagonal(s, eps=eps)


class FTRL(AdaGrad):
    """Follows the regularized leader: AdaGrad with penalties l1 |x| + l2 x^2 / 2, the first of
    which leaves zeros. McMahan et al. 2013, Algorithm 1.

    Their beta is eps, their sigma the increment of 1 / eta, which is the metric, as in equation 1,
    so that lr may change; where it is 0, nothing moves. Their -z is metric p + pull - g, with the
    pull of the penalties at p, so that weights need not start at 0, and may be moved between steps.
    """

    oracle = "keras.optimizers.Ftrl"
    eps: Eps = 1.0
    l1: Annotated[Rate, "penalty of |x|"] = 0.0
    l2: Annotated[Rate, "penalty of x^2 / 2"] = 0.0

    @inplace
    def kernel(p, g, s, pull, *, lr, eps, l1, l2):
        s += g * g
        moves = lr > 0
        metric = AdaGrad.diagonal(s, eps=eps) / xp.where(moves, lr, 1.0)
        minus_z = metric * p + pull - g
        nearest = xp.sign(minus_z) * xp.maximum(xp.abs(minus_z) - l1, 0.0) / (metric + l2)
        p[...] = xp.where(moves, nearest, p)
        pull[...] = xp.where(moves, minus_z - metric * p, pull)


class RMSProp(Optimizer):
    """Steps over the root of a running mean of squares. Tieleman and Hinton 2012, Lecture 6.5."""

    oracle = "torch.optim.RMSprop"
    lr: Rate = 1e-2
    alpha: Annotated[Beta, "how much of the mean of squares stays each step"] = 0.99
    eps: Eps = 1e-8

    @inplace
    def diagonal(v, *, eps):
        return xp.sqrt(v) + eps

    @inplace
    def kernel(p, g, v, *, lr, alpha, eps):
        v *= alpha
        v += (1 - alpha) * g * g
        p -= lr * g / RMSProp.diagonal(v, eps=eps)


class RMSPropMomentum(RMSProp):
    """Momentum on RMSProp's steps. Tieleman and Hinton 2012, Lecture 6.5, in PyTorch's form."""

    oracle = "torch.optim.RMSprop"
    momentum: Beta = 0.9

    @inplace
    def kernel(p, g, v, b, *, lr, alpha, eps, momentum):
        v *= alpha
        v += (1 - alpha) * g * g
        b *= momentum
        b += g / RMSProp.diagonal(v, eps=eps)
        p -= lr * b


class CenteredRMSProp(RMSProp):
    """RMSProp with the running variance in place of the mean of squares. Graves 2013, eq. 38-45."""

    oracle = "torch.optim.RMSprop"

    @inplace
    def diagonal(v, g_mean, *, eps):
        # the difference is a variance, but rounding can leave it below zero
        return xp.sqrt(xp.maximum(v - g_mean * g_mean, 0.0)) + eps

    @inplace
    def kernel(p, g, v, g_mean, *, lr, alpha, eps):
        v *= alpha
        v += (1 - alpha) * g * g
        g_mean *= alpha
        g_mean += (1 - alpha) * g
        p -= lr * g / CenteredRMSProp.diagonal(v, g_mean, eps=eps)


class Adadelta(Optimizer):
    """Steps in units of earlier steps, so that lr has none. Zeiler 2012, Algorithm 1."""

    oracle = "torch.optim.Adadelta"
    eps_of_squares = True
    lr: Rate = 1.0
    rho: Annotated[Fraction, "how much of the means of squares stays each step"] = 0.9
    eps: Eps = 1e-6

    @inplace
    def kernel(p, g, s, u, *, lr, rho, eps):
        s *= rho
        s += (1 - rho) * g * g
        d = xp.sqrt(u + eps) / xp.sqrt(s + eps) * g
        u *= rho
        u += (1 - rho) * d * d
        p -= lr * d
