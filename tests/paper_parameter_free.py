"""Rules without a rate or a schedule to tune, as their papers print them: plain NumPy, sums over
all that has been. Each takes x, the gradients, and the rule's hyperparameters; it yields the
parameters after each step.
"""

from typing import Any

import numpy as np


def at(setting: Any, t: int) -> Any:
    """A hyperparameter at step t."""
    return setting(t) if callable(setting) else setting


def dog(x, gradients, lr, eps, r_eps):
    """Ivgi, Hinder and Carmon 2023: eta_t = max_i |x_i - x_0| / sqrt(sum_i |g_i|^2)."""
    xs, gs = [x], []
    for t, g in enumerate(gradients, 1):
        gs.append(g)
        moved = [r_eps * (1 + np.linalg.norm(xs[0]))] + [np.linalg.norm(x - xs[0]) for x in xs]
        eta = max(moved) / np.sqrt(np.sum(np.square(gs)) + eps)
        xs.append(xs[-1] - at(lr, t) * eta * g)
        yield xs[-1]


def dowg(x, gradients, lr, eps, r_eps):
    """Khaled, Mishchenko and Jin 2023."""
    xs, v, r = [x], 0.0, r_eps
    for t, g in enumerate(gradients, 1):
        r = max(r, np.linalg.norm(xs[-1] - xs[0]))
        v = v + r**2 * np.linalg.norm(g) ** 2
        xs.append(xs[-1] - at(lr, t) * r**2 / (np.sqrt(v) + eps) * g)
        yield xs[-1]


def d_adapt_adam(x, gradients, lr, betas, eps, d0):
    """Defazio and Mishchenko 2023, D-Adapt Adam, with <g, s> weighed by the v of the step before.

    The factors 1 - sqrt(beta2) of r and s cancel all but one.
    """
    d, r, m, v, s = d0, 0.0, 0 * x, 0 * x, 0 * x
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rate = d * at(lr, t)
        r = np.sqrt(b2) * r + (1 - np.sqrt(b2)) * rate * np.dot(g, s / (np.sqrt(v) + eps))
        m = b1 * m + (1 - b1) * rate * g
        v = b2 * v + (1 - b2) * g**2
        s = np.sqrt(b2) * s + (1 - np.sqrt(b2)) * rate * g
        d = max(d, r / ((1 - np.sqrt(b2)) * np.linalg.norm(s, 1))) if np.any(s) else d
        x = x - m / (np.sqrt(v) + eps)
        yield x


def prodigy(x, gradients, lr, betas, eps, d0, weight_decay):
    """Mishchenko and Defazio 2023, with decoupled weight decay."""
    x0, d, r, m, v, s = x, d0, 0.0, 0 * x, 0 * x, 0 * x
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rate = at(lr, t)
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d**2 * g**2
        r = np.sqrt(b2) * r + (1 - np.sqrt(b2)) * rate * d**2 * np.dot(g, x0 - x)
        s = np.sqrt(b2) * s + (1 - np.sqrt(b2)) * rate * d**2 * g
        x = x - rate * d * at(weight_decay, t) * x
        with np.errstate(invalid="ignore"):  # no gradient yet and no eps
            x = x - np.nan_to_num(rate * d * m / (np.sqrt(v) + d * eps))
        d = max(d, r / np.linalg.norm(s, 1)) if np.any(s) else d
        yield x


def average(zs, rates):
    """Of z_2, z_3, ..., each weighing as the square of the largest rate so far."""
    return np.average(zs, axis=0, weights=np.maximum.accumulate(rates) ** 2)


def schedule_free_sgd(x, gradients, lr, momentum, projection=None):
    """Defazio et al. 2024, equations 3 to 5, with the weights of their package."""
    z, zs, rates = x, [], []
    for t, g in enumerate(gradients, 1):
        rates.append(at(lr, t))
        z = z - rates[-1] * g
        z = np.clip(z, projection.lo, projection.hi) if projection else z
        zs.append(z)
        beta = at(momentum, t)
        yield (1 - beta) * z + beta * average(zs, rates)


def schedule_free_adamw(x, gradients, lr, betas, eps, weight_decay, projection=None):
    """Defazio et al. 2024, Algorithm 1, with the bias correction and weights of their package."""
    y, z, zs, rates, v, product = x, x, [], [], 0 * x, 1.0
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rates.append(at(lr, t))
        product = product * b2
        v = b2 * v + (1 - b2) * g**2
        z = z - rates[-1] * (g / (np.sqrt(v / (1 - product)) + eps) + at(weight_decay, t) * y)
        z = np.clip(z, projection.lo, projection.hi) if projection else z
        zs.append(z)
        y = (1 - b1) * z + b1 * average(zs, rates)
        yield y
