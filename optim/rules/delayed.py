"""Rules whose divisor does not know the gradient it divides: v is of earlier steps.

In Adam a large gradient enters its own v and so has little effect, on the problem of Reddi, Kale
and Kumar too little. A divisor that is independent of the gradient leaves the expected step in the
gradient's direction; nothing need be remembered for ever.
"""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import ONE_NUMBER, Beta, Count, Eps, Rate
from optim.engine.optimizer import NO_DIAGONAL, inplace
from optim.rules.adam import PaperAdam

__all__ = ["ADOPT", "ACProp", "AdaShift", "AvaGrad", "MaxAdaShift"]


class ADOPT(PaperAdam):
    """Momentum of gradients that are divided by the root of the v before them, and clipped.

    The first step only sets v. Taniguchi et al. 2024, Algorithm 2.
    """

    oracle = "adopt.ADOPT"
    betas: tuple[Beta, Beta] = (0.9, 0.9999)
    eps: Eps = 1e-6

    diagonal = NO_DIAGONAL  # it divides what m sums, not the step

    @inplace
    def kernel(p, g, m, v, *, lr, betas, eps, t):
        beta1, beta2 = betas
        clip = (t - 1) ** 0.25  # 0 in the first step, which so moves nothing
        c = g / xp.maximum(xp.sqrt(v), eps)
        m *= beta1
        m += (1 - beta1) * xp.minimum(xp.maximum(c, -clip), clip)
        p -= lr * m
        kept = xp.where(t > 1, beta2, 0.0)
        v *= kept
        v += (1 - kept) * g * g


class ACProp(PaperAdam):
    """Steps along the gradient over the root of the variance s before it; m only centers s.

    The first step, with no variance yet, is one of SGD. Zhuang et al. 2021.
    """

    oracle = "the paper"  # optax.contrib.acprop centers by the m before
    eps_of_squares = True
    eps: Eps = 1e-16

    diagonal = NO_DIAGONAL  # that of a step is gone after it

    def start(self, p):
        return {"s": xp.ones_like(p), "beta2_t": 0.0}  # the product of beta2 counts from t = 2

    @inplace
    def kernel(p, g, m, s, beta2_t, *, lr, betas, eps, t):
        beta1, beta2 = betas
        correction = xp.sqrt(1 - beta2_t)  # of the s before
        p -= lr * correction * g / (xp.sqrt(s) + eps * correction)
        m *= beta1
        m += (1 - beta1) * g
        surprise = g - m
        s *= xp.where(t > 1, beta2, 0.0)  # at first, forget where s started
        s += (1 - beta2) * surprise * surprise + eps
        beta2_t[...] = xp.where(t > 1, beta2_t, 1.0) * beta2


class AvaGrad(PaperAdam):
    """Adam over the v before, with rates scaled to a root mean square of lr over all coordinates.

    So lr does not depend on eps. Savarese et al. 2021, Algorithm 2; their implementation corrects
    the bias, and its first step only sets v.
    """

    oracle = "the paper"
    lr: Rate = 0.1
    eps: Eps = 0.1

    diagonal = NO_DIAGONAL  # that of a step is gone after it
    given = ("mean_square",)

    def update(self):
        eps, size = self.used["eps"], self._owned.size

        def mean_square_rate(v):
            rate = 1 / PaperAdam.diagonal(v, eps=eps)
            return (rate * rate / size).sum()

        self.apply("kernel", mean_square=self.sum_over(mean_square_rate))

    @inplace
    def kernel(p, g, m, v, *, lr, betas, eps, mean_square):
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        p -= lr * m / (xp.sqrt(mean_square) * PaperAdam.diagonal(v, eps=eps))
        v *= beta2
        v += (1 - beta2) * g * g


class AdaShift(PaperAdam):
    """Adam whose m is a mean of the last `delay` gradients, and whose v is of those before them.

    The first `delay` steps move nothing. Zhou et al. 2019, with no spatial operation (phi).
    """

    oracle = "pytorch_optimizer.AdaShift"
    eps: Eps = 1e-10
    delay: Annotated[Count, "gradients in the mean"] = 10

    passes = ("correct", "squares", "mean", "kernel")
    per_tensor = ("squares", "mean", "kernel")

    def start(self, p):
        past = xp.zeros((self.delay, *p.shape), p.dtype)  # the latest first
        return {"past": past, "beta2_t": 1.0, "step": 0.0, "floor": 0.0, "newest": 0.0}

    @inplace
    def correct(beta2_t, step, floor, newest, *, lr, betas, eps, delay, t):
        beta1, beta2 = betas
        newest[...] = (1 - beta1) / (1 - beta1**delay)  # the weights of the mean add up to 1
        begun = t > delay
        beta2_t *= xp.where(begun, beta2, 1.0)
        correction = xp.sqrt(1 - beta2_t)
        step[...] = xp.where(begun, lr * correction, 0.0)
        floor[...] = xp.where(begun, eps * correction, eps)

    @inplace
    def squares(v, past, *, betas):
        v *= betas[1]
        v += (1 - betas[1]) * xp.square(past[-1])

    @inplace
    def mean(g, past, m, newest, *, betas):
        past[1:] = past[:-1].copy()
        past[0] = g
        age = xp.arange(len(past)).astype(g.dtype)
        weights = newest * betas[0] ** age.reshape(-1, *(1 for _ in g.shape))
        m[...] = (weights * past).sum(0)

    @inplace
    def rate(step):
        return step

    @inplace
    def diagonal(v, floor):
        return xp.sqrt(v) + floor

    @inplace
    def kernel(p, m, v, step, floor):
        p -= step * m / AdaShift.diagonal(v, floor)


class MaxAdaShift(AdaShift):
    """AdaShift with one v per tensor, of its largest square. Zhou et al. 2019, phi = max."""

    oracle = "pytorch_optimizer.AdaShift"
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.9, 0.999)

    def start(self, p):
        return {**super().start(p), "v": xp.zeros(1, p.dtype)}

    diagonal = NO_DIAGONAL  # one v for many coordinates

    @inplace
    def squares(v, past, *, betas):
        v *= betas[1]
        v += (1 - betas[1]) * xp.square(past[-1]).max()
