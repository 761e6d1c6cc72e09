"""Adam and its closest kin: a running mean of gradients over a running measure of their size."""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import Beta, Eps, Rate
from optim.engine.optimizer import Optimizer, inplace

__all__ = ["AdaMax", "Adam", "AdamW", "NAdam", "NAdamW", "PaperAdam", "RAdam"]


class PaperAdam(Optimizer):
    """Adam without bias correction and eps. Reddi, Kale and Kumar 2018, Section 2.2."""

    oracle = "the paper"
    lr: Rate = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Eps = 0.0

    @inplace
    def moments(g, m, v, *, betas):
        beta1, beta2 = betas[:2]
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g

    @inplace
    def diagonal(v, *, eps):
        return xp.sqrt(v) + eps

    @inplace
    def kernel(p, g, m, v, *, lr, betas, eps):
        PaperAdam.moments(g, m, v, betas=betas)
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)


class Adam(PaperAdam):
    """Adam with bias correction, as everyone uses it. Kingma and Ba 2015, Algorithm 1.

    The corrections of m and v are in lr and eps, as in their Section 2.
    """

    oracle = "torch.optim.Adam"
    eps: Eps = 1e-8

    def start(self, p):
        return {"beta1_t": 1.0, "beta2_t": 1.0}  # products of the betas: beta1^t and beta2^t

    @inplace
    def moments(g, m, v, beta1_t, beta2_t, *, betas):
        PaperAdam.moments(g, m, v, betas=betas)
        beta1_t *= betas[0]
        beta2_t *= betas[1]

    @inplace
    def rate(beta1_t, beta2_t, *, lr):
        return lr * xp.sqrt(1 - beta2_t) / (1 - beta1_t)

    @inplace
    def diagonal(v, beta2_t, *, eps):
        return xp.sqrt(v) + eps * xp.sqrt(1 - beta2_t)

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, betas, eps):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        p -= Adam.rate(beta1_t, beta2_t, lr=lr) * m / Adam.diagonal(v, beta2_t, eps=eps)


class AdamW(Adam):
    """Adam with the weights decayed directly. Loshchilov and Hutter 2019, Algorithm 2.

    A parameter that has no part in the loss decays too, as in optax, and after steps with a
    gradient moves on by its m; PyTorch passes over one without a gradient, as optim.Frozen does.
    """

    oracle = "torch.optim.AdamW"
    weight_decay: Rate = 1e-2

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, weight_decay, **adam):
        p *= 1 - lr * weight_decay
        Adam.kernel(p, g, m, v, beta1_t, beta2_t, lr=lr, **adam)


class AdaMax(PaperAdam):
    """Adam over a decaying maximum of the gradients' sizes. Kingma and Ba 2015, Algorithm 2.

    As in PyTorch, eps is added to each size; the paper has none.
    """

    oracle = "torch.optim.Adamax"
    lr: Rate = 2e-3
    eps: Eps = 1e-8

    def start(self, p):
        return {"beta1_t": 1.0}

    @inplace
    def rate(beta1_t, *, lr):
        return lr / (1 - beta1_t)

    @inplace
    def diagonal(u):
        return u

    @inplace
    def kernel(p, g, m, u, beta1_t, *, lr, betas, eps):
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        u *= beta2
        xp.maximum(u, xp.abs(g) + eps, out=u)
        beta1_t *= beta1
        p -= AdaMax.rate(beta1_t, lr=lr) * m / AdaMax.diagonal(u)


class NAdam(Adam):
    """Adam with Nesterov's look ahead, whose momentum mu warms up from beta1 / 2. Dozat 2016.

    As in PyTorch, m itself decays by beta1, where Dozat's decays by mu.
    """

    oracle = "torch.optim.NAdam"
    lr: Rate = 2e-3
    momentum_decay: Annotated[Rate, "how soon mu has warmed up"] = 4e-3

    def start(self, p):
        return {"mu_t": 1.0, "beta2_t": 1.0}  # products of mu and of beta2

    @inplace
    def rate(mu_t, beta2_t, *, lr):
        return Adam.rate(mu_t, beta2_t, lr=lr)

    @inplace
    def kernel(p, g, m, v, mu_t, beta2_t, *, lr, betas, eps, momentum_decay, t):
        beta1, beta2 = betas
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        PaperAdam.moments(g, m, v, betas=betas)
        mu_t *= mu
        beta2_t *= beta2
        ahead = mu_next * (1 - mu_t) / (1 - mu_t * mu_next)
        numerator = (1 - mu) * g + ahead * m
        p -= NAdam.rate(mu_t, beta2_t, lr=lr) * numerator / Adam.diagonal(v, beta2_t, eps=eps)


class NAdamW(NAdam, AdamW):
    """NAdam with the weights decayed directly. Dozat 2016; Loshchilov and Hutter 2019."""

    oracle = "torch.optim.NAdam"

    @inplace
    def kernel(p, g, m, v, mu_t, beta2_t, *, lr, weight_decay, t, **nadam):
        p *= 1 - lr * weight_decay
        NAdam.kernel(p, g, m, v, mu_t, beta2_t, lr=lr, t=t, **nadam)


class RAdam(Adam):
    """Momentum until v has seen enough, then Adam with its step rectified for the variance of
    what v saw. Liu et al. 2020, Algorithm 2.

    As in PyTorch, enough is rho > 5, where the paper has 4, and eps, which the paper has not, is
    added to the root of v before its correction.
    """

    oracle = "torch.optim.RAdam"

    @inplace
    def rho(beta2_t, *, betas, t):
        """How many steps v has seen, now and at most."""
        most, debias2 = 2 / (1 - betas[1]) - 1, 1 - beta2_t
        return most - 2 * t * (1 - debias2) / debias2, most

    @inplace
    def rate(beta1_t, beta2_t, *, lr, betas, t):
        rho, most = RAdam.rho(beta2_t, betas=betas, t=t)
        adaptive = rho > 5
        rho, most = xp.where(adaptive, rho, 6.0), xp.where(adaptive, most, 6.0)
        debias2 = xp.where(adaptive, 1 - beta2_t, 1.0)
        rectified = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
        return lr * xp.sqrt(rectified * debias2) / (1 - beta1_t)

    @inplace
    def diagonal(v, beta2_t, *, betas, eps, t):
        adaptive = RAdam.rho(beta2_t, betas=betas, t=t)[0] > 5
        # 0 sqrt(v) + 1 is the diagonal of momentum
        return xp.where(adaptive, 1.0, 0.0) * xp.sqrt(v) + xp.where(adaptive, eps, 1.0)

    @inplace
    def kernel(p, g, m, v, beta1_t, beta2_t, *, lr, betas, eps, t):
        Adam.moments(g, m, v, beta1_t, beta2_t, betas=betas)
        rate = RAdam.rate(beta1_t, beta2_t, lr=lr, betas=betas, t=t)
        p -= rate * m / RAdam.diagonal(v, beta2_t, betas=betas, eps=eps, t=t)
