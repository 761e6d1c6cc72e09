"""Rules of descent and adaptive in plain NumPy, as their papers define them."""

import numpy as np


def at(value, t):
    """A hyperparameter at step t."""
    return value(t) if callable(value) else value


def sgdw(x, gradients, lr, momentum, weight_decay, **_):
    """Loshchilov and Hutter 2019, Algorithm 1, with alpha = lr, eta = 1, lambda = lr * decay."""
    m = np.zeros_like(x)
    for g in gradients:
        m = momentum * m + lr * g
        x = x - m - lr * weight_decay * x
        yield x


def adagrad_norm(x, gradients, lr, eps, **_):
    """Ward, Wu and Bottou 2019, from b_0 = 0; eps as in AdaGrad."""
    norms = []
    for t, g in enumerate(gradients, 1):
        norms.append(np.linalg.norm(g))
        if any(norms):
            x = x - at(lr, t) * g / (np.linalg.norm(norms) + eps)
        yield x


def ftrl(x, gradients, lr, eps, l1, l2, **_):
    """McMahan et al. 2013, equation 1: the minimum over x of
    sum of g_s x + sum of sigma_s (x - x_s)^2 / 2 + l1 |x| + l2 x^2 / 2,
    in which sigma_1 + ... + sigma_t = 1 / eta_t = (beta + sqrt(sum of g_s^2)) / lr.
    """
    eps = eps or np.finfo(float).tiny ** 0.5
    points, sums = [x], [np.zeros_like(x)]
    for t in range(1, len(gradients) + 1):
        g = np.array(gradients[:t])
        sums.append((eps + np.sqrt(np.sum(g * g, axis=0))) / at(lr, t))
        sigma = np.diff(sums, axis=0)
        linear = np.sum(g - sigma * np.array(points), axis=0)
        slack = np.abs(linear) - l1
        points.append(np.where(slack > 0, -np.sign(linear) * slack / (sums[-1] + l2), 0))
        yield points[-1]
