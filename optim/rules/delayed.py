"""Rules whose divisor does not know the gradient it divides: v is of earlier steps.

In Adam a large gradient enters its own v and so has little effect, on the problem of Reddi, Kale
and Kumar too little. A divisor that is independent of the gradient leaves the expected step in the
gradient's direction; nothing need be remembered for ever.
"""

from minigrad.backend import Array, xp
from optim.engine.optimizer import NO_DIAGONAL, inplace
from optim.engine.settings import Betas, Schedule, power, root
from optim.rules.adam import PaperAdam

__all__ = ["ADOPT", "ACProp", "AdaShift", "AvaGrad", "MaxAdaShift"]


class ADOPT(PaperAdam):
    """Momentum of gradients that are divided by the root of the v before them, and clipped.

    The first step only sets v. Taniguchi et al. 2024, Algorithm 2.
    """

    oracle = "adopt.ADOPT"
    betas: Betas = (0.9, 0.9999)
    eps: float = 1e-6

    def scalars(self, h):
        clip = (self.t - 1) ** 0.25  # 0 in the first step, which so moves nothing
        first = {"beta2": 0.0, "one_minus_beta2": 1.0} if self.t == 1 else {}
        return {**super().scalars(h), **first, "lowest": -clip, "highest": clip}

    diagonal = NO_DIAGONAL  # it divides what m sums, not the step

    @inplace
    def kernel(
        p, g, m, v, *, lr, eps, lowest, highest, beta1, one_minus_beta1, beta2, one_minus_beta2
    ):
        c = g / xp.maximum(xp.sqrt(v), eps)
        m *= beta1
        m += one_minus_beta1 * xp.minimum(xp.maximum(c, lowest), highest)
        p -= lr * m
        v *= beta2
        v += one_minus_beta2 * g * g


class ACProp(PaperAdam):
    """Steps along the gradient over the root of the variance s before it; m only centers s.

    The first step, with no variance yet, is one of SGD. Zhuang et al. 2021.
    """

    oracle = "the paper"  # optax.contrib.acprop centers by the m before
    eps_of_squares = True
    eps: float = 1e-16

    def start(self, p):
        return {"s": 1.0}

    def scalars(self, h):
        scalars = super().scalars(h)
        correction = root(1 - self.running.get("beta_product_0", 0.0))  # of the s before
        self.debias(h.betas[1:])
        if self.t == 1:
            scalars["beta2"] = 0.0  # forget where s started
        return {
            **scalars,
            "lr": h.lr * correction,
            "eps": h.eps * correction,
            "floor": h.eps,
        }

    diagonal = NO_DIAGONAL  # that of a step is gone after it

    @inplace
    def kernel(p, g, m, s, *, lr, eps, floor, beta1, one_minus_beta1, beta2, one_minus_beta2):
        p -= lr * g / PaperAdam.diagonal(s, eps=eps)
        m *= beta1
        m += one_minus_beta1 * g
        surprise = g - m
        s *= beta2
        s += one_minus_beta2 * surprise * surprise + floor


class AvaGrad(PaperAdam):
    """Adam over the v before, with rates scaled to a root mean square of lr over all coordinates.

    So lr does not depend on eps. Savarese et al. 2021, Algorithm 2; their implementation corrects
    the bias, and its first step only sets v.
    """

    oracle = "the paper"
    lr: Schedule = 0.1
    eps: float = 0.1

    diagonal = NO_DIAGONAL  # that of a step is gone after it

    def update(self, scalars):
        eps, size = scalars["eps"], self._owned.size

        def mean_square_rate(v):
            rate = 1 / PaperAdam.diagonal(v, eps=eps)
            return (rate * rate / size).sum()

        self.sweep("kernel", {**scalars, "norm": xp.sqrt(self.total(mean_square_rate))})

    @inplace
    def kernel(p, g, m, v, *, lr, eps, norm, beta1, one_minus_beta1, beta2, one_minus_beta2):
        m *= beta1
        m += one_minus_beta1 * g
        p -= lr * m / (norm * PaperAdam.diagonal(v, eps=eps))
        v *= beta2
        v += one_minus_beta2 * g * g


class AdaShift(PaperAdam):
    """Adam whose m is a mean of the last `delay` gradients, and whose v is of those before them.

    The first `delay` steps move nothing. Zhou et al. 2019, with no spatial operation (phi).
    """

    oracle = "pytorch_optimizer.AdaShift"
    per_tensor = True
    eps: float = 1e-10
    delay: int = 10

    def start(self, p):
        return {"past": xp.zeros((self.delay, *p.shape), p.dtype)}

    def scalars(self, h):
        beta1 = h.betas[0]
        newest = (1 - beta1) / (1 - power(beta1, self.delay))  # the weights of the mean add up to 1
        scalars = {**super().scalars(h), "newest": newest}
        if self.t <= self.delay:
            return {**scalars, "lr": 0.0}
        (debias2,) = self.debias(h.betas[1:])
        correction = root(debias2)
        return {**scalars, "lr": h.lr * correction, "eps": h.eps * correction}

    def update(self, scalars):
        super().update({**scalars, "slot": self.t % self.delay})

    passes = ("squares", "mean", "kernel")

    @inplace
    def squares(v, past, *, slot, beta2, one_minus_beta2):
        v *= beta2
        v += one_minus_beta2 * xp.square(past[slot])

    @inplace
    def mean(g: Array, past, m: Array, *, slot, beta1, newest):
        past[slot] = g
        age = ((slot - xp.arange(len(past))) % len(past)).astype(g.dtype)
        weights = newest * beta1 ** age.reshape(-1, *(1 for _ in g.shape))
        m[...] = (weights * past).sum(0)

    @inplace
    def kernel(p, m, v, *, lr, eps):
        p -= lr * m / PaperAdam.diagonal(v, eps=eps)


class MaxAdaShift(AdaShift):
    """AdaShift with one v per tensor, of its largest square. Zhou et al. 2019, phi = max."""

    oracle = "pytorch_optimizer.AdaShift"
    one_number = ("betas[1]",)

    def start(self, p):
        return {**super().start(p), "v": xp.zeros((), p.dtype)}

    diagonal = NO_DIAGONAL  # one v for many coordinates

    @inplace
    def squares(v, past, *, slot, beta2, one_minus_beta2):
        v *= beta2
        v += one_minus_beta2 * xp.square(past[slot]).max()
