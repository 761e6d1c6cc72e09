"""Adam and its closest kin: a running mean of gradients over a running measure of their size."""

from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import Betas, Schedule, power, root, where

__all__ = ["AdaMax", "Adam", "AdamW", "NAdam", "NAdamW", "PaperAdam", "RAdam"]


class PaperAdam(Optimizer):
    """Adam without bias correction and eps. Reddi, Kale and Kumar 2018, Section 2.2."""

    oracle = "the paper"
    lr: Schedule = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: float = 0.0

    def scalars(self, h):
        beta1, beta2 = h.betas[:2]
        return {
            "lr": h.lr,
            "beta1": beta1,
            "one_minus_beta1": 1 - beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "eps": h.eps,
        }

    @inplace
    def moments(g, m, v, *, beta1, one_minus_beta1, beta2, one_minus_beta2):
        m *= beta1
        m += one_minus_beta1 * g
        v *= beta2
        v += one_minus_beta2 * g * g

    @inplace
    def diagonal(v, *, eps):
        return xp.sqrt(v) + eps

    @inplace
    def kernel(p, g, m, v, *, lr, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)


class Adam(PaperAdam):
    """Adam with bias correction, as everyone uses it. Kingma and Ba 2015, Algorithm 1.

    The corrections of m and v are folded into lr and eps, as in their Section 2.
    """

    oracle = "torch.optim.Adam"
    eps: float = 1e-8

    def scalars(self, h):
        return self.corrected(h, *self.debias(h.betas[:2]))

    def corrected(self, h, debias1, debias2):
        """The scalars of PaperAdam with m / debias1 and v / debias2 for m and v."""
        correction = root(debias2)
        scalars = super().scalars(h)
        return {**scalars, "lr": h.lr * correction / debias1, "eps": h.eps * correction}


class AdamW(Adam):
    """Adam with the weights decayed directly. Loshchilov and Hutter 2019, Algorithm 2."""

    oracle = "torch.optim.AdamW"
    weight_decay: Schedule = 1e-2

    def corrected(self, h, debias1, debias2):
        keep = 1 - h.lr * h.weight_decay
        return {"keep": keep, **super().corrected(h, debias1, debias2)}

    @inplace
    def kernel(p, g, m, v, *, keep, **adam):
        p *= keep
        Adam.kernel(p, g, m, v, **adam)


class AdaMax(PaperAdam):
    """Adam over a decaying maximum of the gradients' sizes. Kingma and Ba 2015, Algorithm 2.

    As in PyTorch, eps is added to each size; the paper has none.
    """

    oracle = "torch.optim.Adamax"
    lr: Schedule = 2e-3
    eps: float = 1e-8

    def scalars(self, h):
        (debias1,) = self.debias(h.betas[:1])
        return {**super().scalars(h), "lr": h.lr / debias1}

    @inplace
    def diagonal(u):
        return u

    @inplace
    def kernel(p, g, m, u, *, lr, beta1, one_minus_beta1, beta2, eps):
        m *= beta1
        m += one_minus_beta1 * g
        u *= beta2
        xp.maximum(u, xp.abs(g) + eps, out=u)
        p -= lr * m / AdaMax.diagonal(u)


class NAdam(Adam):
    """Adam with Nesterov's look ahead, whose momentum mu warms up from beta1 / 2. Dozat 2016.

    As in PyTorch, m itself decays by beta1, where Dozat's decays by mu.
    """

    oracle = "torch.optim.NAdam"
    lr: Schedule = 2e-3
    momentum_decay: Schedule = 4e-3

    def scalars(self, h):
        beta1, beta2 = h.betas
        mu, mu_next = (
            beta1 * (1 - 0.5 * power(0.96, t * h.momentum_decay)) for t in (self.t, self.t + 1)
        )
        debias1, debias2 = self.debias((mu, beta2))
        debias_next = 1 - (1 - debias1) * mu_next
        return {
            **self.corrected(h, debias1, debias2),
            "one_minus_mu": 1 - mu,
            "mu_next": mu_next * debias1 / debias_next,
        }

    @inplace
    def kernel(p, g, m, v, *, lr, eps, one_minus_mu, mu_next, **betas):
        PaperAdam.moments(g, m, v, **betas)
        p -= lr * (one_minus_mu * g + mu_next * m) / PaperAdam.diagonal(v, eps=eps)


class NAdamW(NAdam, AdamW):
    """NAdam with the weights decayed directly. Dozat 2016; Loshchilov and Hutter 2019."""

    oracle = "torch.optim.NAdam"

    @inplace
    def kernel(p, g, m, v, *, keep, **nadam):
        p *= keep
        NAdam.kernel(p, g, m, v, **nadam)


class RAdam(PaperAdam):
    """Momentum until v has seen enough, then Adam with its step rectified for the variance of
    what v saw. Liu et al. 2020, Algorithm 2.

    As in PyTorch, enough is rho > 5, where the paper has 4, and eps, which the paper has not, is
    added to the root of v before its correction.
    """

    oracle = "torch.optim.RAdam"
    eps: float = 1e-8

    def scalars(self, h):
        beta2 = h.betas[1]
        debias1, debias2 = self.debias(h.betas)
        rho_max = 2 / (1 - beta2) - 1
        rho = rho_max - 2 * self.t * (1 - debias2) / debias2
        adaptive = rho > 5
        # where it is not, any that rectify nothing
        rho, rho_max, debias2 = (
            where(adaptive, value, other)
            for value, other in ((rho, 6.0), (rho_max, 6.0), (debias2, 1.0))
        )
        rectified = (rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho)
        return {
            **super().scalars(h),
            "lr": h.lr * root(rectified * debias2) / debias1,
            "adaptive": where(adaptive, 1.0, 0.0),
            "eps": where(adaptive, h.eps, 1.0),  # 0 sqrt(v) + 1 is momentum's diagonal
        }

    @inplace
    def diagonal(v, *, adaptive, eps):
        return adaptive * xp.sqrt(v) + eps

    @inplace
    def kernel(p, g, m, v, *, lr, adaptive, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        p -= lr * m / RAdam.diagonal(v, adaptive=adaptive, eps=eps)
