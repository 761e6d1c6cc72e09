"""Answers to Adam's forgetting: rules that remember large gradients for longer, or for ever."""

from types import SimpleNamespace

from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import Betas, Schedule, power, root
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
    betas: Betas = (0.9, OneMinusInverse())


class AMSGrad(PaperAdam):
    """PaperAdam over the largest v so far. Reddi, Kale and Kumar 2018, Algorithm 2."""

    oracle = "optax.amsgrad"

    @inplace
    def diagonal(v_max, *, eps):
        return xp.sqrt(v_max) + eps

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class AMSGradTorch(Adam):
    """AMSGrad as in torch.optim.Adam(amsgrad=True) since 2017 (pytorch#4034): the maximum of the
    raw v, corrected after."""

    oracle = "torch.optim.Adam"

    diagonal = inplace(AMSGrad.diagonal)
    kernel = inplace(AMSGrad.kernel)


class AMSGradKeras(AMSGrad):
    """AMSGrad as in keras.optimizers.Adam(amsgrad=True) since 2017 (keras#8693): both corrections
    in lr, none in eps."""

    oracle = "keras.optimizers.Adam"
    eps: float = 1e-7

    def scalars(self, h):
        debias1, debias2 = self.debias(h.betas)
        return {**super().scalars(h), "lr": h.lr * root(debias2) / debias1}


class AMSGradOptax(AMSGrad):
    """AMSGrad as in optax.amsgrad since 2022 (optax#382): the maximum of the corrected v."""

    oracle = "optax.amsgrad"
    eps: float = 1e-8

    def scalars(self, h):
        debias1, debias2 = self.debias(h.betas)
        return {**super().scalars(h), "lr": h.lr / debias1, "debias2": debias2}

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, debias2, **betas):
        PaperAdam.moments(g, m, v, **betas)
        xp.maximum(v_max, v / debias2, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class LeakyAMSGrad(AMSGrad):
    """AMSGrad whose maximum leaks: rho = 1 is AMSGrad, rho <= beta2 is PaperAdam.

    The slow decay that Reddi, Kale and Kumar 2018 leave open in Section 5, with a memory of
    1 / (1 - rho) steps.
    """

    oracle = "the paper"
    rho: Schedule = 0.9999

    def scalars(self, h):
        return {**super().scalars(h), "rho": h.rho}

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, rho, **betas):
        PaperAdam.moments(g, m, v, **betas)
        v_max *= rho
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


class AdamX(AMSGrad):
    """AMSGrad whose maximum grows with 1 - beta1, as the proof needs where beta1 falls.

    What never falls is v_max / (1 - beta1)^2; with a constant beta1 it is AMSGrad. Tran and Phong
    2019, Algorithm 2; beta1 / t is of their Corollary 5.6.
    """

    oracle = "the paper"
    betas: Betas = (Inverse(0.9), 0.999)

    def scalars(self, h):
        one_minus_beta1 = 1 - h.betas[0]
        growth = one_minus_beta1 / self.running.get("one_minus_beta1", one_minus_beta1)
        self.running["one_minus_beta1"] = one_minus_beta1
        return {**super().scalars(h), "growth": growth * growth}

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, eps, growth, **betas):
        PaperAdam.moments(g, m, v, **betas)
        v_max *= growth
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / AMSGrad.diagonal(v_max, eps=eps)


def weighted_mean(rule, h, beta1, weight):
    """The scalars of PaperAdam with v the mean of all squares, each by the `weight` of its step."""
    before = rule.running.get("total_weight", 0.0)
    rule.running["total_weight"] = total = before + weight
    now = SimpleNamespace(lr=h.lr, betas=(beta1, before / total), eps=h.eps)
    return {**PaperAdam.scalars(rule, now), "one_minus_beta2": weight / total}


class NosAdam(Optimizer):
    """Nostalgic Adam: v is the mean of all squares, and that of step k weighs k^-gamma.

    The early ones weigh more; gamma = 0 is AdamNC. Huang, Wang and Dong 2019, with their
    hyperharmonic weights; their implementation corrects the bias of m.
    """

    oracle = "the paper"
    lr: Schedule = 1e-3
    beta1: Schedule = 0.9
    gamma: Schedule = 0.1
    eps: float = 0.0

    def scalars(self, h):
        return weighted_mean(self, h, h.beta1, power(self.t, -h.gamma))

    diagonal = inplace(PaperAdam.diagonal)
    kernel = inplace(PaperAdam.kernel)


class AdaX(PaperAdam):
    """Adam whose v is the mean of all squares, and that of step k weighs (1 + beta2)^-k.

    What comes late hardly counts; beta2 = 0 is AdamNC. Li et al. 2020, whose
    v = (1 + beta2) v + beta2 g^2 is divided by (1 + beta2)^t - 1 before it is used; here, lest it
    overflow, from the start. eps is added after that, in their implementation before.
    """

    oracle = "the paper"
    lr: Schedule = 1.5e-3
    betas: Betas = (0.9, 1e-4)
    eps: float = 1e-12

    def scalars(self, h):
        beta1, beta2 = h.betas
        self.running["weight"] = weight = self.running.get("weight", 1.0) / (1 + beta2)
        return weighted_mean(self, h, beta1, weight)
