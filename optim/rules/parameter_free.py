"""Rules that find their own learning rate; lr scales what they find, and 1 is the place to start.

In the kernels: x0 the start, r a distance or what estimates it, s a sum of gradients or of their
squared norms, d a lower bound of the distance from x0 to a minimum.
"""

from minigrad.backend import Array, xp
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.engine.settings import Schedule, root
from optim.rules.adam import PaperAdam

__all__ = ["DAdaptAdam", "DoG", "DoWG", "Prodigy"]


class DoG(Optimizer):
    """Gradient descent at the rate distance over gradients: the largest distance from the start,
    over the root of the sum of squared gradient norms. Ivgi, Hinder and Carmon 2023.

    The first distance is r_eps (1 + |x0|). The authors evaluate with an average of the iterates.
    """

    oracle = "optax.contrib.dog"
    passes = ("estimate", "kernel")
    totals = ("distance",)
    start_only = ("r_eps",)
    eps_of_squares = True
    lr: Schedule = 1.0
    eps: float = 1e-8
    r_eps: float = 1e-6

    def start(self, p):
        first = self.r_eps * (1 + xp.sqrt((p * p).sum()))
        return {"x0": p, "r": first, "s": xp.asarray(0.0)}

    def update(self, scalars):
        distance = xp.sqrt(self.total(self.distance))
        squares = self.total(lambda g: (g * g).sum())
        self.sweep("estimate", {"distance": distance, "squares": squares})
        self.sweep("kernel", scalars)

    @inplace
    def distance(p, x0):
        return xp.square(p - x0).sum()

    @inplace
    def estimate(r: Array, s, *, distance, squares):
        xp.maximum(r, distance, out=r)
        s += squares

    @inplace
    def kernel(p, g, r, s, *, lr, eps):
        p -= lr * r / xp.sqrt(s + eps) * g


class DoWG(DoG):
    """DoG with every squared norm weighted by the squared distance at its time.

    Khaled, Mishchenko and Jin 2023. The first distance is r_eps.
    """

    oracle = "optax.contrib.dowg"
    eps_of_squares = False
    eps: float = 1e-4
    r_eps: float = 1e-2

    def start(self, p):
        return {"x0": p, "r": xp.asarray(self.r_eps), "s": xp.asarray(0.0)}

    @inplace
    def estimate(r: Array, s, *, distance, squares):
        xp.maximum(r, distance, out=r)
        s += r * r * squares

    @inplace
    def kernel(p, g, r, s, *, lr, eps):
        p -= lr * r * r / (xp.sqrt(s) + eps) * g


class DAdaptAdam(PaperAdam):
    """PaperAdam at the rate d, a lower bound of the distance to a minimum that grows with s.

    Defazio and Mishchenko 2023, D-Adapt Adam; as in their package, r weighs by the v of the step
    before. d starts at d0.
    """

    oracle = "dadaptation.DAdaptAdam"
    passes = ("kernel", "estimate")
    start_only = ("d0",)
    one_number = ("lr", "betas[1]")
    diagonal = NO_DIAGONAL  # the rate is in m
    lr: Schedule = 1.0
    eps: float = 1e-8
    d0: float = 1e-6

    def start(self, p):
        return {"d": xp.asarray(self.d0), "r": xp.asarray(0.0)}

    def scalars(self, h):
        beta3 = root(h.betas[1])
        return {**super().scalars(h), "beta3": beta3, "one_minus_beta3": 1 - beta3}

    def update(self, scalars):
        eps = scalars["eps"]
        progress = self.total(lambda g, s, v: (g * s / PaperAdam.diagonal(v, eps=eps)).sum())
        self.sweep("kernel", scalars)
        self.sweep("estimate", {**scalars, "progress": progress, "norm": self.norm_of_s()})

    def norm_of_s(self):
        """The sum of the absolute values of s."""
        return self.total(lambda s: xp.abs(s).sum())

    @inplace
    def kernel(
        p,
        g,
        m,
        v,
        s,
        d,
        *,
        lr,
        eps,
        beta1,
        one_minus_beta1,
        beta2,
        one_minus_beta2,
        beta3,
        one_minus_beta3,
    ):
        m *= beta1
        m += one_minus_beta1 * lr * d * g
        v *= beta2
        v += one_minus_beta2 * g * g
        s *= beta3
        s += one_minus_beta3 * lr * d * g
        p -= m / PaperAdam.diagonal(v, eps=eps)

    @inplace
    def estimate(d, r, *, lr, beta3, one_minus_beta3, progress, norm):
        r *= beta3
        r += one_minus_beta3 * lr * d * progress
        xp.maximum(d, _quotient(r, one_minus_beta3 * norm), out=d)


class Prodigy(DAdaptAdam):
    """DAdaptAdam with sums that weigh late gradients more, so that d grows faster, and with the
    weights decayed directly. Mishchenko and Defazio 2023.

    Their package multiplies eps by the next d.
    """

    oracle = "prodigyopt.Prodigy"
    totals = ("progress",)
    weight_decay: Schedule = 0.0

    def start(self, p):
        return {**super().start(p), "x0": p}

    def scalars(self, h):
        return {**super().scalars(h), "decay": h.lr * h.weight_decay}

    def update(self, scalars):
        progress = self.total(self.progress)
        self.sweep("kernel", scalars)
        self.sweep("estimate", {**scalars, "progress": progress, "norm": self.norm_of_s()})

    @inplace
    def progress(p, g, x0):
        return (g * (x0 - p)).sum()

    @inplace
    def kernel(p, g, m, v, s, d, *, lr, eps, decay, beta3, one_minus_beta3, **betas):
        PaperAdam.moments(d * g, m, v, **betas)
        s *= beta3
        s += one_minus_beta3 * lr * d * d * g
        p -= decay * d * p
        p -= lr * d * m / PaperAdam.diagonal(v, eps=d * eps)

    @inplace
    def estimate(d, r, *, lr, beta3, one_minus_beta3, progress, norm):
        r *= beta3
        r += one_minus_beta3 * lr * d * d * progress
        xp.maximum(d, _quotient(r, norm), out=d)


def _quotient(a, b):
    """a / b, and 0 where b is 0, as it is before the first gradient."""
    return xp.where(b > 0, a, b) / (b + (b == 0))
