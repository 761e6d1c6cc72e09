"""Adam: a running mean of gradients over the root of a running mean of their squares."""

from minigrad.backend import xp
from optim.hyperparameters import Betas, Schedule, root
from optim.optimizer import Optimizer, inplace


class PaperAdam(Optimizer):
    """Adam without bias correction and eps. Reddi, Kale and Kumar 2018, Section 2.2."""

    oracle = "the paper"
    lr: Schedule = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: float = 0.0

    def scalars(self, h):
        beta1, beta2 = h.betas
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
        debias1, debias2 = self.debias(h.betas)
        correction = root(debias2)
        return {**super().scalars(h), "lr": h.lr * correction / debias1, "eps": h.eps * correction}
