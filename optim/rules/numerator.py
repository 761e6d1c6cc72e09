"""Adam with another numerator: what is averaged, and which way it goes."""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import Beta, Eps, Fraction, Rate
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.rules.adam import Adam, AdamW

__all__ = ["AdEMAMix", "Adan", "Grams", "LaProp", "QHAdam"]


class QHAdam(Adam):
    """Adam with parts 1 - nu1 and 1 - nu2 of the gradient and its square mixed in, undelayed.

    Ma and Yarats 2019; nus = (1, 1) is Adam.
    """

    oracle = "torch_optimizer.QHAdam"
    betas: tuple[Beta, Beta] = (0.995, 0.999)
    nus: Annotated[tuple[Fraction, Fraction], "parts of m and v in the step"] = (0.7, 1.0)

    diagonal = NO_DIAGONAL  # it would take g, gone after the step

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, betas, eps, nus):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        nu1, nu2 = nus
        # the rate and eps correct g as they do m
        numerator = nu1 * m + (1 - nu1) * (1 - beta1_t) * g
        v_mixed = nu2 * v + (1 - nu2) * (1 - beta2_t) * g * g
        p -= (
            Adam.rate(beta1_t, beta2_t, lr=lr)
            * numerator
            / Adam.diagonal(v_mixed, beta2_t, eps=eps)
        )


class Grams(Adam):
    """Adam's step in size, but down the present gradient. Cao, Li and Song 2024.

    eps is Adam's; their implementation adds it to the root of v before its correction.
    """

    oracle = "the paper"

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, betas, eps):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        rate = Adam.rate(beta1_t, beta2_t, lr=lr)
        p -= rate * xp.sign(g) * xp.abs(m) / Adam.diagonal(v, beta2_t, eps=eps)


class LaProp(Adam):
    """Momentum of gradients that are scaled first. Ziyin, Wang and Ueda 2020.

    In their implementation each weighs in m by the lr of its step.
    """

    oracle = "zij.LaProp"
    lr: Rate = 4e-4
    eps: Eps = 1e-15

    diagonal = NO_DIAGONAL  # it divides what m sums, not the step

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, betas, eps):
        beta1, beta2 = betas
        v *= beta2
        v += (1 - beta2) * g * g
        beta1_t *= beta1
        beta2_t *= beta2
        m *= beta1
        m += (1 - beta1) * xp.sqrt(1 - beta2_t) * g / Adam.diagonal(v, beta2_t, eps=eps)
        p -= lr / (1 - beta1_t) * m


class Adan(Optimizer):
    """Adam with Nesterov's look ahead along the gradient's mean change d. Xie et al. 2022.

    The betas are one minus the paper's, and all means bias-corrected, as in their implementation.
    """

    oracle = "zij.Adan"
    lr: Rate = 1e-3
    betas: tuple[Beta, Beta, Beta] = (0.98, 0.92, 0.99)
    eps: Eps = 1e-8
    weight_decay: Rate = 0.0

    def start(self, p):
        return {"beta1_t": 1.0, "beta2_t": 1.0, "beta3_t": 1.0}  # products of the betas

    @inplace
    def rate(beta1_t, beta3_t, *, lr):
        return Adam.rate(beta1_t, beta3_t, lr=lr)

    @inplace
    def diagonal(v, beta3_t, *, eps):
        return Adam.diagonal(v, beta3_t, eps=eps)

    @inplace
    def kernel(
        p, g, m, d, v, g_last, beta1_t, beta2_t, beta3_t, *, lr, betas, eps, weight_decay, t
    ):
        beta1, beta2, beta3 = betas
        change = xp.where(t > 1, 1.0, 0.0) * (g - g_last)  # at first there is no last gradient
        g_last[...] = g
        m *= beta1
        m += (1 - beta1) * g
        d *= beta2
        d += (1 - beta2) * change
        nesterov = g + beta2 * change
        v *= beta3
        v += (1 - beta3) * nesterov * nesterov
        beta1_t *= beta1
        beta2_t *= beta2
        beta3_t *= beta3
        numerator = m + beta2 * (1 - beta1_t) / (1 - beta2_t) * d
        p -= Adan.rate(beta1_t, beta3_t, lr=lr) * numerator / Adan.diagonal(v, beta3_t, eps=eps)
        p *= 1 / (1 + lr * weight_decay)


class AdEMAMix(AdamW):
    """AdamW along m and, alpha times as far, a slow mean of gradients that starts as zero.

    Pagliardini, Ablin and Grangier 2024, Algorithm 1. Over long runs they warm up both alpha, as
    WarmUp(steps, Constant(5.0)) does, and beta3, as MemoryWarmUp(0.9, 0.9999, steps) does.
    """

    oracle = "zij.AdEMAMix"
    # one beta more than Adam's, to whose type mypy holds it
    betas: tuple[Beta, Beta, Beta] = (0.9, 0.999, 0.9999)  # type: ignore[assignment]
    weight_decay: Rate = 0.0
    alpha: Annotated[Rate, "how far the slow mean counts"] = 5.0

    @inplace
    def kernel(p, g, m, m_slow, v, beta1_t, beta2_t, *, lr, betas, eps, weight_decay, alpha):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        m_slow *= betas[2]
        m_slow += (1 - betas[2]) * g
        p *= 1 - lr * weight_decay
        numerator = m + alpha * (1 - beta1_t) * m_slow  # the rate corrects m alone
        p -= Adam.rate(beta1_t, beta2_t, lr=lr) * numerator / Adam.diagonal(v, beta2_t, eps=eps)
