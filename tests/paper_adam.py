"""Adam's kin as their papers print them, with new arrays at every step.

Each takes x_1 and the gradients and yields x_2, x_3, ... Hyperparameters are numbers or functions
of t; the power of a beta that is a function is the product of its values.
"""

from math import prod

import numpy as np


def at(value, t):
    return value(t) if callable(value) else value


def power(beta, t):
    return prod(at(beta, s) for s in range(1, t + 1))


def mean(beta, old, new):
    return beta * old + (1 - beta) * new


def over(a, b):
    """a / b, where 0/0 is 0: the papers leave that case out."""
    return np.divide(a, b, out=np.zeros_like(a), where=a != 0)


def adamw(x, gradients, lr, betas, eps, weight_decay):
    """Loshchilov and Hutter 2019, Algorithm 2, with lr for their eta alpha and their eta lambda /
    (eta alpha) for weight_decay."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        x = x - at(lr, t) * (over(m_hat, np.sqrt(v_hat) + eps) + at(weight_decay, t) * x)
        yield x


def adamax(x, gradients, lr, betas, eps):
    """Kingma and Ba 2015, Algorithm 2, with PyTorch's eps."""
    m = u = 0
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        u = np.maximum(at(betas[1], t) * u, abs(g) + eps)
        x = x - at(lr, t) / (1 - power(betas[0], t)) * over(m, u)
        yield x


def nadamw(x, gradients, lr, betas, eps, momentum_decay, weight_decay=0):
    """Dozat 2016, but for the means of g and g^2, which are Adam's."""

    def mu(t, ahead=0):  # the beta1 of a step ahead is not known yet
        return at(betas[0], t) * (1 - 0.5 * 0.96 ** ((t + ahead) * at(momentum_decay, t)))

    m = n = 0
    for t, g in enumerate(gradients, 1):
        mu_next = mu(t, ahead=1)
        m, n = mean(at(betas[0], t), m, g), mean(at(betas[1], t), n, g**2)
        g_hat = g / (1 - power(mu, t))
        m_hat = m / (1 - power(mu, t) * mu_next)
        n_hat = n / (1 - power(betas[1], t))
        m_bar = (1 - mu(t)) * g_hat + mu_next * m_hat
        x = x - at(lr, t) * at(weight_decay, t) * x
        x = x - at(lr, t) * over(m_bar, np.sqrt(n_hat) + eps)
        yield x


def radam(x, gradients, lr, betas, eps):
    """Liu et al. 2020, Algorithm 2, with PyTorch's eps and threshold."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(b, t) for b in betas)
        m, v = mean(b1, m, g), mean(b2, v, g**2)
        m_hat = m / (1 - power(betas[0], t))
        rho_max = 2 / (1 - b2) - 1
        rho = rho_max - 2 * t * power(betas[1], t) / (1 - power(betas[1], t))
        if rho > 5:
            length = np.sqrt(1 - power(betas[1], t)) / (np.sqrt(v) + eps)
            r = (rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho)
            x = x - at(lr, t) * np.sqrt(r) * m_hat * length
        else:
            x = x - at(lr, t) * m_hat
        yield x


def yogi(x, gradients, lr, betas, eps):
    """Zaheer et al. 2018, Algorithm 2, with v_0 = 1e-6."""
    m, v = 0, 1e-6
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        v = v - (1 - at(betas[1], t)) * np.sign(v - g**2) * g**2
        x = x - at(lr, t) * m / (np.sqrt(v) + eps)
        yield x


def adabelief(x, gradients, lr, betas, eps):
    """Zhuang et al. 2020, Algorithm 2."""
    m = s = 0
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        s = mean(at(betas[1], t), s, (g - m) ** 2) + eps
        m_hat, s_hat = m / (1 - power(betas[0], t)), s / (1 - power(betas[1], t))
        x = x - at(lr, t) * m_hat / (np.sqrt(s_hat) + eps)
        yield x


def adabound(x, gradients, lr, betas, eps, final_lr, gamma, amsbound=False):
    """Luo et al. 2019, in the form of their implementation."""
    m = v = v_max = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        v_max = np.maximum(v_max, v) if amsbound else v
        rate = at(lr, t) * np.sqrt(1 - power(betas[1], t)) / (1 - power(betas[0], t))
        final = at(final_lr, t) * at(lr, t) / at(lr, 1)
        lower = final * (1 - 1 / (at(gamma, t) * t + 1))
        upper = final * (1 + 1 / (at(gamma, t) * t))
        x = x - np.clip(rate / (np.sqrt(v_max) + eps), lower, upper) * m
        yield x


def padam(x, gradients, lr, betas, eps, partial):
    """Chen et al. 2020, with an eps."""
    m = v = v_max = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        v_max = np.maximum(v_max, v)
        x = x - at(lr, t) * over(m, (np.sqrt(v_max) + eps) ** (2 * at(partial, t)))
        yield x


def qhadam(x, gradients, lr, betas, eps, nus):
    """Ma and Yarats 2019, QHAdam."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        nu1, nu2 = (at(nu, t) for nu in nus)
        x = x - at(lr, t) * over(
            (1 - nu1) * g + nu1 * m_hat, np.sqrt((1 - nu2) * g**2 + nu2 * v_hat) + eps
        )
        yield x


def grams(x, gradients, lr, betas, eps):
    """Cao, Li and Song 2024."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        x = x - at(lr, t) * np.sign(g) * abs(over(m_hat, np.sqrt(v_hat) + eps))
        yield x


def laprop(x, gradients, lr, betas, eps):
    """Ziyin, Wang and Ueda 2020."""
    m = n = 0
    for t, g in enumerate(gradients, 1):
        n = mean(at(betas[1], t), n, g**2)
        m = mean(at(betas[0], t), m, over(g, np.sqrt(n / (1 - power(betas[1], t))) + eps))
        x = x - at(lr, t) * m / (1 - power(betas[0], t))
        yield x


def adan(x, gradients, lr, betas, eps, weight_decay):
    """Xie et al. 2022, with bias-corrected means."""
    b1, b2, b3 = betas
    m = v = n = 0
    last = gradients[0]
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(b1, t), m, g), mean(at(b2, t), v, g - last)
        n = mean(at(b3, t), n, (g + at(b2, t) * (g - last)) ** 2)
        m_hat, v_hat, n_hat = (a / (1 - power(b, t)) for a, b in zip((m, v, n), betas, strict=True))
        step = over(m_hat + at(b2, t) * v_hat, np.sqrt(n_hat) + eps)
        x = (x - at(lr, t) * step) / (1 + at(weight_decay, t) * at(lr, t))
        last = g
        yield x


def ademamix(x, gradients, lr, betas, eps, weight_decay, alpha):
    """Pagliardini, Ablin and Grangier 2024, Algorithm 1."""
    b1, b2, b3 = betas
    m1 = m2 = v = 0
    for t, g in enumerate(gradients, 1):
        m1, m2, v = mean(at(b1, t), m1, g), mean(at(b3, t), m2, g), mean(at(b2, t), v, g**2)
        m_hat, v_hat = m1 / (1 - power(b1, t)), v / (1 - power(b2, t))
        step = over(m_hat + at(alpha, t) * m2, np.sqrt(v_hat) + eps)
        x = x - at(lr, t) * (step + at(weight_decay, t) * x)
        yield x
