"""Schedule-free rules: an average of the weights takes the place of a falling rate.

A rule steps z along gradients at y, a point between z and x, its average. The parameters are y;
inside `averaged()` they are x, which is what to evaluate with. Where y was moved between steps, z
and x move along. A projection keeps z in its set, and with it x and y: in a box to the last bit,
in another set up to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minigrad.backend import xp
from optim.engine.kinds import Beta, Eps, Rate
from optim.engine.optimizer import Optimizer, inplace
from optim.rules.descent import SGD

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeSGD"]


class _ScheduleFree(Optimizer):
    """Base: z after the step of a rule, x its average, and p, which is y, between the two.

    Their authors' package keeps y and z only, and finds x from them; with x kept beta may be 0, or
    a schedule.
    """

    after_projection = ("average",)
    projected = "z"

    def start(self, p):
        return {"z": p, "x": p, "beta_last": 0.0, "lr_max": 0.0, "weight_sum": 0.0}

    @inplace
    def follow(p, z, x, beta_last):
        moved = p - (z + beta_last * (x - z))
        z += moved
        x += moved

    @inplace
    def mix(p, z, x, beta_last, lr_max, weight_sum, *, lr, beta):
        """Take z into its average, and set p between the two.

        As in the package, z weighs as the square of the largest lr so far, so that the steps of a
        warm-up count for little.
        """
        xp.maximum(lr_max, lr, out=lr_max)
        weight = lr_max * lr_max
        weight_sum += weight
        beta_last[...] = beta
        x -= z  # so that x, as z, stays in a box, also where all the weight is that of z
        x *= 1 - weight / xp.where(weight_sum > 0, weight_sum, 1.0)
        x += z
        p[...] = z + beta * (x - z)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        self.check_owner()
        with self._owned.holding(self.state["x"]):
            yield


class ScheduleFreeSGD(_ScheduleFree):
    """SGD without a schedule; momentum is how far y is on the way from z to its average x.

    Defazio et al. 2024, equations 3 to 5. Momentum 0 is SGD with the average of Polyak.
    """

    oracle = "schedulefree.SGDScheduleFree"
    lr: Rate = 1.0
    momentum: Beta = 0.9

    @inplace
    def kernel(z, g, p, x, beta_last, *, lr):
        _ScheduleFree.follow(p, z, x, beta_last)
        SGD.kernel(z, g, lr=lr)

    @inplace
    def average(p, z, x, beta_last, lr_max, weight_sum, *, lr, momentum):
        _ScheduleFree.mix(p, z, x, beta_last, lr_max, weight_sum, lr=lr, beta=momentum)


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW without a schedule; beta1 is how far y is on the way from z to its average x.

    Defazio et al. 2024, Algorithm 1; as in their package, with the bias correction of Adam.
    """

    oracle = "schedulefree.AdamWScheduleFree"
    lr: Rate = 2.5e-3
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Eps = 1e-8
    weight_decay: Rate = 0.0

    def start(self, p):
        return {**super().start(p), "beta2_t": 1.0}

    @inplace
    def kernel(z, g, p, v, x, beta_last, beta2_t, *, lr, betas, eps, weight_decay):
        _ScheduleFree.follow(p, z, x, beta_last)
        v *= betas[1]
        v += (1 - betas[1]) * g * g
        beta2_t *= betas[1]
        correction = xp.sqrt(1 - beta2_t)
        z -= lr * correction * g / (xp.sqrt(v) + eps * correction) + lr * weight_decay * p

    @inplace
    def average(p, z, x, beta_last, lr_max, weight_sum, *, lr, betas):
        _ScheduleFree.mix(p, z, x, beta_last, lr_max, weight_sum, lr=lr, beta=betas[0])
