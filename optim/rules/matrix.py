"""Rules that multiply the gradient by matrices, one for each axis of a tensor."""

from minigrad.backend import Array, xp
from optim.engine.optimizer import NO_DIAGONAL, Optimizer, inplace
from optim.engine.settings import Betas, Schedule, root
from optim.rules.adam import AdamW, PaperAdam
from optim.rules.per_tensor import norm, views

__all__ = ["SOAP", "Muon", "Shampoo"]


def square(flat, shape):
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


class Shampoo(Optimizer):
    """Gradients of a matrix between the roots of their sums of G G' and G' G, to the power -1/4.

    Gupta, Koren and Singer 2018, Algorithm 1; for a tensor of k axes Algorithm 2, whose power is
    -1 / (2k), so that a vector gets full-matrix AdaGrad. `h` holds the sums, axis after axis.
    """

    oracle = "the paper"
    lr: Schedule = 0.1
    eps: float = 1e-4

    eps_of_squares = True
    per_tensor = True

    def start(self, p):
        return {"h": xp.zeros(sum(n * n for n in p.shape), p.dtype)}

    def scalars(self, h):
        return {"lr": h.lr, "eps": h.eps, "rounding": float(self._finfo.eps)}

    @inplace
    def kernel(p: Array, g, h, *, lr, eps, rounding):
        statistics = square(h, p.shape)
        for axis, a in enumerate(statistics):
            a += gram(g, axis)
        power = -1 / (2 * p.ndim)
        p -= lr * along_axes(g, [Shampoo.power(a, power, eps, rounding) for a in statistics])

    @inplace
    def power(a: Array, exponent, eps, rounding):
        """(a + eps I) to a power, for a symmetric a without negative eigenvalues."""
        values, vectors = xp.linalg.eigh(a)
        # what is smaller is noise, which a negative power would make large
        values = xp.maximum(values, rounding * values[-1]) + eps
        return vectors * values**exponent @ vectors.T


class SOAP(PaperAdam):
    """Adam in the eigenbasis of Shampoo's matrices. Vyas et al. 2024, Algorithms 3 and 4.

    The first gradient only gives the basis; every `precondition_frequency` steps a power iteration
    renews it. Vectors get Adam. `h` holds running means of G G' and G' G, `q` their eigenvectors.
    """

    oracle = "pytorch_optimizer.SOAP"
    lr: Schedule = 3e-3
    betas: Betas = (0.95, 0.95)
    eps: float = 1e-8
    weight_decay: Schedule = 1e-2
    precondition_frequency: int = 10

    one_number = ("betas[1]",)
    per_tensor = True
    passes = ("moments", "kernel", "statistics", "eigenbasis", "power_iteration")
    diagonal = NO_DIAGONAL  # it is one in another basis

    def start(self, p):
        size = sum(n * n for n in SOAP.bases(p))
        return {"h": xp.zeros(size, p.dtype), "q": xp.zeros(size, p.dtype)}

    def scalars(self, h):
        moves = self.t > 1  # else m is zero
        debias1, debias2 = self.debias(h.betas) if moves else (1.0, 1.0)
        return {
            **super().scalars(h),
            "lr": h.lr * root(debias2) / debias1,
            "keep": 1 - h.lr * h.weight_decay if moves else 1.0,
        }

    def update(self, scalars):
        if self.t > 1:
            self.sweep("moments", scalars)
        self.sweep("kernel", scalars)
        self.sweep("statistics", scalars)
        if self.t == 1:
            self.sweep("eigenbasis", scalars)
        elif (self.t - 1) % self.precondition_frequency == 0:
            self.sweep("power_iteration", scalars)

    @inplace
    def bases(p: Array):
        """The lengths of the axes of p that have a basis."""
        return p.shape if p.ndim > 1 else ()

    @inplace
    def moments(g, m, v, q, *, beta1, one_minus_beta1, beta2, one_minus_beta2):
        m *= beta1
        m += one_minus_beta1 * g
        rotated = along_axes(g, square(q, SOAP.bases(g)))
        v *= beta2
        v += one_minus_beta2 * rotated * rotated

    @inplace
    def kernel(p, m, v, q, *, lr, eps, keep):
        q = square(q, SOAP.bases(p))
        u = along_axes(m, q) / PaperAdam.diagonal(v, eps=eps)
        p -= lr * along_axes(u, [a.T for a in q])
        p *= keep

    @inplace
    def statistics(g, h, *, beta2, one_minus_beta2):
        h *= beta2
        for axis, a in enumerate(square(h, SOAP.bases(g))):
            a += one_minus_beta2 * gram(g, axis)

    @inplace
    def eigenbasis(p, h, q):
        shape = SOAP.bases(p)
        for a, basis in zip(square(h, shape), square(q, shape), strict=True):
            basis[...] = xp.linalg.eigh(a)[1][:, ::-1]

    @inplace
    def power_iteration(v: Array, h, q):
        shape = SOAP.bases(v)
        for axis, (a, basis) in enumerate(zip(square(h, shape), square(q, shape), strict=True)):
            image = a @ basis
            order = xp.argsort(-(basis * image).sum(0))  # of the estimated eigenvalues
            v[...] = v.take(order, axis)
            basis[...] = xp.linalg.qr(image[:, order])[0]


class Muon(AdamW):
    """Momentum whose singular values are all made about one, for matrices; AdamW for the rest.

    Jordan et al. 2024, as in torch.optim.Muon.
    """

    oracle = "torch.optim.Muon"
    lr: Schedule = 1e-3
    momentum: Schedule = 0.95
    eps: float = 1e-7
    weight_decay: Schedule = 0.1

    per_tensor = True
    diagonal = NO_DIAGONAL  # matrices have none

    def start(self, p):
        return {"v": xp.zeros(0, p.dtype)} if p.ndim == 2 else {}

    def scalars(self, h):
        return {
            **super().scalars(h),
            "momentum": h.momentum,
            "one_minus_momentum": 1 - h.momentum,
            "scale": h.lr,
            "floor": h.eps,
            "a": 3.4445,
            "b": -4.775,
            "c": 2.0315,
        }

    @inplace
    def kernel(
        p: Array, g, m, v, *, keep, momentum, one_minus_momentum, scale, floor, a, b, c, **adam
    ):
        if p.ndim != 2:
            AdamW.kernel(p, g, m, v, keep=keep, **adam)
            return
        m *= momentum
        m += one_minus_momentum * g
        u = momentum * m + one_minus_momentum * g
        u = Muon.orthogonal(u / xp.maximum(norm(u), floor), a, b, c)
        n_in, n_out = p.shape
        p *= keep
        p -= scale * max(1, n_out / n_in) ** 0.5 * u

    @inplace
    def orthogonal(x: Array, a, b, c):
        """x with singular values about one: five steps of the Newton-Schulz iteration."""
        if x.shape[0] > x.shape[1]:
            return Muon.orthogonal(x.T, a, b, c).T
        for _ in range(5):
            s = x @ x.T
            x = a * x + (b * s + c * s @ s) @ x
        return x
