"""AdamW that looks at how the gradient has turned, with a number that each tensor shares."""

from minigrad.backend import xp
from optim.engine.optimizer import NO_DIAGONAL, inplace
from optim.engine.settings import Betas, Schedule
from optim.rules.adam import AdamW, PaperAdam

__all__ = ["MARS", "CautiousAdamW"]


class CautiousAdamW(AdamW):
    """AdamW that moves only where its step is down the present gradient, there by more.

    By the number of a tensor's coordinates over one more than those that move. Liang et al. 2024.
    """

    oracle = "the paper"
    per_tensor = True

    diagonal = NO_DIAGONAL  # a step depends on its gradient's sign too

    @inplace
    def kernel(p, g, m, v, *, keep, lr, eps, **betas):
        PaperAdam.moments(g, m, v, **betas)
        agrees = (xp.sign(m) * xp.sign(g) > 0).astype(g.dtype)
        share = (agrees.sum() + 1) / g.size
        p *= keep
        p -= lr * agrees * m / (share * PaperAdam.diagonal(v, eps=eps))


class MARS(AdamW):
    """AdamW on gradients that are extrapolated from the last ones, to a norm of at most 1.

    Each tensor has its own norm. Yuan et al. 2024: MARS-AdamW, approximate in that the last
    gradient is of its own minibatch, as in their implementation, which leaves vectors to AdamW.
    """

    oracle = "zij.MARS"
    per_tensor = True
    lr: Schedule = 3e-3
    betas: Betas = (0.95, 0.99)
    weight_decay: Schedule = 0.0
    gamma: Schedule = 0.025

    def scalars(self, h):
        beta1, _ = h.betas
        return {**super().scalars(h), "ahead": h.gamma * beta1 / (1 - beta1), "limit": 1.0}

    @inplace
    def kernel(p, g, m, v, last, *, ahead, limit, **adamw):
        c = g + ahead * (g - last)
        last[...] = g
        c /= xp.maximum(xp.sqrt((c * c).sum()), limit)
        AdamW.kernel(p, c, m, v, **adamw)
