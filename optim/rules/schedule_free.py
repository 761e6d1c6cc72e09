"""Schedule-free rules: an average of the weights takes the place of a falling rate.

A rule steps z along gradients at y, a point between z and x, its average. The parameters are y;
inside `averaged()` they are x, which is what to evaluate with. Where y was moved between steps, z
and x move along. A projection keeps z in its set, and with it, up to rounding, x and y.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minigrad.backend import Array, xp
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.settings import Betas, Schedule, root, where
from optim.projections import Box
from optim.rules.descent import SGD

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeSGD"]


class _ScheduleFree(Optimizer):
    """Base: z after the step of a rule, x its average, and p, which is y, between the two.

    Their authors' package keeps y and z only, and finds x from them; with x kept beta may be 0, or
    a schedule.
    """

    passes = ("kernel", "average")

    def start(self, p):
        return {"z": p, "x": p}

    def between(self, lr, beta):
        """The scalars of `follow` and `average`; for `scalars`, once a step.

        As in the package, z weighs as the square of the largest lr so far, so that the steps of a
        warm-up count for little.
        """
        running = self.running
        beta_last, running["beta"] = running.get("beta", beta), beta
        largest = running.get("lr_max", 0.0)
        running["lr_max"] = largest = where(lr > largest, lr, largest)
        weight = largest * largest
        running["weight_sum"] = total = running.get("weight_sum", 0.0) + weight
        return {"c": weight / (total + (total == 0)), "beta": beta, "beta_last": beta_last}

    def update(self, scalars):
        self.sweep("kernel", scalars)
        if self.projection and not isinstance(self.projection, Box):  # a box is in the kernel
            self.state["z"][...] = self.projection.nearest(self.state["z"])
        self.sweep("average", scalars)

    @inplace
    def follow(p, z, x, *, beta_last):
        moved = p - (z + beta_last * (x - z))
        z += moved
        x += moved

    @inplace
    def average(p: Array, z, x, *, c, beta):
        x += c * (z - x)
        p[...] = z + beta * (x - z)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with self._owned.holding(self.state["x"]):
            yield


class ScheduleFreeSGD(_ScheduleFree):
    """SGD without a schedule; momentum is how far y is on the way from z to its average x.

    Defazio et al. 2024, equations 3 to 5. Momentum 0 is SGD with the average of Polyak.
    """

    oracle = "schedulefree.SGDScheduleFree"
    lr: Schedule = 1.0
    momentum: Schedule = 0.9

    def scalars(self, h):
        return {"lr": h.lr, **self.between(h.lr, h.momentum)}

    @inplace
    def kernel(z, g, p, x, *, lr, beta_last):
        _ScheduleFree.follow(p, z, x, beta_last=beta_last)
        SGD.kernel(z, g, lr=lr)


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW without a schedule; beta1 is how far y is on the way from z to its average x.

    Defazio et al. 2024, Algorithm 1; as in their package, with the bias correction of Adam.
    """

    oracle = "schedulefree.AdamWScheduleFree"
    lr: Schedule = 2.5e-3
    betas: Betas = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: Schedule = 0.0

    def scalars(self, h):
        beta1, beta2 = h.betas
        (debias,) = self.debias((beta2,))
        correction = root(debias)
        return {
            "lr": h.lr * correction,
            "decay": h.lr * h.weight_decay,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "eps": h.eps * correction,
            **self.between(h.lr, beta1),
        }

    @inplace
    def kernel(z, g, p, v, x, *, lr, decay, beta2, one_minus_beta2, eps, beta_last):
        _ScheduleFree.follow(p, z, x, beta_last=beta_last)
        v *= beta2
        v += one_minus_beta2 * g * g
        z -= lr * g / (xp.sqrt(v) + eps) + decay * p
