"""Rules that see each tensor whole: its norm, or sums along its axes.

Weights are (in, out), so that an output unit is a column.
"""

from functools import reduce
from itertools import accumulate
from math import prod

from minigrad.backend import Array, xp
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.engine.settings import Betas, Schedule, power, where
from optim.rules.adam import Adam, PaperAdam

__all__ = ["LAMB", "LARS", "SM3", "Adafactor", "AdamMini", "NovoGrad"]


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


def views(flat, shapes):
    """The arrays of these shapes that lie end to end in a flat array."""
    sizes = [prod(shape) for shape in shapes]
    ends = accumulate(sizes)
    return [
        flat[end - size : end].reshape(shape)
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]


class LARS(Optimizer):
    """Momentum whose step of a tensor is in proportion to the tensor's norm.

    You, Gitman and Ginsburg 2017, Algorithm 1. A tensor whose norm or whose gradient's norm is
    zero takes the step of Momentum.
    """

    oracle = "the paper"
    lr: Schedule = 1.0
    momentum: Schedule = 0.9
    weight_decay: Schedule = 0.0
    trust_coefficient: Schedule = 1e-3

    per_tensor = True

    @inplace
    def kernel(p, g, b, *, lr, momentum, weight_decay, trust_coefficient):
        size = norm(p)
        trust = ratio(trust_coefficient * size, norm(g) + weight_decay * size)
        b *= momentum
        b += lr * trust * (g + weight_decay * p)
        p -= b


class LAMB(PaperAdam):
    """Adam's direction, in steps in proportion to the tensor's norm. You et al. 2020, Algorithm 2.

    A tensor of norm zero takes the step of Adam.
    """

    oracle = "optax.lamb"
    eps: float = 1e-6
    weight_decay: Schedule = 0.0

    per_tensor = True
    diagonal = NO_DIAGONAL  # the step's length is the tensor's

    def scalars(self, h):
        debias1, debias2 = self.debias(h.betas)
        return {
            **super().scalars(h),
            "weight_decay": h.weight_decay,
            "debias1": debias1,
            "debias2": debias2,
        }

    @inplace
    def kernel(p, g, m, v, *, lr, eps, weight_decay, debias1, debias2, **betas):
        PaperAdam.moments(g, m, v, **betas)
        u = m / debias1 / (xp.sqrt(v / debias2) + eps) + weight_decay * p
        p -= lr * ratio(norm(p), norm(u)) * u


class NovoGrad(Optimizer):
    """Momentum of gradients over a running norm of the tensor's. Ginsburg et al. 2019.

    The running mean of squared norms starts at the first of them.
    """

    oracle = "optax.novograd"
    lr: Schedule = 1e-2
    betas: Betas = (0.9, 0.25)
    eps: float = 1e-6
    weight_decay: Schedule = 0.0

    one_number = ("betas[1]",)
    per_tensor = True

    def start(self, p):
        return {"v": xp.zeros(1, p.dtype)}

    def scalars(self, h):
        beta1, beta2 = h.betas
        beta2 = beta2 if self.t > 1 else 0.0
        return {
            "lr": h.lr,
            "beta1": beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "eps": h.eps,
            "weight_decay": h.weight_decay,
        }

    @inplace
    def kernel(p, g, m, v, *, lr, beta1, beta2, one_minus_beta2, eps, weight_decay):
        v *= beta2
        v += one_minus_beta2 * (g * g).sum()
        m *= beta1
        m += g / (xp.sqrt(v) + eps) + weight_decay * p
        p -= lr * m


class SM3(Optimizer):
    """AdaGrad in less memory: a sum of squares is bounded by one bound for each slice it lies in.

    Anil, Gupta, Koren and Singer 2019, Algorithm SM3-II, with momentum. The slices are those
    across each axis: the rows and columns of a matrix. `mu` holds their bounds, axis after axis.
    """

    oracle = "optax.sm3"
    lr: Schedule = 0.1
    momentum: Schedule = 0.9
    eps: float = 1e-8

    eps_of_squares = True
    per_tensor = True

    def start(self, p):
        return {"mu": xp.zeros(sum(p.shape), p.dtype)}

    def scalars(self, h):
        return {
            "lr": h.lr,
            "momentum": h.momentum,
            "one_minus_momentum": 1 - h.momentum,
            "eps": h.eps,
        }

    @inplace
    def kernel(p: Array, g, m, mu, *, lr, momentum, one_minus_momentum, eps):
        axes = range(p.ndim)
        bounds = views(mu, [[p.shape[i] if i == axis else 1 for i in axes] for axis in axes])
        s = reduce(xp.minimum, bounds) + g * g
        for axis, bound in enumerate(bounds):
            bound[...] = s.max(tuple(i for i in axes if i != axis), keepdims=True)
        m *= momentum
        m += one_minus_momentum * g / xp.sqrt(s + eps)
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
    lr: Schedule = 1e-2
    decay_rate: Schedule = 0.8
    eps: float = 1e-15
    min_scale: Schedule = 1e-3
    d: Schedule = 1.0
    weight_decay: Schedule = 0.0

    one_number = ("decay_rate",)
    per_tensor = True

    def start(self, p):
        if p.ndim > 1:
            row, column = xp.zeros_like(p[..., :1]), xp.zeros_like(p[..., :1, :])
            return {"r": row, "c": column, "v": xp.zeros(0, p.dtype)}
        return {"r": xp.zeros(0, p.dtype), "c": xp.zeros(0, p.dtype)}

    def scalars(self, h):
        one_minus_beta2 = power(self.t, -h.decay_rate)
        most = self.t**-0.5
        return {
            "lr": where(h.lr < most, h.lr, most),
            "keep": 1 - h.lr * h.weight_decay,
            "beta2": 1 - one_minus_beta2,
            "one_minus_beta2": one_minus_beta2,
            "eps": h.eps,
            "min_scale": h.min_scale,
            "d": h.d,
        }

    @inplace
    def kernel(p: Array, g, r, c, v, *, lr, keep, beta2, one_minus_beta2, eps, min_scale, d):
        squares = g * g
        if p.ndim > 1:
            r *= beta2
            r += one_minus_beta2 * squares.mean(-1, keepdims=True)
            c *= beta2
            c += one_minus_beta2 * squares.mean(-2, keepdims=True)
            squares = r / xp.maximum(r.mean(-2, keepdims=True), eps) * c
        else:
            v *= beta2
            v += one_minus_beta2 * squares
            squares = v
        u = g / xp.maximum(xp.sqrt(squares), eps)
        step = lr * xp.maximum(rms(p), min_scale) / xp.maximum(rms(u) / d, 1)
        p *= keep
        p -= step * u


class AdamMini(Adam):
    """Adam with one v for each output unit, of the mean of its squared gradients, and one for a
    vector. Zhang et al. 2024."""

    oracle = "adam_mini.Adam_mini"

    one_number = ("betas[1]",)
    per_tensor = True
    diagonal = NO_DIAGONAL  # one v for many coordinates

    def start(self, p):
        return {"v": xp.zeros(p.shape[-1] if p.ndim > 1 else 1, p.dtype)}

    @inplace
    def kernel(p, g, m, v, *, lr, eps, beta1, one_minus_beta1, beta2, one_minus_beta2):
        m *= beta1
        m += one_minus_beta1 * g
        v *= beta2
        v += one_minus_beta2 * (g * g).reshape(-1, v.size).mean(0)
        p -= lr * m / Adam.diagonal(v, eps=eps)
