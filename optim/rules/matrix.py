"""Rules that keep an array for each axis of a tensor: bounds, or a matrix to multiply with."""

from functools import reduce
from typing import Annotated

import numpy as np

from minigrad.backend import xp
from optim.engine.kinds import ONE_NUMBER, Beta, Count, Eps, Rate
from optim.engine.optimizer import Optimizer, inplace
from optim.rules.adam import PaperAdam
from optim.rules.axes import along_axes, gram, slices, views, zeros
from optim.rules.per_tensor import WholeAdam, norm

__all__ = ["SM3", "SOAP", "Muon", "Shampoo"]


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
    -1 / (2k), so that a vector gets full-matrix AdaGrad. An axis of n takes n^2 numbers, and one
    longer than `largest_axis` n, the diagonal of its matrix alone, so that a long vector gets
    AdaGrad. `h` holds the sums, axis after axis.
    """

    oracle = "the paper"
    lr: Rate = 0.1
    eps: Eps = 1e-4
    largest_axis: Annotated[Count, "longest axis that has a whole matrix"] = 1024

    eps_of_squares = True
    per_tensor = ("kernel",)

    def start(self, p):
        return {"h": zeros(Shampoo.shapes(p.shape, self.largest_axis), p)}

    @inplace
    def shapes(shape, largest_axis):
        """Those of the sums, one for each axis."""
        return [(n, n) if n <= largest_axis else (n,) for n in shape]

    @inplace
    def kernel(p, g, h, *, lr, eps, largest_axis):
        statistics = views(h, Shampoo.shapes(p.shape, largest_axis))
        for axis, a in enumerate(statistics):
            a += gram(g, axis) if a.ndim == 2 else xp.square(slices(g, axis)).sum(1)
        power = -1 / (2 * p.ndim)
        p -= lr * along_axes(g, [Shampoo.power(a, power, eps) for a in statistics])

    @inplace
    def power(a, exponent, eps):
        """(a + eps I) to a power, for a symmetric a without negative eigenvalues."""
        if a.ndim == 1:
            return (a + eps) ** exponent
        values, vectors = xp.linalg.eigh(a)
        # what is smaller is noise, which a negative power would make large
        rounding = float(np.finfo(a.dtype).eps)
        values = xp.maximum(values, rounding * values[-1]) + eps
        return vectors * values**exponent @ vectors.T


class SOAP(WholeAdam):
    """Adam in the eigenbasis of Shampoo's matrices. Vyas et al. 2024, Algorithms 3 and 4.

    The first gradient only gives the basis; every `precondition_frequency` steps a power iteration
    renews it. Vectors get Adam. An axis of n takes 2 n^2 numbers, and one longer than
    `largest_axis` none: it is not turned, as in their implementation. `h` holds running means of
    G G' and G' G, `q` their eigenvectors.
    """

    oracle = "pytorch_optimizer.SOAP"
    lr: Rate = 3e-3
    betas: tuple[Beta, Annotated[Beta, ONE_NUMBER]] = (0.95, 0.95)
    weight_decay: Rate = 1e-2
    precondition_frequency: Annotated[Count, "steps between two bases"] = 10
    largest_axis: Annotated[Count, "longest axis that has a basis"] = 10_000

    passes = ("correct", "moments", "kernel", "statistics", "eigenbasis", "power_iteration")
    per_tensor = ("moments", "kernel", "statistics", "eigenbasis", "power_iteration")

    def start(self, p):
        shapes = [(n, n) for n in p.shape if p.ndim > 1 and n <= self.largest_axis]
        return {**super().start(p), "h": zeros(shapes, p), "q": zeros(shapes, p)}

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
    def matrices(flat, p, largest_axis):
        """The (n, n) matrix of each axis of p, or None for one that has no basis."""
        axes = p.shape if p.ndim > 1 else ()
        return views(flat, [(n, n) if n <= largest_axis else None for n in axes])

    @inplace
    def moments(g, m, v, q, *, betas, largest_axis):
        m *= betas[0]
        m += (1 - betas[0]) * g
        rotated = along_axes(g, SOAP.matrices(q, g, largest_axis))
        v *= betas[1]
        v += (1 - betas[1]) * rotated * rotated

    @inplace
    def kernel(p, m, v, q, step, *, lr, eps, weight_decay, largest_axis, t):
        if t > 1:  # else m is zero
            q = SOAP.matrices(q, p, largest_axis)
            u = along_axes(m, q) / PaperAdam.diagonal(v, eps=eps)
            p -= step * along_axes(u, [a if a is None else a.T for a in q])
            p *= 1 - lr * weight_decay

    @inplace
    def statistics(g, h, *, betas, largest_axis):
        h *= betas[1]
        for axis, a in enumerate(SOAP.matrices(h, g, largest_axis)):
            if a is not None:
                a += (1 - betas[1]) * gram(g, axis)

    @inplace
    def eigenbasis(p, h, q, *, largest_axis):
        for a, basis in SOAP.pairs(p, h, q, largest_axis).values():
            basis[...] = xp.linalg.eigh(a)[1][:, ::-1]

    @inplace
    def power_iteration(v, h, q, *, largest_axis):
        for axis, (a, basis) in SOAP.pairs(v, h, q, largest_axis).items():
            image = a @ basis
            order = xp.argsort(-(basis * image).sum(0))  # of the estimated eigenvalues
            v[...] = v.take(order, axis)
            basis[...] = xp.linalg.qr(image[:, order])[0]

    @inplace
    def pairs(p, h, q, largest_axis):
        """The statistics and the basis of each axis that has them, by axis."""
        every = (SOAP.matrices(flat, p, largest_axis) for flat in (h, q))
        pairs = enumerate(zip(*every, strict=True))
        return {axis: (a, basis) for axis, (a, basis) in pairs if a is not None}


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
