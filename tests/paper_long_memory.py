"""Rules of long_memory, delayed and per_tensor, as their papers print them.

Each takes x_1 and the gradients g_1, g_2, ..., and yields x_2, x_3, ... . Powers and sums over all
steps stand where the rules keep running ones; 0/0, which the papers leave out, is no step.
"""

from typing import Any

import numpy as np


def value(setting: Any, t: int) -> Any:
    """A hyperparameter at step t."""
    return setting(t) if callable(setting) else setting


def ratio(m: Any, divisor: Any) -> Any:
    """m / divisor, and 0 for 0/0."""
    return np.divide(m, divisor, out=np.zeros_like(m), where=m != 0)


def adamx(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Tran and Phong 2019, Algorithm 2."""
    m, v, v_hat = (np.zeros_like(x) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        beta1, beta2 = (value(beta, t) for beta in betas)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        if t == 1:
            v_hat = v
        else:
            before = value(betas[0], t - 1)
            v_hat = np.maximum((1 - beta1) ** 2 / (1 - before) ** 2 * v_hat, v)
        x = x - value(lr, t) * ratio(m, np.sqrt(v_hat) + eps)
        yield x


def nosadam(x: Any, gradients: Any, lr: Any, beta1: Any, gamma: float, eps: float) -> Any:
    """Huang, Wang and Dong 2019: beta2 = B_{t-1} / B_t, where B_t = 1^-gamma + ... + t^-gamma."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        b = [sum(k**-gamma for k in range(1, last + 1)) for last in (t - 1, t)]
        beta2 = b[0] / b[1]
        m = value(beta1, t) * m + (1 - value(beta1, t)) * g
        v = beta2 * v + (1 - beta2) * g**2
        x = x - value(lr, t) * ratio(m, np.sqrt(v) + eps)
        yield x


def adax(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Li et al. 2020, with eps beside the root of the corrected v."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = (1 + beta2) * v + beta2 * g**2
        v_hat = v / ((1 + beta2) ** t - 1)
        x = x - value(lr, t) * ratio(m, np.sqrt(v_hat) + eps)
        yield x


def adopt(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Taniguchi et al. 2024, Algorithm 2: its step t is the t-th after the one that sets v."""
    beta1, beta2 = betas
    gradients = list(gradients)
    m, v = np.zeros_like(x), gradients[0] ** 2
    yield x
    for t, g in enumerate(gradients[1:], 1):
        normed = np.clip(g / np.maximum(np.sqrt(v), eps), -(t**0.25), t**0.25)
        m = beta1 * m + (1 - beta1) * normed
        x = x - value(lr, t + 1) * m
        v = beta2 * v + (1 - beta2) * g**2
        yield x


def acprop(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Zhuang et al. 2021, with the bias correction and the first step of their implementation."""
    beta1, beta2 = betas
    m, s = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        s_hat = s / (1 - beta2 ** (t - 1)) if t > 1 else 1.0
        x = x - value(lr, t) * g / (np.sqrt(s_hat) + eps)
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        yield x


def avagrad(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Savarese et al. 2021, Algorithm 2."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        eta = 1 / (np.sqrt(v) + eps)
        x = x - value(lr, t) * eta / np.linalg.norm(eta / np.sqrt(x.size)) * m
        v = beta2 * v + (1 - beta2) * g**2
        yield x


def adashift(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, delay: int, phi: Any = np.asarray
) -> Any:
    """Zhou et al. 2019: m of the last n gradients, v of those before, and a spatial phi."""
    beta2 = betas[1]
    past: list[Any] = []
    for t, g in enumerate(gradients, 1):
        past.append(g)
        if t > delay:
            weights = [value(betas[0], t) ** i for i in range(delay)]
            m = sum(w * past[-1 - i] for i, w in enumerate(weights)) / sum(weights)
            v = sum(
                (1 - beta2) * beta2 ** (t - delay - k) * phi(past[k - 1] ** 2)
                for k in range(1, t - delay + 1)
            )
            v_hat = v / (1 - beta2 ** (t - delay))
            x = x - value(lr, t) * ratio(m, np.sqrt(v_hat) + eps)
        yield x


def max_adashift(*args: Any, **settings: Any) -> Any:
    """The same with the largest of a tensor's squares."""
    return adashift(*args, **settings, phi=np.max)


def mars(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, weight_decay: float, gamma: float
) -> Any:
    """Yuan et al. 2024, MARS-AdamW with the last gradient for that of the last point."""
    beta1, beta2 = betas
    m, v, last = (np.zeros_like(x) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        c = g + gamma * beta1 / (1 - beta1) * (g - last)
        if np.sqrt(np.sum(c**2)) > 1:
            c = c / np.sqrt(np.sum(c**2))
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        x = x - value(lr, t) * (ratio(m_hat, np.sqrt(v_hat) + eps) + weight_decay * x)
        last = g
        yield x


def cautious_adamw(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, weight_decay: float
) -> Any:
    """Liang et al. 2024: AdamW's update where it agrees with the gradient, rescaled."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = ratio(m / (1 - beta1**t), np.sqrt(v / (1 - beta2**t)) + eps)
        mask = u * g > 0
        scale = mask.size / (np.count_nonzero(mask) + 1)
        x = x - value(lr, t) * (scale * np.where(mask, u, 0) + weight_decay * x)
        yield x
