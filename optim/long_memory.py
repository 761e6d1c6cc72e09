"""Answers to Adam's forgetting: rules that remember large gradients for longer, or for ever."""

from minigrad.backend import xp
from optim.adam import Adam, PaperAdam
from optim.hyperparameters import Betas, Schedule, root
from optim.optimizer import inplace
from optim.schedules import OneMinusInverse


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
