"""Rules that keep an array for each axis of a tensor: bounds, or a matrix to multiply with."""

from functools import reduce
from itertools import accumulate
from math import prod
from typing import Annotated

import numpy as np

from minigrad.backend import xp
from optim.engine.kinds import ONE_NUMBER, Beta, Count, Eps, Rate
from optim.engine.optimizer import Optimizer, inplace
from optim.rules.adam import PaperAdam
from optim.rules.per_tensor import WholeAdam, norm

__all__ = ["SM3", "SOAP", "Muon", "Shampoo"]


def views(flat, shapes):
    """The arrays of these shapes that lie end to end in a flat array."""
    sizes = [prod(shape) for shape in shapes]
    ends = accumulate(sizes)
    return [
        flat[end - size : end].reshape(shape)
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]


def square_views(flat, shape):
    """The (n, n) matrices that lie end to end in a flat array, one for each axis of length n."""
    return views(flat, [(n, n) for n in shape])


def gram(x, axis):
    """The (n, n) inner products of the n slices of x across an axis."""
    slices = xp.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    return slices @ slices.T


def along_axes(x, matrices):
    """x times one (n, n) matrix along each of its axes: for an (m, n) matrix, A.T @ x @ B."""
    for a in matrices:
        first, *rest = x.shape
        x = (x.reshape(first, -1).T @ a).reshape(*rest, first)  # the axes go round once
    return x


class SM3(Optimizer):
    """AdaGrad in less memory: a sum of squares is bounded by one bound for each slice it lies in.

    Anil, Gupta, Koren and Singer 2019, Algorithm SM3-II, with momentum. The slices are those
    across each axis: the rows and columns of a matrix. `mu` holds their bounds, axis after axis.
    """

    oracle = "optax.sm3"
    lr: Rate = 0.1
    momentum: Beta = 0.9
    eps: Eps = 1e-8

    eps_of_squares = True
    per_tensor = ("kernel",)

    def start(self, p):
        return {"mu": xp.zeros(sum(p.shape), p.dtype)}

    @inplace
    def kernel(p, g, m, mu, *, lr, momentum, eps):
        axes = range(p.ndim)
        bounds = views(mu, [[p.shape[i] if i == axis else 1 for i in axes] for axis in axes])
        s = reduce(xp.minimum, bounds) + g * g
        for axis, bound in enumerate(bounds):
            bound[...] = s.max(tuple(i for i in axes if i != axis), keepdims=True)
        m *= momentum
        m += (1 - momentum) * g / xp.sqrt(s + eps)
        p -= lr * m


class Shampoo(Optimizer):
    """Gradients of a matrix between the roots of their sums of G G' and G' G, to the power -1/4.

    Gupta, Koren and Singer 2018, Algorithm 1; for a tensor of k axes Algorithm 2, whose power is
    -1 / (2k), so that a vector gets full-matrix AdaGrad. `h` holds the sums, axis after axis.
    """

    oracle = "the paper"
    lr: Rate = 0.1
    eps: Eps = 1e-4

    eps_of_squares = True
    per_tensor = ("kernel",)

    def start(self, p):
        return {"h": xp.zeros(sum(n * n for n in p.shape), p.dtype)}

    @inplace
    def kernel(p, g, h, *, lr, eps):
        statistics = square_views(h, p.shape)
        for axis, a in enumerate(statistics):
            a += gram(g, axis)
        power = -1 / (2 * p.ndim)
        p -= lr * along_axes(g, [Shampoo.power(a, power, eps) for a in statistics])

    @inplace
    def power(a, exponent, eps):
        """(a + eps I) to a power, for a symmetric a without negative eigenvalues."""
        values, vectors = xp.linalg.eigh(a)
        # what is smaller is noise, which a negative power would make large
        rounding = float(np.finfo(a.dtype).eps)
        values = xp.maximum(values, rounding * values[-1]) + eps
        return vectors * values**exponent @ vectors.T


class SOAP(WholeAdam):
    """Adam in the eigenbasis of Shampoo's matrices. Vyas et al. 2024, Algorithms 3 and 4.

    The first gradient only gives the basis; every `precondition_frequency` steps a power iteration
    renews it. Vectors get Adam. `h` holds running means of G G' and G' G, `q` their eigenvectors.
    """

    oracle = "pytorch_optimizer.SOAP"
    lr: Rate = 3e-3
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.95, 0.95)
    weight_decay: Rate = 1e-2
    precondition_frequency: Annotated[Count, "steps between two bases"] = 10

    passes = ("correct", "moments", "kernel", "statistics", "eigenbasis", "power_iteration")
    per_tensor = ("moments", "kernel", "statistics", "eigenbasis", "power_iteration")

    def start(self, p):
        size = sum(n * n for n in SOAP.bases(p))
        return {**super().start(p), "h": xp.zeros(size, p.dtype), "q": xp.zeros(size, p.dtype)}

    def update(self):
        if self.t > 1:
            self.apply("correct")
            self.apply("moments")
        self.apply("kernel")
        self.apply("statistics")
        if self.t == 1:
            self.apply("eigenbasis")
        elif (self.t - 1) % self.precondition_frequency == 0:
            self.apply("power_iteration")

    @inplace
    def bases(p):
        """The lengths of the axes of p that have a basis."""
        return p.shape if p.ndim > 1 else ()

    @inplace
    def moments(g, m, v, q, *, betas):
        m *= betas[0]
        m += (1 - betas[0]) * g
        rotated = along_axes(g, square_views(q, SOAP.bases(g)))
        v *= betas[1]
        v += (1 - betas[1]) * rotated * rotated

    @inplace
    def kernel(p, m, v, q, step, *, lr, eps, weight_decay, t):
        if t > 1:  # else m is zero
            q = square_views(q, SOAP.bases(p))
            u = along_axes(m, q) / PaperAdam.diagonal(v, eps=eps)
            p -= step * along_axes(u, [a.T for a in q])
            p *= 1 - lr * weight_decay

    @inplace
    def statistics(g, h, *, betas):
        h *= betas[1]
        for axis, a in enumerate(square_views(h, SOAP.bases(g))):
            a += (1 - betas[1]) * gram(g, axis)

    @inplace
    def eigenbasis(p, h, q):
        shape = SOAP.bases(p)
        for a, basis in zip(square_views(h, shape), square_views(q, shape), strict=True):
            basis[...] = xp.linalg.eigh(a)[1][:, ::-1]

    @inplace
    def power_iteration(v, h, q):
        shape = SOAP.bases(v)
        pairs = zip(square_views(h, shape), square_views(q, shape), strict=True)
        for axis, (a, basis) in enumerate(pairs):
            image = a @ basis
            order = xp.argsort(-(basis * image).sum(0))  # of the estimated eigenvalues
            v[...] = v.take(order, axis)
            basis[...] = xp.linalg.qr(image[:, order])[0]


class Muon(WholeAdam):
    """Momentum whose singular values are all made about one, for matrices; AdamW for the rest.

    Jordan et al. 2024, as in torch.optim.Muon.
    """

    oracle = "torch.optim.Muon"
    lr: Rate = 1e-3
    momentum: Beta = 0.95
    eps: Eps = 1e-7
    weight_decay: Rate = 0.1

    def start(self, p):
        return {**super().start(p), **({"v": xp.zeros(0, p.dtype)} if p.ndim == 2 else {})}

    @inplace
    def kernel(p, g, m, v, step, floor, *, lr, betas, eps, momentum, weight_decay):
        p *= 1 - lr * weight_decay
        if p.ndim != 2:
            PaperAdam.moments(g, m, v, betas=betas)
            p -= step * m / (xp.sqrt(v) + floor)
            return
        m *= momentum
        m += (1 - momentum) * g
        u = momentum * m + (1 - momentum) * g
        u = Muon.orthogonal(u / xp.maximum(norm(u), eps))
        n_in, n_out = p.shape
        p -= lr * max(1, n_out / n_in) ** 0.5 * u

    @inplace
    def orthogonal(x):
        """x with singular values about one: five steps of the Newton-Schulz iteration."""
        if x.shape[0] > x.shape[1]:
            return Muon.orthogonal(x.T).T
        a, b, c = 3.4445, -4.775, 2.0315
        for _ in range(5):
            s = x @ x.T
            x = a * x + (b * s + c * s @ s) @ x
        return x
