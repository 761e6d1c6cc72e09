"""Rules that find their own learning rate; lr scales what they find, and 1 is the place to start.

In the kernels: x0 the start, r a distance or what estimates it, s a sum of gradients or of their
squared norms, d a lower bound of the distance from x0 to a minimum.
"""

from typing import Annotated

from minigrad.backend import xp
from optim.engine.kinds import ONE_NUMBER, Beta, Eps, Fixed, Rate
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.rules.adam import PaperAdam

__all__ = ["DAdaptAdam", "DoG", "DoWG", "Prodigy"]


class DoG(Optimizer):
    """Gradient descent at the rate distance over gradients: the largest distance from the start,
    over the root of the sum of squared gradient norms. Ivgi, Hinder and Carmon 2023.

    The first distance is r_eps (1 + |x0|). The authors evaluate with an average of the iterates.
    """

    oracle = "optax.contrib.dog"
    reductions = ("moved",)
    given = ("square_moved", "square")
    eps_of_squares = True
    lr: Rate = 1.0
    eps: Eps = 1e-8
    r_eps: Annotated[Fixed, "first distance"] = 1e-6

    def start(self, p):
        return {"x0": p, "r": self.r_eps * (1 + xp.sqrt((p * p).sum())), "s": 0.0}

    def update(self):
        self.apply(
            "kernel",
            square_moved=self.sum_over(self.moved),
            square=self.sum_over(lambda g: (g * g).sum()),
        )

    @inplace
    def moved(p, x0):
        return xp.square(p - x0).sum()

    @inplace
    def kernel(p, g, r, s, *, lr, eps, square_moved, square):
        xp.maximum(r, xp.sqrt(square_moved), out=r)
        s += square
        p -= lr * r / xp.sqrt(s + eps) * g


class DoWG(DoG):
    """DoG with every squared norm weighted by the squared distance at its time.

    Khaled, Mishchenko and Jin 2023. The first distance is r_eps.
    """

    oracle = "optax.contrib.dowg"
    eps_of_squares = False
    eps: Eps = 1e-4
    r_eps: Annotated[Fixed, "first distance"] = 1e-2

    def start(self, p):
        return {"x0": p, "r": self.r_eps, "s": 0.0}

    @inplace
    def kernel(p, g, r, s, *, lr, eps, square_moved, square):
        xp.maximum(r, xp.sqrt(square_moved), out=r)
        s += r * r * square
        p -= lr * r * r / (xp.sqrt(s) + eps) * g


class DAdaptAdam(PaperAdam):
    """PaperAdam at the rate d, a lower bound of the distance to a minimum that grows with s.

    Defazio and Mishchenko 2023, D-Adapt Adam; as in their package, r weighs by the v of the step
    before. d starts at d0.
    """

    oracle = "dadaptation.DAdaptAdam"
    passes = ("kernel", "estimate")
    given = ("progress", "norm")
    diagonal = NO_DIAGONAL  # the rate is in m
    lr: Annotated[Rate, ONE_NUMBER] = 1.0
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.9, 0.999)
    eps: Eps = 1e-8
    d0: Annotated[Fixed, "first distance"] = 1e-6

    def start(self, p):
        return {"d": self.d0, "r": 0.0}

    def update(self):
        progress = self.progress_made()
        self.apply("kernel")
        norm = self.sum_over(lambda s: xp.abs(s).sum())
        self.apply("estimate", progress=progress, norm=norm)

    def progress_made(self):
        """The sum of g s over the diagonal."""
        eps = self.used["eps"]
        return self.sum_over(lambda g, s, v: (g * s / PaperAdam.diagonal(v, eps=eps)).sum())

    @inplace
    def kernel(p, g, m, v, s, d, *, lr, betas, eps):
        (beta1, beta2), beta3 = betas, xp.sqrt(betas[1])
        m *= beta1
        m += (1 - beta1) * lr * d * g
        v *= beta2
        v += (1 - beta2) * g * g
        s *= beta3
        s += (1 - beta3) * lr * d * g
        p -= m / PaperAdam.diagonal(v, eps=eps)

    @inplace
    def estimate(d, r, *, lr, betas, progress, norm):
        beta3 = xp.sqrt(betas[1])
        r *= beta3
        r += (1 - beta3) * lr * d * progress
        xp.maximum(d, _quotient(r, (1 - beta3) * norm), out=d)


class Prodigy(DAdaptAdam):
    """DAdaptAdam with sums that weigh late gradients more, so that d grows faster, and with the
    weights decayed directly. Mishchenko and Defazio 2023.

    Their package multiplies eps by the next d.
    """

    oracle = "prodigyopt.Prodigy"
    reductions = ("progress",)
    weight_decay: Rate = 0.0

    def start(self, p):
        return {**super().start(p), "x0": p}

    def progress_made(self):
        """The sum of g (x0 - p)."""
        return self.sum_over(self.progress)

    @inplace
    def progress(p, g, x0):
        return (g * (x0 - p)).sum()

    @inplace
    def kernel(p, g, m, v, s, d, *, lr, betas, eps, weight_decay):
        beta3 = xp.sqrt(betas[1])
        PaperAdam.moments(d * g, m, v, betas=betas)
        s *= beta3
        s += (1 - beta3) * lr * d * d * g
        p -= lr * weight_decay * d * p
        p -= lr * d * m / PaperAdam.diagonal(v, eps=d * eps)

    @inplace
    def estimate(d, r, *, lr, betas, progress, norm):
        beta3 = xp.sqrt(betas[1])
        r *= beta3
        r += (1 - beta3) * lr * d * d * progress
        xp.maximum(d, _quotient(r, norm), out=d)


def _quotient(a, b):
    """a / b, and 0 where b is 0, as it is before the first gradient."""
    return xp.where(b > 0, a, 0.0) / xp.where(b > 0, b, 1.0)
