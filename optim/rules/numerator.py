"""Adam with another numerator: what is averaged, and which way it goes."""

from math import inf
from typing import ClassVar

from minigrad.backend import xp
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.engine.settings import Betas, Schedule, root
from optim.rules.adam import Adam, AdamW, PaperAdam

__all__ = ["AdEMAMix", "Adan", "Grams", "LaProp", "QHAdam"]


class QHAdam(Adam):
    """Adam with parts 1 - nu1 and 1 - nu2 of the gradient and its square mixed in, undelayed.

    Ma and Yarats 2019; nus = (1, 1) is Adam.
    """

    oracle = "torch_optimizer.QHAdam"
    betas: Betas = (0.995, 0.999)
    nus: Betas = (0.7, 1.0)

    def corrected(self, h, debias1, debias2):
        nu1, nu2 = h.nus
        return {
            **super().corrected(h, debias1, debias2),
            "nu1": nu1,
            "nu2": nu2,
            "direct1": (1 - nu1) * debias1,  # lr and eps correct g as they do m
            "direct2": (1 - nu2) * debias2,
        }

    diagonal = NO_DIAGONAL  # it would take g, gone after the step

    @inplace
    def kernel(p, g, m, v, *, lr, nu1, direct1, nu2, direct2, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        numerator = nu1 * m + direct1 * g
        p -= lr * numerator / (xp.sqrt(nu2 * v + direct2 * g * g) + eps)


class Grams(Adam):
    """Adam's step in size, but down the present gradient. Cao, Li and Song 2024.

    eps is Adam's; their implementation adds it to the root of v before its correction.
    """

    oracle = "the paper"

    @inplace
    def kernel(p, g, m, v, *, lr, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        p -= lr * xp.sign(g) * xp.abs(m) / PaperAdam.diagonal(v, eps=eps)


class LaProp(PaperAdam):
    """Momentum of gradients that are scaled first. Ziyin, Wang and Ueda 2020.

    In their implementation each weighs in m by the lr of its step.
    """

    oracle = "zij.LaProp"
    lr: Schedule = 4e-4
    eps: float = 1e-15

    def scalars(self, h):
        debias1, debias2 = self.debias(h.betas)
        correction = root(debias2)
        return {
            **super().scalars(h),
            "lr": h.lr / debias1,
            "rate": (1 - h.betas[0]) * correction,
            "eps": h.eps * correction,
        }

    diagonal = NO_DIAGONAL  # it divides what m sums, not the step

    @inplace
    def kernel(p, g, m, v, *, lr, beta1, rate, beta2, one_minus_beta2, eps):
        v *= beta2
        v += one_minus_beta2 * g * g
        m *= beta1
        m += rate * g / PaperAdam.diagonal(v, eps=eps)
        p -= lr * m


class Adan(Optimizer):
    """Adam with Nesterov's look ahead along the gradient's mean change d. Xie et al. 2022.

    The betas are one minus the paper's, and all means bias-corrected, as in their implementation.
    """

    oracle = "zij.Adan"
    lr: Schedule = 1e-3
    betas: tuple[Schedule, Schedule, Schedule] = (0.98, 0.92, 0.99)
    eps: float = 1e-8
    weight_decay: Schedule = 0.0

    def scalars(self, h):
        beta1, beta2, beta3 = h.betas
        debias1, debias2, debias3 = self.debias(h.betas)
        correction = root(debias3)
        return {
            "lr": h.lr * correction / debias1,
            "beta1": beta1,
            "one_minus_beta1": 1 - beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "beta3": beta3,
            "one_minus_beta3": 1 - beta3,
            "ahead": beta2 * debias1 / debias2,
            "eps": h.eps * correction,
            "keep": 1 / (1 + h.lr * h.weight_decay),
            "known": float(self.t > 1),  # whether there is a last gradient
        }

    diagonal = inplace(PaperAdam.diagonal)

    @inplace
    def kernel(
        p,
        g,
        m,
        d,
        v,
        g_last,
        *,
        lr,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta3,
        one_minus_beta3,
        ahead,
        eps,
        keep,
        known,
    ):
        change = known * (g - g_last)
        g_last[...] = g
        m *= beta1
        m += one_minus_beta1 * g
        d *= beta2
        d += one_minus_beta2 * change
        nesterov = g + beta2 * change
        v *= beta3
        v += one_minus_beta3 * nesterov * nesterov
        p -= lr * (m + ahead * d) / Adan.diagonal(v, eps=eps)
        p *= keep


class AdEMAMix(AdamW):
    """AdamW along m and, alpha times as far, a slow mean of gradients that starts as zero.

    Pagliardini, Ablin and Grangier 2024, Algorithm 1. Over long runs they warm up both alpha, as
    WarmUp(steps, Constant(5.0)) does, and beta3, as MemoryWarmUp(0.9, 0.9999, steps) does.
    """

    oracle = "zij.AdEMAMix"
    # one beta more than Adam's, to whose type mypy holds it
    betas: tuple[Schedule, Schedule, Schedule] = (0.9, 0.999, 0.9999)  # type: ignore[assignment]
    weight_decay: Schedule = 0.0
    alpha: Schedule = 5.0

    ranges: ClassVar[dict[str, float]] = {"alpha": inf}

    def corrected(self, h, debias1, debias2):
        return {
            **super().corrected(h, debias1, debias2),
            "beta3": h.betas[2],
            "one_minus_beta3": 1 - h.betas[2],
            "alpha": h.alpha * debias1,  # lr corrects m only
        }

    @inplace
    def kernel(p, g, m, m_slow, v, *, lr, eps, keep, beta3, one_minus_beta3, alpha, **betas):
        PaperAdam.moments(g, m, v, **betas)
        m_slow *= beta3
        m_slow += one_minus_beta3 * g
        p *= keep
        p -= lr * (m + alpha * m_slow) / PaperAdam.diagonal(v, eps=eps)
