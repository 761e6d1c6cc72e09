"""Rules that see each tensor whole: its norm, its means, or how many of its values agree.

Weights are (in, out), so that an output unit is a column.
"""

from typing import Annotated, ClassVar

from minigrad.backend import xp
from optim.engine.kinds import ONE_NUMBER, Beta, Eps, Positive, Rate
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.rules.adam import Adam, PaperAdam

__all__ = ["LAMB", "LARS", "MARS", "Adafactor", "AdamMini", "CautiousAdamW", "NovoGrad"]


def norm(x):
    """The Euclidean norm of all values of x."""
    return xp.sqrt((x * x).sum())  # raises on overflow, which xp.linalg.norm does not


def ratio(above, below):
    """above / below, or 1 where either is zero: what has no size yet is not rescaled."""
    zero = (above == 0) | (below == 0)
    return xp.where(zero, 1, above / xp.where(zero, 1, below))


def rms(x):
    """The root of the mean square of all values of x."""
    return xp.sqrt((x * x).mean())


class LARS(Optimizer):
    """Momentum whose step of a tensor is in proportion to the tensor's norm.

    You, Gitman and Ginsburg 2017, Algorithm 1. A tensor whose norm or whose gradient's norm is
    zero takes the step of Momentum.
    """

    oracle = "the paper"
    lr: Rate = 1.0
    momentum: Beta = 0.9
    weight_decay: Rate = 0.0
    trust_coefficient: Annotated[Rate, "step over the tensor's norm"] = 1e-3

    per_tensor = ("kernel",)

    @inplace
    def kernel(p, g, b, *, lr, momentum, weight_decay, trust_coefficient):
        size = norm(p)
        trust = ratio(trust_coefficient * size, norm(g) + weight_decay * size)
        b *= momentum
        b += lr * trust * (g + weight_decay * p)
        p -= b


class NovoGrad(Optimizer):
    """Momentum of gradients over a running norm of the tensor's. Ginsburg et al. 2019.

    The running mean of squared norms starts at the first of them.
    """

    oracle = "optax.novograd"
    lr: Rate = 1e-2
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.9, 0.25)
    eps: Eps = 1e-6
    weight_decay: Rate = 0.0

    per_tensor = ("kernel",)

    def start(self, p):
        return {"v": xp.zeros(1, p.dtype)}

    @inplace
    def kernel(p, g, m, v, *, lr, betas, eps, weight_decay, t):
        beta1, beta2 = betas[0], betas[1] if t > 1 else 0.0
        v *= beta2
        v += (1 - beta2) * (g * g).sum()
        m *= beta1
        m += g / (xp.sqrt(v) + eps) + weight_decay * p
        p -= lr * m


class Adafactor(Optimizer):
    """RMSProp whose mean squares are an outer product of those of rows and columns, in clipped
    steps in proportion to the tensor's. Shazeer and Stern 2018, Algorithm 4.

    As in torch.optim.Adafactor: lr bounds the relative step, eps is a floor under the root, and of
    more than two axes the last two are factored. A vector has its mean squares whole. `d` clips the
    root mean square of a step before scaling; `min_scale` is the least that counts as a tensor's
    own.
    """

    oracle = "torch.optim.Adafactor"
    lr: Rate = 1e-2
    decay_rate: Annotated[Rate, ONE_NUMBER, "power with which a new square weighs less"] = 0.8
    eps: Eps = 1e-15
    min_scale: Annotated[Rate, "least size of a tensor"] = 1e-3
    d: Annotated[Positive, "largest root mean square of a step"] = 1.0
    weight_decay: Rate = 0.0

    passes = ("relative_step", "kernel")
    per_tensor = ("kernel",)

    def start(self, p):
        numbers = {"step": 0.0, "weight": 0.0}
        if p.ndim > 1:
            row, column = xp.zeros_like(p[..., :1]), xp.zeros_like(p[..., :1, :])
            return {"r": row, "c": column, "v": xp.zeros(0, p.dtype), **numbers}
        return {"r": xp.zeros(0, p.dtype), "c": xp.zeros(0, p.dtype), **numbers}

    @inplace
    def relative_step(step, weight, *, lr, decay_rate, t):
        step[...] = xp.minimum(lr, t**-0.5)
        weight[...] = t**-decay_rate

    @inplace
    def kernel(p, g, r, c, v, step, weight, *, lr, eps, min_scale, d, weight_decay):
        squares = g * g
        if p.ndim > 1:
            r *= 1 - weight
            r += weight * squares.mean(-1, keepdims=True)
            c *= 1 - weight
            c += weight * squares.mean(-2, keepdims=True)
            squares = r / xp.maximum(r.mean(-2, keepdims=True), eps) * c
        else:
            v *= 1 - weight
            v += weight * squares
            squares = v
        u = g / xp.maximum(xp.sqrt(squares), eps)
        relative = step * xp.maximum(rms(p), min_scale) / xp.maximum(rms(u) / d, 1)
        p *= 1 - lr * weight_decay
        p -= relative * u


class WholeAdam(Optimizer):
    """Base: Adam's numbers of a step, made ready for passes that see whole tensors."""

    lr: Rate = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Eps = 1e-8

    passes: ClassVar[tuple[str, ...]] = ("correct", "kernel")
    per_tensor: ClassVar[tuple[str, ...]] = ("kernel",)

    def start(self, p):
        return {**Adam.start(self, p), "step": 0.0, "floor": 0.0}

    @inplace
    def correct(beta1_t, beta2_t, step, floor, *, lr, betas, eps):
        beta1_t *= betas[0]
        beta2_t *= betas[1]
        step[...] = Adam.rate(beta1_t, beta2_t, lr=lr)
        floor[...] = eps * xp.sqrt(1 - beta2_t)


class LAMB(Adam):
    """Adam's direction, in steps in proportion to the tensor's norm. You et al. 2020, Algorithm 2.

    A tensor of norm zero takes the step of Adam.
    """

    oracle = "optax.lamb"
    eps: Eps = 1e-6
    weight_decay: Rate = 0.0

    passes = ("moments", "kernel")
    per_tensor = ("kernel",)
    diagonal = NO_DIAGONAL  # the step's length is the tensor's

    @inplace
    def kernel(p, m, v, beta1_t, beta2_t, *, lr, eps, weight_decay):
        u = m / (1 - beta1_t) / (xp.sqrt(v / (1 - beta2_t)) + eps) + weight_decay * p
        p -= lr * ratio(norm(p), norm(u)) * u


class AdamMini(WholeAdam):
    """Adam with one v for each output unit, of the mean of its squared gradients, and one for a
    vector. Zhang et al. 2024."""

    oracle = "adam_mini.Adam_mini"
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.9, 0.999)

    passes = ("correct", "mean", "kernel")

    def start(self, p):
        return {**super().start(p), "v": xp.zeros(p.shape[-1] if p.ndim > 1 else 1, p.dtype)}

    @inplace
    def mean(g, m, *, betas):
        m *= betas[0]
        m += (1 - betas[0]) * g

    @inplace
    def kernel(p, g, m, v, step, floor, *, betas):
        v *= betas[1]
        v += (1 - betas[1]) * (g * g).reshape(-1, v.size).mean(0)
        p -= step * m / (xp.sqrt(v) + floor)


class CautiousAdamW(WholeAdam):
    """AdamW that moves only where its step is down the present gradient, there by more.

    By the number of a tensor's coordinates over one more than those that move. Liang et al. 2024.
    """

    oracle = "the paper"
    weight_decay: Rate = 1e-2

    passes = ("correct", "moments", "kernel")
    moments = inplace(PaperAdam.moments)

    @inplace
    def kernel(p, g, m, v, step, floor, *, lr, weight_decay):
        agrees = (xp.sign(m) * xp.sign(g) > 0).astype(g.dtype)
        share = (agrees.sum() + 1) / g.size
        p *= 1 - lr * weight_decay
        p -= step * agrees * m / (share * (xp.sqrt(v) + floor))


class MARS(WholeAdam):
    """AdamW on gradients that are extrapolated from the last ones, to a norm of at most 1.

    Each tensor has its own norm. Yuan et al. 2024: MARS-AdamW, approximate in that the last
    gradient is of its own minibatch, as in their implementation, which leaves vectors to AdamW.
    """

    oracle = "zij.MARS"
    lr: Rate = 3e-3
    betas: tuple[Beta, Beta] = (0.95, 0.99)
    weight_decay: Rate = 0.0
    gamma: Annotated[Rate, "how far to extrapolate"] = 0.025

    @inplace
    def diagonal(v, floor):
        return xp.sqrt(v) + floor

    @inplace
    def rate(step):
        return step

    @inplace
    def kernel(p, g, m, v, last, step, floor, *, lr, betas, weight_decay, gamma):
        c = g + gamma * betas[0] / (1 - betas[0]) * (g - last)
        last[...] = g
        c /= xp.maximum(norm(c), 1.0)
        PaperAdam.moments(c, m, v, betas=betas)
        p *= 1 - lr * weight_decay
        p -= step * m / MARS.diagonal(v, floor)
