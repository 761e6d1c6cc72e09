"""Answers to Adam's forgetting: rules that remember large gradients for longer, or for ever."""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import Beta, Eps, Fraction, Rate
from optim.engine.optimizer import Optimizer, inplace
from optim.rules.adam import Adam, PaperAdam
from optim.schedules import Inverse, OneMinusInverse

__all__ = [
    "AMSGrad",
    "AMSGradKeras",
    "AMSGradOptax",
    "AMSGradTorch",
    "AdaX",
    "AdamNC",
    "AdamX",
    "LeakyAMSGrad",
    "NosAdam",
]


class AdamNC(PaperAdam):
    """Adam whose beta2 = 1 - 1/t makes v the mean of all squares: AdaGrad with momentum, if lr is
    alpha / sqrt(t). Reddi, Kale and Kumar 2018, Algorithm 3 and Corollary 2."""

    oracle = "the paper"
    betas: tuple[Beta, Beta] = (0.9, OneMinusInverse())


class AMSGrad(PaperAdam):
    """PaperAdam over the largest v so far. Reddi, Kale and Kumar 2018, Algorithm 2."""

    oracle = "optax.amsgrad"

    @inplace
    def diagonal(v_max, *, eps):
        return xp.sqrt(v_max) + eps

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, betas, eps):
        PaperAdam.moments(g, m, v, betas=betas)
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class AMSGradTorch(Adam):
    """AMSGrad as in torch.optim.Adam(amsgrad=True) since 2017 (pytorch#4034): the maximum of the
    raw v, corrected after."""

    oracle = "torch.optim.Adam"

    @inplace
    def diagonal(v_max, beta2_t, *, eps):
        return Adam.diagonal(v_max, beta2_t, eps=eps)

    @inplace
    def kernel(p, g, m, v, v_max, beta1_t, beta2_t, *, lr, betas, eps):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        xp.maximum(v_max, v, out=v_max)
        p -= Adam.rate(beta1_t, beta2_t, lr=lr) * m / Adam.diagonal(v_max, beta2_t, eps=eps)


class AMSGradKeras(Adam):
    """AMSGrad as in keras.optimizers.Adam(amsgrad=True) since 2017 (keras#8693): both corrections
    in lr, none in eps."""

    oracle = "keras.optimizers.Adam"
    eps: Eps = 1e-7

    @inplace
    def diagonal(v_max, *, eps):
        return AMSGrad.diagonal(v_max, eps=eps)

    @inplace
    def kernel(p, g, m, v, v_max, beta1_t, beta2_t, *, lr, betas, eps):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        xp.maximum(v_max, v, out=v_max)
        p -= Adam.rate(beta1_t, beta2_t, lr=lr) * m / AMSGrad.diagonal(v_max, eps=eps)


class AMSGradOptax(Adam):
    """AMSGrad as in optax.amsgrad since 2022 (optax#382): the maximum of the corrected v."""

    oracle = "optax.amsgrad"

    @inplace
    def rate(beta1_t, *, lr):
        return lr / (1 - beta1_t)

    @inplace
    def diagonal(v_max, *, eps):
        return AMSGrad.diagonal(v_max, eps=eps)

    @inplace
    def kernel(p, g, m, v, v_max, beta1_t, beta2_t, *, lr, betas, eps):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        xp.maximum(v_max, v / (1 - beta2_t), out=v_max)
        p -= AMSGradOptax.rate(beta1_t, lr=lr) * m / AMSGrad.diagonal(v_max, eps=eps)


class LeakyAMSGrad(AMSGrad):
    """AMSGrad whose maximum leaks: rho = 1 is AMSGrad, rho <= beta2 is PaperAdam.

    The slow decay that Reddi, Kale and Kumar 2018 leave open in Section 5, with a memory of
    1 / (1 - rho) steps.
    """

    oracle = "the paper"
    rho: Annotated[Fraction, "how much of the maximum stays each step"] = 0.9999

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, betas, eps, rho):
        PaperAdam.moments(g, m, v, betas=betas)
        v_max *= rho
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class AdamX(AMSGrad):
    """AMSGrad whose maximum grows with 1 - beta1, as the proof needs where beta1 falls.

    What never falls is v_max / (1 - beta1)^2; with a constant beta1 it is AMSGrad. Tran and Phong
    2019, Algorithm 2; beta1 / t is of their Corollary 5.6.
    """

    oracle = "the paper"
    betas: tuple[Beta, Beta] = (Inverse(0.9), 0.999)

    def start(self, p):
        return {"weight": 0.0}  # the last 1 - beta1

    @inplace
    def kernel(p, g, m, v, v_max, weight, *, lr, betas, eps):
        PaperAdam.moments(g, m, v, betas=betas)
        last = xp.where(weight > 0, weight, 1 - betas[0])
        weight[...] = 1 - betas[0]
        growth = weight / last
        v_max *= growth * growth
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class NosAdam(Optimizer):
    """Nostalgic Adam: v is the mean of all squares, and that of step k weighs k^-gamma.

    The early ones weigh more; gamma = 0 is AdamNC. Huang, Wang and Dong 2019, with their
    hyperharmonic weights; their implementation corrects the bias of m.
    """

    oracle = "the paper"
    lr: Rate = 1e-3
    beta1: Beta = 0.9
    gamma: Annotated[Rate, "how much more early squares weigh"] = 0.1
    eps: Eps = 0.0

    def start(self, p):
        return {"total": 0.0}  # of the weights

    @inplace
    def diagonal(v, *, eps):
        return PaperAdam.diagonal(v, eps=eps)

    @inplace
    def kernel(p, g, m, v, total, *, lr, beta1, gamma, eps, t):
        weight = t**-gamma
        before = total.copy()
        total += weight
        m *= beta1
        m += (1 - beta1) * g
        v *= before / total
        v += weight / total * g * g
        p -= lr * m / NosAdam.diagonal(v, eps=eps)


class AdaX(PaperAdam):
    """Adam whose v is the mean of all squares, and that of step k weighs (1 + beta2)^-k.

    What comes late hardly counts; beta2 = 0 is AdamNC. Li et al. 2020, whose
    v = (1 + beta2) v + beta2 g^2 is divided by (1 + beta2)^t - 1 before it is used; here, lest it
    overflow, from the start. eps is added after that, in their implementation before.
    """

    oracle = "the paper"
    lr: Rate = 1.5e-3
    betas: tuple[Beta, Beta] = (0.9, 1e-4)
    eps: Eps = 1e-12

    def start(self, p):
        return {"weight": 1.0, "total": 0.0}  # of this step's square, and of all

    @inplace
    def kernel(p, g, m, v, weight, total, *, lr, betas, eps):
        beta1, beta2 = betas
        weight /= 1 + beta2
        before = total.copy()
        total += weight
        m *= beta1
        m += (1 - beta1) * g
        v *= before / total
        v += weight / total * g * g
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)
