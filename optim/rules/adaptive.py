"""A step size per coordinate, from the squares of its gradients: before Adam."""

from minigrad.backend import Array, xp
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import Schedule

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
    lr: Schedule = 1e-2
    eps: float = 1e-10

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

    def start(self, p):
        return {"s": xp.zeros(())}

    def update(self, scalars):
        s = self.state["s"]
        s += self.total(lambda g: (g * g).sum())
        self.sweep("kernel", scalars)

    @inplace
    def kernel(p, g, s, *, lr, eps):
        p -= lr * g / AdaGrad.diagonal(s, eps=eps)


class FTRL(AdaGrad):
    """Follows the regularized leader: AdaGrad with penalties l1 |x| + l2 x^2 / 2, the first of
    which leaves zeros. McMahan et al. 2013, Algorithm 1.

    Their beta is eps, their sigma the increment of 1 / eta, which is the metric, as in equation 1,
    so that lr may change, but not to 0. Their -z is metric p + pull - g, with the pull of the
    penalties at p, so that weights need not start at 0, and may be moved between steps.
    """

    oracle = "keras.optimizers.Ftrl"
    eps: float = 1.0
    l1: Schedule = 0.0
    l2: Schedule = 0.0

    def scalars(self, h):
        return {"lr": h.lr, "eps": h.eps, "l1": h.l1, "l2": h.l2, "zero": 0.0}

    @inplace
    def kernel(p: Array, g, s, pull, *, lr, eps, l1, l2, zero):
        s += g * g
        metric = AdaGrad.diagonal(s, eps=eps) / lr
        minus_z = metric * p + pull - g
        p[...] = xp.sign(minus_z) * xp.maximum(xp.abs(minus_z) - l1, zero) / (metric + l2)
        pull[...] = minus_z - metric * p


class RMSProp(Optimizer):
    """Steps over the root of a running mean of squares. Tieleman and Hinton 2012, Lecture 6.5."""

    oracle = "torch.optim.RMSprop"
    lr: Schedule = 1e-2
    alpha: Schedule = 0.99
    eps: float = 1e-8

    def scalars(self, h):
        return {"lr": h.lr, "alpha": h.alpha, "one_minus_alpha": 1 - h.alpha, "eps": h.eps}

    @inplace
    def diagonal(v, *, eps):
        return xp.sqrt(v) + eps

    @inplace
    def kernel(p, g, v, *, lr, alpha, one_minus_alpha, eps):
        v *= alpha
        v += one_minus_alpha * g * g
        p -= lr * g / RMSProp.diagonal(v, eps=eps)


class RMSPropMomentum(RMSProp):
    """Momentum on RMSProp's steps. Tieleman and Hinton 2012, Lecture 6.5, in PyTorch's form."""

    oracle = "torch.optim.RMSprop"
    momentum: Schedule = 0.9

    def scalars(self, h):
        return {"momentum": h.momentum, **super().scalars(h)}

    @inplace
    def kernel(p, g, v, b, *, lr, alpha, one_minus_alpha, eps, momentum):
        v *= alpha
        v += one_minus_alpha * g * g
        b *= momentum
        b += g / RMSProp.diagonal(v, eps=eps)
        p -= lr * b


class CenteredRMSProp(RMSProp):
    """RMSProp with the running variance in place of the mean of squares. Graves 2013, eq. 38-45."""

    oracle = "torch.optim.RMSprop"

    def scalars(self, h):
        return {"zero": 0, **super().scalars(h)}

    @inplace
    def diagonal(v, g_mean, *, zero, eps):
        # the difference is a variance, but rounding can leave it below zero
        return xp.sqrt(xp.maximum(v - g_mean * g_mean, zero)) + eps

    @inplace
    def kernel(p, g, v, g_mean, *, lr, alpha, one_minus_alpha, eps, zero):
        v *= alpha
        v += one_minus_alpha * g * g
        g_mean *= alpha
        g_mean += one_minus_alpha * g
        p -= lr * g / CenteredRMSProp.diagonal(v, g_mean, zero=zero, eps=eps)


class Adadelta(Optimizer):
    """Steps in units of earlier steps, so that lr has none. Zeiler 2012, Algorithm 1."""

    oracle = "torch.optim.Adadelta"
    eps_of_squares = True
    lr: Schedule = 1.0
    rho: Schedule = 0.9
    eps: float = 1e-6

    def scalars(self, h):
        return {"lr": h.lr, "rho": h.rho, "one_minus_rho": 1 - h.rho, "eps": h.eps}

    @inplace
    def kernel(p, g, s, u, *, lr, rho, one_minus_rho, eps):
        s *= rho
        s += one_minus_rho * g * g
        d = xp.sqrt(u + eps) / xp.sqrt(s + eps) * g
        u *= rho
        u += one_minus_rho * d * d
        p -= lr * d
