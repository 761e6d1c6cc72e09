"""Adam with another denominator: what is measured, and how far a step may go."""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import Eps, Fraction, Rate
from optim.engine.optimizer import inplace
from optim.rules.adam import Adam, PaperAdam
from optim.rules.long_memory import AMSGrad

__all__ = ["AMSBound", "AdaBelief", "AdaBound", "Padam", "Yogi"]


class Yogi(PaperAdam):
    """Adam whose v moves towards g^2 by no more than (1 - beta2) g^2, up or down.

    Zaheer et al. 2018, Algorithm 2: without the bias correction that most libraries add. v
    starts at 1e-6, as in TensorFlow Addons.
    """

    oracle = "the paper"
    lr: Rate = 1e-2
    eps: Eps = 1e-3

    def start(self, p):
        return {"v": xp.full_like(p, 1e-6)}

    @inplace
    def kernel(p, g, m, v, *, lr, betas, eps):
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        square = g * g
        v -= (1 - beta2) * xp.sign(v - square) * square
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)


class AdaBelief(Adam):
    """Adam over the gradient's deviation from its mean m. Zhuang et al. 2020, Algorithm 2."""

    oracle = "zij.AdaBelief"
    eps_of_squares = True
    eps: Eps = 1e-16

    @inplace
    def diagonal(s, beta2_t, *, eps):
        return Adam.diagonal(s, beta2_t, eps=eps)

    @inplace
    def kernel(p, g, m, s, beta1_t, beta2_t, *, lr, betas, eps):
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        surprise = g - m
        s *= beta2
        s += (1 - beta2) * surprise * surprise + eps
        beta1_t *= beta1
        beta2_t *= beta2
        p -= Adam.rate(beta1_t, beta2_t, lr=lr) * m / AdaBelief.diagonal(s, beta2_t, eps=eps)


class AdaBound(Adam):
    """Adam whose rates are bounded ever more tightly around final_lr: it ends as momentum.

    Luo et al. 2019, in the form of their implementation: with Adam's corrections, but for that of
    eps, and without a factor 1 / sqrt(t). The bounds change as lr does from the first that is not
    0.
    """

    oracle = "torch_optimizer.AdaBound"
    final_lr: Annotated[Rate, "rate that all coordinates end with"] = 0.1
    gamma: Annotated[Rate, "how soon the bounds tighten"] = 1e-3

    def start(self, p):
        return {**super().start(p), "lr_first": 0.0}

    @inplace
    def bounded(v, beta1_t, beta2_t, lr_first, *, lr, eps, final_lr, gamma, t):
        """The rate of each coordinate."""
        final = final_lr * lr / xp.where(lr_first > 0, lr_first, 1.0)
        progress = gamma * t
        lower = final * (1 - 1 / (progress + 1))
        known = progress > 0  # with a gamma of 0 no bound binds
        upper = xp.where(known, final * (1 + 1 / xp.where(known, progress, 1.0)), xp.inf)
        rate = Adam.rate(beta1_t, beta2_t, lr=lr) / (xp.sqrt(v) + eps)
        return xp.minimum(xp.maximum(rate, lower), upper)

    @inplace
    def diagonal(v, beta1_t, beta2_t, lr_first, *, lr, eps, final_lr, gamma, t):
        settings = {"lr": lr, "eps": eps, "final_lr": final_lr, "gamma": gamma, "t": t}
        rate = AdaBound.bounded(v, beta1_t, beta2_t, lr_first, **settings)
        return xp.where(rate > 0, Adam.rate(beta1_t, beta2_t, lr=lr) / rate, xp.inf)

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, lr_first, *, lr, betas, t, **bounds):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        lr_first[...] = xp.where(lr_first > 0, lr_first, lr)
        p -= AdaBound.bounded(v, beta1_t, beta2_t, lr_first, lr=lr, t=t, **bounds) * m


class AMSBound(AdaBound):
    """AdaBound over the largest v so far, corrected after as in PyTorch. Luo et al. 2019."""

    oracle = "torch_optimizer.AdaBound"

    @inplace
    def diagonal(v_max, beta1_t, beta2_t, lr_first, *, lr, eps, final_lr, gamma, t):
        settings = {"lr": lr, "eps": eps, "final_lr": final_lr, "gamma": gamma, "t": t}
        return AdaBound.diagonal(v_max, beta1_t, beta2_t, lr_first, **settings)

    @inplace
    def kernel(p, g, m, v, v_max, beta1_t, beta2_t, lr_first, *, lr, betas, t, **bounds):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        xp.maximum(v_max, v, out=v_max)
        lr_first[...] = xp.where(lr_first > 0, lr_first, lr)
        p -= AdaBound.bounded(v_max, beta1_t, beta2_t, lr_first, lr=lr, t=t, **bounds) * m


class Padam(AMSGrad):
    """AMSGrad over v_max to the power `partial`: 1/2 is AMSGrad, 0 is momentum.

    Chen et al. 2020, without the bias correction of its implementations.
    """

    oracle = "the paper"
    lr: Rate = 0.1
    partial: Annotated[Fraction, "power of v_max"] = 0.125

    @inplace
    def diagonal(v_max, *, eps, partial):
        return (xp.sqrt(v_max) + eps) ** (2 * partial)

    @inplace
    def kernel(p, g, m, v, v_max, *, lr, betas, eps, partial):
        PaperAdam.moments(g, m, v, betas=betas)
        xp.maximum(v_max, v, out=v_max)
        p -= lr * m / Padam.diagonal(v_max, eps=eps, partial=partial)
